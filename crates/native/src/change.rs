//! The changes of peers, as the brain applies them: keys are bytes, endpoints and allowed IPs are
//! values of the plane.

use holloway_codec::address::{Endpoint as Written, Host, Network};
use holloway_codec::refusal::{Kind, Refusal};
use holloway_codec::update;
use holloway_plane::{self as plane, Prefix};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::endpoint::Endpoint;
use crate::values::{key_parts, refused};

/// The change of one peer.
#[pyclass(frozen, get_all, module = "holloway._native")]
pub struct PeerChange {
    public_key: Py<PyBytes>,
    remove: bool,
    update_only: bool,
    preshared_key: Option<Py<PyBytes>>,
    endpoint: Option<Endpoint>,
    persistent_keepalive: Option<u16>,
    allowed_ips: Option<Py<AllowedIPsChange>>,
}

/// The change of one peer's allowed IPs; opaque to Python.
#[pyclass(frozen, module = "holloway._native")]
pub struct AllowedIPsChange(pub plane::AllowedIpsChange);

impl PeerChange {
    /// Raises `Refused` if the endpoint names an unknown interface.
    pub fn of(py: Python<'_>, peer: &update::PeerUpdate) -> PyResult<Self> {
        let endpoint = peer.endpoint.as_ref().map(|written| {
            let endpoint = endpoint_of(written).map(Endpoint);
            endpoint.ok_or_else(|| refused(py, &unknown_interface(written)))
        });
        let allowed_ips =
            allowed_ips_of(peer).ok_or_else(|| PyValueError::new_err("a network has host bits"))?;
        let allowed_ips = (allowed_ips != plane::AllowedIpsChange::default())
            .then(|| Py::new(py, AllowedIPsChange(allowed_ips)))
            .transpose()?;
        let preshared_key = peer.preshared_key.as_ref();
        Ok(Self {
            public_key: key_parts(py, &peer.public_key).unbind(),
            remove: peer.remove,
            update_only: peer.update_only,
            preshared_key: preshared_key.map(|key| key_parts(py, key).unbind()),
            endpoint: endpoint.transpose()?,
            persistent_keepalive: peer.persistent_keepalive,
            allowed_ips,
        })
    }
}

/// Returns None if a network has bits beyond its prefix length.
fn allowed_ips_of(peer: &update::PeerUpdate) -> Option<plane::AllowedIpsChange> {
    let prefixes = |networks: &[Network]| {
        let prefix = |network: &Network| Prefix::new(network.address, network.length);
        networks.iter().map(prefix).collect::<Option<_>>()
    };
    Some(plane::AllowedIpsChange {
        replace: peer.replace_allowed_ips,
        removed: prefixes(&peer.removed_allowed_ips)?,
        added: prefixes(&peer.allowed_ips)?,
    })
}

fn endpoint_of(written: &Written) -> Option<plane::Endpoint> {
    match &written.host {
        Host::Ip(address) => Some(plane::Endpoint::new((*address, written.port).into())),
        Host::Text(host) => plane::Endpoint::parse(host, written.port),
    }
}

fn unknown_interface(written: &Written) -> Refusal {
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
