"""`wg-quick save` and SaveConfig: the file afterwards, and what a full disk does to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from quick_host import CONFIG, PEER_KEYS, PRIVATE_KEY, QuickHost, peer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]

ADDRESS = "Address = 10.1.0.1/24, fd00:1::1/64"


@pytest.fixture(scope="module")
def lab() -> Iterator[Host]:
    with Host("hwq-saving") as host:
        yield host


@pytest.fixture(params=["holloway", "wireguard-go"])
def host(lab: Host, request: pytest.FixtureRequest) -> Iterator[QuickHost]:
    host = QuickHost(lab, device=request.param)
    yield host
    lab.run("umount", "/etc/wireguard/small", check=False)
    lab.run("sh", "-c", "ip link delete dev wg0; rm -rf /etc/wireguard/*", check=False)


def file(host: QuickHost, path: str = CONFIG) -> str:
    return host.host.run("cat", path).stdout


def test_the_saved_file_has_the_settings_and_the_state_and_keeps_the_comments(host: QuickHost):
    host.configure(
        f"# laptop\n{ADDRESS}\nMTU = 1300\nTable = off\nSaveConfig = false\nPostUp = : '#' %i",
        peer("10.1.0.2/32", "# office", "PersistentKeepalive = 25 # NAT"),
    )
    host.wg_quick("up", "wg0")
    host.host.run("ip", "address", "add", "10.2.0.1/24", "dev", "wg0")
    host.host.run("wg", "set", "wg0", "peer", PEER_KEYS[0], "allowed-ips", "10.1.0.3/32")
    done = host.wg_quick("save", "wg0")
    assert (done.returncode, done.stderr) == (0, "[#] wg showconf wg0\n")
    assert file(host) == (
        "[Interface]\n# laptop\nAddress = 10.1.0.1/24\nAddress = 10.2.0.1/24\nMTU = 1300\n"
        f"Table = off\nPostUp = : '#' %i\nListenPort = 51000\nPrivateKey = {PRIVATE_KEY}\n\n"
        f"[Peer]\n# office\nPublicKey = {PEER_KEYS[0]}\nAllowedIPs = 10.1.0.3/32\n"
        "PersistentKeepalive = 25 # NAT\n"
    ).replace("\nAddress = 10.2", "\nAddress = fd00:1::1/64\nAddress = 10.2")
    mode = host.host.run("stat", "-c", "%a %U", CONFIG).stdout
    assert mode == "600 root\n"


def test_without_comments_the_saved_file_is_the_originals(host: QuickHost):
    config = host.configure(
        "Address = 10.1.0.1/24\nMTU = 1300\nTable = off\nPreDown = : %i",
        peer("10.1.0.2/32", "Endpoint = 192.0.2.1:7"),
    )
    host.wg_quick("up", "wg0")
    saved = []
    for quick in ("holloway", "original"):
        host.host.write(CONFIG, config)
        again = QuickHost(host.host, quick=quick, device=host.device)
        assert again.wg_quick("save", "wg0").returncode == 0
        lines = file(host).splitlines()
        saved.append([line for line in lines if "fe80" not in line])
    assert saved[0] == saved[1]


def test_a_saved_configuration_comes_up_the_same_and_saves_the_same(host: QuickHost):
    host.configure(
        f"{ADDRESS}\nSaveConfig = true", peer() + peer("10.1.0.7/32, fd00:7::/64", number=1)
    )
    host.wg_quick("up", "wg0")
    shown = host.host.run("wg", "showconf", "wg0").stdout
    assert host.wg_quick("down", "wg0").returncode == 0
    first = file(host)
    up = host.wg_quick("up", "wg0")
    assert up.returncode == 0, up.stderr
    again = host.host.run("wg", "showconf", "wg0").stdout
    host.wg_quick("down", "wg0")
    assert sorted(again.splitlines()) == sorted(shown.splitlines())
    assert file(host) == first


def test_down_saves_what_was_added_while_up(host: QuickHost):
    host.configure(f"{ADDRESS}\nSaveConfig = true", peer())
    host.wg_quick("up", "wg0")
    host.host.run("wg", "set", "wg0", "peer", PEER_KEYS[1], "allowed-ips", "10.1.0.9/32")
    done = host.wg_quick("down", "wg0")
    assert done.stderr == "[#] wg showconf wg0\n[#] ip link delete dev wg0\n"
    assert f"[Peer]\nPublicKey = {PEER_KEYS[1]}\nAllowedIPs = 10.1.0.9/32\n" in file(host)


def test_a_full_disk_leaves_the_old_file_and_the_interface(host: QuickHost):
    small = "/etc/wireguard/small"
    host.host.run("mkdir", small)
    host.host.run("mount", "-t", "tmpfs", "-o", "size=8k,mode=700", "tmpfs", small)
    config = host.configure(f"{ADDRESS}\nSaveConfig = true", peer())
    path = f"{small}/wg0.conf"
    host.host.write(path, config)
    host.wg_quick("up", path)
    host.host.run("sh", "-c", f"head -c 100000 /dev/zero >{small}/filler", check=False)
    before = host.state()
    for command in ("save", "down"):
        done = host.wg_quick(command, path)
        assert done.returncode == 1
        assert "Could not write configuration file" in done.stderr
        assert "No space left on device" in done.stderr
        assert file(host, path) == config
        assert host.host.run("ls", small).stdout.split() == ["filler", "wg0.conf"]
        assert host.state() == before
    host.host.run("rm", f"{small}/filler")
    assert host.wg_quick("down", path).returncode == 0


def test_a_file_behind_a_link_is_replaced_where_it_is(host: QuickHost):
    host.configure(ADDRESS, peer())
    host.host.run("sh", "-c", f"mkdir -p /run/real; mv {CONFIG} /run/real/real.conf")
    host.host.run("ln", "-s", "/run/real/real.conf", CONFIG)
    host.wg_quick("up", "wg0")
    assert host.wg_quick("save", "wg0").returncode == 0
    assert host.host.run("readlink", CONFIG).stdout == "/run/real/real.conf\n"
    assert "Address = 10.1.0.1/24\n" in file(host, "/run/real/real.conf")
    host.host.run("rm", "-r", "/run/real")


def test_a_disk_that_became_read_only_is_told(host: QuickHost):
    config = host.configure(ADDRESS, peer())
    host.wg_quick("up", "wg0")
    host.host.run("mount", "-o", "remount,ro", "/etc/wireguard")
    done = host.wg_quick("save", "wg0")
    host.host.run("mount", "-o", "remount,rw", "/etc/wireguard")
    assert done.returncode == 1
    assert f"Could not write configuration file: {CONFIG}: Read-only file system" in done.stderr
    assert file(host) == config
