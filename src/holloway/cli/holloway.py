"""`holloway COMMAND`: what goes beyond `wg` and `wg-quick`.

Reads arguments and calls the command's module, imported only then.
"""

from __future__ import annotations

import sys

from holloway.errors import without_keys

USAGE = "Usage: holloway {demo | lab | log | proxy | qr | run | shell | help | version}"
HELP = f"""{USAGE}

WireGuard, whole, in Python. The interface is set up with wg(8) and wg-quick(8), which come
along; `holloway-device` makes and serves one.

Commands:
  demo      build two hosts on this machine, join them by a tunnel, and explain each step (root)
  lab       build a larger network to play with: holloway lab --help (root)
  qr        show a configuration as a QR code, for a phone: holloway qr --help
  log       show or change how much a running device says, or follow it
  proxy     SOCKS5, HTTP and port forwards into a tunnel, without root: holloway proxy --help
  run       any program inside a tunnel, without root: holloway run --help
  shell     the same for your shell
  help      show this text
  version   show the version

Examples:
  sudo holloway demo
  wg genkey | tee private.key | wg pubkey
  sudo wg-quick up wg0
  holloway run laptop.conf -- curl http://10.10.10.5/
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
