"""The codec of texts: the UAPI, configuration files of wg(8), `dump`."""

from collections.abc import Sequence
from typing import Protocol, final

from holloway._native_types.change import PeerChange

__all__ = [
    "Changes",
    "Refused",
    "State",
    "Update",
    "blank_line",
    "dump_answer",
    "public_key",
    "read_endpoint",
    "read_fwmark",
    "read_keepalive",
    "read_port",
]

class Refused(ValueError):
    """A text was refused whole.

    `args` are whether it is of another language at all, the line from 1 and the key if there are
    any, and the reason; key and reason are bytes, as they may repeat what is no text.
    """

    args: tuple[bool, int | None, bytes | None, bytes]

class _Resolver(Protocol):
    """`holloway.text.values.Resolver`."""

    def port(self, service: str) -> int: ...
    def endpoint(self, host: str, service: str, text: str) -> _ResolvedEndpoint: ...
    def warn(self, sentence: str) -> None: ...

class _ResolvedEndpoint(Protocol):
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...

_Network = tuple[bytes, int]
_Endpoint = tuple[str, int]

# Public key, remove, update only, preshared key, endpoint, keepalive, replace allowed IPs, removed
# and added ones.
_PeerUpdate = tuple[
    bytes,
    bool,
    bool,
    bytes | None,
    _Endpoint | None,
    int | None,
    bool,
    Sequence[_Network],
    Sequence[_Network],
]
# Public key, preshared key, endpoint, allowed IPs, seconds and nanoseconds of the latest handshake,
# bytes received and sent, keepalive, protocol version.
_PeerState = tuple[
    bytes, bytes | None, _Endpoint | None, Sequence[_Network], int, int, int, int, int, int
]

@final
class Update:
    """What to change of a device: `holloway.model.DeviceUpdate`, however many peers it names."""

    def __new__(
        cls,
        private_key: bytes | None,
        listen_port: int | None,
        fwmark: int | None,
        replace_peers: bool,
        peers: Sequence[_PeerUpdate],
        /,
    ) -> Update: ...
    def parts(self) -> tuple[bytes | None, int | None, int | None, bool, list[_PeerUpdate]]:
        """What it was made from."""

    @staticmethod
    def read_request(body: bytes, /) -> Update:
        """Read the lines between `set=1` and the blank line, each with its end (`Refused`)."""

    @staticmethod
    def read_configuration(
        source: bytes | list[tuple[int, bytes]],
        resolver: _Resolver,
        /,
        *,
        append: bool,
        numeric: bool,
    ) -> Update:
        """Read a file of wg(8), or lines with their numbers (`Refused`, or what `resolver` raises).

        With `numeric`, addresses and ports in numbers are not brought before the resolver.
        """

    @property
    def private_key(self) -> bytes | None: ...
    @property
    def listen_port(self) -> int | None: ...
    @property
    def fwmark(self) -> int | None: ...
    @property
    def replace_peers(self) -> bool: ...
    @property
    def names_peers(self) -> bool: ...
    def peer_changes(self) -> list[PeerChange]:
        """Return the peers as the brain applies them.

        Raises `Refused` if an endpoint's interface is unknown.
        """

    def since(self, state: State, /) -> Update:
        """Take out what would disturb the peers that stay (`wg syncconf`)."""

    def request(self) -> bytes:
        """Write the whole `set=1` transaction, with the blank line that ends it."""

@final
class State:
    """A device as it shows itself: `holloway.model.Device`, however many peers it has."""

    def __new__(
        cls,
        private_key: bytes | None,
        listen_port: int,
        fwmark: int,
        peers: Sequence[_PeerState],
        listen_error: int = 0,
        /,
    ) -> State: ...
    def parts(self) -> tuple[bytes | None, int, int, list[_PeerState], int]:
        """What it was made from."""

    @staticmethod
    def read(answer: bytes, /) -> State:
        """Read an answer to `get=1` up to its first blank line (`Refused`)."""

    def answer(self) -> bytes:
        """Write that answer, without the errno line that ends it."""

    def dump(self, prefix: bytes, /) -> bytes:
        """Print what `wg show INTERFACE dump` does; `prefix` goes before each line."""

@final
class Changes:
    """What becomes of a peer's allowed IPs, collected in the order in which it is written."""

    def __new__(cls) -> Changes: ...
    def read(self, text: bytes, resolver: _Resolver, /) -> None:
        """Read networks joined by commas, or none from no text (`Refused`).

        Together they replace what there is; with `+` or `-` before any of them they add and take
        away, as wg(8) after 2021 has it.
        """

    def result(self) -> tuple[bool, Sequence[_Network], Sequence[_Network]]:
        """Whether all are removed first, what is taken away then, and what is added at last."""

def read_fwmark(text: bytes, /) -> int:
    """Read a firewall mark: decimal, `0x` and hexadecimal, or `off` (`Refused`)."""

def read_keepalive(text: bytes, /) -> int:
    """Read a persistent keepalive interval: seconds or `off` (`Refused`)."""

def read_port(text: bytes, resolver: _Resolver, /) -> int:
    """Read a listening port (`Refused`, or what `resolver` raises)."""

def read_endpoint(text: bytes, resolver: _Resolver, /) -> _Endpoint:
    """Read an endpoint, `host:port` or `[host]:port` (`Refused`, or what `resolver` raises)."""

def blank_line(text: bytes, /) -> int | None:
    """Find the first blank line, faster than Python among so many short lines."""

def dump_answer(answer: bytes, prefix: bytes, /) -> bytes:
    """Print what `State.read(answer).dump(prefix)` does, without a `State` between (`Refused`)."""

def public_key(private_key: bytes, /) -> bytes:
    """Derive a public key (X25519, RFC 7748)."""
