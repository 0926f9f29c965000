"""`wg-quick reload`: what it changes, what it keeps, and that sessions live through it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holloway.key import Key
from holloway.lab import Host
from holloway.lab.host import join
from quick_host import CONFIG, PEER_KEYS, PRIVATE_KEY, QuickHost, peer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]

ADDRESS = "Address = 10.1.0.1/24"
HOOK = "PostUp = wg set %i private-key /etc/wireguard/%i.key"
FAR_KEY = Key(bytes(range(1, 33))).clamped()


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    with Host("hwq-near") as near, Host("hwq-far") as far:
        for each in (near, far):
            # So that an address is at once what it is going to be.
            each.run("sh", "-c", "echo 0 | tee /proc/sys/net/ipv6/conf/*/accept_dad")
        join(near, far)
        near.run("ip", "address", "add", "192.0.2.1/24", "dev", "eth0")
        far.run("ip", "address", "add", "192.0.2.2/24", "dev", "eth0")
        near.write("/etc/wireguard/wg0.key", PRIVATE_KEY)
        yield near, far


@pytest.fixture(params=["holloway", "wireguard-go"])
def host(hosts: tuple[Host, Host], request: pytest.FixtureRequest) -> Iterator[QuickHost]:
    host = QuickHost(hosts[0], device=request.param)
    yield host
    host.wg_quick("down", "wg0")
    host.host.run("sh", "-c", "ip link del wg0; rm -rf /run/wg-quick", check=False)


def up(host: QuickHost, interface: str = "", peers: str = "") -> None:
    host.configure(interface, peers)
    done = host.wg_quick("up", "wg0")
    assert done.returncode == 0, done.stderr


def reload(host: QuickHost, interface: str = "", peers: str = "") -> list[str]:
    """Reload with a new file; returns the lines printed."""
    host.configure(interface, peers)
    return reload_as_is(host)


def reload_as_is(host: QuickHost) -> list[str]:
    done = host.wg_quick("reload", "wg0")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return done.stderr.splitlines()


def wg(host: QuickHost, *arguments: str) -> str:
    return host.host.run("wg", *arguments).stdout.strip()


def test_a_file_that_did_not_change_changes_nothing(host: QuickHost):
    config = f"{ADDRESS}, fd00::1/64\nDNS = 10.1.0.53\nMTU = 1400\nPostUp = true"
    peers = peer("0.0.0.0/0, ::/0, 10.2.0.0/16", "Endpoint = 192.0.2.2:7", "PersistentKeepalive=9")
    up(host, config, peers)
    before = host.state()
    shown = wg(host, "showconf", "wg0")
    assert reload(host, config, peers) == []
    assert host.state() == before
    assert wg(host, "showconf", "wg0") == shown


def test_every_change_is_told(host: QuickHost):
    up(
        host,
        f"{ADDRESS}, fd00::1/64\nDNS = 10.1.0.53",
        peer("10.2.0.0/16") + peer("10.9.0.0/16", number=1),
    )
    printed = reload(
        host,
        "Address = 10.1.0.2/24, fd00::1/64\nDNS = 10.1.0.54\nMTU = 1300",
        peer("10.2.0.0/16, 10.3.0.0/16", "PersistentKeepalive = 5")
        + peer("10.4.0.0/16", f"PresharedKey = {PEER_KEYS[3]}", "Endpoint = 192.0.2.2:7", number=2),
    )
    assert printed == [
        "[#] ip -4 address delete 10.1.0.1/24 dev wg0",
        "[#] ip -4 address add 10.1.0.2/24 dev wg0",
        "[#] ip link set mtu 1300 dev wg0",
        "[#] ip -4 route add 10.4.0.0/16 dev wg0",
        "[#] ip -4 route add 10.3.0.0/16 dev wg0",
        "[#] ip -4 route delete 10.9.0.0/16 dev wg0",
        "[#] mount --bind /run/wg-quick/wg0/resolv.conf /etc/resolv.conf",
        f"[#] wg set wg0 peer {PEER_KEYS[1]} remove",
        f"[#] wg set wg0 peer {PEER_KEYS[0]} persistent-keepalive 5 allowed-ips +10.3.0.0/16",
        f"[#] wg set wg0 peer {PEER_KEYS[2]} preshared-key /dev/fd/63 endpoint 192.0.2.2:7"
        " allowed-ips +10.4.0.0/16",
    ]


def test_a_session_of_a_peer_that_did_not_change_goes_on(hosts: tuple[Host, Host], host: QuickHost):
    _, far = hosts
    near_key, far_key = Key.from_base64(PRIVATE_KEY).public(), FAR_KEY.public()
    far_config = (
        f"[Interface]\nPrivateKey = {FAR_KEY.base64}\nListenPort = 51000\nAddress = 10.1.0.2/24\n"
        f"[Peer]\nPublicKey = {near_key.base64}\nAllowedIPs = 10.1.0.1/32\n"
        "Endpoint = 192.0.2.1:51000\n"
    )
    far.write(CONFIG, far_config)
    # Ours, which begins: wireguard-go arms its retry after it has sent, and on a busy machine that
    # is after the answer, so that it begins once more five seconds later.
    there = QuickHost(far)
    assert there.wg_quick("up", "wg0").returncode == 0
    known = f"[Peer]\nPublicKey = {far_key.base64}\nAllowedIPs = 10.1.0.2/32\n"
    known += "Endpoint = 192.0.2.2:51000\n"
    up(host, ADDRESS, known)
    far.run("ping", "-c1", "-W20", "10.1.0.1")
    # The other end moves; a reload may not send us back to where the file saw it.
    far.run("wg", "set", "wg0", "listen-port", "51009")
    host.host.run("ping", "-c1", "-W1", "10.1.0.2", check=False)
    far.run("ping", "-c1", "-W20", "10.1.0.1")
    handshake = wg(host, "show", "wg0", "latest-handshakes")
    pinging = host.host.popen("ping", "-i0.02", "-c100", "-q", "10.1.0.2")
    for addresses in ("10.1.0.1/24, 10.7.0.1/24", "10.1.0.1/24"):
        reload(host, f"Address = {addresses}", known + peer("10.5.0.0/16", number=1))
        reload(host, f"Address = {addresses}", known)
    output, _ = pinging.communicate(timeout=60)
    there.wg_quick("down", "wg0")
    assert "100 received, 0% packet loss" in output
    assert wg(host, "show", "wg0", "latest-handshakes") == handshake
    assert wg(host, "show", "wg0", "endpoints").endswith("192.0.2.2:51009")


def test_a_key_that_a_hook_set_stays(host: QuickHost):
    text = f"[Interface]\nListenPort = 51000\n{ADDRESS}\n{HOOK}\n"
    host.host.write(CONFIG, text + peer())
    assert host.wg_quick("up", "wg0").returncode == 0
    host.host.write(CONFIG, text + peer() + peer("10.5.0.0/16", number=1))
    printed = reload_as_is(host)
    assert [line for line in printed if "private-key" in line] == []
    assert wg(host, "show", "wg0", "private-key") == PRIVATE_KEY
    assert len(wg(host, "show", "wg0", "peers").split()) == 2


def test_a_key_that_left_the_file_stays_and_that_is_told(host: QuickHost):
    up(host, ADDRESS, peer())
    host.host.write(CONFIG, f"[Interface]\nListenPort = 51000\n{ADDRESS}\n{HOOK}\n{peer()}")
    assert reload_as_is(host) == [
        "[!] PostUp has changed. Restart wg0 to run what is new.",
        "[!] PrivateKey is no longer in the file. wg0 keeps its key until restarted.",
    ]
    assert wg(host, "show", "wg0", "private-key") == PRIVATE_KEY


def test_preshared_keys_and_keepalives_go_when_the_file_drops_them(host: QuickHost):
    up(
        host,
        ADDRESS,
        peer("10.2.0.0/16", f"PresharedKey = {PEER_KEYS[3]}", "PersistentKeepalive=9"),
    )
    assert reload(host, ADDRESS, peer("10.2.0.0/16")) == [
        f"[#] wg set wg0 peer {PEER_KEYS[0]} preshared-key /dev/null persistent-keepalive off"
    ]
    assert wg(host, "show", "wg0", "preshared-keys").endswith("(none)")


def test_a_preshared_key_that_a_hook_set_stays(host: QuickHost):
    hook = f"PostUp = wg set %i peer {PEER_KEYS[0]} preshared-key /etc/wireguard/%i.key"
    up(host, f"{ADDRESS}\n{hook}", peer())
    reload(host, f"{ADDRESS}, 10.9.0.1/24\n{hook}", peer())
    assert wg(host, "show", "wg0", "preshared-keys").endswith(PRIVATE_KEY)


def test_the_mark_of_a_default_route_stays_as_long_as_that_does(host: QuickHost):
    up(host, ADDRESS, peer("0.0.0.0/0"))
    before = host.state()
    reload(host, ADDRESS, peer("0.0.0.0/0") + peer("10.5.0.0/16", number=1))
    assert wg(host, "show", "wg0", "fwmark") == "0xca6c"
    assert host.state()["ip rule; ip -6 rule"] == before["ip rule; ip -6 rule"]
    printed = reload(host, ADDRESS, peer("10.5.0.0/16"))
    assert wg(host, "show", "wg0", "fwmark") == "off"
    assert "[#] wg set wg0 fwmark off" in printed
    assert "suppress" not in host.state()["ip rule; ip -6 rule"]
    assert host.state()["nft list ruleset"] == ""


def test_what_hooks_and_users_added_stays(host: QuickHost):
    hook = "PostUp = ip route add 10.66.0.0/16 dev %i; ip address add 10.77.0.1/24 dev %i"
    up(host, f"{ADDRESS}\n{hook}", peer("10.2.0.0/16"))
    printed = reload(host, f"Address = 10.1.0.9/24\n{hook}", peer("10.3.0.0/16"))
    routes = "\n".join(host.ip("route", "show", "dev", "wg0"))
    assert "10.66.0.0/16 scope link" in routes
    assert "10.77.0.0/24 proto kernel" in routes
    assert "10.2.0.0/16" not in routes
    assert [line for line in printed if line.startswith("[!]")] == []


def test_routes_move_to_another_table_without_a_restart(host: QuickHost):
    up(host, ADDRESS, peer("10.2.0.0/16"))
    assert reload(host, f"{ADDRESS}\nTable = 777", peer("10.2.0.0/16")) == [
        "[#] ip -4 route add 10.2.0.0/16 dev wg0 table 777",
        "[#] ip -4 route delete 10.2.0.0/16 dev wg0",
    ]
    assert reload(host, f"{ADDRESS}\nTable = off", peer("10.2.0.0/16")) == [
        "[#] ip -4 route delete 10.2.0.0/16 dev wg0 table 777",
    ]


def test_routes_outlive_the_last_ipv4_address(host: QuickHost):
    up(host, ADDRESS, peer("0.0.0.0/0, 10.2.0.0/16"))
    reload(host, "Address = fd00::1/64", peer("0.0.0.0/0, 10.2.0.0/16"))
    assert "10.2.0.0/16" in " ".join(host.ip("route", "show", "dev", "wg0"))
    assert "default" in " ".join(host.ip("route", "show", "table", "51820"))


def test_an_interface_of_the_originals_is_reloaded_with_care(host: QuickHost):
    host.configure(f"{ADDRESS}, fd00::1/64", peer("0.0.0.0/0, 10.2.0.0/16"))
    original = QuickHost(host.host, "original", host.device)
    assert original.wg_quick("up", "wg0").returncode == 0
    printed = reload(host, f"{ADDRESS}, fd00::1/64", peer("0.0.0.0/0, 10.3.0.0/16"))
    assert printed == [
        "[#] ip -4 route add 10.3.0.0/16 dev wg0",
        "[#] ip -4 route delete 10.2.0.0/16 dev wg0",
        f"[#] wg set wg0 peer {PEER_KEYS[0]} allowed-ips 0.0.0.0/0,10.3.0.0/16",
    ]
    down = original.wg_quick("down", "wg0")
    assert down.returncode == 0
    assert "suppress" not in host.state()["ip rule; ip -6 rule"]


FAILURES = {
    "value": ("MTU = 7", "", "line 4: MTU"),
    "endpoint": ("", "Endpoint = nosuch.invalid:1", "nosuch.invalid:1"),
    "address": ("Address = 10.1.0.7/24, ::/128", "", "RTNETLINK answers: "),
    "route": ("Address = 10.1.0.7/24\nTable = 333", "", "10.44.0.0/16: RTNETLINK answers: File"),
    "dns": ("Address = 10.1.0.7/24\nDNS = 10.1.0.53\nMTU = 1300", "", "resolvconf ended"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_reload_that_fails_leaves_everything_as_it_was(host: QuickHost, case: str):
    interface, in_peer, reason = FAILURES[case]
    host.host.run("ip", "route", "replace", "blackhole", "10.44.0.0/16", "table", "333")
    up(host, f"{ADDRESS}, 10.1.0.2/24, fd00::2/64", peer("0.0.0.0/0, 10.2.0.0/16"))
    host.configure(interface, peer("10.44.0.0/16, ::/0", in_peer) + peer("10.3.0.0/16", number=1))
    if case == "dns":
        host.host.write("/run/resolvconf", '#!/bin/sh\n[ "$1" = -d ]\n', 0o755)
        host.environment["PATH"] = f"/run/bin:{host.variables()['PATH']}"
        host.host.run("sh", "-c", "mkdir -p /run/bin; mv /run/resolvconf /run/bin")
    before = host.state()
    shown = wg(host, "showconf", "wg0")
    done = host.wg_quick("reload", "wg0")
    assert (done.returncode, done.stdout) == (1, "")
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert host.state() == before
    assert wg(host, "showconf", "wg0") == shown


def test_what_is_not_up_cannot_be_reloaded(host: QuickHost):
    host.configure(ADDRESS, peer())
    done = host.wg_quick("reload", "wg0")
    assert (done.returncode, done.stderr) == (1, "wg-quick: `wg0' is not a WireGuard interface\n")
