//! The Python class `Tun`.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

use holloway_plane::{self as plane, LinkEndpoint};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::error::os_error;

#[pyclass(frozen, module = "holloway._native")]
pub struct Tun(Mutex<Option<Arc<plane::Tun>>>);

impl Tun {
    pub fn open(&self) -> PyResult<Arc<plane::Tun>> {
        let tun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = || PyOSError::new_err((EBADF, "the interface is closed"));
        tun.clone().ok_or_else(closed)
    }

    /// An interface to a stack within the program, and the stack's end of it.
    pub fn to_stack(name: &str) -> PyResult<(Self, LinkEndpoint)> {
        let (tun, endpoint) = plane::Tun::to_stack(name).map_err(os_error)?;
        Ok((Self::own(tun), endpoint))
    }

    fn own(tun: plane::Tun) -> Self {
        Self(Mutex::new(Some(Arc::new(tun))))
    }
}

#[pymethods]
impl Tun {
    #[new]
    #[pyo3(signature = (name, mtu = 1420))]
    fn new(name: &str, mtu: u32) -> PyResult<Self> {
        Ok(Self::own(plane::Tun::create(name, mtu).map_err(os_error)?))
    }

    #[staticmethod]
    fn from_fd(fd: RawFd) -> PyResult<Self> {
        Ok(Self::own(plane::Tun::from_raw_fd(fd).map_err(os_error)?))
    }

    #[getter]
    fn name(&self) -> PyResult<String> {
        self.open()?.name().map_err(os_error)
    }

    #[getter]
    fn offloads<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, pyo3::types::PyTuple>> {
        let offloads = self.open()?.offloads();
        let names = [
            ("vnet_hdr", offloads.vnet_header),
            ("tso", offloads.tso),
            ("uso", offloads.uso),
        ];
        let on: Vec<&str> = names
            .iter()
            .filter(|name| name.1)
            .map(|name| name.0)
            .collect();
        pyo3::types::PyTuple::new(py, on)
    }

    #[pyo3(signature = (persistent, /))]
    fn set_persistent(&self, persistent: bool) -> PyResult<()> {
        self.open()?.set_persistent(persistent).map_err(os_error)
    }

    fn fileno(&self) -> PyResult<RawFd> {
        Ok(self.open()?.as_raw_fd())
    }

    fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// errno 9; the standard library has no name for it, and only the plane depends on libc.
const EBADF: i32 = 9;
