//! An update as the brain takes it: small tuples, with endpoints and routes in the plane's form.

use std::net::IpAddr;

use holloway_codec::address::{Endpoint as Written, Host, Network};
use holloway_codec::refusal::{Kind, Refusal};
use holloway_codec::update::{PeerUpdate, Update};
use holloway_plane::{self as plane, Prefix};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::endpoint::Endpoint;
use crate::peer::address;
use crate::values::{key_parts, refused};

/// Public key, remove, update only, preshared key, endpoint, keepalive, routes.
pub type Order<'py> = (
    Bound<'py, PyBytes>,
    bool,
    bool,
    Option<Bound<'py, PyBytes>>,
    Option<Endpoint>,
    Option<u16>,
    Option<Bound<'py, PyBytes>>,
);

/// Private key, listening port, fwmark, replace peers, peers.
pub type Orders<'py> = (
    Option<Bound<'py, PyBytes>>,
    Option<u16>,
    Option<u32>,
    bool,
    Vec<Order<'py>>,
);

pub fn orders<'py>(py: Python<'py>, update: &Update) -> PyResult<Orders<'py>> {
    let mut room = Vec::new();
    let peers = update.peers.iter().map(|peer| order(py, peer, &mut room));
    Ok((
        update.private_key.as_ref().map(|key| key_parts(py, key)),
        update.listen_port,
        update.fwmark,
        update.replace_peers,
        peers.collect::<PyResult<_>>()?,
    ))
}

fn order<'py>(py: Python<'py>, peer: &PeerUpdate, room: &mut Vec<u8>) -> PyResult<Order<'py>> {
    let endpoint = peer.endpoint.as_ref().map(|written| {
        let found = endpoint(written).map(Endpoint);
        found.ok_or_else(|| refused(py, &unknown(written)))
    });
    Ok((
        key_parts(py, &peer.public_key),
        peer.remove,
        peer.update_only,
        peer.preshared_key.as_ref().map(|key| key_parts(py, key)),
        endpoint.transpose()?,
        peer.persistent_keepalive,
        pack(peer, room).then(|| PyBytes::new(py, room)),
    ))
}

fn endpoint(written: &Written) -> Option<plane::Endpoint> {
    match &written.host {
        Host::Ip(address) => Some(plane::Endpoint::new((*address, written.port).into())),
        Host::Text(host) => plane::Endpoint::parse(host, written.port),
    }
}

/// An endpoint is well written and its interface unknown.
fn unknown(written: &Written) -> Refusal {
    let (mut host, mut whole) = (Vec::new(), Vec::new());
    written.host.write(&mut host);
    written.write(&mut whole);
    let (host, whole) = (
        String::from_utf8_lossy(&host),
        String::from_utf8_lossy(&whole),
    );
    Refusal {
        kind: Kind::Value,
        line: None,
        key: Some(b"endpoint".to_vec()),
        reason: format!("not a numeric address: {host:?}: {whole}").into_bytes(),
    }
}

/// Write what becomes of a peer's networks; whether anything does.
///
/// A byte that is 1 if all are taken away first; then for each network a byte with the length of
/// its address, and `TAKE` if it is taken away, its prefix length, and its address.
fn pack(peer: &PeerUpdate, room: &mut Vec<u8>) -> bool {
    room.clear();
    room.push(peer.replace_allowed_ips.into());
    let removed = peer
        .removed_allowed_ips
        .iter()
        .map(|network| (TAKE, network));
    let added = peer.allowed_ips.iter().map(|network| (0, network));
    for (tag, Network { address, length }) in removed.chain(added) {
        match address {
            IpAddr::V4(address) => {
                room.extend_from_slice(&[tag | 4, *length]);
                room.extend_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                room.extend_from_slice(&[tag | 16, *length]);
                room.extend_from_slice(&address.octets());
            }
        }
    }
    peer.replace_allowed_ips || room.len() > 1
}

const TAKE: u8 = 0x80;

/// What becomes of a peer's networks.
pub struct Routes {
    pub replace: bool,
    pub removed: Vec<Prefix>,
    pub added: Vec<Prefix>,
}

/// Read what `pack` wrote.
pub fn unpack(packed: &[u8]) -> PyResult<Routes> {
    let bad = || PyValueError::new_err("not routes as they are packed");
    let (&replace, mut rest) = packed.split_first().ok_or_else(bad)?;
    let mut routes = Routes {
        replace: replace != 0,
        removed: Vec::new(),
        added: Vec::with_capacity(rest.len() / 6),
    };
    while let [tag, length, after @ ..] = rest {
        let (octets, after) = after
            .split_at_checked((tag & !TAKE).into())
            .ok_or_else(bad)?;
        let prefix = address(octets).and_then(|address| Prefix::new(address, *length));
        let list = if tag & TAKE == 0 {
            &mut routes.added
        } else {
            &mut routes.removed
        };
        list.push(prefix.ok_or_else(bad)?);
        rest = after;
    }
    if rest.is_empty() {
        Ok(routes)
    } else {
        Err(bad())
    }
}
