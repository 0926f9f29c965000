"""The `wg-quick` command: arguments in, messages and an exit code out.

`holloway.quick` has the sub-commands; that and netlink are loaded only where needed.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from holloway.errors import HollowayError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import NoReturn

    from holloway.quick.source import Source
    from holloway.quick.steps import Host


def run() -> NoReturn:
    """Be the command `wg-quick`. It ends without freeing what is loaded, which takes 10 ms."""
    status = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        status = status or 1
    os._exit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `wg-quick`; returns the exit code."""
    gc.disable()  # it ends before there is much to collect; looking for it takes a tenth longer
    match list(sys.argv[1:] if arguments is None else arguments):
        case [word] if word in {"help", "-h", "--help"}:
            print(USAGE, EXAMPLES, sep="", end="", file=sys.stderr)
            return 0
        case ["up" | "down" | "save" | "strip" | "reload" as command, config]:
            _become_root()
            return _run(command, config)
        case (
            ["up", "--dry-run", config] | ["--dry-run", "up", config] | ["up", config, "--dry-run"]
        ):
            _become_root()
            return _run("up --dry-run", config)
        case words:
            if words and words[0] not in COMMANDS:
                print(f"wg-quick: unknown command `{words[0]}'", file=sys.stderr)
            print(USAGE, file=sys.stderr, end="")
            return 1


def _run(command: str, argument: str) -> int:
    from holloway.quick import source

    try:
        found = source.read(argument)
        if found.warning is not None:
            print(found.warning, file=sys.stderr)
        _COMMANDS[command](found)
    except HollowayError as error:
        if str(error):
            print(f"wg-quick: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # Before the first step or in `save`; later on, the steps handle it.
        return 1
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        print(f"wg-quick: {place}{error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _up(source: Source) -> None:
    from holloway.quick.settings import settings
    from holloway.quick.up import up

    resolve = settings(source)
    with _host() as host:
        up(source, resolve, host)


def _dry_run(source: Source) -> None:
    from holloway.quick.settings import settings
    from holloway.quick.up import dry_run

    resolve = settings(source)
    with _host() as host:
        for line in dry_run(source, resolve, host):
            print(line)


def _reload(source: Source) -> None:
    from holloway.quick.reload import reload
    from holloway.quick.settings import settings

    resolve = settings(source)
    _require_device(source.interface)
    with _host() as host:
        reload(source, resolve, host)


def _down(source: Source) -> None:
    from holloway.quick.down import down

    _require_device(source.interface)
    with _host() as host:
        down(source, host)


def _save(source: Source) -> None:
    from holloway.quick.run import perform
    from holloway.quick.save import SaveConfiguration

    _require_device(source.interface)
    with _host() as host:
        perform(SaveConfiguration(source), host)


def _strip(source: Source) -> None:
    # As bytes: what is not UTF-8 in the file is printed as it is.
    sys.stdout.buffer.write(source.config.stripped.encode(errors="surrogateescape"))
    sys.stdout.buffer.flush()


def _become_root() -> None:
    """Restart under sudo if we are not root, as upstream does."""
    if os.geteuid() == 0:
        return
    prompt = "wg-quick must be run as root. Please enter the password for %u to continue: "
    command = [sys.executable, *sys.orig_argv[1:]]
    try:
        os.execvp("sudo", ["sudo", "-p", prompt, "--", *command])  # noqa: S606
    except OSError:
        print("wg-quick must be run as root", file=sys.stderr)
        sys.exit(1)


@contextmanager
def _host() -> Iterator[Host]:
    from holloway.control import find
    from holloway.netlink.route import RouteSocket
    from holloway.quick.interrupts import Interrupts
    from holloway.quick.steps import Host

    with RouteSocket() as netlink:
        yield Host(netlink, Interrupts(), find)


def _require_device(interface: str) -> None:
    from holloway.control import names

    if interface not in names():
        raise HollowayError(f"`{interface}' is not a WireGuard interface")


COMMANDS: Final = ("up", "down", "save", "strip", "reload", "help", "-h", "--help", "--dry-run")
_COMMANDS: Final[Mapping[str, Callable[[Source], None]]] = {
    "up": _up,
    "up --dry-run": _dry_run,
    "reload": _reload,
    "down": _down,
    "save": _save,
    "strip": _strip,
}

USAGE: Final = """\
Usage: wg-quick [ up | down | save | strip | reload ] [ CONFIG_FILE | INTERFACE ]

  CONFIG_FILE is a configuration file, whose filename is the interface name
  followed by `.conf'. Otherwise, INTERFACE is an interface name, with
  configuration found at /etc/wireguard/INTERFACE.conf. It is to be readable
  by wg(8)'s `setconf' sub-command, with the exception of the following additions
  to the [Interface] section, which are handled by wg-quick:

  - Address: may be specified one or more times and contains one or more
    IP addresses (with an optional CIDR mask) to be set for the interface.
  - DNS: an optional DNS server to use while the device is up.
  - MTU: an optional MTU for the interface; if unspecified, auto-calculated.
  - Table: an optional routing table to which routes will be added; if
    unspecified or `auto', the default table is used. If `off', no routes
    are added.
  - PreUp, PostUp, PreDown, PostDown: script snippets which will be executed
    by bash(1) at the corresponding phases of the link, most commonly used
    to configure DNS. The string `%i' is expanded to INTERFACE.
  - SaveConfig: if set to `true', the configuration is saved from the current
    state of the interface upon shutdown.

See wg-quick(8) for more info and examples.
"""
EXAMPLES: Final = """
Examples:
  wg-quick up wg0                       bring up what /etc/wireguard/wg0.conf describes
  wg-quick up ./office.conf             bring up the interface office
  wg-quick down wg0                     run the down hooks and remove the interface
  wg-quick save wg0                     write the peers of the running interface to its file
  wg-quick reload wg0                   apply the edited file without ending any session
  wg-quick up --dry-run wg0             print what up would do, and change nothing
"""

if __name__ == "__main__":
    run()
