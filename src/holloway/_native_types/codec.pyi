"""The text codec: the UAPI, configuration files of wg(8), `dump`."""

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
    """A text was refused, and nothing of it applied.

    `args` are: whether the text does not have the expected format at all, the line (from 1) and the
    key, if any, and the reason. Key and reason are bytes, because they may repeat invalid UTF-8.
    """

    args: tuple[bool, int | None, bytes | None, bytes]

class _Resolver(Protocol):
    """`holloway.text.resolver.Resolver`."""

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
# allowed IPs, added allowed IPs.
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
    """The changes of a device: `holloway.model.DeviceUpdate`, without an object for each peer."""

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
        """Return the arguments that would construct this update."""

    @staticmethod
    def read_request(body: bytes, /) -> Update:
        """Read the lines between `set=1` and the blank line, each with its newline (`Refused`)."""

    @staticmethod
    def read_configuration(
        source: bytes | list[tuple[int, bytes]],
        resolver: _Resolver,
        /,
        *,
        append: bool,
        numeric: bool,
    ) -> Update:
        """Read a file of wg(8), or lines with their numbers (`Refused`, or `resolver`'s errors).

        With `numeric`, numeric addresses and ports are not passed to the resolver.
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
        """Return this update without what would disturb the peers that stay (`wg syncconf`)."""

    def request(self) -> bytes:
        """Return the whole `set=1` request, with the blank line that ends it."""

@final
class State:
    """The state of a device: `holloway.model.Device`, without an object for each peer."""

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
        """Return the arguments that would construct this state."""

    @staticmethod
    def read(answer: bytes, /) -> State:
        """Read an answer to `get=1` up to its first blank line (`Refused`)."""

    def answer(self) -> bytes:
        """Return that answer, without the errno line that ends it."""

    def dump(self, prefix: bytes, /) -> bytes:
        """Return what `wg show INTERFACE dump` prints, with `prefix` before each line."""

@final
class Changes:
    """The changes of a peer's allowed IPs, collected in the order in which they are written."""

    def __new__(cls) -> Changes: ...
    def read(self, text: bytes, resolver: _Resolver, /) -> None:
        """Read networks separated by commas, none from an empty text (`Refused`).

        They replace the existing ones. If any of them has `+` or `-` in front, they are added and
        removed instead, as in wg(8) after 2021.
        """

    def result(self) -> tuple[bool, Sequence[_Network], Sequence[_Network]]:
        """Return whether all are removed first, those removed next, and those added last."""

def read_fwmark(text: bytes, /) -> int:
    """Read a firewall mark: decimal, `0x` and hexadecimal, or `off` (`Refused`)."""

def read_keepalive(text: bytes, /) -> int:
    """Read a persistent keepalive interval: seconds or `off` (`Refused`)."""

def read_port(text: bytes, resolver: _Resolver, /) -> int:
    """Read a listening port (`Refused`, or `resolver`'s errors)."""

def read_endpoint(text: bytes, resolver: _Resolver, /) -> _Endpoint:
    """Read an endpoint, `host:port` or `[host]:port` (`Refused`, or `resolver`'s errors)."""

def blank_line(text: bytes, /) -> int | None:
    """Return the offset of the first blank line; faster than Python if there are many lines."""

def dump_answer(answer: bytes, prefix: bytes, /) -> bytes:
    """Return `State.read(answer).dump(prefix)`, without creating the `State` (`Refused`)."""

def public_key(private_key: bytes, /) -> bytes:
    """Derive a public key (X25519, RFC 7748)."""
