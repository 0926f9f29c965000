"""The clients of a gateway: devices of ours in one process, each interface in its own namespace.

    gateway_clients.py COUNT    print "ready"; then read "KEY HOST" lines, and print "set" for each

A line gives all clients the gateway with this public key and address, in place of the one before.
The UDP sockets belong to the namespace where the program starts; interface N goes to the network
namespace `clientN`, which must exist. So clients reach one another through the gateway only.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys

from handshakes import private_key

from holloway.cli.device import DEFAULT_MTU, open_tun
from holloway.core import noise
from holloway.device.gso import gso_max_size
from holloway.device.tunnel import Tunnel
from holloway.key import Key
from holloway.model import AllowedIP, DeviceUpdate, Endpoint, PeerUpdate

NETWORK = "10.98.0.0/16"
PORT = 51820


def address(number: int) -> str:
    """Return the address of a client in the tunnel."""
    return f"10.98.{1 + number // 250}.{1 + number % 250}"


def public_key(number: int) -> str:
    """Return the public key of a client in base64."""
    return Key(noise.Identity(private_key(number)).public_key).base64


def namespace(number: int) -> str:
    """Return the name of the namespace of a client's interface."""
    return f"client{number}"


def open_client(number: int) -> Tunnel:
    """Open a client that has no peer yet."""
    tun = open_tun(f"wg{number}")
    tunnel = Tunnel(tun)
    tunnel.set(DeviceUpdate(private_key=Key(private_key(number))))
    # Here, because only a whole device follows its interface into another namespace.
    subprocess.run(
        ["ip", "link", "set", tun.name, "gso_max_size", str(gso_max_size(DEFAULT_MTU)),
         "netns", namespace(number)],
        check=True,
    )  # fmt: skip
    commands = (
        "link set lo up",
        f"address add {address(number)}/16 dev {tun.name}",
        f"link set {tun.name} up",
    )
    subprocess.run(
        ["ip", "-netns", namespace(number), "-batch", "-"],
        check=True, text=True, input="\n".join(commands) + "\n",
    )  # fmt: skip
    tunnel.link_changed(up=True, mtu=DEFAULT_MTU)
    return tunnel


async def main(count: int) -> None:
    """Run the clients until the input ends."""
    logging.disable()  # each loses its link when the gateway goes
    tunnels = [open_client(number) for number in range(count)]
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        key, host = line.split()
        gateway = PeerUpdate(
            public_key=Key.from_base64(key),
            endpoint=Endpoint(host, PORT),
            # So that the first handshake does not wait for traffic.
            persistent_keepalive=25,
            allowed_ips=(AllowedIP.parse(NETWORK),),
        )
        for tunnel in tunnels:
            tunnel.set(DeviceUpdate(replace_peers=True, peers=(gateway,)))
        print("set", flush=True)
    for tunnel in tunnels:
        tunnel.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
