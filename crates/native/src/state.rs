//! The Python class `State`: the state of a device, read from an answer or built from Python values.

use holloway_codec::device::{Device, Peer};
use holloway_codec::dump::dump;
use holloway_codec::uapi::get;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::values::{
    EndpointParts, NetworkParts, endpoint_of, endpoint_parts, key_of, key_parts, network_of,
    network_parts, refused,
};

#[pyclass(frozen, module = "holloway._native")]
pub struct State(pub Device);

/// Public key, preshared key, endpoint, allowed IPs, seconds and nanoseconds of the latest
/// handshake, bytes received and sent, keepalive, protocol version.
type PeerParts<'py> = (
    Bound<'py, PyBytes>,
    Option<Bound<'py, PyBytes>>,
    Option<EndpointParts>,
    Vec<NetworkParts<'py>>,
    u64,
    u64,
    u64,
    u64,
    u16,
    u32,
);

type Parts<'py> = (
    Option<Bound<'py, PyBytes>>,
    u16,
    u32,
    Vec<PeerParts<'py>>,
    u32,
);

#[pymethods]
impl State {
    #[new]
    #[pyo3(signature = (private_key, listen_port, fwmark, peers, listen_error = 0, /))]
    fn new(
        private_key: Option<Bound<'_, PyBytes>>,
        listen_port: u16,
        fwmark: u32,
        peers: Vec<PeerParts<'_>>,
        listen_error: u32,
    ) -> PyResult<Self> {
        Ok(Self(Device {
            private_key: private_key.as_ref().map(key_of).transpose()?,
            listen_port,
            listen_error,
            fwmark,
            peers: peers.into_iter().map(peer_of).collect::<PyResult<_>>()?,
        }))
    }

    #[staticmethod]
    #[pyo3(signature = (answer, /))]
    fn read(py: Python<'_>, answer: &[u8]) -> PyResult<Self> {
        get::parse(answer)
            .map(Self)
            .map_err(|why| refused(py, &why))
    }

    fn parts<'py>(&self, py: Python<'py>) -> Parts<'py> {
        let device = &self.0;
        (
            device.private_key.as_ref().map(|key| key_parts(py, key)),
            device.listen_port,
            device.fwmark,
            device
                .peers
                .iter()
                .map(|peer| peer_parts(py, peer))
                .collect(),
            device.listen_error,
        )
    }

    fn answer<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &get::write(&self.0))
    }

    #[pyo3(signature = (prefix, /))]
    fn dump<'py>(&self, py: Python<'py>, prefix: &[u8]) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &dump(&self.0, prefix))
    }
}

fn peer_of(parts: PeerParts<'_>) -> PyResult<Peer> {
    let (public_key, psk, endpoint, networks, seconds, nanoseconds, rx, tx, keepalive, version) =
        parts;
    Ok(Peer {
        public_key: key_of(&public_key)?,
        preshared_key: psk.as_ref().map(key_of).transpose()?,
        endpoint: endpoint.map(endpoint_of),
        allowed_ips: networks
            .into_iter()
            .map(network_of)
            .collect::<PyResult<_>>()?,
        latest_handshake: (seconds, nanoseconds),
        rx_bytes: rx,
        tx_bytes: tx,
        persistent_keepalive: keepalive,
        protocol_version: version,
    })
}

fn peer_parts<'py>(py: Python<'py>, peer: &Peer) -> PeerParts<'py> {
    (
        key_parts(py, &peer.public_key),
        peer.preshared_key.as_ref().map(|key| key_parts(py, key)),
        peer.endpoint.as_ref().map(endpoint_parts),
        network_parts(py, &peer.allowed_ips),
        peer.latest_handshake.0,
        peer.latest_handshake.1,
        peer.rx_bytes,
        peer.tx_bytes,
        peer.persistent_keepalive,
        peer.protocol_version,
    )
}
