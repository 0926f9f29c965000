"""A long run with faults: a hub and four peers under traffic, while things go wrong at random.

    python bench/soak_faults.py [--seconds 600] [--seed N] [--out FILE.md]

Links flap, addresses change, peers are removed and come back with other keys, devices restart and
are killed, interfaces go down. After each fault it measures the time until the peer and the hub
reach each other again. The hub must survive all of it: at the end every peer is reached, and the
hub holds no more descriptors and threads than before, and little more memory. Exits with status 1
if not. Two peers are our devices, two are wireguard-go.

The wall clock is not changed: all hosts share it. `make guest` does that with a machine of its own.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from results import described, machine
from soak_hosts import Hub, Peer

if TYPE_CHECKING:
    from collections.abc import Callable

DEVICES: Final = ("holloway", "wireguard-go", "holloway", "wireguard-go")
RECOVERY_SECONDS: Final = 40.0
"""The longest time for which a fault may last once the network is whole: the timers of the paper
(6.1) take 15 s to notice that a session is dead, and an initiation is sent every 5 s."""
GROWTH_KIB: Final = 6144
"""The most that the hub may grow after it is warm."""


def link_flaps(hub: Hub, peer: Peer, random: random.Random) -> None:
    """The peer's link is down for a while."""
    peer.outer("link", "set", "eth0", "down")
    time.sleep(random.uniform(0.1, 8))
    peer.outer("link", "set", "eth0", "up")
    del hub


def address_changes(hub: Hub, peer: Peer, random: random.Random) -> None:
    """The peer's outer address becomes another one."""
    peer.move_to(random.randrange(10, 250))
    del hub


def peer_is_replaced(hub: Hub, peer: Peer, random: random.Random) -> None:
    """The hub removes the peer, and adds it again, at times with another key."""
    hub.remove(peer)
    time.sleep(random.uniform(0, 3))
    if random.random() < 0.5:
        peer.make_key()
    hub.add(peer)


def key_of_the_hub_changes(hub: Hub, peer: Peer, random: random.Random) -> None:
    """The hub gets another private key, and the peers learn the public one."""
    del peer, random
    hub.change_key()


def interface_goes_down(hub: Hub, peer: Peer, random: random.Random) -> None:
    """The peer's interface is down for a while."""
    del hub
    peer.inner("link", "set", "wg0", "down")
    time.sleep(random.uniform(0, 3))
    peer.inner("link", "set", "wg0", "up")


def port_changes(hub: Hub, peer: Peer, random: random.Random) -> None:
    """The peer's device listens on another port."""
    del hub
    peer.wg("set", "wg0", "listen-port", str(random.randrange(20_000, 60_000)))


def device_is_killed(hub: Hub, peer: Peer, random: random.Random) -> None:
    """The peer's device is killed, and started again."""
    del hub, random
    peer.restart()


def hub_changes_all_allowed_ips(hub: Hub, peer: Peer, random: random.Random) -> None:
    """The hub gets a thousand prefixes for a peer, and loses them again."""
    hub.set_many_prefixes(peer, random)


FAULTS: Final[dict[str, Callable[[Hub, Peer, random.Random], None]]] = {
    "link down and up": link_flaps,
    "another address": address_changes,
    "peer removed and added": peer_is_replaced,
    "another key of the hub": key_of_the_hub_changes,
    "interface down and up": interface_goes_down,
    "another port": port_changes,
    "device killed and started": device_is_killed,
    "1,000 allowed IPs come and go": hub_changes_all_allowed_ips,
}


def run(hub: Hub, seconds: float, choose: random.Random) -> dict[str, list[float]]:
    """Cause faults for so long; returns the seconds of each recovery, by fault.

    Raises AssertionError where the peer is not reached again.
    """
    found: dict[str, list[float]] = {name: [] for name in FAULTS}
    end = time.monotonic() + seconds
    last = time.monotonic()
    while time.monotonic() < end:
        name, peer = choose.choice(list(FAULTS)), choose.choice(hub.peers)
        FAULTS[name](hub, peer, choose)
        took = hub.recovers(peer, RECOVERY_SECONDS)
        assert took is not None, f"{peer.host.name} is not reached after `{name}'"
        found[name].append(took)
        hub.keep_traffic_going()
        if time.monotonic() - last > 30:
            last = time.monotonic()
            count = sum(map(len, found.values()))
            left = max(0, end - last)
            print(f"{count} faults, about {left:.0f} s to go: {hub.holds()}", file=sys.stderr)
        time.sleep(choose.uniform(0, 2))
    return found


def report(found: dict[str, list[float]], before: str, after: str, carried: float) -> str:
    """Return the table."""
    lines = ["| fault | times | recovery, median s | longest s |", "|---|---|---|---|"]
    for name, times in found.items():
        if times:
            middle, most = statistics.median(times), max(times)
            lines.append(f"| {name} | {len(times)} | {middle:.2f} | {most:.2f} |")
    lines += ["", f"The hub before: {before}; after: {after}. It carried {carried:.1f} GB."]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run, and return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=None, help="repeat a run's order of faults")
    parser.add_argument("--out", type=Path, help="write a page")
    options = parser.parse_args()
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    choose = random.Random(seed)
    with ExitStack() as stack:
        hub = Hub(stack, DEVICES)
        warm_up = min(60, options.seconds / 4)
        run(hub, warm_up, choose)
        before = hub.holds()
        found = run(hub, options.seconds - warm_up, choose)
        unreached = [peer for peer in hub.peers if hub.recovers(peer, RECOVERY_SECONDS) is None]
        hub.stop_traffic()
        time.sleep(2)
        after = hub.holds()
        table = report(found, str(before), str(after), hub.carried())
    print(f"seed {seed}\n\n{table}")
    if options.out is not None:
        command = f"python bench/soak_faults.py --seconds {options.seconds:.0f} --seed {seed}"
        where = described(machine())
        text = f"# Soak with faults, measured\n\n{where}\n\n    {command}\n\n{table}"
        options.out.write_text(text)
    grew = after.memory - before.memory
    leaks = after.descriptors > before.descriptors or after.threads > before.threads
    return 1 if unreached or leaks or grew > GROWTH_KIB else 0


if __name__ == "__main__":
    sys.exit(main())
