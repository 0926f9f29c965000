"""The cryptography of a handshake: Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s (paper, 5.4).

Fields of messages are bytes here; `core.wire` has their layout. Ephemeral private keys, chaining
keys and shared secrets stay in the extension, which zeroes them when an object is dropped. An
ephemeral private key of None is drawn from the system; tests give one. A refused message gives the
name of a `core.discard.Discard`. A key or a field of another length raises ValueError.
"""

from typing import Literal, final

__all__ = [
    "Identity",
    "InitiatorState",
    "ResponderState",
    "SessionKeys",
    "StaticStatic",
    "UnprovenInitiation",
]

_Refused = Literal["low_order", "undecryptable"]

@final
class Identity:
    """Our static private key, and its public key."""

    def __new__(cls, private_key: bytes, /) -> Identity: ...
    @property
    def public_key(self) -> bytes: ...
    def static_static(self, public_key: bytes, /) -> StaticStatic | None:
        """Compute the secret shared with a peer, or return None if its key is of low order."""

    def decrypt_static(
        self, sender: int, ephemeral: bytes, sealed_static: bytes, sealed_timestamp: bytes, /
    ) -> UnprovenInitiation | _Refused:
        """Decrypt the static public key in message 1 (paper, 5.4.2)."""

@final
class StaticStatic:
    """Two static keys and their shared secret, computed once."""

    def initiate(
        self, ephemeral: bytes | None, index: int, timestamp: bytes, /
    ) -> tuple[InitiatorState, bytes, bytes, bytes]:
        """Build message 1, and return its ephemeral, encrypted static and encrypted timestamp."""

@final
class InitiatorState:
    """The initiator's state after message 1, needed to consume message 2."""

    @property
    def index(self) -> int: ...
    def consume_response(
        self, preshared_key: bytes, sender: int, ephemeral: bytes, sealed_nothing: bytes, /
    ) -> SessionKeys | _Refused:
        """Consume message 2, and derive the session keys (paper, 5.4.3 and 5.4.5)."""

@final
class UnprovenInitiation:
    """A message 1 whose static key is decrypted; its timestamp does not prove it yet."""

    @property
    def static_key(self) -> bytes: ...
    def decrypt_timestamp(self, static_static: StaticStatic, /) -> ResponderState | _Refused:
        """Decrypt the timestamp in message 1, which proves its sender (paper, 5.4.2)."""

@final
class ResponderState:
    """The responder's state after a proven message 1, needed to build message 2."""

    @property
    def timestamp(self) -> bytes: ...
    def respond(
        self, preshared_key: bytes, ephemeral: bytes | None, index: int, /
    ) -> tuple[SessionKeys, bytes, bytes]:
        """Build message 2, and return the session keys, its ephemeral and encrypted nothing."""

@final
class SessionKeys:
    """The keys of a session in both directions, and its index on each side.

    The brain passes the object to the plane. Only tests make one, or look at its keys.
    """

    def __new__(
        cls, local_index: int, remote_index: int, send: bytes, receive: bytes, /
    ) -> SessionKeys: ...
    @property
    def local_index(self) -> int: ...
    @property
    def remote_index(self) -> int: ...
    @property
    def send(self) -> bytes: ...
    @property
    def receive(self) -> bytes: ...
