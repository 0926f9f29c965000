"""What must hold for any bytes that reach a parser written in Python.

Each target takes bytes and raises if one of its properties does not hold. `test_corpus` runs all of
them on the stored corpus and on changes of it, `run` under a coverage-guided fuzzer. The targets of
the parsers in Rust are in `fuzz/`.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
from collections import Counter
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from holloway.control import uapi
from holloway.core import tai64n
from holloway.core.constants import SECOND, Nanoseconds
from holloway.core.noise import Identity, initiate
from holloway.core.wire import Initiation, Response, parse_handshake_untrusted
from holloway.device.log import DeviceLog
from holloway.device.uapi_server import UapiConnection
from holloway.errors import BadMessage, ConfigError, KeyFormatError, without_keys
from holloway.key import Key
from holloway.model import AllowedIP, DeviceUpdate, Endpoint, PeerUpdate
from holloway.net import dns
from holloway.net.settings import from_config
from holloway.netlink import nf_tables, sock_diag
from holloway.netlink.attributes import attributes, messages
from holloway.netlink.rtnetlink import AddressMessage, LinkMessage, RouteMessage, RuleMessage
from holloway.netlink.wireguard import parse_device
from holloway.proxy import health, http, socks5
from holloway.proxy.address import format_address, parse_address
from holloway.proxy.settings import allow_all, parse_forward, parse_settings
from holloway.quick import saved_state
from holloway.quick.comments import carry_over
from holloway.text import discards
from holloway.text.conf import parse_conf
from holloway.text.names import peer_names
from holloway.text.native import State, Update
from holloway.text.quick import parse_quick
from holloway.text.values import parse_endpoint, parse_fwmark, parse_keepalive, parse_port
from sim.device import SimDevice
from sim.plane import SimPlane
from sim.values import SimEndpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    Target = Callable[[bytes], None]

SELF, THEM = (Key(bytes([number] * 32)).clamped() for number in (1, 2))
THERE: Final = SimEndpoint("192.0.2.7", 7)
NOW: Final = Nanoseconds(100 * SECOND)


def handshake(data: bytes) -> None:
    """A message is parsed exactly, and one that is not authentic is counted and changes nothing."""
    try:
        message = parse_handshake_untrusted(data)
        assert message.build() == data
    except BadMessage:
        message = None
    plane = SimPlane(lambda: NOW)
    device = SimDevice(plane, random=lambda length: bytes([7]) * length, wall=lambda: 0)
    device.up(NOW)
    peer = PeerUpdate(THEM.public(), endpoint=Endpoint("192.0.2.1", 1))
    device.configure(NOW, DeviceUpdate(SELF, peers=(peer,)))
    before = device.state("x")
    device.handle_handshake(NOW, data, len(data) + 32, THERE)
    counted = Counter(device.discards())
    # Only mac1, which the plane checks, protects the index of the sender.
    if data[:4] + data[8:] == INITIATION[:4] + INITIATION[8:]:
        assert plane.happened("response")
        return
    assert counted.total() == 1
    assert counted["bad_message"] == (message is None)
    assert not isinstance(message, Response) or counted["late_response"] == 1
    assert not isinstance(message, Initiation) or counted["late_response"] == 0
    assert device.state("x") == before
    assert plane.actions == []


def socks5_messages(data: bytes) -> None:
    """A message is complete or too short at every length, and addresses are written back."""
    for parse in (
        socks5.read_greeting_untrusted,
        socks5.read_credentials_untrusted,
        socks5.read_request_untrusted,
    ):
        try:
            found = parse(data)
        except BadMessage:
            continue
        if found is None:
            continue
        _, size = found
        assert 0 < size <= len(data)
        assert parse(data[:size]) == found
        assert all(parse(data[:shorter]) is None for shorter in range(size))
    with suppress(BadMessage):
        found_request = socks5.read_request_untrusted(data)
        if found_request is not None:
            request, size = found_request
            check_name(request.host)
            written = b"\x05\x01\0" + socks5.write_address(request.host, request.port)
            again = socks5.read_request_untrusted(written)
            assert again is not None
            assert again[0].port == request.port
            # A name that is an address is written as one, without what may be its zone.
            is_address_there = is_address(request.host.partition("%")[0])
            assert is_address_there or again[0].host == request.host
    with suppress(BadMessage):
        datagram = socks5.read_datagram_untrusted(data)
        check_name(datagram.host)
        assert data.endswith(datagram.payload)
        assert socks5.read_datagram_untrusted(
            socks5.write_datagram(datagram)
        ).payload == datagram.payload  # fmt: skip


def http_head(data: bytes) -> None:
    """A head is complete or too short at every length, and the server gets exactly one head."""
    try:
        found = http.read_head_untrusted(data)
    except http.BadRequest as error:
        assert error.status in http.REASONS
        return
    if found is None:
        assert len(data) < http.MAX_HEAD
        return
    head, size = found
    assert http.read_head_untrusted(data[:size]) == found
    check_name(head.host)
    assert 0 < head.port <= 0xFFFF
    http.read_credentials_untrusted(head)
    if head.path is None:
        assert head.method == "CONNECT"
        return
    written = http.rewrite(head)
    assert written.count(b"\r\n\r\n") == 1
    assert written.endswith(b"\r\n\r\n")
    assert b"\n" not in written.replace(b"\r\n", b"")
    assert b"\r" not in written.replace(b"\r\n", b"")
    names = [line.partition(b":")[0].lower() for line in written.split(b"\r\n")[1:-2]]
    assert names.count(b"host") == names.count(b"connection") == 1
    assert not {b"proxy-authorization", b"proxy-connection", b"keep-alive", b"te"} & set(names)
    assert names.count(b"content-length") * names.count(b"transfer-encoding") == 0


def http_chunks(data: bytes) -> None:
    """The end of a chunked body is at the same byte, however the body is split."""
    assert chunked([data]) == chunked([bytes([byte]) for byte in data])
    half = len(data) // 2
    assert chunked([data]) == chunked([data[:half], data[half:]])


def chunked(pieces: list[bytes]) -> tuple[bool, int] | None:
    chunks, length = http.Chunks(), 0
    for piece in pieces:
        try:
            length += chunks.take_untrusted(piece)
        except BadMessage:
            return None
    return chunks.is_done, length


def health_request(data: bytes) -> None:
    """A request for a page is complete or too short at every length."""
    try:
        found = health.read_request_untrusted(data)
    except http.BadRequest as error:
        assert error.status in http.REASONS
        return
    if found is not None:
        request, size = found
        assert health.read_request_untrusted(data[:size]) == found
        assert request.path.startswith("/")
        assert request.path.isprintable()


def dns_answer(data: bytes) -> None:
    """An answer has addresses of the asked family only."""
    for kind in (dns.A, dns.AAAA):
        query = dns.encode_query(0x1234, "nas.home", kind)
        head = dns.HEADER.pack(0x1234, 0x8180, 1, min(len(data) // 12, 0xFFFF), 0, 0)
        for message in (data, head + query[12:] + data):
            try:
                answer = dns.parse_answer_untrusted(message, query)
            except BadMessage:
                continue
            version = 4 if kind == dns.A else 6
            assert all(ip_address(each).version == version for each in answer.addresses)
    with suppress(ValueError):
        name = data[:300].decode("utf-8", "replace")
        query = dns.encode_query(1, name, dns.A)
        assert len(query) <= dns.HEADER.size + dns.MAX_NAME + dns.QUESTION_TAIL.size


def netlink(data: bytes) -> None:
    """Any bytes are messages or a protocol error."""
    for read in (
        lambda: [attributes(payload) for *_, payload in messages(data)],
        lambda: list(attributes(data)),
        lambda: LinkMessage(data),
        lambda: AddressMessage(data),
        lambda: RouteMessage(data),
        lambda: RuleMessage(data),
        lambda: parse_device([data]),
        lambda: parse_device([data[: len(data) // 2], data[len(data) // 2 :]]),
        lambda: nf_tables.parse_table(data),
        lambda: sock_diag._sockid(data),
    ):
        try:
            read()
        except OSError as error:
            assert error.errno == errno.EPROTO


def uapi_answer(data: bytes) -> None:
    """An answer of a device has a status or is a protocol error, as its counts are."""
    for read in (uapi._status, uapi._level, discards.parse_answer):
        try:
            read(data)
        except OSError as error:
            assert error.errno is not None
    with suppress(OSError):
        counts = discards.parse_answer(data)
        again = discards.parse_answer(discards.dump_answer(counts))
        assert (again.device, again.peers) == (counts.device, counts.peers)


def uapi_request(data: bytes) -> None:
    """A client's requests have the same answers, however they are split."""
    logging.disable(logging.CRITICAL)
    try:
        assert served([data]) == served([bytes([byte]) for byte in data])
    finally:
        logging.disable(logging.NOTSET)


def served(pieces: list[bytes]) -> tuple[bytes, bool, str]:
    device_log, client = DeviceLog("wg0", "error"), Client()
    connection = UapiConnection(NoDevice(), device_log)
    connection.connection_made(client)
    for piece in pieces:
        if not client.closed:
            connection.data_received(piece)
    connection.connection_lost(None)
    return client.taken, client.closed, device_log.level


class NoDevice:
    """A device without peers, which applies every change."""

    def state(self) -> State:
        return State(None, 0, 0, [])

    def uapi_discards(self) -> bytes:
        return b"forged=1\n"

    def apply(self, update: Update) -> None:
        update.request()


class Client(asyncio.Transport):
    """Records what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.taken += bytes(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True


def wireproxy(data: bytes) -> None:
    """A configuration is refused, or its lines for WireGuard keep their numbers.

    A peer without AllowedIPs gets them in place of an empty line, if it has one.
    """
    text = decoded(data)
    try:
        settings = parse_settings(text, {"NAME": "value"})
    except ConfigError as error:
        assert error.line is None or 0 <= error.line <= text.count("\n") + 1
        str(error)
        return
    added = settings.wg.count("\n") - text.replace("\r\n", "\n").count("\n")
    assert 0 <= added <= settings.wg.lower().count("[peer]")
    assert allow_all(allow_all(settings.wg)) == allow_all(settings.wg)


def forward(data: bytes) -> None:
    """An address is written and parsed again to the same; a forward names its target."""
    text = decoded(data)
    with suppress(ConfigError):
        address = parse_address(text)
        assert parse_address(format_address(address)) == address
    for is_reverse in (False, True):
        with suppress(ConfigError):
            port = parse_forward(text, is_reverse=is_reverse)
            assert port.target[0]
            assert 0 < port.target[1] <= 0xFFFF


def configuration(data: bytes) -> None:
    """A wg-quick file is refused with its line, and stripping it twice changes no more."""
    text = decoded(data)
    peer_names(text)
    try:
        config = parse_quick(text)
    except ConfigError as error:
        assert error.line is not None
        return
    again = parse_quick(config.stripped)
    assert (again.addresses, again.pre_up, again.mtu) == ([], [], None)
    assert "".join(again.stripped.split()) == "".join(config.stripped.split())
    with suppress(ConfigError):
        parse_conf(config, Numbers())
    with suppress(ConfigError):
        from_config(text if "\n" in text else text + "\n")


def comments(data: bytes) -> None:
    """The comments of one file are carried over to another without any other change to it."""
    old, _, new = decoded(data).partition("\f")
    new = "\n".join(line.partition("#")[0].strip() for line in new.split("\n"))
    if not new.startswith("["):
        return
    carried = carry_over(old, new)
    settings = [line.partition("#")[0].strip() for line in carried.split("\n")]
    hooks = ("preup", "postup", "predown", "postdown")
    assert Counter(filter(None, settings)) == Counter(filter(None, new.split("\n"))), hooks


def record(data: bytes) -> None:
    """Any JSON is a record, or an error that `load` takes for none."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return
    with suppress(*saved_state.INVALID):
        saved_state.parse(values)


def values(data: bytes) -> None:
    """A single value is refused with a reason, or written and parsed again to the same."""
    text = decoded(data)
    for parse in (parse_fwmark, parse_keepalive):
        with suppress(ConfigError):
            assert parse(str(parse(text))) == parse(text)
    with suppress(ConfigError):
        parse_port(text, Numbers())
    with suppress(ConfigError):
        parse_endpoint(text, Numbers())
    with suppress(ValueError):
        network = AllowedIP.parse(text)
        assert AllowedIP.parse(str(network)) == network
    with suppress(ValueError):
        endpoint = Endpoint.parse(text)
        assert Endpoint.parse(str(endpoint)) == endpoint
    with suppress(KeyFormatError):
        assert Key.from_base64(text).base64 == text
    with suppress(KeyFormatError):
        assert Key.from_hex(text).hex == text.lower()
    assert without_keys(without_keys(text)) == without_keys(text)


class Numbers:
    """A resolver that knows only numbers."""

    def port(self, service: str) -> int:
        if service.isascii() and service.isdigit() and len(service) < 6:
            return int(service) & 0xFFFF
        raise ConfigError("no such service")

    def endpoint(self, host: str, service: str, text: str) -> Endpoint:
        try:
            return Endpoint.parse(f"[{host}]:{service}" if ":" in host else f"{host}:{service}")
        except ValueError:
            raise ConfigError(f"not a number: {text}") from None

    def warn(self, sentence: str) -> None:
        assert sentence


def check_name(host: str) -> None:
    """What reaches a resolver and a log has no control characters and no space."""
    assert host
    assert host.isascii()
    assert host.isprintable()
    assert " " not in host


def is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _initiation() -> bytes:
    """Message 1 of the peer: the only one that is answered."""
    secret = Identity(THEM.raw).static_static(SELF.public().raw)
    assert secret is not None
    stamp = tai64n.encode(tai64n.STEP)
    message, _ = initiate(secret, ephemeral=bytes([3]) * 32, index=9, timestamp=stamp)
    return message.build()


INITIATION: Final = _initiation()

TARGETS: Final[dict[str, Target]] = {
    "handshake": handshake,
    "socks5": socks5_messages,
    "http_head": http_head,
    "http_chunks": http_chunks,
    "health_request": health_request,
    "dns_answer": dns_answer,
    "netlink": netlink,
    "uapi_answer": uapi_answer,
    "uapi_request": uapi_request,
    "wireproxy": wireproxy,
    "forward": forward,
    "configuration": configuration,
    "comments": comments,
    "record": record,
    "values": values,
}
