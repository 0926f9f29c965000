"""`python -m holloway.cli.wg`."""

from holloway.cli.wg import run

if __name__ == "__main__":
    run()
