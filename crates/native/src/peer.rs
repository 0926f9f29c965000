//! The Python classes `Peer` and `Due`.

use holloway_plane::{self as plane, Deadlines, Handle, SessionParameters};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::change::AllowedIPsChange;
use crate::endpoint::Endpoint;
use crate::noise::SessionKeys;
use crate::values::{NetworkParts, counts, packed};

#[pyclass(frozen, module = "holloway._native")]
pub struct Peer(pub Handle);

#[pymethods]
impl Peer {
    #[getter]
    fn id(&self) -> u32 {
        self.0.id()
    }

    #[getter]
    fn endpoint(&self) -> Option<Endpoint> {
        self.0.endpoint().map(Endpoint)
    }

    #[pyo3(signature = (endpoint, /))]
    fn set_endpoint(&self, endpoint: &Endpoint) {
        self.0.set_endpoint(endpoint.0);
    }

    fn forget_source(&self) {
        self.0.forget_source();
    }

    #[pyo3(signature = (change, /))]
    fn change_allowed_ips(&self, change: &AllowedIPsChange) {
        self.0.change_allowed_ips(&change.0);
    }

    fn allowed<'py>(&self, py: Python<'py>) -> Vec<NetworkParts<'py>> {
        let allowed = self.0.allowed().into_iter();
        allowed
            .map(|prefix| (packed(py, prefix.address()), prefix.length()))
            .collect()
    }

    fn traffic(&self) -> (u64, u64) {
        self.0.traffic()
    }

    fn discards<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        counts(py, &self.0.discards(), false)
    }

    #[pyo3(signature = (remote, size, now, /))]
    fn handshake_received(&self, remote: &Endpoint, size: usize, now: u64) {
        self.0.handshake_received(remote.0, size, now);
    }

    #[pyo3(signature = (message, now, /))]
    fn send_handshake(&self, py: Python<'_>, message: &[u8], now: u64) -> PyResult<()> {
        const INITIATION: usize = plane::INITIATION_SIZE - plane::MACS;
        const RESPONSE: usize = plane::RESPONSE_SIZE - plane::MACS;
        match (message.first(), message.len()) {
            (Some(&plane::INITIATION), INITIATION) | (Some(&plane::RESPONSE), RESPONSE) => {}
            _ => return Err(PyValueError::new_err("not a Noise message")),
        }
        py.detach(|| self.0.send_handshake(message, now));
        Ok(())
    }

    #[pyo3(signature = (index, /))]
    fn steer_index(&self, index: u32) -> u32 {
        self.0.steer_index(index)
    }

    fn send_keepalive(&self) {
        self.0.send_keepalive();
    }

    #[pyo3(signature = (
        keys, /, *, confirmed, renew_on_send, renew_on_receive, reject
    ))]
    fn install(
        &self,
        keys: &SessionKeys,
        confirmed: bool,
        renew_on_send: u64,
        renew_on_receive: u64,
        reject: u64,
    ) {
        let parameters = SessionParameters {
            local_index: keys.0.local_index,
            remote_index: keys.0.remote_index,
            send_key: &keys.0.send,
            receive_key: &keys.0.receive,
            deadlines: Deadlines {
                renew_on_send,
                renew_on_receive,
                reject,
            },
        };
        self.0.install(&parameters, confirmed);
    }

    #[pyo3(signature = (now, keepalive, handshake, persistent, /))]
    fn due(&self, now: u64, keepalive: u64, handshake: u64, persistent: u64) -> Due {
        Due(self.0.due(now, keepalive, handshake, persistent))
    }

    fn arm_session_needed(&self) {
        self.0.arm_session_needed();
    }

    fn drop_staged(&self) {
        self.0.drop_staged();
    }

    fn erase(&self) {
        self.0.erase();
    }

    fn remove(&self) {
        self.0.remove();
    }
}

#[pyclass(frozen, module = "holloway._native")]
pub struct Due(plane::Due);

#[pymethods]
impl Due {
    #[getter]
    const fn keepalive(&self) -> bool {
        self.0.keepalive
    }

    #[getter]
    const fn handshake(&self) -> bool {
        self.0.handshake
    }

    #[getter]
    const fn persistent(&self) -> bool {
        self.0.persistent
    }

    #[getter]
    const fn next(&self) -> Option<u64> {
        self.0.next
    }
}
