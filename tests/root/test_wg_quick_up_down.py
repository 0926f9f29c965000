"""wg-quick on a real host: what it prints, what it makes, and that nothing of it stays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from quick_host import CONFIG, QuickHost, outputs, peer, steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread("case")]

GUIDE_PEER = peer(
    "10.10.11.0/24, 10.10.10.0/24", "# office", "Endpoint = 192.0.2.9:51000 # comment"
)
GUIDE_STEPS = [
    "[#] ip link add wg0 type wireguard",
    "[#] wg setconf wg0 /dev/fd/63",
    "[#] ip -4 address add 10.10.11.10/24 dev wg0",
    "[#] ip link set mtu 1420 up dev wg0",
    "[#] ip -4 route add 10.10.10.0/24 dev wg0",
]
CASES = {
    "guide": ("Address = 10.10.11.10/24", GUIDE_PEER),
    "single address": ("Address = 10.10.11.10/32", GUIDE_PEER),
    "no address": ("", GUIDE_PEER),
    "addresses": (
        "Address = 10.1.0.1/24, fd00:1::1/64\nAddress = 10.2.0.1\naddress=fd00:2::1",
        peer("10.1.0.0/24, fd00:1::/64, 10.3.0.0/16, 10.4.0.0/16, fd00:5::/48, fd00:6::1/128"),
    ),
    "two peers": (
        "Address = 10.1.0.1/30",
        peer("10.2.0.0/16, 10.1.0.0/24") + peer("10.1.0.0/16, 10.2.9.0/24", number=1),
    ),
    "no peer": ("Address = 10.1.0.1/30", ""),
    "mtu": ("Address = 10.1.0.1/30\nMTU = 1300", GUIDE_PEER),
    "small mtu": ("Address = fd00::1/64, 10.1.0.1/30\nMTU = 600", GUIDE_PEER),
    "narrow path": ("", peer("10.2.0.0/16", "Endpoint = 198.51.100.1:1")),
    "unreachable endpoint": ("", peer("10.2.0.0/16", "Endpoint = 203.0.113.1:1")),
    "table off": ("Address = 10.1.0.1/30\nTable = off", GUIDE_PEER),
    "table number": ("Address = 10.10.11.1/24\nTable = 777", GUIDE_PEER),
    "table for a default route": ("Table = 777", peer("0.0.0.0/0, ::/0")),
    "table name": ("Table = default", GUIDE_PEER),
    "hooks": (
        "PostUp = echo one %i; echo %i | cat\nPostUp = true\nPreDown = echo '%i'\nPostDown = :",
        GUIDE_PEER,
    ),
    "fwmark": ("FwMark = 0x20", GUIDE_PEER),
    "default gateway": ("Address = 10.90.90.1/24", peer("0.0.0.0/0", "Endpoint = 192.0.2.9:51000")),
    "default route of IPv6": ("Address = fd00::1/64, fd01::1/64", peer("::/0")),
    "default routes": ("Address = 10.1.0.1/24, 10.2.0.1/24, fd00::1/64", peer("0.0.0.0/0, ::/0")),
    "default routes of two peers": ("", peer("0.0.0.0/0, 10.3.0.0/24") + peer("::/0", number=1)),
    "default route with a mark": ("FwMark = 77\nAddress = 10.1.0.1/24", peer("0.0.0.0/0")),
    "default route, table auto": ("Table = auto", peer("0.0.0.0/0")),
    "default route, table off": ("Table = off", peer("0.0.0.0/0")),
    "halves of a default route": ("", peer("0.0.0.0/1, 128.0.0.0/1")),
}


@pytest.fixture(scope="module")
def hosts() -> Iterator[dict[str, Host]]:
    with Host("hwq-ours") as ours, Host("hwq-theirs") as theirs:
        for host in (ours, theirs):
            prepare(host)
        yield {"holloway": ours, "original": theirs}


@pytest.fixture(params=["holloway", "wireguard-go"])
def ours(hosts: dict[str, Host], request: pytest.FixtureRequest) -> QuickHost:
    return QuickHost(hosts["holloway"], device=request.param)


def prepare(host: Host) -> None:
    """Give the host a network: 192.0.2.0/24, and a narrow way to 198.51.100.0/24."""
    host.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "far")
    host.run("ip", "link", "set", "far", "addrgenmode", "none", "up")
    host.run("ip", "link", "set", "eth0", "addrgenmode", "none", "up")
    host.run("ip", "address", "add", "192.0.2.1/24", "dev", "eth0")
    host.run("ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.7", "mtu", "1458")
    # The one thing that a down leaves, as the original does: others may need it by then.
    host.run("sysctl", "-q", "net.ipv4.conf.all.src_valid_mark=1")


NETWORK = (
    "ip -o address show dev wg0 | sed 's/^[0-9]*: //'",  # without the index
    "ip link show dev wg0 | sed -n 's/.* mtu \\([0-9]*\\).*/\\1/p'",
    "ip -4 route show table all dev wg0",
    "ip -6 route show table all dev wg0",
    "ip rule; ip -6 rule",
    "nft list ruleset",
)


def network(host: QuickHost) -> dict[str, list[str]]:
    """What wg0 has, but for the link-local address, which is random."""
    found = {
        command: [line.strip() for line in printed.splitlines() if "fe80" not in line]
        for command, printed in outputs(host.host, NETWORK).items()
    }
    found["nft list ruleset"].sort()
    return found


def test_the_guides_first_page_prints_the_guides_lines(ours: QuickHost):
    ours.configure("Address = 10.10.11.10/24", GUIDE_PEER)
    up = ours.wg_quick("up", "wg0")
    assert (up.returncode, steps(up.stderr), up.stdout) == (0, GUIDE_STEPS, "")
    assert ours.ip("route", "get", "10.10.10.201")[0].startswith(
        "10.10.10.201 dev wg0 src 10.10.11.10"
    )
    down = ours.wg_quick("down", "wg0")
    assert (down.returncode, down.stderr) == (0, "[#] ip link delete dev wg0\n")


@dataclass(frozen=True)
class UpAndDown:
    """What `up` and then `down` of a configuration print, and the network between them."""

    steps: list[str]
    up_output: str
    network: dict[str, list[str]]
    down_steps: str
    down_output: str


def up_and_down(host: QuickHost, case: str) -> UpAndDown:
    host.configure(*CASES[case])
    up = host.wg_quick("up", "wg0")
    assert up.returncode == 0, up.stderr
    found = network(host)
    down = host.wg_quick("down", "wg0")
    assert down.returncode == 0, down.stderr
    return UpAndDown(steps(up.stderr), up.stdout, found, down.stderr, down.stdout)


@pytest.fixture(scope="module")
def original(hosts: dict[str, Host]) -> Callable[[str], UpAndDown]:
    """What the original does, once for each case, whichever device ours has."""
    theirs = QuickHost(hosts["original"], quick="original", device="wireguard-go")
    return cache(lambda case: up_and_down(theirs, case))


@pytest.mark.parametrize("case", CASES)
def test_up_and_down_do_what_the_original_does_and_leave_nothing(
    ours: QuickHost, original: Callable[[str], UpAndDown], case: str
):
    ours.configure(*CASES[case])
    before = ours.state()
    assert up_and_down(ours, case) == original(case)
    assert ours.state() == before


def test_the_interface_can_come_up_again_at_once(ours: QuickHost):
    ours.configure("Address = 10.10.11.10/24", GUIDE_PEER)
    for _ in range(5):
        assert ours.wg_quick("up", "wg0").returncode == 0
        assert ours.host.run("wg", "show", "wg0", "listen-port").stdout == "51000\n"
        assert ours.wg_quick("down", "wg0").returncode == 0


def test_preup_finds_the_link_and_what_it_sets_stays(ours: QuickHost):
    ours.host.write("/run/key", ours.host.run("wg", "genkey").stdout)
    ours.host.write(
        CONFIG,
        "[Interface]\nPreUp = wg set %i private-key /run/key\nPreUp = wg set %i fwmark 7\n"
        + GUIDE_PEER,
    )
    up = ours.wg_quick("up", "wg0")
    assert up.returncode == 0, up.stderr
    key = ours.host.run("wg", "show", "wg0", "private-key").stdout
    mark = ours.host.run("wg", "show", "wg0", "fwmark").stdout
    ours.wg_quick("down", "wg0")
    assert key == ours.host.run("cat", "/run/key").stdout
    assert mark == "0x7\n"


def test_a_key_may_be_set_by_postup_alone(ours: QuickHost):
    key = ours.host.run("wg", "genkey").stdout
    ours.host.write("/etc/wireguard/wg0.key", key)
    ours.host.write(
        CONFIG,
        "[Interface]\nPostUp = wg set %i private-key /etc/wireguard/%i.key\n" + GUIDE_PEER,
    )
    up = ours.wg_quick("up", "wg0")
    assert up.returncode == 0, up.stderr
    found = ours.host.run("wg", "show", "wg0", "private-key").stdout
    ours.wg_quick("down", "wg0")
    assert found == key


def test_a_configuration_is_found_by_its_path(ours: QuickHost):
    ours.configure("Address = 10.10.11.10/24", GUIDE_PEER)
    ours.host.run("mv", CONFIG, "/run/office.conf")
    assert ours.wg_quick("up", "/run/office.conf").returncode == 0
    assert ours.ip("-br", "link", "show", "dev", "office")
    assert ours.wg_quick("down", "/run/office.conf").returncode == 0
    ours.host.run("rm", "/run/office.conf")


@pytest.mark.parametrize("command", ["up", "down", "save", "strip"])
@pytest.mark.parametrize(
    "argument", ["nosuch", "/run/nosuch.conf", "./wg0", "/etc/hostname", "", "sixteen-letters-x"]
)
def test_a_name_that_is_none_is_refused_as_by_the_original(
    hosts: dict[str, Host], command: str, argument: str
):
    said = []
    for quick in ("holloway", "original"):
        done = QuickHost(hosts[quick], quick=quick, device="wireguard-go").wg_quick(
            command, argument
        )
        said.append((done.returncode, done.stdout, done.stderr))
    assert said[0] == said[1]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-h"], ["help"], [], ["up"], ["bogus", "wg0"], ["up", "a", "b"]]
)
def test_the_usage_is_the_originals_and_names_reload(hosts: dict[str, Host], arguments: list[str]):
    ours, theirs = (
        QuickHost(hosts[quick], quick=quick, device="wireguard-go").wg_quick(*arguments)
        for quick in ("holloway", "original")
    )
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout)
    unknown = "wg-quick: unknown command `bogus'\n" if "bogus" in arguments else ""
    usage = theirs.stderr.replace("save | strip ]", "save | strip | reload ]")
    assert "reload" in usage
    assert ours.stderr.partition("\nExamples:")[0] == unknown + usage


def test_a_file_that_everybody_may_read_is_warned_of(hosts: dict[str, Host]):
    for mode, directory, warned in (("644", "755", True), ("644", "700", False), ("600", "755", 0)):
        for quick in ("holloway", "original"):
            host = QuickHost(hosts[quick], quick=quick, device="wireguard-go")
            host.configure()
            host.host.run("chmod", mode, CONFIG)
            host.host.run("chmod", directory, "/etc/wireguard")
            done = host.wg_quick("strip", "wg0")
            assert done.returncode == 0
            expected = f"Warning: `{CONFIG}' is world accessible\n" if warned else ""
            assert done.stderr == expected
    for quick in ("holloway", "original"):
        hosts[quick].run("chmod", "700", "/etc/wireguard")


def test_up_twice_and_down_twice_are_refused(ours: QuickHost):
    ours.configure("Address = 10.10.11.10/24", GUIDE_PEER)
    ours.wg_quick("up", "wg0")
    before = ours.state()
    again = ours.wg_quick("up", "wg0")
    assert (again.returncode, again.stderr) == (1, "wg-quick: `wg0' already exists\n")
    assert ours.state() == before
    ours.wg_quick("down", "wg0")
    for command in ("down", "save"):
        done = ours.wg_quick(command, "wg0")
        said = "wg-quick: `wg0' is not a WireGuard interface\n"
        assert (done.returncode, done.stderr) == (1, said)


def test_strip_prints_what_the_original_prints(hosts: dict[str, Host]):
    printed = []
    for quick in ("holloway", "original"):
        host = QuickHost(hosts[quick], quick=quick, device="wireguard-go")
        host.configure("Address = 10.1.1.1/24\nPostUp = a # b\n# c\nTable = off", GUIDE_PEER)
        done = host.wg_quick("strip", "wg0")
        printed.append((done.returncode, done.stdout, done.stderr))
    assert printed[0] == printed[1]
