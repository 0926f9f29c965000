"""A host that runs wg-quick, and its network state as text, to compare before and after."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holloway.key import Key
from holloway.lab import Host
from hosts import BIN, DEVICES

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

QUICK = {
    "holloway": [sys.executable, "-m", "holloway.cli.wg_quick"],
    "original": ["/usr/bin/wg-quick"],
}
PRIVATE_KEY = Key(bytes(range(32))).clamped().base64
PEER_KEYS = [Key(bytes([number]) * 32).base64 for number in range(1, 5)]
CONFIG = "/etc/wireguard/wg0.conf"


@dataclass
class QuickHost:
    """A host, its wg-quick, and the userspace device that this starts."""

    host: Host
    quick: str = "holloway"
    device: str = "holloway"
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        return [*QUICK[self.quick], *arguments]

    def variables(self) -> dict[str, str]:
        (program, *_) = DEVICES[self.device]
        return {
            # Without LOG_LEVEL, because a device that logs would keep our pipes open.
            "WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD": "1",
            "PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin",
            "WG_QUICK_USERSPACE_IMPLEMENTATION": program,
            "WG_ENDPOINT_RESOLUTION_RETRIES": "0",
            **self.environment,
        }

    def wg_quick(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = self.command(*arguments)
        return self.host.run(*command, check=False, timeout=300, environment=self.variables())

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return self.host.popen(*self.command(*arguments), environment=self.variables())

    def configure(self, interface: str = "", peers: str = "") -> str:
        """Write wg0's file with a key, a port and these lines, and return its text."""
        text = f"[Interface]\nPrivateKey = {PRIVATE_KEY}\nListenPort = 51000\n{interface}\n{peers}"
        self.host.write(CONFIG, text)
        return text

    def state(self) -> dict[str, str]:
        """Return links, addresses, routes, rules, firewall, sockets and configuration files."""
        return outputs(self.host, STATE)

    def ip(self, *arguments: str) -> list[str]:
        lines = self.host.run("ip", *arguments).stdout.splitlines()
        return [line.strip() for line in lines]


def outputs(host: Host, commands: Sequence[str]) -> dict[str, str]:
    """Run all commands in one shell in a host, and return what each prints."""
    script = "\nprintf '\\036'\n".join(commands)
    printed = host.run("sh", "-c", script, check=False).stdout.split("\x1e")
    return dict(zip(commands, printed, strict=True))


def wire(host: Host) -> None:
    """Give a host its own resolv.conf and a wired interface without automatic addresses."""
    host.run("sh", "-c", "echo 0 | tee /proc/sys/net/ipv6/conf/*/accept_dad")
    host.run("sh", "-c", "rm -f /etc/resolv.conf; echo nameserver 192.0.2.53 >/etc/resolv.conf")
    host.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "far")
    for end in ("eth0", "far"):
        host.run("ip", "link", "set", end, "addrgenmode", "none", "up")
    host.run("ip", "address", "add", "192.0.2.1/24", "dev", "eth0")


def peer(allowed: str = "10.10.11.2/32", *more: str, number: int = 0) -> str:
    """Return a `[Peer]` section."""
    lines = ["[Peer]", f"PublicKey = {PEER_KEYS[number]}", f"AllowedIPs = {allowed}", *more]
    return "\n".join(lines) + "\n"


def steps(errors: str) -> list[str]:
    """Return the steps that wg-quick printed, without the start of a userspace device."""
    printed = [line for line in errors.splitlines() if line.startswith("[#] ")]
    return [
        line for line in printed if "wireguard-go" not in line and "holloway-device" not in line
    ]


STATE = (
    "ip -o -d address | sed 's/valid_lft.*//'",
    "ip route show table all",
    "ip -6 route show table all",
    "ip rule; ip -6 rule",
    "nft list ruleset",
    "ls /run/wireguard; find /run/wg-quick",
    "cat /etc/resolv.conf; ls -l --time-style=+ /etc/resolv.conf; cat /proc/mounts",
    "cat /proc/sys/net/ipv4/conf/all/src_valid_mark",
    "ls -la --time-style=+ /etc/wireguard; cat /etc/wireguard/*.conf",
)
