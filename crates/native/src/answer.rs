//! A device's whole answer to `get=1`: what the brain knows of each peer, and what the plane does.

use holloway_codec::address::{Endpoint as Written, Host, Network};
use holloway_codec::device::Peer;
use holloway_codec::key::Key;
use holloway_codec::uapi::get::{write_device, write_peer};
use holloway_plane::{Endpoint, Plane};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::plane::key;

/// Number in events, public key, preshared key (zeros for none), wall time of the latest handshake
/// in nanoseconds, keepalive.
pub type Known = (u32, PyBackedBytes, PyBackedBytes, i64, u16);

/// A peer's lines with two allowed IPs, about.
const PEER: usize = 400;

pub fn answer(
    plane: &Plane,
    private_key: Option<&Key>,
    listen_port: u16,
    fwmark: u32,
    peers: &[Known],
) -> PyResult<Vec<u8>> {
    let mut out = Vec::with_capacity(PEER * (peers.len() + 1));
    write_device(&mut out, private_key, listen_port, fwmark);
    for (id, public_key, preshared_key, handshake, keepalive) in peers {
        let Some(known) = plane.known(*id) else {
            continue; // closed meanwhile
        };
        let (rx_bytes, tx_bytes) = known.traffic();
        let nanoseconds = handshake.unsigned_abs();
        let peer = Peer {
            preshared_key: Some(Key::new(*key(preshared_key)?)),
            endpoint: known.endpoint().map(written),
            latest_handshake: (nanoseconds / SECOND, nanoseconds % SECOND),
            rx_bytes,
            tx_bytes,
            persistent_keepalive: *keepalive,
            ..Peer::new(Key::new(*key(public_key)?))
        };
        let networks = known.allowed().into_iter().map(|prefix| Network {
            address: prefix.address(),
            length: prefix.length(),
        });
        write_peer(&mut out, &peer, networks);
    }
    out.extend_from_slice(b"errno=0\n\n");
    Ok(out)
}

fn written(endpoint: Endpoint) -> Written {
    let remote = endpoint.remote;
    let host = match remote {
        std::net::SocketAddr::V6(v6) if v6.scope_id() != 0 => Host::Text(endpoint.host().into()),
        _ => Host::Ip(remote.ip()),
    };
    Written {
        host,
        port: remote.port(),
    }
}

const SECOND: u64 = 1_000_000_000;
