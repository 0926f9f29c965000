"""`python -m holloway.cli.wg`."""

import sys

from holloway.cli.wg import main

if __name__ == "__main__":
    sys.exit(main())
