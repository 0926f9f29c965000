"""Name servers for the guide's pages: a real dnsmasq wherever the page has a resolver."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from guide.page import program, typed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from holloway.lab import Lab

# Without the machine's configuration, and without a cache, so that it forwards each question.
PLAIN = (
    "dnsmasq",
    "--keep-in-foreground",
    "--log-facility=-",
    "--conf-file=/dev/null",
    "--user=root",
    "--no-hosts",
    "--no-resolv",
    "--cache-size=0",
    "--bind-dynamic",
)


@contextmanager
def name_server(lab: Lab, host: str, address: str, names: Mapping[str, str]) -> Iterator[None]:
    """Answer for some names at an address of a host, also one that it gets only later."""
    answers = (f"--address=/{name}/{answer}" for name, answer in names.items())
    command = (*PLAIN, "--pid-file", f"--listen-address={address}", *answers)
    with program(lab, host, *command, until="started"):
        yield


@contextmanager
def stub_resolver(lab: Lab, host: str) -> Iterator[None]:
    """Run a host's local resolver, as systemd-resolved is; the fake resolvectl configures it."""
    lab[host].write("/etc/resolv.conf", "nameserver 127.0.0.53\n", mode=0o644)
    lab.sh(host, "mkdir -p /run/resolvectl; touch /run/resolvectl/servers")
    command = (*PLAIN, "--pid-file=/run/resolvectl/dnsmasq.pid", "--listen-address=127.0.0.53",
               "--servers-file=/run/resolvectl/servers")  # fmt: skip
    with program(lab, host, *command, until="started"):
        yield


def asked(lab: Lab, host: str, name: str) -> str:
    """Ask for a name as any program of the host does; returns the address or ""."""
    done = typed(lab, host, f"getent ahostsv4 {name}", check=False)
    return done.stdout.split()[0] if done.stdout else ""
