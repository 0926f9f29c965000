"""The `wg` command: argv -> `Control` -> what wg(8) prints, byte for byte.

Each subcommand is imported only when it is called, so that `wg show` starts quickly.
"""

from __future__ import annotations

import gc
import io
import os
import sys

from holloway.cli.wg.report import NAME, fail
from holloway.cli.wg.report import print_out as _print
from holloway.put_off import put_off

SUBCOMMANDS = {
    "show": "Shows the current configuration and device information",
    "showconf": (
        "Shows the current configuration of a given WireGuard interface, for use with `setconf'"
    ),
    "set": "Change the current configuration, add peers, remove peers, or change peers",
    "setconf": "Applies a configuration file to a WireGuard interface",
    "addconf": "Appends a configuration file to a WireGuard interface",
    "syncconf": "Synchronizes a configuration file to a WireGuard interface",
    "genkey": "Generates a new private key and writes it to stdout",
    "genpsk": "Generates a new preshared key and writes it to stdout",
    "pubkey": "Reads a private key from stdin and writes a public key to stdout",
}

NO_NAMES = {"all", "interfaces", "--json", "--names", "--watch"}
"""What may take the place of an interface after `show`."""


def run() -> None:
    """Run the command `wg` and exit without Python's teardown, which takes 3 ms."""
    status = main()
    sys.stderr.flush()
    os._exit(status)


def main(argv: list[str] | None = None) -> int:
    """Run `wg` with the arguments after its name; returns the exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    gc.disable()  # a run is too short to need it, and it makes one a third longer
    put_off()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Bytes of arguments and files are printed unchanged, whatever their encoding.
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads our output any more. Leave nothing to flush, and end as wg(8) by SIGPIPE.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except KeyboardInterrupt:
        return 128 + 2
    return status


def _run(arguments: list[str]) -> int:
    match arguments:
        case ["-h" | "--help" | "help"]:
            _print(usage())
            return 0
        case ["-v" | "--version" | "version"]:
            from holloway import __version__

            _print(f"holloway v{__version__}\n")
            return 0
        case []:
            return _subcommand("show", [])
        case [name, *rest] if name in SUBCOMMANDS:
            return _subcommand(name, rest)
    return fail(f"Invalid subcommand: `{arguments[0]}'\n{usage()}".rstrip("\n"))


def _subcommand(name: str, arguments: list[str]) -> int:
    match name:
        case "show":
            if len(arguments) == 2 and arguments[1] == "dump" and arguments[0] not in NO_NAMES:
                from holloway.cli.wg.dump import dump

                return dump(arguments[0])
            from holloway.cli.wg.show import show

            return show(arguments)
        case "genkey" | "genpsk" | "pubkey":
            from holloway.cli.wg import keys

            return keys.run(name, arguments)
        case "showconf":
            from holloway.cli.wg.show import showconf

            return showconf(arguments)
        case "set":
            from holloway.cli.wg.change import set_options

            return set_options(arguments)
        case _:
            from holloway.cli.wg.configure import set_file

            return set_file(name, arguments)


def usage() -> str:
    """Return what `wg --help` prints."""
    lines = [f"Usage: {NAME} <cmd> [<args>]", "", "Available subcommands:"]
    lines += [f"  {name}: {purpose}" for name, purpose in SUBCOMMANDS.items()]
    lines.append("You may pass `--help' to any of these subcommands to view usage.")
    return "\n".join(lines) + "\n"
