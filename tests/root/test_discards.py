"""What a device does not pass on can be seen: in its log at level verbose, and by `wg show`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from holloway.key import Key
from holloway.lab import Host
from hosts import BIN, WG, KeyPair, eventually, key_pair, start_device

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

PORT = "51000"


@pytest.fixture
def host() -> Iterator[Host]:
    with Host("discards") as made:
        yield made


@pytest.fixture
def keys(host: Host) -> tuple[KeyPair, KeyPair]:
    return key_pair(host), key_pair(host)


def configure(host: Host, name: str, keys: KeyPair, *lines: str) -> None:
    peer = "\n".join(lines)
    text = f"[Interface]\nPrivateKey = {keys.private}\n{peer}\n"
    host.run(WG["original"], "setconf", name, "/dev/stdin", stdin=text)
    host.run("ip", "link", "set", name, "up")


def calling_with_a_wrong_key(host: Host, near: KeyPair, far: KeyPair) -> None:
    """wg0 is called by wg1, which knows wg0 by a key that is not wg0's."""
    start_device(host, "holloway", "wg0", environment={"LOG_LEVEL": "verbose"})
    start_device(host, "holloway", "wg1")
    configure(
        host, "wg0", near, f"ListenPort = {PORT}",
        "[Peer]", f"PublicKey = {far.public}", "AllowedIPs = 10.0.0.2/32",
    )  # fmt: skip
    configure(
        host, "wg1", far, "[Peer]", f"PublicKey = {Key(bytes([7]) * 32).base64}",
        f"Endpoint = 127.0.0.1:{PORT}", "AllowedIPs = 10.0.0.0/24", "PersistentKeepalive = 1",
    )  # fmt: skip


def log(host: Host) -> str:
    return host.run("cat", "/run/wg0.log").stdout


def test_a_caller_with_a_wrong_key_for_us_is_seen(
    host: Host, keys: tuple[KeyPair, KeyPair]
) -> None:
    calling_with_a_wrong_key(host, *keys)
    line = r"Discarded \d+ packets?: bad_mac1 \(.*public key.*\)\n"
    assert eventually(lambda: re.search(line, log(host)))
    shown = host.run(WG["holloway"], "show", "wg0", "discards").stdout
    assert re.match(r"interface: wg0\n  bad_mac1: [1-9]\d* \(.*public key.*\)\n\Z", shown)
    found = json.loads(host.run(WG["holloway"], "show", "wg0", "discards", "--json").stdout)
    assert found["wg0"]["discards"]["bad_mac1"] >= 1
    assert found["wg0"]["peers"] == {}


def test_what_a_peer_may_not_send_from_is_seen_beside_it(
    host: Host, keys: tuple[KeyPair, KeyPair]
) -> None:
    near, far = keys
    start_device(host, "holloway", "wg0", environment={"LOG_LEVEL": "verbose"})
    start_device(host, "holloway", "wg1")
    configure(
        host, "wg0", near, f"ListenPort = {PORT}",
        "[Peer]", f"PublicKey = {far.public}", "AllowedIPs = 10.0.0.2/32",
    )  # fmt: skip
    configure(
        host, "wg1", far, "[Peer]", f"PublicKey = {near.public}",
        f"Endpoint = 127.0.0.1:{PORT}", "AllowedIPs = 10.0.0.0/24",
    )  # fmt: skip
    host.run("ip", "address", "add", "10.9.9.9/32", "dev", "wg1")
    host.run("ip", "route", "add", "10.0.0.1/32", "dev", "wg1")
    host.write("/etc/wireguard/wg0.conf", f"[Peer] # Alice\nPublicKey = {far.public}\n")
    host.run("ping", "-c", "1", "-W", "1", "-I", "10.9.9.9", "10.0.0.1", check=False)
    line = r"Discarded \d+ packets? of peer 1 \(127\.0\.0\.1:\d+\): source_not_allowed \(.*\)\n"
    assert eventually(lambda: re.search(line, log(host)))
    assert not re.search("packets?: source_not_allowed", log(host))
    shown = host.run(WG["holloway"], "show", "wg0", "discards", "--names").stdout
    of_device, _, of_peer = shown.partition("\n\n")
    assert re.search(r"^  source_not_allowed: 1 \(.*\)$", of_device, re.M)
    assert re.match(
        rf"peer: {re.escape(far.public)} \(Alice\)\n  source_not_allowed: 1 \(.*\)\n\Z", of_peer
    )
    found = json.loads(host.run(WG["holloway"], "show", "all", "discards", "--json").stdout)
    assert found["wg0"]["peers"] == {far.public: {"discards": {"source_not_allowed": 1}}}
    assert found["wg1"] == {"discards": {}, "peers": {}}


def test_what_was_discarded_before_the_level_was_verbose_is_not_logged_then(
    host: Host, keys: tuple[KeyPair, KeyPair]
) -> None:
    calling_with_a_wrong_key(host, *keys)
    command = [str(BIN / "holloway"), "log", "wg0"]
    host.run(*command, "error")
    before = len(re.findall("Discarded", log(host)))
    counted = discards(host)
    assert eventually(lambda: discards(host) > counted + 1)
    assert len(re.findall("Discarded", log(host))) == before
    host.run("ip", "link", "set", "wg1", "down")
    host.run(*command, "verbose")
    host.run("ip", "link", "set", "wg1", "up")
    assert eventually(lambda: re.search("Discarded", log(host)[-200:]))
    logged = sum(int(count) for count in re.findall(r"Discarded (\d+)", log(host)))
    assert logged < discards(host)


def discards(host: Host) -> int:
    shown = host.run(WG["holloway"], "show", "wg0", "discards", "--json").stdout
    return int(json.loads(shown)["wg0"]["discards"].get("bad_mac1", 0))


def test_nothing_discarded_is_said_so(host: Host) -> None:
    start_device(host, "holloway", "wg0")
    shown = host.run(WG["holloway"], "show", "wg0", "discards").stdout
    assert shown == "interface: wg0\n  (none)\n"


@pytest.mark.parametrize("device", ["wireguard-go", "boringtun"])
def test_another_device_that_counts_nothing_is_named(host: Host, device: str) -> None:
    start_device(host, device, "wg0")
    start_device(host, "holloway", "wg1")
    done = host.run(WG["holloway"], "show", "wg0", "discards", check=False)
    refusal = "The device of wg0 does not count what it discards\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", refusal)
    done = host.run(WG["holloway"], "show", "all", "discards", check=False)
    assert (done.returncode, done.stderr) == (0, refusal)
    assert "interface: wg1\n  (none)\n" in done.stdout


def test_no_device_is_refused_as_ever(host: Host) -> None:
    done = host.run(WG["holloway"], "show", "nosuch", "discards", check=False)
    assert done.returncode == 1
    assert done.stderr == host.run(WG["original"], "show", "nosuch", check=False).stderr
