"""`holloway run CONFIG COMMAND` and `holloway shell CONFIG`: a program in a tunnel, without root.

Reads the arguments, opens a `net.Network` with the kernel's stack, runs the program in its
namespace, and exits with the program's status. Called by `cli.holloway`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holloway.cli import config_file, verbosity
from holloway.cli.explain import explain
from holloway.cli.job import Job, Signals
from holloway.errors import ConfigError, HollowayError
from holloway.net.errors import NoNamespace
from holloway.net.first_lookup import FirstLookup
from holloway.net.program import command_inside, resolv_conf
from holloway.proxy.publish import ProgramNetwork, parse_publication

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holloway.net.network import Network
    from holloway.proxy.settings import ForwardPort

RUN: Final = """\
Runs a program inside a WireGuard tunnel, which is the program's only network. No other program
uses the tunnel. Needs neither root nor an interface of the system.

Everything else is as usual: your files, your terminal, signals and the exit status."""
SHELL: Final = """\
Opens your shell inside a WireGuard tunnel, which is the only network of all programs that you start
there. Needs neither root nor an interface of the system. The shell has the variable
HOLLOWAY_NETWORK, for your prompt."""
MORE: Final = """\
CONFIG is a wg-quick file, or a name: wg0 is /etc/wireguard/wg0.conf, if you may read that.

A PORT is [ADDRESS:]PORT:INSIDE[/udp]: connections to PORT of this host reach port INSIDE of the
program. Without ADDRESS only this host can connect; 0.0.0.0 or [::] admits others."""
RUN_EXAMPLES: Final = f"""{MORE}

Exit status: the program's, or 128 + N if signal N ended it; 127 if the program was not found, 126
if it cannot be run, 125 if the tunnel could not be opened.

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
                        help="print the AppArmor profile that allows this on Ubuntu")  # fmt: skip
    if "--" in words:
        place = words.index("--")
        options, rest = parser.parse_known_args(words[:place])
        if not rest:
            options.command = words[place + 1 :]
            return _with_command(parser, options)
    parser.add_argument("command", metavar="COMMAND", nargs=argparse.REMAINDER,
                        help="the program and its arguments")  # fmt: skip
    return _with_command(parser, parser.parse_args(words))


def _with_command(
    parser: argparse.ArgumentParser, options: argparse.Namespace
) -> argparse.Namespace:
    if not options.command:
        parser.error("the following arguments are required: COMMAND")
    return options


def _parser(name: str, description: str, examples: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"holloway {name}", description=description, epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("config", metavar="CONFIG", help="a wg-quick file or its name")
    parser.add_argument("-p", "--publish", metavar="PORT", action="append", default=[],
                        help="forward a port of this host to the program")  # fmt: skip
    verbosity.add_options(parser)
    return parser


class _PrintProfile(argparse.Action):
    """Prints the AppArmor profile of this installation and exits, as `--help` does."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from holloway.net.userns_advice import apparmor_profile

        print(apparmor_profile(), end="")
        parser.exit()


@dataclass(frozen=True, slots=True)
class _Invocation:
    """What to run, and how; `name` is `run` or `shell`."""

    name: str
    command: Sequence[str]
    ports: Sequence[ForwardPort]
    is_quiet: bool

    @property
    def end(self) -> signal.Signals:
        """The program's signal if this process is killed; interactive shells ignore SIGTERM."""
        return signal.SIGHUP if self.name == "shell" else signal.SIGTERM

    def print_note(self, line: str) -> None:
        if not self.is_quiet:
            print(f"holloway {self.name}: {line}", file=sys.stderr)

    def environment(self, network: str) -> dict[str, str]:
        """Return the program's environment; Debian's prompt shows `debian_chroot`."""
        hint = {"debian_chroot": network} if self.name == "shell" else {}
        return {**hint, **os.environ, "HOLLOWAY_NETWORK": network}


def _begin(name: str, options: argparse.Namespace, command: Sequence[str]) -> int:
    prefix = f"holloway {name}"
    verbosity.start_log(
        f"{prefix}: %(message)s", is_quiet=options.quiet, is_verbose=options.verbose
    )
    if not options.verbose:
        # The program may not listen yet, and its clients try again.
        logging.getLogger("holloway.proxy").setLevel(logging.ERROR)
    config = config_file.find(options.config)
    try:
        ports = [parse_publication(text) for text in options.publish]
        invocation = _Invocation(name, command, ports, options.quiet)
        config_file.warn_if_exposed(config)
        network = ProgramNetwork(config, stack="kernel", timeout=None)
        return asyncio.run(_run(invocation, network, Signals()))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except NoNamespace as error:
        print(f"{prefix}: {error.strerror}", file=sys.stderr)
        _print_advice(error)
    except ConfigError as error:
        place = "" if error.key == "--publish" else f"{config}: "
        print(f"{prefix}: {place}{error}", file=sys.stderr)
    except (HollowayError, OSError) as error:
        print(f"{prefix}: {explain(error)}", file=sys.stderr)
    return OWN_FAILURE


async def _run(invocation: _Invocation, network: Network, signals: Signals) -> int:
    job = Job(signals)
    async with AsyncExitStack() as stack:
        await _open(network, job)
        stack.push_async_callback(network.close)
        for line in await _publish(network, invocation.ports, stack):
            invocation.print_note(line)
        names = resolv_conf(network)
        if invocation.name == "shell":
            where = ", ".join(network.addresses)
            invocation.print_note(f"inside {network.name} ({where}); leave with `exit' or Ctrl-D")
        lookup = stack.enter_context(_noted_at_first_lookup(invocation, names.note))
        wrapped, inherited = command_inside(
            network, invocation.command, names, invocation.end, lookup
        )
        status = await job.run(wrapped, invocation.environment(network.name), inherited)
    return job.exit_status(status)


@contextmanager
def _noted_at_first_lookup(invocation: _Invocation, note: str | None) -> Iterator[int | None]:
    """Print a note about name servers when the program first looks a name up."""
    if note is None:
        yield None
        return
    try:
        first = FirstLookup()
    except OSError:
        invocation.print_note(note)
        yield None
        return
    loop = asyncio.get_running_loop()

    def check() -> None:
        if first.has_happened():
            loop.remove_reader(first.fileno())
            invocation.print_note(note)

    with first:
        loop.add_reader(first.fileno(), check)
        try:
            yield first.fileno()
        finally:
            check()  # a short program may have ended before the loop saw it
            loop.remove_reader(first.fileno())


async def _open(network: Network, job: Job) -> None:
    """Open a network; a signal that ends this process does so at once."""
    opening = asyncio.create_task(network.open())
    await asyncio.wait((opening, job.termination_requested), return_when=asyncio.FIRST_COMPLETED)
    if job.termination_requested.done():
        # A pending look-up cannot be interrupted, and nothing else is open yet.
        job.end_as_requested()
    opening.result()


async def _publish(
    network: Network, ports: Sequence[ForwardPort], stack: AsyncExitStack
) -> list[str]:
    if not ports:
        return []
    from holloway.proxy.networks import HostNetwork
    from holloway.proxy.proxy import Proxy

    # Few enough that the limit of open files, which the program inherits, need not be raised.
    proxy = Proxy(HostNetwork(), network, max_connections=PUBLISHED_CONNECTIONS)
    stack.push_async_callback(proxy.close)
    # Without an address it is 127.0.0.1, so all addresses are what the user asked for.
    return [line for line in await proxy.open(ports) if not line.startswith("Warning")]


def _print_advice(error: NoNamespace) -> None:
    from holloway.net.userns_advice import userns_advice

    if advice := userns_advice(error):
        print(advice, file=sys.stderr)


OWN_FAILURE: Final = 125  # as env(1) and timeout(1) do
PUBLISHED_CONNECTIONS: Final = 256
