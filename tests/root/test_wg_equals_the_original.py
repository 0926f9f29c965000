"""`wg` and the original side by side on the same input: output, exit status, bytes on the socket.

The device is scripted, so that it can also answer what no real one would.
"""

from __future__ import annotations

import subprocess
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from hosts import BIN, eventually
from scripted_device import ScriptedDevice
from transcript import read
from wg_pair import (
    ALLOWED_IPS_USAGE,
    FULL,
    HEX_A,
    ORIGINAL,
    OURS,
    PA,
    PB,
    PC,
    PRIVATE,
    ZERO,
    Pair,
    without,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]

FIELDS = [
    "public-key", "private-key", "listen-port", "fwmark", "peers", "preshared-keys", "endpoints",
    "allowed-ips", "latest-handshakes", "persistent-keepalive", "transfer", "dump",
]  # fmt: skip


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host("wg") as made:
        # Names are looked up in files alone: an answer at once, and the same everywhere.
        made.write("/etc/nsswitch.conf", "hosts: files\nservices: files\n")
        yield made


@pytest.fixture
def pair(host: Host) -> Iterator[Pair]:
    path = Path(f"/proc/{host.pid}/root/run/wireguard/hw0.sock")
    with ScriptedDevice(path, FULL) as device:
        yield Pair(host, device)
    path.unlink(missing_ok=True)


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_of_one_and_of_all_devices_is_the_same(pair: Pair, field: str) -> None:
    assert pair.equal("show", "hw0", field).status == 0
    if field != "endpoints":  # a fault of the original that ours has not
        assert pair.equal("show", "all", field).status == 0


@pytest.mark.parametrize("colours", ["always", "never", "auto", ""])
@pytest.mark.parametrize("hide", ["never", "always"])
def test_a_device_is_printed_for_people_in_the_same_words(
    pair: Pair, colours: str, hide: str
) -> None:
    env = {"WG_COLOR_MODE": colours, "WG_HIDE_KEYS": hide}

    def same_words() -> bool:
        theirs = pair.run(ORIGINAL, "show", stdin=b"", **env)
        return pair.run(OURS, "show", stdin=b"", **env) == theirs

    # The seconds since a handshake go on between the two runs: another look decides.
    assert eventually(same_words)


def test_a_configuration_is_printed_the_same(pair: Pair) -> None:
    assert b"PresharedKey" in pair.equal("showconf", "hw0").output
    pair.device.answer = "errno=0\n\n"
    pair.equal("showconf", "hw0")


def test_a_device_without_anything_is_shown_the_same(pair: Pair) -> None:
    pair.device.answer = "errno=0\n\n"
    for field in FIELDS:
        pair.equal("show", "hw0", field)
        if field != "endpoints":
            pair.equal("show", "all", field)
    pair.equal("show")
    pair.device.answer = f"private_key={ZERO}\nerrno=0\n\n"
    pair.equal("show", "hw0", "dump")
    pair.equal("show", "hw0", WG_HIDE_KEYS="never")
    pair.equal("showconf", "hw0")


A = f"public_key={HEX_A}\n"
ANSWERS = [
    "", "\n", "errno=0\n", "errno=22\n\n", "errno=-22\n\n", "errno=0\n\nfoo", "listen_port=5\n\n",
    "errno=5\nerrno=0\n\n", "errno=x\n\n", "errno=4294967296\n\n", "errno=2147483647\n\n",
    "foo\n\n", "errno=2147483648\n\n", "listen_port=5", "errno=\n\n", "errno=0\nlisten_port=x\n\n",
    *(f"{lines}errno=0\n\n" for lines in (
        "listen_port=65536\n", "listen_port=65535\n", "listen_port=+5\n", "listen_port=\n",
        "listen_port= 5\n", "listen_port=0005\n", "fwmark=4294967296\n", "fwmark=4294967295\n",
        "fwmark=0x5\n", f"private_key={ZERO[1:]}\n", f"private_key={'G' * 64}\n",
        f"private_key={'A' * 64}\n", "foo\n", "foo=bar\nlisten_port=4\n", "=\n", "x=\n",
        "allowed_ip=1.2.3.4/5\n", "endpoint=1.2.3.4\n", "rx_bytes=x\n", "public_key=1\n",
        f"{A}allowed_ip=1.2.3.4\n", f"{A}allowed_ip=1.2.3.4/33\n", f"{A}allowed_ip=x/8\n",
        f"{A}allowed_ip=1.2.3.4/\n", f"{A}allowed_ip=1.2.3.0/24\n", f"{A}allowed_ip=::/129\n",
        f"{A}allowed_ip=::/0\nallowed_ip=0.0.0.0/0\n", f"{A}allowed_ip=\n",
        f"{A}endpoint=1.2.3.4\n", f"{A}endpoint=\n", f"{A}endpoint=[::1\n",
        f"{A}endpoint=[::ffff:1.2.3.4]:7\n", f"{A}endpoint=[fe80::1%lo]:5\n",
        f"{A}endpoint=[2001:DB8:0::1]:5\n",
        f"{A}preshared_key={ZERO}\n", f"{A}preshared_key=11\n", f"{A}protocol_version=1\n",
        f"{A}last_handshake_time_sec=9223372036854775808\n",
        f"{A}last_handshake_time_sec=9223372036854775807\n", f"{A}last_handshake_time_nsec=9\n",
        f"{A}rx_bytes=18446744073709551615\ntx_bytes=1\n",
        f"{A}persistent_keepalive_interval=65536\n", f"{A}listen_port=4\nprivate_key=zz\n",
        f"{A}fwmark=x\n", f"{A}{A}",
    )),
]  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_however_odd_is_taken_the_same(pair: Pair, answer: str) -> None:
    pair.device.answer = answer
    pair.equal("show", "hw0", "dump")


@pytest.mark.parametrize(
    "answer",
    [
        "errno=0\n\n", "errno=-98\n\n", "errno=98\n\n", "errno=5\nerrno=0\n\n", "", "\n", "foo\n\n",
        "errno=x\n\n", "errno=1\n", "foo=1\nerrno=-22\n\n", "errno=-\n\n", "errno= 5\n\n",
        "errno=99999999999999\n\n", "errno=-22 \n\n", "errno=-2147483647\n\n",
    ],
)  # fmt: skip
def test_what_a_device_says_to_a_change_is_told_the_same(pair: Pair, answer: str) -> None:
    pair.device.set_answer = answer
    pair.equal("set", "hw0", "listen-port", "5")
    pair.equal("syncconf", "hw0", "/dev/stdin", stdin=b"[Interface]\nListenPort=5\n")


PEER = ["set", "hw0", "peer", PA]
OPTIONS = [
    *(["set", "hw0", "fwmark", value] for value in (
        "0x", "0xzz", "1 ", "+1", "010", "0X10", "OFF", "off", "0xffffffff", "4294967295", "0x0",
        "4294967296", "", "0b1", "9" * 30, "0x" + "0" * 30 + "1", "0" * 30 + "1", "0x1ffffffff",
        "0x_1", "\u0661")),
    *(["set", "hw0", "listen-port", value] for value in (
        "1", "65536", "70000", "-1", "domain", "0x10", " 5", "", "abc", "0", "5\u0661")),
    *([*PEER, "persistent-keepalive", value] for value in (
        "", "+1", " 1", "0010", "65535", "65536", "oFF", "9" * 30, "-1", "0")),
    *([*PEER, "allowed-ips", value] for value in (
        "", "/", "1.2.3.4/", "1.2.3.4/8/9", "fe80::1%lo/64", "1.2.3.4,", "1.2.3.4/+8", "1.2.3/8",
        " 1.2.3.0 / 24 , fd00:: ", "010.1.1.1", "::ffff:1.2.3.4", "1.2.3.4/033", "10.0.0.0/33",
        "10.0.0.300/32", "::1/129", "1.1.1.1,1.1.1.1", "fd00::1/128,1.1.1.1/32",
        "1.1.1.1/0032", "#", "\u0661.1.1.1", ",", " ")),
    *([*PEER, "endpoint", value] for value in (
        "[::1]:5", "[::1]", "[::1]5", "[::1]:", ":5", "1.2.3.4:domain", "::1:5", "fe80::1%lo:5",
        "[fe80::1%lo]:5", "[fe80::1%1]:5", "localhost:5", "1.2.3:7", "[1.2.3.4]:5", "", "[::1",
        "1.2.3.4:70000", "1.2.3.4", "1.2.3.4:", "no.such.invalid:1", "b\u00fccher.invalid:1",
        "[]:1", "1.2.3.4:abc")),
    PEER, [*PEER, "remove"], [*PEER, "remove", "x"], ["set", "hw0", "peer"],
    ["set", "hw0", "remove"],
    [*PEER, "listen-port", "5"], ["set", "hw0", "bogus", "1"], ["set", "hw0", "peer", "notakey"],
    ["set", "hw0", "peer", PA[:-2] + "F="], ["set", "hw0", "peer", PA[:-1]], [*PEER, "endpoint"],
    ["set", "hw0", "endpoint", "1.1.1.1:1"], ["set", "hw0", "listen-port", "5", "fwmark", "7"],
    ["set", "hw0", "listen-port", "5", "listen-port", "6", "peer", PB], ["set", "hw0", ""],
    [*PEER, "peer", PB, "remove", "preshared-key", "/dev/null", "peer", PC,
     "preshared-key", "/dev/null", "allowed-ips", "1.1.1.1", "allowed-ips", "2.2.2.2",
     "endpoint", "1.1.1.1:1", "persistent-keepalive", "5", "peer", PA],
    ["set", "nope", "listen-port", "5"], ["set", "a/b", "listen-port", "5"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", OPTIONS, ids=lambda options: " ".join(options[1:])[:80])
def test_set_sends_or_refuses_the_same(pair: Pair, arguments: list[str]) -> None:
    pair.equal(*arguments, WG_ENDPOINT_RESOLUTION_RETRIES="0")


def test_host_bits_are_warned_of_alike_and_cleared_before_they_are_sent(pair: Pair) -> None:
    arguments = [*PEER, "allowed-ips", "10.0.0.7/8,FD00::1/048,::1/0"]
    theirs, ours = pair.run(ORIGINAL, *arguments), pair.run(OURS, *arguments)
    assert (ours.status, ours.errors) == (theirs.status, theirs.errors)
    # The original leaves the clearing to the device; to every device it comes to the same.
    assert theirs.requests[0].endswith("=10.0.0.7/8\nallowed_ip=fd00::1/48\nallowed_ip=::1/0\n\n")
    assert ours.requests[0].endswith("=10.0.0.0/8\nallowed_ip=fd00::/48\nallowed_ip=::/0\n\n")


@pytest.mark.parametrize("value", ["x", "", "-1", "2147483648", "0", "99999999999"])
def test_the_variable_for_retries_is_read_the_same(pair: Pair, value: str) -> None:
    pair.equal(*PEER, "endpoint", "1.2.3.4:5", WG_ENDPOINT_RESOLUTION_RETRIES=value)
    text = f"[Peer]\nEndpoint = 1.2.3.4:5\nPublicKey = {PA}".encode()
    pair.equal("addconf", "hw0", "/dev/stdin", stdin=text, WG_ENDPOINT_RESOLUTION_RETRIES=value)


def test_a_passing_failure_is_tried_again_in_the_same_words(pair: Pair) -> None:
    outcome = pair.equal(*PEER, "endpoint", "1.1.1.1:abc", WG_ENDPOINT_RESOLUTION_RETRIES="1")
    assert b"Trying again in 1.00 seconds..." in outcome.errors


@pytest.mark.parametrize(
    "content",
    [b"", b"short", PA.encode(), PA.encode() + b" \n\t", PA.encode() + b"\n x", b"\n" + PA.encode(),
     PA[:-1].encode() + b"x", PA.encode() + b"\xff", PA.encode() + b"\0", b"A" * 20 + b"\0" * 24,
     PA.encode() + b" " * 9000 + b"y"],
)  # fmt: skip
def test_a_key_file_is_read_the_same(pair: Pair, content: bytes) -> None:
    # As a file and as a pipe, which differ where they are empty.
    Path(f"/proc/{pair.host.pid}/root/run/key").write_bytes(content)
    pair.equal("set", "hw0", "private-key", "/run/key")
    pair.equal("set", "hw0", "private-key", "/dev/stdin", stdin=content)
    pair.equal("pubkey", stdin=content)


@pytest.mark.parametrize("path", ["/dev/null", "/nonexistent", "/run", "/run/key/x"])
def test_a_path_to_no_key_is_told_the_same(pair: Pair, path: str) -> None:
    pair.equal("set", "hw0", "private-key", path)
    pair.equal(*PEER, "preshared-key", path)


MINE = f"[Peer]\nPublicKey={PA}\n"
FILES = [
    "", "\n", "# only\n", "[Interface]", "[Interface]\nListenPort=1\n", "[Interface]\nListenPort=",
    "[Peer]\nAllowedIPs=", "[Peer]\nEndpoint=", "[Peer]", "[Peer]\nAllowedIPs=1.1.1.1",
    f"{MINE}PublicKey={PB}\nAllowedIPs=1.1.1.1\nAllowedIPs = 2.2.2.0/24, fd00::/8",
    f"{MINE}{MINE}PersistentKeepalive=off\n[Peer]\nPublicKey={PC}",
    " [ interface ] \r\n listenport = 5 1 8 2 0 # c\r\n",
    f"[PEER]\r\npublickey\t=\t{PB} # x\r\n",
    "ListenPort=5\n", "[Interface]\nPublicKey=x", "[Peer]\nPrivateKey=x", "[Foo]\n",
    "[Interface]x\n", "[Interface]\nListenPort 5\n", "[Interface]\n=5\n", "[Interface]\n=\n",
    "[Interface]\nFwMark=zz\n", "[Interface]\nFwMark=0x20\nFwMark=off\nListenPort=domain\n",
    "[Interface]\nPrivateKey=abc\n", "[Interface]\nListenPort\n", "[Interface]\nListenPort=1=2\n",
    f"[Interface]\nPrivateKey={PRIVATE}\n{MINE}PresharedKey={PA}\n",
    f"{MINE}PresharedKey={b64encode(bytes(32)).decode()}\nEndpoint=[::1]:7\n",
    f"{MINE}Endpoint=no.such.invalid:7\n[Interface]\nbogus=1\n",
    f"{MINE}PersistentKeepalive=65536\n", "[Interface]\0\nListenPort=1\0 2\n",
    f"{MINE}AllowedIPs=10.0.0.0/33\n", "\xa0[Interface]\n", "[Interface]\nListenPort=\u0661",
    "[Interface]\nAddress=10.0.0.1/24\n", "[Interface]\nPostUp = echo '#'\n",
    "[\u0130nterface]\n", "[Interface]\nFwMar\u212a=1\n",
]  # fmt: skip


@pytest.mark.parametrize("command", ["setconf", "addconf", "syncconf"])
@pytest.mark.parametrize("text", FILES)
def test_a_file_is_sent_or_refused_the_same(pair: Pair, command: str, text: str) -> None:
    # What tools after 2021 do about these, ours do too.
    pair.device.answer = without("preshared_key", "persistent_keepalive_interval")
    env = {"WG_ENDPOINT_RESOLUTION_RETRIES": "0"}
    pair.equal(command, "hw0", "/dev/stdin", stdin=text.encode(), **env)


def test_bytes_that_are_no_text_are_refused_the_same(pair: Pair) -> None:
    pair.equal("setconf", "hw0", "/dev/stdin", stdin=b"[Interface]\n\xff\xfe = 1\n")


def test_syncconf_removes_what_the_file_does_not_name_in_the_same_order(pair: Pair) -> None:
    peers = "".join(f"public_key={number:02x}{'00' * 31}\n" for number in (7, 200, 3, 127, 128))
    pair.device.answer = f"{peers}public_key={HEX_A}\nerrno=0\n\n"
    outcome = pair.equal("syncconf", "hw0", "/dev/stdin", stdin=f"[Peer]\nPublicKey={PA}".encode())
    assert outcome.requests[1].count("remove=true") == 5


def test_a_device_that_cannot_be_asked_is_not_synchronized(pair: Pair) -> None:
    text = f"[Peer]\nPublicKey={PA}".encode()
    pair.device.answer = "errno=13\n\n"
    assert pair.equal("syncconf", "hw0", "/dev/stdin", stdin=text).status == 1
    for command in ("setconf", "addconf", "syncconf"):
        pair.equal(command, "nope", "/dev/stdin", stdin=text)


def test_a_directory_is_no_configuration_and_changes_nothing(pair: Pair) -> None:
    # The original reads it as an empty file and takes all peers away.
    outcome = pair.run(OURS, "setconf", "hw0", "/run")
    assert (outcome.status, outcome.requests) == (1, [])
    assert outcome.errors == b"fopen: Is a directory\n"


WORDS = [
    ["-h"], ["--help"], ["help"], ["-h", "x"], ["--version", "x"], ["", "a"], ["SHOW"], ["bogus"],
    ["show", "all", "bogus"], ["show", "hw0", "bogus"], ["show", "interfaces"],
    ["show", "a", "b", "c"], ["show", "interfaces", "x"], ["show", "all", "a", "b"],
    ["show", "-h"], ["show", "--help"], ["show", "help"], ["show", "hw0", "-h"], ["show", "nope"],
    ["show", "a/b"], ["show", ".."], ["show", ""], ["show", "x" * 200], ["show", "", "dump"],
    ["show", "hw0", ""], ["show", "interfaces", "x", "y"], ["showconf"], ["showconf", "-h"],
    ["showconf", "nope"], ["showconf", "a", "b"],
    ["setconf", "-h"], ["setconf", "hw0"], ["syncconf", "--help"], ["addconf", "help"], ["addconf"],
    ["setconf", "hw0", "/nope"], ["setconf", "a", "b", "c"], ["genkey", "-h"], ["genpsk", "x"],
    ["pubkey", "x"],
    *(["show", "x" * length] for length in (15, 16, 40, 83, 84)), ["show", "x" * 40, "dump"],
    ["showconf", "x" * 40], ["set", "x" * 40, "fwmark", "1"], ["syncconf", "x" * 40, "/dev/null"],
]  # fmt: skip


@pytest.mark.parametrize("arguments", WORDS, ids=" ".join)
def test_help_and_usage_are_the_same(pair: Pair, arguments: list[str]) -> None:
    pair.equal(*arguments)


def test_a_socket_that_nobody_listens_to_is_removed_and_the_kernel_asked(pair: Pair) -> None:
    path = Path(pair.path("dead"))
    for arguments in (
        ["show", "dead"],
        ["show", "interfaces"],
        ["set", "dead", "listen-port", "1"],
    ):
        outcomes = []
        for program in (ORIGINAL, OURS):
            with ScriptedDevice(path):
                pass
            assert path.exists()
            outcomes.append(pair.run(program, *arguments))
            assert not path.exists()
        assert outcomes[0] == outcomes[1]


def test_a_file_in_the_place_of_a_socket_is_no_device(pair: Pair) -> None:
    path = Path(pair.path("file"))
    path.write_text("")
    pair.equal("show", "interfaces")
    pair.equal("show", "file")
    path.unlink()


def test_several_devices_are_parted_by_a_blank_line_and_a_broken_one_is_passed_over(
    pair: Pair,
) -> None:
    quiet = "listen_port=1\nerrno=0\n\n"
    pair.device.answer = quiet
    with ScriptedDevice(pair.path("hw1"), quiet), ScriptedDevice(pair.path("hw2"), "errno=13\n\n"):
        for arguments in (["show"], ["show", "all", "dump"], ["show", "all", "x"]):
            pair.equal(*arguments)
        pair.equal("show", "interfaces")
    pair.device.answer = "errno=13\n\n"
    assert pair.equal("show").status == 1


def test_who_may_not_look_into_the_directory_is_told_the_same(pair: Pair) -> None:
    user = ["setpriv", "--reuid", "65534", "--clear-groups"]
    pair.host.run("chmod", "700", "/run/wireguard")
    for arguments in (["show"], ["show", "hw0"], ["show", "interfaces"], ["show", "all", "dump"]):
        assert pair.run([*user, *OURS], *arguments) == pair.run([*user, *ORIGINAL], *arguments)


def test_keys_go_to_a_world_readable_file_only_with_a_warning(pair: Pair) -> None:
    for command in ("genkey", "genpsk", "pubkey"):
        for mask in ("022", "077"):
            shell = f'umask {mask}; rm -f /run/out; "$@" >/run/out'
            theirs, ours = (
                pair.run(["sh", "-c", shell, "sh", *program], command, stdin=PA.encode())
                for program in (ORIGINAL, OURS)
            )
            assert (ours.status, ours.errors) == (theirs.status, theirs.errors), (command, mask)


def test_a_generated_key_is_a_key_and_a_private_one_is_clamped(pair: Pair) -> None:
    key = pair.run(OURS, "genkey").output
    assert pair.equal("pubkey", stdin=key).status == 0
    raw = subprocess.run(["base64", "-d"], input=key, capture_output=True, check=True).stdout
    assert (raw[0] & 7, raw[31] >> 6) == (0, 1)
    assert pair.run(OURS, "genpsk").output != pair.run(OURS, "genpsk").output


def test_the_recorded_refusals_are_repeated_word_by_word(host: Host) -> None:
    host.run("mkdir", "-p", "/run/work")
    for name, text in {
        "a": "[Interface]\nAddress = 10.0.0.1/24\n", "b": "PrivateKey = x\n",
        "c": "[Peer]\nAllowedIPs = 1.1.1.1\n", "d": "[Interface]\nPrivateKey = abc\n",
    }.items():  # fmt: skip
        host.write(f"/run/work/{name}.conf", text)
    entries = read("wg-bad-input.txt", {"<PRIVKEY>": PRIVATE, "<PUBKEY>": PA})
    assert len(entries) > 40
    for entry in entries:
        shell = f"exec 2>&1; cd /run/work; PATH={BIN}:$PATH; {entry.command}"
        done = host.run("bash", "-c", shell, check=False)
        wanted, got = entry.output, done.stdout
        if "ls -l" in entry.command:  # its line has a date
            wanted, got = (text.rpartition("-rw-r--r--")[0] for text in (wanted, got))
        if "allowed-ips +" in entry.command:  # valid after 2021: this kernel has no WireGuard
            wanted = "Unable to modify interface: Protocol not supported\n"
        wanted = wanted.replace(*ALLOWED_IPS_USAGE)
        assert (got, done.returncode) == (wanted, entry.status), entry.command
