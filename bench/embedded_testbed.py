"""The testbed for peers without root: two hosts, and servers behind the far one's tunnel.

The far host has a device on a TUN, nginx (`/big`, `/ok`) and a sink that counts uploaded bytes. An
implementation of `embedded_implementations` runs in the near host. `lossy_link` makes the link
between them slow or lossy.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from holloway.lab import Host, join
from hosts import PEERS, WG, eventually, key_pair, start_device
from net.unprivileged import grant_access

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

FAR, NEAR = "10.98.0.2", "10.98.0.1"
ENDPOINT = "10.99.0.2:51820"
LINK_ENDPOINT = "10.99.0.2:40000"
SINK = 9000
DESCRIPTORS = 1 << 16

NGINX = """
worker_processes 1; worker_rlimit_nofile 60000; error_log stderr crit; pid /run/nginx.pid;
events { worker_connections 50000; }
http {
  access_log off; sendfile on; client_header_timeout 600s; keepalive_timeout 600s;
  keepalive_requests 1000000; reset_timedout_connection on;
  server {
    listen 10.98.0.2:80 backlog=4096; root /run/www;
    location = /ok { return 200 "ok"; }
    location = /slow { alias /run/www/big; limit_rate 1m; }
  }
}
"""


class Testbed:
    """Both hosts, up. All implementations use the same keys, one after the other."""

    def __init__(self, stack: ExitStack, device: str) -> None:
        # For every process here: ten thousand connections take two descriptors each.
        with contextlib.suppress(ValueError, PermissionError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        stack.callback(self._reap)  # called after the hosts have ended
        self.near, self.far = (stack.enter_context(Host(name)) for name in ("near", "far"))
        join(self.near, self.far)
        for number, host in enumerate((self.near, self.far), 1):
            host.run("ip", "address", "add", f"10.99.0.{number}/24", "dev", "eth0")
        grant_access(self.near)
        self.keys = [key_pair(host) for host in (self.near, self.far)]
        start_device(self.far, device, "wg0")
        self.far.write("/run/key", self.keys[1].private)
        self.wg("private-key", "/run/key", "listen-port", "51820")
        self.reset_peer()
        self.far.run("ip", "address", "add", f"{FAR}/24", "dev", "wg0")
        self.far.run("ip", "link", "set", "wg0", "mtu", "1420", "up")
        self._serve()

    def config(self, endpoint: str = ENDPOINT) -> str:
        """Return the configuration of an implementation."""
        return (
            f"[Interface]\nPrivateKey = {self.keys[0].private}\nAddress = {NEAR}/24\n"
            f"MTU = 1420\n\n[Peer]\nPublicKey = {self.keys[1].public}\n"
            f"AllowedIPs = {FAR}/32\nEndpoint = {endpoint}\n"
        )

    def wg(self, *words: str) -> None:
        """Run `wg set` on the far device."""
        self.far.run(WG["original"], "set", "wg0", *words)

    def reset_peer(self) -> None:
        """Make the far device forget the previous implementation, which had the same key.

        Otherwise, if that one's clock was ahead, the far device would ignore initiations until that
        time.
        """
        peer = ("peer", self.keys[0].public)
        self.wg(*peer, "remove")
        self.wg(*peer, "allowed-ips", f"{NEAR}/32")

    @contextlib.contextmanager
    def lossy_link(self, delay: float, loss: int) -> Iterator[str]:
        """Start a link with `delay` in milliseconds and `loss` in a thousand, each way."""
        program = self.far.popen(
            str(PEERS / "netem"), LINK_ENDPOINT, ENDPOINT, str(delay), str(loss)
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n", program.communicate()
        try:
            yield LINK_ENDPOINT
        finally:
            self.far.run("pkill", "-x", "netem", check=False)
            program.communicate()

    def uploaded(self) -> tuple[float, float]:
        """Return the bytes and seconds of the last upload, as the sink recorded them."""
        assert eventually(lambda: self.far.run("cat", "/run/sink", check=False).stdout, 30)
        count, seconds = json.loads(self.far.run("cat", "/run/sink").stdout)
        self.far.run("rm", "/run/sink")
        return count, seconds

    def _serve(self) -> None:
        script = (
            "mkdir -p /run/www && truncate -s 1T /run/www/big && chmod 755 /run/www"
            " && echo 4096 >/proc/sys/net/core/somaxconn"
            # Otherwise connections in TIME_WAIT of the previous implementation, which had the same
            # address, would disturb the next one.
            " && echo 0 >/proc/sys/net/ipv4/tcp_max_tw_buckets"
        )
        self.far.run("sh", "-c", script)
        self.far.write("/run/nginx.conf", NGINX)
        self.far.run("sh", "-c", "nginx -c /run/nginx.conf >/run/nginx.log 2>&1")
        load = str(Path(__file__).with_name("embedded_load.py"))
        self.sink = self.far.popen(sys.executable, load, "sink")
        assert self.sink.stdout is not None
        assert self.sink.stdout.readline() == "ready\n", self.sink.communicate()

    def _reap(self) -> None:
        self.sink.communicate()
