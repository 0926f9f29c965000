"""`holloway run CONFIG COMMAND` and `holloway shell CONFIG`: any program in a tunnel, without root.

Reads arguments, opens a `net.Network` with the kernel's stack, starts the program in its namespace
and ends as it does. Called by `cli.holloway`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holloway.cli.job import Job, Signals
from holloway.errors import ConfigError, HollowayError
from holloway.net.errors import NoNamespace
from holloway.net.program import command_inside, resolv_conf
from holloway.proxy.publish import ProgramNetwork, parse_publication

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holloway.net.network import Network
    from holloway.proxy.settings import ForwardPort

RUN: Final = """\
Runs a program, unchanged, inside a WireGuard tunnel: all its connections go through the tunnel, and
nobody else's do. Neither root nor an interface of the system is needed.

The program is yours in all else: your files, your terminal, its signals and its exit status."""
SHELL: Final = """\
Opens your shell inside a WireGuard tunnel. What you start there has no other network. Neither root
nor an interface of the system is needed. HOLLOWAY_NETWORK is set there, for your prompt."""
MORE: Final = """\
A PORT is [ADDRESS:]PORT:INSIDE[/udp]: what comes to a port of this host goes to port INSIDE of the
program. Without an address only this host reaches it; 0.0.0.0 or [::] let others in."""
RUN_EXAMPLES: Final = f"""{MORE}

Exit status: the program's, or 128 and the number of the signal that ended it; 127 if it was not
found, 126 if it cannot be run, 125 if the tunnel was not had.

Examples:
  holloway run laptop.conf -- curl http://10.10.10.5/
  holloway run laptop.conf ssh admin@10.10.10.5
  holloway run -p 8080:80 laptop.conf -- python3 -m http.server 80
  holloway run --apparmor-profile | sudo tee /etc/apparmor.d/holloway-namespace
"""
SHELL_EXAMPLES: Final = f"""{MORE}

Examples:
  holloway shell laptop.conf
  holloway shell -p [::1]:8080:80 laptop.conf
"""


def main(words: list[str]) -> int:
    """Run `holloway run`; returns the exit status."""
    try:
        options = _options(words)
    except SystemExit as error:
        return OWN_FAILURE if error.code else 0
    return _begin("run", options, options.command)


def shell(words: list[str]) -> int:
    """Run `holloway shell`; returns the exit status."""
    try:
        options = _parser("shell", SHELL, SHELL_EXAMPLES).parse_args(words)
    except SystemExit as error:
        return OWN_FAILURE if error.code else 0
    wanted = os.environ.get("SHELL", "")
    command = [wanted if os.access(wanted, os.X_OK) else "/bin/sh"]
    return _begin("shell", options, command)


def _options(words: list[str]) -> argparse.Namespace:
    """Read `[OPTIONS] CONFIG [OPTIONS] -- COMMAND` or `[OPTIONS] CONFIG COMMAND`."""
    parser = _parser("run", RUN, RUN_EXAMPLES)
    parser.add_argument("--apparmor-profile", action=_PrintProfile, nargs=0,
                        help="print what lets Holloway make namespaces on Ubuntu")  # fmt: skip
    if "--" in words:
        place = words.index("--")
        options, rest = parser.parse_known_args(words[:place])
        if not rest:
            options.command = words[place + 1 :]
            return _with_command(parser, options)
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER, help="a program")
    return _with_command(parser, parser.parse_args(words))


def _with_command(
    parser: argparse.ArgumentParser, options: argparse.Namespace
) -> argparse.Namespace:
    if not options.command:
        parser.error("which program?")
    return options


def _parser(name: str, description: str, examples: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"holloway {name}", description=description, epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("config", metavar="CONFIG", help="a wg-quick file")
    parser.add_argument("-p", "--publish", metavar="PORT", action="append", default=[],
                        help="have a port of this host lead to the program")  # fmt: skip
    parser.add_argument("-q", "--quiet", action="store_true", help="say only what went wrong")
    return parser


class _PrintProfile(argparse.Action):
    """Prints the AppArmor profile of this installation and ends, as `--help` does."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from holloway.net.userns_advice import apparmor_profile

        print(apparmor_profile(), end="")
        parser.exit()


@dataclass(frozen=True, slots=True)
class _Invocation:
    """What was asked for, as `run` or as `shell`."""

    name: str
    config: str
    command: Sequence[str]
    ports: Sequence[ForwardPort]
    is_quiet: bool

    @property
    def end(self) -> signal.Signals:
        """What the program gets if we are killed; a shell at a terminal takes no SIGTERM."""
        return signal.SIGHUP if self.name == "shell" else signal.SIGTERM

    def print_note(self, line: str) -> None:
        if not self.is_quiet:
            print(f"holloway {self.name}: {line}", file=sys.stderr)

    def environment(self, network: str) -> dict[str, str]:
        """HOLLOWAY_NETWORK for scripts and prompts; Debian's prompt shows the other by itself."""
        hint = {"debian_chroot": network} if self.name == "shell" else {}
        return {**hint, **os.environ, "HOLLOWAY_NETWORK": network}


def _begin(name: str, options: argparse.Namespace, command: Sequence[str]) -> int:
    prefix = f"holloway {name}"
    level = logging.ERROR if options.quiet else logging.WARNING
    logging.basicConfig(level=level, format=f"{prefix}: %(message)s")
    logging.getLogger("holloway.proxy").setLevel(logging.ERROR)  # the program may not listen yet
    try:
        ports = [parse_publication(text) for text in options.publish]
        invocation = _Invocation(name, options.config, command, ports, options.quiet)
        network = ProgramNetwork.from_config(options.config, stack="kernel")
        return asyncio.run(_run(invocation, network, Signals()))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except NoNamespace as error:
        print(f"{prefix}: {error.strerror}", file=sys.stderr)
        _print_advice(error)
    except ConfigError as error:
        place = "" if error.key == "--publish" else f"{options.config}: "
        print(f"{prefix}: {place}{error}", file=sys.stderr)
    except (HollowayError, OSError) as error:
        print(f"{prefix}: {_explain(error)}", file=sys.stderr)
    return OWN_FAILURE


async def _run(invocation: _Invocation, network: Network, signals: Signals) -> int:
    job = Job(signals)
    async with AsyncExitStack() as stack:
        await _open(network, job)
        stack.push_async_callback(network.close)
        for line in await _publish(network, invocation.ports, stack):
            invocation.print_note(line)
        names = resolv_conf(network)
        if names.note is not None:
            invocation.print_note(names.note)
        if invocation.name == "shell":
            where = ", ".join(network.addresses)
            invocation.print_note(f"inside {network.name} ({where}); leave with `exit' or Ctrl-D")
        wrapped, inherited = command_inside(network, invocation.command, names, invocation.end)
        status = await job.run(wrapped, invocation.environment(network.name), inherited)
    return job.exit_status(status)


async def _open(network: Network, job: Job) -> None:
    """Open a network; if we are asked to end meanwhile, do so."""
    opening = asyncio.create_task(network.open())
    await asyncio.wait((opening, job.termination_requested), return_when=asyncio.FIRST_COMPLETED)
    if job.termination_requested.done():
        # A look-up of names cannot be interrupted, and nothing else is open.
        job.end_as_requested()
    opening.result()


async def _publish(
    network: Network, ports: Sequence[ForwardPort], stack: AsyncExitStack
) -> list[str]:
    if not ports:
        return []
    from holloway.proxy.networks import HostNetwork
    from holloway.proxy.proxy import Proxy

    # So many that the limit of open files, which the program inherits, can stay as it is.
    proxy = Proxy(HostNetwork(), network, max_connections=PUBLISHED_CONNECTIONS)
    stack.push_async_callback(proxy.close)
    return await proxy.open(ports)


def _print_advice(error: NoNamespace) -> None:
    from holloway.net.userns_advice import userns_advice

    if advice := userns_advice(error):
        print(advice, file=sys.stderr)


def _explain(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


OWN_FAILURE: Final = 125  # as env(1) and timeout(1)
PUBLISHED_CONNECTIONS: Final = 256
