"""`holloway COMMAND`: the commands beyond `wg` and `wg-quick`.

Reads the arguments, imports the command's module and calls it.
"""

from __future__ import annotations

import sys

from holloway.errors import without_keys

USAGE = "Usage: holloway {demo | lab | log | proxy | qr | run | shell | help | version}"
HELP = f"""{USAGE}

WireGuard, whole, in Python. The package includes wg(8) and wg-quick(8), which configure interfaces,
and `holloway-device`, which makes one.

Commands:
  demo      connect two hosts on this machine by a tunnel, and explain each step
  lab       build a larger network on this machine to experiment with (root)
  run       run a program inside a tunnel, without root
  shell     open a shell inside a tunnel, without root
  proxy     serve SOCKS5, HTTP and port forwards into a tunnel, without root
  qr        show a configuration as a QR code for a phone
  log       show, change or follow the log of a running device
  help      show this text
  version   show the version

`holloway COMMAND --help` describes a command.

Examples:
  sudo holloway demo                                   see how it works
  sudo wg-quick up wg0                                 bring a tunnel up for the whole system
  holloway run laptop.conf -- curl http://10.10.10.5/  ...for one program
  holloway proxy laptop.conf --socks5 1080             ...for the programs that use a proxy
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    match arguments:
        case ["demo", *options]:
            from holloway.cli.demo import main as demo

            return demo(options)
        case ["lab", *words]:
            from holloway.cli.lab import main as lab

            return lab(words)
        case ["qr", *words]:
            from holloway.cli.qr import main as qr

            return qr(words)
        case ["log", *words]:
            from holloway.cli.log import main as log

            return log(words)
        case ["proxy", *words]:
            from holloway.cli.proxy import main as proxy

            return proxy(words)
        case ["run", *words]:
            from holloway.cli.run import main as run

            return run(words)
        case ["shell", *words]:
            from holloway.cli.run import shell

            return shell(words)
        case ["help" | "-h" | "--help"]:
            print(HELP, end="")
            return 0
        case ["version" | "--version"]:
            from holloway import __version__

            print(f"holloway {__version__}")
            return 0
    if arguments:
        print(without_keys(f"Invalid command: {' '.join(arguments)!r}"), file=sys.stderr)
    print(USAGE, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
