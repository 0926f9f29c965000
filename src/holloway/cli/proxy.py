"""`holloway proxy CONFIG`: SOCKS5, HTTP and port forwards into a tunnel, without root.

Reads the arguments and the configuration, and runs a `proxy.Proxy` around a `net.Network` until a
signal or the tunnel ends it. Called by `cli.holloway`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holloway.cli import config_file, verbosity
from holloway.errors import ConfigError, HollowayError
from holloway.net.errors import explain
from holloway.proxy.address import parse_address
from holloway.proxy.limits import connection_capacity
from holloway.proxy.settings import (
    HttpPort,
    Login,
    Settings,
    Socks5Port,
    allow_all,
    parse_forward,
    parse_settings,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holloway.net.network import Network
    from holloway.proxy.address import Address
    from holloway.proxy.networks import ProxyNetwork
    from holloway.proxy.settings import Port

log = logging.getLogger("holloway.proxy")

NOTHING_TO_SERVE: Final = "nothing to serve: name a port, for instance --socks5 1080"
PASSWORD: Final = "HOLLOWAY_PROXY_PASSWORD"  # noqa: S105  # the variable's name
DESCRIPTION: Final = """\
Serves SOCKS5 and HTTP proxies and port forwards into a WireGuard tunnel. Needs neither root nor an
interface of the system.

CONFIG is a wg-quick file, or a wireproxy file with [Socks5], [http], [TCPClientTunnel],
[TCPServerTunnel], [UDPProxyTunnel] and [STDIOTunnel], whose services are added to those of the
options. Or it is a name: wg0 is /etc/wireguard/wg0.conf, if you may read that."""
EXAMPLES: Final = """\
ADDRESS is HOST:PORT, or PORT for 127.0.0.1:PORT. FORWARD is [HOST:]PORT:TARGET:PORT as with ssh,
IPv6 addresses in brackets, and "/udp" at its end for UDP.

Examples:
  holloway proxy laptop.conf --socks5 1080
  holloway proxy wireproxy.conf --check
  holloway proxy laptop.conf --http 8080 --forward 5432:db.home:5432
  holloway proxy laptop.conf --reverse 8000:localhost:8000 --forward 5353:10.10.10.1:53/udp
  ssh -o ProxyCommand='holloway proxy laptop.conf --stdio %h:%p' nas.home
"""


def main(words: list[str]) -> int:
    """Run the command; returns the exit status."""
    try:
        options = _parser().parse_args(words)
    except SystemExit as error:
        return int(bool(error.code))
    _start_log(options)
    try:
        settings = _settings(options)
        if options.check:
            return _check(settings, options)
        return asyncio.run(_run(settings, options))
    except KeyboardInterrupt:
        return 0
    except (HollowayError, OSError) as error:
        print(f"holloway proxy: {_explain(error)}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="holloway proxy", description=DESCRIPTION, epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("config", metavar="CONFIG", help="a configuration file or its name")
    add = parser.add_argument
    add("--socks5", metavar="ADDRESS", action="append", default=[], help="serve SOCKS5 there")
    add("--http", metavar="ADDRESS", action="append", default=[], help="serve an HTTP proxy there")
    add("--user", metavar="NAME",
        help=f"require this name and the password in ${PASSWORD} from clients of both")  # fmt: skip
    add("-L", "--forward", metavar="FORWARD", action="append", default=[],
        help="forward a port of this host to a target in the tunnel")  # fmt: skip
    add("-R", "--reverse", metavar="FORWARD", action="append", default=[],
        help="forward a port in the tunnel to a target of this host")  # fmt: skip
    add("--stdio", metavar="HOST:PORT", help="connect standard input and output to a target")
    add("--health", metavar="ADDRESS", help="serve /healthz, /readyz, /status and /metrics there")
    add("--stack", choices=("kernel", "userspace"),
        help="the TCP/IP stack; without it the kernel's if the system allows that")  # fmt: skip
    add("--check", action="store_true",
        help="only check the configuration, and print what the proxy would do")  # fmt: skip
    verbosity.add_options(parser)
    return parser


def _settings(options: argparse.Namespace) -> Settings:
    """Combine the file and the options."""
    path = config_file.find(options.config)
    with _named(path):
        settings = parse_settings(_read(path), os.environ)
    if settings.wg_path is not None:
        wg = Path(settings.wg_path)
        if not wg.is_absolute() and not wg.exists():
            wg = path.parent / wg
        settings = replace(settings, wg=allow_all(_read(wg)))
        path = wg
    login = _login(options.user)
    ports: list[Port] = [*settings.ports]
    ports += [Socks5Port(_here(each), login) for each in options.socks5]
    ports += [HttpPort(_here(each), login) for each in options.http]
    ports += [parse_forward(each) for each in options.forward]
    ports += [parse_forward(each, is_reverse=True) for each in options.reverse]
    stdio = parse_address(options.stdio, key="--stdio") if options.stdio else settings.stdio
    if not ports and stdio is None and not options.check:
        raise ConfigError(NOTHING_TO_SERVE)
    return replace(settings, wg_path=str(path), ports=tuple(ports), stdio=stdio)


def _login(user: str | None) -> Login | None:
    if user is None:
        return None
    if PASSWORD not in os.environ:
        raise ConfigError(f"the password has to be in the environment, as {PASSWORD}", key="--user")
    return Login(user, os.environ[PASSWORD])


def _here(text: str) -> Address:
    """Read an option's address; a port alone is one of the loopback interface."""
    return parse_address(f"127.0.0.1:{text}" if text.isdigit() else text)


def _read(path: Path) -> str:
    config_file.warn_if_exposed(path)
    return path.read_text(encoding="utf-8", errors="surrogateescape")


@contextmanager
def _named(path: object) -> Iterator[None]:
    """Name the file in an error of the configuration."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _check(settings: Settings, options: argparse.Namespace) -> int:
    """Print what would be done."""
    from holloway.net.settings import from_config

    with _named(settings.wg_path):
        network = from_config(settings.wg)
    addresses = ", ".join(str(each) for each in network.addresses)
    print(f"The tunnel has the address {addresses}; peers: {len(network.update.peers)}")
    for line in (*_services(settings, options), *settings.notes, *network.notes):
        print(line)
    print("The configuration is good.")
    return 0


def _services(settings: Settings, options: argparse.Namespace) -> list[str]:
    """Describe what the settings and the options ask to serve."""
    from holloway.proxy.address import format_address
    from holloway.proxy.proxy import describe

    lines = [line for port in settings.ports for line in describe(port, [port.bind])]
    if settings.stdio is not None:
        lines.append(f"Standard input and output lead to {format_address(settings.stdio)}")
    if options.health:
        lines.append(_describe_health(_here(options.health)))
    return lines or [f"There is {NOTHING_TO_SERVE}"]


def _describe_health(address: Address) -> str:
    from holloway.proxy.address import format_address

    return f"Health on http://{format_address(address)}/healthz"


async def _run(settings: Settings, options: argparse.Namespace) -> int:
    from holloway.net.network import Network

    for note in settings.notes:
        log.warning("%s", note)
    with _named(settings.wg_path):
        # At boot, names may be found late.
        network = Network(settings.wg, stack=options.stack, timeout=None)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(network)
        log.info("TCP/IP is the %s's: %s", network.stack, network.stack_reason)
        return await _serve(settings, options, network, stack)


async def _serve(
    settings: Settings, options: argparse.Namespace, network: Network, stack: AsyncExitStack
) -> int:
    stop = _signalled()
    if settings.ports or options.health:
        await _open(settings, options, network, stack)
    if settings.stdio is None:
        return await _until_stopped(network, stop)
    return await _join(network, settings.stdio, stop)


async def _open(
    settings: Settings, options: argparse.Namespace, network: Network, stack: AsyncExitStack
) -> None:
    """Open the ports. Its imports are late because ssh's ProxyCommand does not need them."""
    from holloway.proxy.networks import HostNetwork
    from holloway.proxy.proxy import Proxy

    host = HostNetwork()
    max_connections = connection_capacity(2 if network.stack == "kernel" else 3)
    proxy = Proxy(host, network, max_connections=max_connections)
    stack.push_async_callback(proxy.close)
    for line in await proxy.open(settings.ports):
        log.log(logging.WARNING if line.startswith("Warning") else logging.INFO, "%s", line)
    if options.health:
        # This loads Prometheus's client, which takes 30 ms.
        from holloway.proxy.health import AliveCheck, Health

        alive = AliveCheck(network, settings.check_alive, settings.check_interval)
        stack.callback(alive.close)
        bind = _here(options.health)
        service = Health(network, proxy.connection_log, alive, names=bind[:1])
        for address in await proxy.serve(host, bind, service, proxy.health_limits):
            log.info("%s", _describe_health(address))
    if _is_live(options):
        from holloway.cli.proxy_counters import Counters

        stack.callback(Counters(proxy.connection_log, network).close)


def _signalled() -> asyncio.Future[None]:
    """Return a future that is done when a signal asks the program to end."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, lambda: None if stop.done() else stop.set_result(None))
    return stop


async def _until_stopped(network: Network, stop: asyncio.Future[None]) -> int:
    await asyncio.wait((stop, network.died), return_when=asyncio.FIRST_COMPLETED)
    if network.died.done():
        raise network.died.result()
    return 0


async def _join(tunnel: ProxyNetwork, target: Address, stop: asyncio.Future[None]) -> int:
    from holloway.proxy import stdio

    async def join() -> None:
        await stdio.join(await tunnel.connect(*target))

    joined = asyncio.create_task(join())
    await asyncio.wait((stop, joined), return_when=asyncio.FIRST_COMPLETED)
    if not joined.done():
        joined.cancel()
        await asyncio.wait((joined,))
        return 1
    await joined
    return 0


def _is_live(options: argparse.Namespace) -> bool:
    return sys.stderr.isatty() and not (options.quiet or options.stdio)


def _start_log(options: argparse.Namespace) -> None:
    """Log a line for each connection, or errors only with `--quiet`, and with `--stdio` for ssh."""
    is_quiet = options.quiet or bool(options.stdio)
    verbosity.start_log("%(asctime)s %(message)s", is_quiet=is_quiet, is_verbose=options.verbose)
    log.setLevel(logging.WARNING if is_quiet else logging.INFO)


def _explain(error: Exception) -> str:
    if isinstance(error, OSError) and not isinstance(error, HollowayError):
        text = explain(error)
        return f"{error.filename}: {text}" if error.filename else text
    return str(error)
