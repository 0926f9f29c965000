"""The least change to a device in use that a file asks for when it is read again. Pure.

A session ends when its peer is removed, and moves when its endpoint is set; so a peer that the
file describes as before is not touched. Settings of hooks that the file does not name are kept:
to reset them, as `wg syncconf` does, would cut off an interface whose key a hook sets.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from holloway.key import Key
from holloway.model import AllowedIP, Device, DeviceUpdate, Peer, PeerUpdate
from holloway.quick.saved_state import SavedPeer, SavedSettings, merged_peers
from holloway.quick.steps import Host, Step, set_device


def applied(device: Device, update: DeviceUpdate, before: SavedSettings) -> Device:
    """Return the device that `update`, a whole file, asks for; `before` is the last file's.

    The mark stays as it is unless the file names one, because it depends on routes as well.
    """
    found = {peer.public_key: peer for peer in device.peers}
    peers: dict[Key, Peer] = {}
    for each in merged_peers(update):
        present = found.get(each.public_key, Peer(each.public_key))
        last = before.peers.get(each.public_key.base64, SavedPeer())
        peers[each.public_key] = _peer(present, each, last)
    owners = {entry: key for key, peer in peers.items() for entry in peer.allowed_ips}
    # Each allowed IP belongs to one peer: the last that the file gives it to.
    owned = (
        replace(peer, allowed_ips=tuple(e for e in peer.allowed_ips if owners[e] == key))
        for key, peer in peers.items()
    )
    unnamed_port = 0 if before.listen_port else device.listen_port
    private_key = device.private_key if update.private_key is None else update.private_key
    return replace(
        device,
        private_key=private_key or None,
        listen_port=unnamed_port if update.listen_port is None else update.listen_port,
        fwmark=device.fwmark if update.fwmark is None else update.fwmark,
        peers=tuple(owned),
    )


def _peer(present: Peer, update: PeerUpdate, last: SavedPeer) -> Peer:
    endpoint, given = present.endpoint, update.endpoint
    # A peer that has roamed keeps its endpoint until the file has a new one.
    if given is not None and (endpoint is None or str(given) != last.endpoint):
        endpoint = given
    psk, keepalive = present.preshared_key, present.persistent_keepalive
    if last.preshared_key or update.preshared_key is not None:
        psk = update.preshared_key or None
    if last.persistent_keepalive or update.persistent_keepalive is not None:
        keepalive = update.persistent_keepalive or 0
    return replace(
        present,
        preshared_key=psk,
        endpoint=endpoint,
        persistent_keepalive=keepalive,
        allowed_ips=tuple(dict.fromkeys(update.allowed_ips)),
    )


def difference(device: Device, wanted: Device) -> DeviceUpdate:
    """Return the update that changes `device` into `wanted`, except for the mark."""
    found = {peer.public_key: peer for peer in device.peers}
    kept = {peer.public_key for peer in wanted.peers}
    removals = [PeerUpdate(key, remove=True) for key in found if key not in kept]
    changes = [_peer_difference(found.get(peer.public_key), peer) for peer in wanted.peers]
    key = wanted.private_key or Key.ZERO
    return DeviceUpdate(
        private_key=key if wanted.private_key != device.private_key else None,
        listen_port=wanted.listen_port if wanted.listen_port != device.listen_port else None,
        peers=(*removals, *(change for change in changes if change is not None)),
    )


def _peer_difference(present: Peer | None, wanted: Peer) -> PeerUpdate | None:
    known = present or Peer(wanted.public_key)
    gone = set(known.allowed_ips) - set(wanted.allowed_ips)
    added: tuple[AllowedIP, ...] = wanted.allowed_ips
    if not gone:
        have = set(known.allowed_ips)
        added = tuple(entry for entry in wanted.allowed_ips if entry not in have)
    psk = wanted.preshared_key or Key.ZERO
    keepalive = wanted.persistent_keepalive
    update = PeerUpdate(
        wanted.public_key,
        preshared_key=psk if known.preshared_key != wanted.preshared_key else None,
        endpoint=wanted.endpoint if known.endpoint != wanted.endpoint else None,
        persistent_keepalive=keepalive if known.persistent_keepalive != keepalive else None,
        replace_allowed_ips=bool(gone),
        allowed_ips=added,
    )
    return None if present is not None and update == PeerUpdate(wanted.public_key) else update


def change(device: Device, wanted: Device) -> list[Step]:
    """Return the step that changes `device` into `wanted`, if they differ."""
    update = difference(device, wanted)
    return [] if update == DeviceUpdate() else [ChangeDevice(device.name, update)]


@dataclass(frozen=True, slots=True)
class ChangeDevice:
    """Give a device in use its new keys and peers in one request."""

    name: str
    update: DeviceUpdate = field(repr=False)

    @property
    def text(self) -> str:
        port = self.update.listen_port
        device = [
            *(["private-key", SECRET] if self.update.private_key is not None else []),
            *([] if port is None else ["listen-port", str(port)]),
        ]
        lines = [" ".join(device)] if device else []
        lines += [_peer_text(peer) for peer in self.update.peers]
        return "\n".join(f"wg set {self.name} {line}" for line in lines)

    def apply(self, host: Host) -> None:
        set_device(host.find(self.name), self.update)


def _peer_text(peer: PeerUpdate) -> str:
    words = ["peer", peer.public_key.base64]
    if peer.remove:
        words.append("remove")
    if peer.preshared_key is not None:
        words += ["preshared-key", SECRET if peer.preshared_key else "/dev/null"]
    if peer.endpoint is not None:
        words += ["endpoint", str(peer.endpoint)]
    if peer.persistent_keepalive is not None:
        words += ["persistent-keepalive", str(peer.persistent_keepalive or "off")]
    if peer.replace_allowed_ips or peer.allowed_ips:
        # An addition has the sign of newer tools.
        sign = "" if peer.replace_allowed_ips else "+"
        words += ["allowed-ips", ",".join(f"{sign}{entry}" for entry in peer.allowed_ips) or "''"]
    return " ".join(words)


SECRET = "/dev/fd/63"  # noqa: S105  # how a shell passes a key, as upstream prints it
