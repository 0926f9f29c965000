//! The Python class `Plane`.

use std::os::fd::{AsRawFd, RawFd};

use holloway_plane::{self as plane, IcmpSockets, PeerId};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::endpoint::Endpoint;
use crate::error::os_error;
use crate::events::Event;
use crate::peer::Peer;
use crate::snapshot::{DeviceSnapshot, device_of};
use crate::state::State;
use crate::tun::Tun;
use crate::values::{address as ip_address, counts, key};

#[pyclass(frozen, module = "holloway._native")]
pub struct Plane(plane::Plane);

#[pymethods]
impl Plane {
    #[new]
    fn new(tun: &Tun) -> PyResult<Self> {
        plane::Plane::new(tun.open()?).map(Self).map_err(os_error)
    }

    fn fileno(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    #[pyo3(signature = (limit = 64))]
    fn events(&self, limit: usize) -> Vec<Event> {
        self.0.events(limit).into_iter().map(Event::from).collect()
    }

    #[pyo3(signature = (port, fwmark, /))]
    fn bind(&self, py: Python<'_>, port: u16, fwmark: u32) -> PyResult<u16> {
        py.detach(|| self.0.bind(port, fwmark)).map_err(os_error)
    }

    fn unbind(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.0.unbind()).map_err(os_error)
    }

    #[pyo3(signature = (public_key, /))]
    fn set_identity(&self, public_key: Option<&[u8]>) -> PyResult<()> {
        self.0.set_identity(public_key.map(key).transpose()?);
        Ok(())
    }

    #[pyo3(signature = (mtu, /))]
    fn set_mtu(&self, mtu: u32) {
        self.0.set_mtu(mtu);
    }

    #[pyo3(signature = (v4, v6, conntrack, /))]
    fn set_icmp_sockets(
        &self,
        v4: Option<RawFd>,
        v6: Option<RawFd>,
        conntrack: Option<RawFd>,
    ) -> PyResult<()> {
        let sockets = IcmpSockets::new(v4, v6, conntrack).map_err(os_error)?;
        self.0.set_icmp_sockets(sockets);
        Ok(())
    }

    #[pyo3(signature = (wanted, /))]
    fn report_unreachable(&self, wanted: bool) {
        self.0.report_unreachable(wanted);
    }

    #[pyo3(signature = (public_key, /))]
    fn peer(&self, public_key: &[u8]) -> PyResult<Peer> {
        Ok(Peer(self.0.peer(key(public_key)?)))
    }

    #[pyo3(signature = (index, /))]
    fn uses_index(&self, index: u32) -> bool {
        self.0.uses_index(index)
    }

    #[pyo3(signature = (address, /))]
    fn lookup_allowed_ip(&self, address: &[u8]) -> PyResult<Option<PeerId>> {
        let address = ip_address(address).ok_or_else(|| PyValueError::new_err("not an address"))?;
        Ok(self.0.lookup_allowed_ip(address))
    }

    fn sticky_sources(&self) -> Vec<(PeerId, Endpoint)> {
        let paths = self.0.sticky_sources().into_iter();
        paths.map(|(peer, path)| (peer, Endpoint(path))).collect()
    }

    #[pyo3(signature = (peer, path, valid, /))]
    fn set_source_valid(&self, peer: PeerId, path: &Endpoint, valid: bool) {
        if let Some(peer) = self.0.handle(peer) {
            peer.set_source_valid(path.0, valid);
        }
    }

    #[pyo3(signature = (snapshot, /))]
    fn state(&self, snapshot: DeviceSnapshot) -> PyResult<State> {
        device_of(&self.0, &snapshot).map(State)
    }

    fn discards<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        counts(py, &self.0.discards(), true)
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}
