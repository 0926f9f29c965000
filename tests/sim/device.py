"""A brain over the plane made of Python values, which the model's types change and show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from holloway.core.constants import Nanoseconds
from holloway.core.device import Device
from holloway.core.sent_initiations import SentInitiations
from holloway.core.snapshot import PeerSnapshot
from holloway.key import Key
from holloway.model import AllowedIP, DeviceUpdate, Endpoint, Peer, PeerUpdate
from holloway.model import Device as DeviceState
from sim.plane import SimPlane
from sim.values import SimEndpoint


@dataclass(frozen=True)
class SimPeerChange:
    """`core.change.PeerChange` of a `PeerUpdate`, which is its own change of allowed IPs."""

    public_key: bytes
    remove: bool
    update_only: bool
    preshared_key: bytes | None
    endpoint: SimEndpoint | None
    persistent_keepalive: int | None
    allowed_ips: PeerUpdate | None

    @classmethod
    def of(cls, peer: PeerUpdate) -> SimPeerChange:
        endpoint = peer.endpoint
        if endpoint is not None and "%nowhere" in endpoint.host:
            raise ValueError("no such interface")
        changes = peer.replace_allowed_ips or peer.removed_allowed_ips or peer.allowed_ips
        return cls(
            peer.public_key.raw,
            peer.remove,
            peer.update_only,
            None if peer.preshared_key is None else peer.preshared_key.raw,
            None if endpoint is None else SimEndpoint(endpoint.host, endpoint.port),
            peer.persistent_keepalive,
            peer if changes else None,
        )


@dataclass(frozen=True)
class SimDeviceChange:
    """`core.change.DeviceChange` of a `DeviceUpdate`."""

    update: DeviceUpdate

    @property
    def private_key(self) -> bytes | None:
        return None if self.update.private_key is None else self.update.private_key.raw

    @property
    def listen_port(self) -> int | None:
        return self.update.listen_port

    @property
    def fwmark(self) -> int | None:
        return self.update.fwmark

    @property
    def replace_peers(self) -> bool:
        return self.update.replace_peers

    def peer_changes(self) -> list[SimPeerChange]:
        return [SimPeerChange.of(peer) for peer in self.update.peers]


class SimDevice(Device[SimEndpoint]):
    """The brain, with what the extension's `Update` and `State` do for the real one."""

    def __init__(
        self,
        plane: SimPlane,
        *,
        random: Callable[[int], bytes],
        wall: Callable[[], int],
        sent_initiations: SentInitiations | None = None,
    ) -> None:
        super().__init__(
            plane,
            random=random,
            wall=wall,
            ephemeral=lambda: random(32),
            sent_initiations=sent_initiations,
        )
        self._sim_plane = plane

    def configure(self, now: Nanoseconds, update: DeviceUpdate) -> None:
        self.apply(now, SimDeviceChange(update))

    def state(self, name: str) -> DeviceState:
        snapshot = self.snapshot()
        private_key = None if snapshot.private_key is None else Key(snapshot.private_key)
        peers = tuple(self._peer_state(peer) for peer in snapshot.peers)
        return DeviceState(name, private_key, snapshot.listen_port, snapshot.fwmark, peers)

    def _peer_state(self, peer: PeerSnapshot) -> Peer:
        plane = self._sim_plane.peers[peer.id]
        endpoint = plane.endpoint
        rx_bytes, tx_bytes = plane.traffic()
        return Peer(
            public_key=Key(peer.public_key),
            preshared_key=None if peer.preshared_key is None else Key(peer.preshared_key),
            endpoint=None if endpoint is None else Endpoint(endpoint.host, endpoint.port),
            allowed_ips=tuple(map(AllowedIP._make, plane.networks)),
            latest_handshake=peer.latest_handshake,
            rx_bytes=rx_bytes,
            tx_bytes=tx_bytes,
            persistent_keepalive=peer.persistent_keepalive,
        )
