//! The Python class `Endpoint`.

use holloway_plane as plane;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

#[pyclass(frozen, eq, hash, module = "holloway._native")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint(pub plane::Endpoint);

#[pymethods]
impl Endpoint {
    #[new]
    fn new(host: &str, port: u16) -> PyResult<Self> {
        let endpoint = plane::Endpoint::parse(host, port);
        endpoint
            .map(Self)
            .ok_or_else(|| PyValueError::new_err(format!("not a numeric address: {host:?}")))
    }

    #[getter]
    fn host(&self) -> String {
        self.0.host()
    }

    #[getter]
    fn port(&self) -> u16 {
        self.0.remote.port()
    }

    #[getter]
    fn local(&self) -> Option<String> {
        self.0.local.map(|local| local.address.to_string())
    }

    #[getter]
    fn interface(&self) -> Option<u32> {
        self.0.local.map(|local| local.interface)
    }

    fn __repr__(&self) -> String {
        format!("Endpoint({:?}, {})", self.0.host(), self.0.remote.port())
    }
}
