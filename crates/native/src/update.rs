//! The Python class `Update`: the changes of a device, read from a text or built from Python values.

use holloway_codec::conf::{self, ConfError};
use holloway_codec::difference::difference;
use holloway_codec::uapi::set;
use holloway_codec::update::{PeerUpdate, Update as Values};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::change::PeerChange;
use crate::resolver::PyResolver;
use crate::state::State;
use crate::values::{
    EndpointParts, NetworkParts, endpoint_of, endpoint_parts, key_of, key_parts, network_of,
    network_parts, refused, text,
};

#[pyclass(frozen, module = "holloway._native")]
pub struct Update(Values);

/// Public key, remove, update only, preshared key, endpoint, keepalive, replace allowed IPs,
/// removed and added allowed IPs.
type PeerParts<'py> = (
    Bound<'py, PyBytes>,
    bool,
    bool,
    Option<Bound<'py, PyBytes>>,
    Option<EndpointParts>,
    Option<u16>,
    bool,
    Vec<NetworkParts<'py>>,
    Vec<NetworkParts<'py>>,
);

type Parts<'py> = (
    Option<Bound<'py, PyBytes>>,
    Option<u16>,
    Option<u32>,
    bool,
    Vec<PeerParts<'py>>,
);

#[pymethods]
impl Update {
    #[new]
    #[pyo3(signature = (private_key, listen_port, fwmark, replace_peers, peers, /))]
    fn new(
        private_key: Option<Bound<'_, PyBytes>>,
        listen_port: Option<u16>,
        fwmark: Option<u32>,
        replace_peers: bool,
        peers: Vec<PeerParts<'_>>,
    ) -> PyResult<Self> {
        let peers = peers.into_iter().map(peer_of);
        Ok(Self(Values {
            private_key: private_key.as_ref().map(key_of).transpose()?,
            listen_port,
            fwmark,
            replace_peers,
            peers: peers.collect::<PyResult<_>>()?,
        }))
    }

    #[staticmethod]
    #[pyo3(signature = (body, /))]
    fn read_request(py: Python<'_>, body: &[u8]) -> PyResult<Self> {
        set::parse(body).map(Self).map_err(|why| refused(py, &why))
    }

    #[staticmethod]
    #[pyo3(signature = (source, resolver, /, *, append, numeric))]
    fn read_configuration(
        source: &Bound<'_, PyAny>,
        resolver: Bound<'_, PyAny>,
        append: bool,
        numeric: bool,
    ) -> PyResult<Self> {
        let mut resolver = PyResolver { resolver, numeric };
        let read = if let Ok(whole) = source.cast::<PyBytes>() {
            conf::parse(conf::numbered(whole.as_bytes()), &mut resolver, append)
        } else {
            let lines: Vec<(usize, PyBackedBytes)> = source.extract()?;
            let lines = lines.iter().map(|(number, line)| (*number, &line[..]));
            conf::parse(lines, &mut resolver, append)
        };
        read.map(Self).map_err(|error| py_err(source.py(), error))
    }

    fn parts<'py>(&self, py: Python<'py>) -> Parts<'py> {
        let update = &self.0;
        (
            update.private_key.as_ref().map(|key| key_parts(py, key)),
            update.listen_port,
            update.fwmark,
            update.replace_peers,
            update
                .peers
                .iter()
                .map(|peer| peer_parts(py, peer))
                .collect(),
        )
    }

    #[getter]
    fn private_key<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.0.private_key.as_ref().map(|key| key_parts(py, key))
    }

    #[getter]
    const fn listen_port(&self) -> Option<u16> {
        self.0.listen_port
    }

    #[getter]
    const fn fwmark(&self) -> Option<u32> {
        self.0.fwmark
    }

    #[getter]
    const fn replace_peers(&self) -> bool {
        self.0.replace_peers
    }

    #[getter]
    const fn names_peers(&self) -> bool {
        !self.0.peers.is_empty()
    }

    fn peer_changes(&self, py: Python<'_>) -> PyResult<Vec<PeerChange>> {
        let peers = self.0.peers.iter();
        peers.map(|peer| PeerChange::of(py, peer)).collect()
    }

    #[pyo3(signature = (state, /))]
    fn since(&self, state: &State) -> Self {
        Self(difference(&state.0, self.0.clone()))
    }

    fn request<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &set::write(&self.0))
    }
}

fn peer_of(parts: PeerParts<'_>) -> PyResult<PeerUpdate> {
    let (public_key, remove, update_only, psk, endpoint, keepalive, replace, removed, added) =
        parts;
    let networks =
        |parts: Vec<NetworkParts<'_>>| parts.into_iter().map(network_of).collect::<PyResult<_>>();
    Ok(PeerUpdate {
        public_key: key_of(&public_key)?,
        remove,
        update_only,
        preshared_key: psk.as_ref().map(key_of).transpose()?,
        endpoint: endpoint.map(endpoint_of),
        persistent_keepalive: keepalive,
        replace_allowed_ips: replace,
        removed_allowed_ips: networks(removed)?,
        allowed_ips: networks(added)?,
    })
}

fn peer_parts<'py>(py: Python<'py>, peer: &PeerUpdate) -> PeerParts<'py> {
    (
        key_parts(py, &peer.public_key),
        peer.remove,
        peer.update_only,
        peer.preshared_key.as_ref().map(|key| key_parts(py, key)),
        peer.endpoint.as_ref().map(endpoint_parts),
        peer.persistent_keepalive,
        peer.replace_allowed_ips,
        network_parts(py, &peer.removed_allowed_ips),
        network_parts(py, &peer.allowed_ips),
    )
}

/// Adds the line and the key to an exception that the resolver raised.
fn py_err(py: Python<'_>, error: ConfError<PyErr>) -> PyErr {
    match error {
        ConfError::Refused(refusal) => refused(py, &refusal),
        ConfError::Resolver(error, line, key) => {
            let value = error.value(py);
            let place = || -> PyResult<()> {
                if value.hasattr("line")? {
                    value.setattr("line", line)?;
                    value.setattr("key", text(py, &key)?)?;
                }
                Ok(())
            };
            place().err().unwrap_or(error)
        }
    }
}
