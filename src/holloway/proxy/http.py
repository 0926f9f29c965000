"""Parses and rewrites the heads of HTTP/1 messages, as a proxy does (RFC 9110, RFC 9112).

Pure: bytes to values and back. Ambiguous messages are refused, because the proxy and the server
behind it might understand them differently.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from holloway.errors import BadMessage
from holloway.proxy.socks5 import name_untrusted

MAX_HEAD: Final = 64 * 1024
MAX_FIELDS: Final = 200
TEXT: Final = "text/plain; charset=utf-8"

Fields = tuple[tuple[str, str], ...]


class BadRequest(BadMessage):
    """A request that is refused; `status` is the HTTP status of the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """The first line and the fields of a request.

    `path` is None for CONNECT. `length` is that of the body, None where it is chunked.
    """

    method: str
    host: str
    port: int
    path: str | None
    version: str
    fields: Fields
    length: int | None = 0

    def values(self, name: str) -> list[str]:
        """Return the values of all fields of this name."""
        return [value for key, value in self.fields if key.lower() == name]

    @property
    def is_upgrade(self) -> bool:
        """Whether the client asks to switch to another protocol."""
        return "upgrade" in self.connection and bool(self.values("upgrade"))

    @property
    def connection(self) -> set[str]:
        """The names that `Connection` lists: fields for the next hop only."""
        joined = ",".join(self.values("connection"))
        return {word.strip().lower() for word in joined.split(",")} - {""}


def read_head_untrusted(data: bytes) -> tuple[Head, int] | None:
    """Parse the head of a request; raises BadRequest."""
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD)
    if end < 0:
        if len(data) >= MAX_HEAD:
            raise BadRequest(431, "the head of the request is too large")
        if data and not _TOKEN_BYTE.match(data):
            raise BadRequest(400, "this is no HTTP")
        return None
    first, *lines = data[:end].split(b"\r\n")
    if len(lines) > MAX_FIELDS:
        raise BadRequest(431, "the request has too many fields")
    fields = tuple(_field_untrusted(line) for line in lines)
    return _head_untrusted(first, fields), end + 4


def read_credentials_untrusted(head: Head) -> tuple[bytes, bytes] | None:
    """Parse a user's name and password (RFC 7617); None if there are none."""
    values = head.values("proxy-authorization")
    if len(values) != 1:
        return None
    scheme, _, encoded = values[0].partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, colon, password = decoded.partition(b":")
    return (user, password) if colon else None


def rewrite(head: Head) -> bytes:
    """Write the head for the server: in origin form, and with `Connection: close`."""
    hop = head.connection | _HOP
    lines = [f"{head.method} {head.path} {head.version}", f"Host: {_authority(head)}"]
    lines += [f"{name}: {value}" for name, value in head.fields if name.lower() not in hop]
    if head.is_upgrade:
        lines += ["Connection: Upgrade", f"Upgrade: {', '.join(head.values('upgrade'))}"]
    else:
        lines.append("Connection: close")
    return "\r\n".join((*lines, "", "")).encode("latin-1")


def write_answer(status: int, text: str, fields: Fields = (), kind: str = TEXT) -> bytes:
    """Write a complete answer of the proxy itself; `kind` is its media type."""
    body = text.encode()
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}"]
    lines += [f"{name}: {value}" for name, value in fields]
    lines += [
        f"Content-Type: {kind}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return "\r\n".join((*lines, "", "")).encode("latin-1") + body


class Chunks:
    """Finds the end of a chunked body (RFC 9112, 7.1), without storing the body."""

    def __init__(self) -> None:
        self.is_done = False
        self._left = 0  # bytes of the current chunk, with the line end after them
        self._line = b""
        self._is_trailer = False

    def take_untrusted(self, data: bytes) -> int:
        """Return how many of the next bytes belong to the body; raises BadMessage."""
        at = 0
        while at < len(data) and not self.is_done:
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            end = data.find(b"\n", at) + 1
            self._line += data[at : end or len(data)]
            at = end or len(data)
            if len(self._line) > _MAX_LINE:
                raise BadMessage("a line of a chunked body is too long")
            if end:
                self._end_line_untrusted()
        return at

    def _end_line_untrusted(self) -> None:
        line, self._line = self._line, b""
        if self._is_trailer:
            self.is_done = line == b"\r\n"
            return
        found = _CHUNK.fullmatch(line)
        if found is None:
            raise BadMessage("this is no chunk")
        size = int(found[1], 16)
        self._is_trailer = size == 0
        self._left = size + 2 if size else 0


def _field_untrusted(line: bytes) -> tuple[str, str]:
    found = _FIELD.fullmatch(line)
    if found is None:
        raise BadRequest(400, "a field of the request is not well formed")
    return found[1].decode("ascii"), found[2].decode("latin-1")


def _head_untrusted(first: bytes, fields: Fields) -> Head:
    found = _FIRST.fullmatch(first)
    if found is None:
        raise BadRequest(400, "the first line of the request is not well formed")
    method, target, version = (part.decode("ascii") for part in found.groups())
    if method == "CONNECT":
        host, port = _authority_untrusted(target, None)
        return Head(method, host, port, None, version, fields)
    url = _URL.fullmatch(target)
    if url is None:
        raise BadRequest(400, "this is a proxy: a request names a whole http:// URL, or CONNECT")
    host, port = _authority_untrusted(url[1], 80)
    path = url[2] or "/"
    if path.startswith("?"):
        path = "/" + path
    if method == "OPTIONS" and not url[2]:
        path = "*"
    return Head(method, host, port, path, version, fields, _length_untrusted(fields))


def _length_untrusted(fields: Fields) -> int | None:
    """Return the body's length, None if it is chunked; both is an attack (RFC 9112, 6.3)."""
    lengths = {value for name, value in fields if name.lower() == "content-length"}
    codings = [value for name, value in fields if name.lower() == "transfer-encoding"]
    if codings:
        if lengths:
            raise BadRequest(400, "the request has two lengths")
        if [coding.lower() for coding in codings] != ["chunked"]:
            raise BadRequest(501, "the request's transfer coding is unknown")
        return None
    if not lengths:
        return 0
    length = lengths.pop()
    if lengths or not _NUMBER.fullmatch(length):
        raise BadRequest(400, "the length of the request is no number")
    return int(length)


def _authority_untrusted(text: str, default: int | None) -> tuple[str, int]:
    found = _AUTHORITY.fullmatch(text)
    port = found and (found[3] or default)
    if found is None or port is None or not 0 < int(port) <= 0xFFFF:
        raise BadRequest(400, "the request names no host and port")
    try:
        return name_untrusted((found[1] or found[2]).encode("ascii")), int(port)
    except BadMessage as error:
        raise BadRequest(400, str(error)) from None


def _authority(head: Head) -> str:
    host = f"[{head.host}]" if ":" in head.host else head.host
    return host if head.port == 80 else f"{host}:{head.port}"


REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    421: "Misdirected Request",
    407: "Proxy Authentication Required",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}

_HOP: Final = {
    "connection", "host", "keep-alive", "proxy-authorization", "proxy-connection", "te", "upgrade",
}  # fmt: skip
"""Fields for this hop only (RFC 9110, 7.6.1), and `Host`, which is made from the URL."""
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TOKEN_BYTE: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]")
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
_FIRST: Final = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) (HTTP/1\.[01])")
_URL: Final = re.compile(r"http://([^/?#@]*)((?:[/?][^#]*)?)(?:#.*)?", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\[\]:]+))(?::([0-9]{1,5}))?")
_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")
_MAX_LINE: Final = 8192
