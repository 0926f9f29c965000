"""A network at home, reached from a laptop by an unprivileged user.

The home is a host with a device, our own or another's, and with ordinary servers: web, ssh,
PostgreSQL, a name server, echo. The laptop is a host with files only, for unprivileged programs.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import asyncssh

from holloway.lab import Host, join
from hosts import WG, KeyPair, key_pair, start_device
from net.certificate import certificate
from net.unprivileged import SETPRIV, grant_access, unprivileged

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

DIRECTORY = "/run/user"
SERVICES = Path(__file__).with_name("home_servers.py")
INNER = ("10.10.10.1/24", "10.10.10.5/24", "fd10::1/64", "fd10::5/64")
NAMES = ("nas.home", "db.home", "www.home")


class HomeLab:
    """Both hosts, started."""

    def __init__(self, implementation: str, stack: ExitStack) -> None:
        stack.callback(self._reap)  # when the hosts have ended
        self.laptop, self.server = (stack.enter_context(Host(name)) for name in ("laptop", "home"))
        join(self.laptop, self.server)
        for number, host in enumerate((self.laptop, self.server), 1):
            host.run("ip", "address", "add", f"10.99.0.{number}/24", "dev", "eth0")
            grant_access(host)
        start_device(self.server, implementation, "wg0")
        keys = [key_pair(self.server), key_pair(self.server)]
        self._configure_server(keys)
        self.config = (
            f"[Interface]\nPrivateKey = {keys[0].private}\n"
            f"Address = 10.10.10.2/24, fd10::2/64\nDNS = 10.10.10.1, home\n\n"
            f"[Peer]\nPublicKey = {keys[1].public}\nEndpoint = 10.99.0.2:51820\n"
            f"AllowedIPs = 10.10.10.0/24, fd10::/64\n"
        )
        self._write_files()
        self._programs: list[subprocess.Popen[str]] = []
        self._serve()

    def run(self, script: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a Python script in the laptop, unprivileged, in the directory of the files."""
        self.laptop.write(f"{DIRECTORY}/script.py", script, 0o644)
        command = f"cd {DIRECTORY} && exec {sys.executable} -X dev -W error script.py"
        return self.laptop.run(*unprivileged("sh", "-c", command), check=False, timeout=timeout)

    def sh(self, command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a shell command in the same way, with our commands in PATH."""
        line = f"cd {DIRECTORY} && PATH={Path(sys.executable).parent}:$PATH && {command}"
        return self.laptop.run(*unprivileged("sh", "-c", line), check=False, timeout=timeout)

    def _configure_server(self, keys: list[KeyPair]) -> None:
        server = self.server
        server.write("/run/key", keys[1].private)
        server.run(WG["original"], "set", "wg0", "private-key", "/run/key", "listen-port", "51820",
                   "peer", keys[0].public, "allowed-ips", "10.10.10.2/32,fd10::2/128")  # fmt: skip
        for address in INNER:
            options = ["nodad"] if ":" in address else []
            server.run("ip", "address", "add", address, "dev", "wg0", *options)
        server.run("ip", "link", "set", "wg0", "mtu", "1420", "up")

    def _write_files(self) -> None:
        """The configuration, the home's certificate and ssh keys."""
        self.laptop.run("mkdir", "-m", "755", DIRECTORY)
        self.server.run("mkdir", "-m", "755", DIRECTORY)
        with TemporaryDirectory() as directory:
            pem = certificate(Path(directory), *NAMES).read_text()
        self.server.write(f"{DIRECTORY}/certificate.pem", pem, 0o644)
        public = pem[pem.index("-----BEGIN CERTIFICATE") :]
        host_key, own_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
        for name, text in (("host_key", _private(host_key)), ("authorized_keys", _public(own_key))):
            self.server.write(f"{DIRECTORY}/{name}", text, 0o644)
        for name, text in {
            "laptop.conf": self.config,
            "home-ca.pem": public,
            "id_ed25519": _private(own_key),
            "known_hosts": f"nas.home {_public(host_key)}",
        }.items():
            self.laptop.write(f"{DIRECTORY}/{name}", text)
        self.laptop.run("chown", "-R", "65534:65534", DIRECTORY)

    def _serve(self) -> None:
        services = self.start(sys.executable, str(SERVICES), DIRECTORY)
        assert services.stdout is not None
        assert services.stdout.readline() == "ready\n", services.communicate()
        records = [f"--host-record={name},10.10.10.5,fd10::5" for name in NAMES]
        self.server.run("dnsmasq", "--no-resolv", "--no-hosts", "--listen-address=10.10.10.1",
                        "--bind-interfaces", "--user=root", "--pid-file=", "--local=/home/",
                        *records)  # fmt: skip

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a server at home, which runs as long as the lab."""
        self._programs.append(self.server.popen(*command))
        return self._programs[-1]

    def _reap(self) -> None:
        for program in self._programs:
            program.communicate()

    def serve_postgresql(self) -> None:
        """Start a database, which takes a second or two."""
        programs = max(Path("/usr/lib/postgresql").iterdir()) / "bin"
        self.server.run("install", "-d", "-o", "65534", "/run/data")
        script = (
            f"cd /run/data && {programs}/initdb -D db -U laptop --auth=trust --encoding=UTF8"
            " --no-sync >/dev/null"
            " && echo 'host all all 10.10.10.2/32 trust' >>db/pg_hba.conf"
            f" && {programs}/pg_ctl -D db -w -l log start -o"
            " \"-F -k '' -c listen_addresses=10.10.10.5 -c shared_buffers=1MB\""
        )
        self.server.run(*SETPRIV, "env", "HOME=/run/data", "LC_ALL=C", "sh", "-c", script)


@contextmanager
def home_lab(implementation: str = "holloway") -> Iterator[HomeLab]:
    """Set up the hosts, and remove them at the end."""
    with ExitStack() as stack:
        yield HomeLab(implementation, stack)


def _private(key: asyncssh.SSHKey) -> str:
    return key.export_private_key().decode()


def _public(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode()
