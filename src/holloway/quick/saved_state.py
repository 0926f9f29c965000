"""What wg-quick has set on an interface, so that `reload` can tell it from the work of others.

A key, an address or a route that a hook or the user added is not in the record, and stays. The
record has no secrets: of keys, only whether the file had one; of hooks, only a digest.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Final

from holloway.quick import runtime

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from holloway.key import Key
    from holloway.model import DeviceUpdate, PeerUpdate
    from holloway.netlink.route import Route
    from holloway.text.quick import QuickConfig

PRIVATE: Final = 0o600
INVALID: Final = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""The errors of reading a record that is none."""
NO_HOOKS: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of no text
PHASES: Final = ("PreUp", "PostUp", "PreDown", "PostDown")


@dataclass(frozen=True, slots=True)
class SavedPeer:
    """What a file said about a peer: the endpoint as looked up, and which keys it had."""

    endpoint: str | None = None
    preshared_key: bool = False
    persistent_keepalive: bool = False


@dataclass(frozen=True, slots=True)
class SavedSettings:
    """Which keys a file had for the device and its peers."""

    private_key: bool = False
    listen_port: bool = False
    fwmark: bool = False
    peers: Mapping[str, SavedPeer] = field(default_factory=dict)

    @classmethod
    def of(cls, update: DeviceUpdate) -> SavedSettings:
        """Record which settings `update`, read from a file, has."""
        peers = {
            peer.public_key.base64: SavedPeer(
                endpoint=None if peer.endpoint is None else str(peer.endpoint),
                preshared_key=peer.preshared_key is not None,
                persistent_keepalive=peer.persistent_keepalive is not None,
            )
            for peer in merged_peers(update)
        }
        return cls(
            private_key=update.private_key is not None,
            listen_port=update.listen_port is not None,
            fwmark=update.fwmark is not None,
            peers=peers,
        )


@dataclass(frozen=True, slots=True)
class SavedState:
    """The result of the last `up` or `reload`.

    `chosen_mark` is the mark that wg-quick chose itself, 0 if it did not; `defaults` are the IP
    versions of which it took the default route, `mark` the mark for that. `hooks` are digests,
    empty where they are unknown.
    """

    settings: SavedSettings = field(default_factory=SavedSettings)
    addresses: tuple[str, ...] = ()
    mtu: int = 0
    dns: tuple[str, ...] = ()
    table: str | None = None
    routes: tuple[Route, ...] = ()
    mark: int = 0
    chosen_mark: int = 0
    defaults: tuple[int, ...] = ()
    hooks: Mapping[str, str] = field(default_factory=dict)


def merged_peers(update: DeviceUpdate) -> list[PeerUpdate]:
    """Return the peers of a file, with the sections of the same peer merged."""
    found: dict[Key, PeerUpdate] = {}
    for each in update.peers:
        last = found.get(each.public_key, each)
        found[each.public_key] = replace(
            each,
            preshared_key=last.preshared_key if each.preshared_key is None else each.preshared_key,
            endpoint=each.endpoint or last.endpoint,
            persistent_keepalive=(
                last.persistent_keepalive
                if each.persistent_keepalive is None
                else each.persistent_keepalive
            ),
        )
    return list(found.values())


def hook_digests(config: QuickConfig) -> dict[str, str]:
    """Return a digest of the hooks of each phase, which reveals no secret in them."""
    hooks = (config.pre_up, config.post_up, config.pre_down, config.post_down)
    return {phase: _digest("\n".join(each)) for phase, each in zip(PHASES, hooks, strict=True)}


def save(name: str, link: int, state: SavedState) -> None:
    """Write the record of an interface; raises OSError."""
    import json

    routes = [[str(route.network), route.table] for route in state.routes]
    place = {"link": link, "namespace": _namespace()}
    text = json.dumps({"place": place, **asdict(state), "routes": routes})
    runtime.make_directory(name)
    runtime.write(_path(name), text, PRIVATE)


def load(name: str, link: int) -> SavedState | None:
    """Read the record of an interface; None if there is none, or of another interface."""
    import json

    with suppress(*INVALID):
        values = json.loads(_path(name).read_text())
        if values.pop("place") == {"link": link, "namespace": _namespace()}:
            return parse(values)
    return None


def remove(name: str) -> None:
    """Remove the record of an interface."""
    with suppress(OSError):
        _path(name).unlink(missing_ok=True)
    runtime.remove_directory(name)


def parse(values: dict[str, object]) -> SavedState:
    """Read a record without its place; raises one of `INVALID`."""
    from ipaddress import ip_network

    from holloway.netlink.route import Route

    settings, routes = values.pop("settings"), values.pop("routes")
    if not isinstance(settings, dict) or not isinstance(routes, list):
        raise TypeError("not a record")
    peers = {key: SavedPeer(**peer) for key, peer in settings.pop("peers").items()}
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return SavedState(
        **{**values, **lists},  # type: ignore[arg-type]
        settings=SavedSettings(**settings, peers=peers),
        routes=tuple(Route(ip_network(network), table) for network, table in routes),
    )


def _path(name: str) -> Path:
    return runtime.directory(name) / "record.json"


def _namespace() -> int:
    # Interfaces of two network namespaces may have the same name and number, and share /run.
    return os.stat("/proc/self/ns/net").st_ino


def _digest(text: str) -> str:
    if not text:
        return NO_HOOKS
    import hashlib  # with OpenSSL, which takes longer to load than the rest of a plain `up`

    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
