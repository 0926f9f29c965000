//! The state of a device, combined from the brain's half and the plane's.

use std::net::SocketAddr;

use holloway_codec::address::{Endpoint as Written, Host, Network};
use holloway_codec::device;
use holloway_codec::key::Key;
use holloway_plane::{Endpoint, Plane};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::values::key;

/// The brain's half: `holloway.core.snapshot.DeviceSnapshot`.
#[derive(FromPyObject)]
pub struct DeviceSnapshot {
    private_key: Option<PyBackedBytes>,
    listen_port: u16,
    fwmark: u32,
    peers: Vec<PeerSnapshot>,
    listen_error: u32,
}

/// The brain's half of one peer.
#[derive(FromPyObject)]
struct PeerSnapshot {
    id: u32,
    public_key: PyBackedBytes,
    preshared_key: Option<PyBackedBytes>,
    latest_handshake: u64,
    persistent_keepalive: u16,
}

/// Omits a peer that the plane no longer has.
pub fn device_of(plane: &Plane, snapshot: &DeviceSnapshot) -> PyResult<device::Device> {
    let peers = snapshot.peers.iter();
    Ok(device::Device {
        private_key: snapshot.private_key.as_ref().map(key_of).transpose()?,
        listen_port: snapshot.listen_port,
        listen_error: snapshot.listen_error,
        fwmark: snapshot.fwmark,
        peers: peers
            .filter_map(|peer| peer_of(plane, peer).transpose())
            .collect::<PyResult<_>>()?,
    })
}

fn peer_of(plane: &Plane, peer: &PeerSnapshot) -> PyResult<Option<device::Peer>> {
    let Some(handle) = plane.handle(peer.id) else {
        return Ok(None);
    };
    let allowed_ips = handle.allowed().into_iter().map(|prefix| Network {
        address: prefix.address(),
        length: prefix.length(),
    });
    let (rx_bytes, tx_bytes) = handle.traffic();
    let nanoseconds = peer.latest_handshake;
    Ok(Some(device::Peer {
        preshared_key: peer.preshared_key.as_ref().map(key_of).transpose()?,
        endpoint: handle.endpoint().map(written),
        allowed_ips: allowed_ips.collect(),
        latest_handshake: (nanoseconds / SECOND, nanoseconds % SECOND),
        rx_bytes,
        tx_bytes,
        persistent_keepalive: peer.persistent_keepalive,
        ..device::Peer::new(key_of(&peer.public_key)?)
    }))
}

fn key_of(raw: &PyBackedBytes) -> PyResult<Key> {
    key(raw).map(|raw| Key::new(*raw))
}

fn written(endpoint: Endpoint) -> Written {
    let remote = endpoint.remote;
    let host = match remote {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => Host::Text(endpoint.host().into()),
        _ => Host::Ip(remote.ip()),
    };
    Written {
        host,
        port: remote.port(),
    }
}

const SECOND: u64 = 1_000_000_000;
