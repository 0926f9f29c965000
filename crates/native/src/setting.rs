//! Single settings, and the changes of a peer's allowed IPs.

use std::sync::{Mutex, PoisonError};

use holloway_codec::changes;
use holloway_codec::refusal::{Kind, Reason, Refusal};
use holloway_codec::setting::{self, SettingError};
use pyo3::prelude::*;

use crate::resolver::PyResolver;
use crate::values::{EndpointParts, NetworkParts, endpoint_parts, network_parts, refused};

#[pyfunction]
#[pyo3(signature = (text, /))]
pub fn read_fwmark(py: Python<'_>, text: &[u8]) -> PyResult<u32> {
    setting::fwmark(text).map_err(|reason| value_error(py, reason))
}

#[pyfunction]
#[pyo3(signature = (text, /))]
pub fn read_keepalive(py: Python<'_>, text: &[u8]) -> PyResult<u16> {
    setting::keepalive(text).map_err(|reason| value_error(py, reason))
}

#[pyfunction]
#[pyo3(signature = (text, resolver, /))]
pub fn read_port(text: &[u8], resolver: Bound<'_, PyAny>) -> PyResult<u16> {
    let py = resolver.py();
    setting::port(text, &mut py_resolver(resolver)).map_err(|why| py_err(py, why))
}

#[pyfunction]
#[pyo3(signature = (text, resolver, /))]
pub fn read_endpoint(text: &[u8], resolver: Bound<'_, PyAny>) -> PyResult<EndpointParts> {
    let py = resolver.py();
    let read = setting::endpoint(text, &mut py_resolver(resolver));
    read.map(|endpoint| endpoint_parts(&endpoint))
        .map_err(|why| py_err(py, why))
}

#[pyclass(frozen, module = "holloway._native")]
pub struct Changes(Mutex<changes::Changes>);

/// Whether all are replaced, those removed, those added.
type Parts<'py> = (bool, Vec<NetworkParts<'py>>, Vec<NetworkParts<'py>>);

#[pymethods]
impl Changes {
    #[new]
    fn new() -> Self {
        Self(Mutex::default())
    }

    #[pyo3(signature = (text, resolver, /))]
    fn read(&self, text: &[u8], resolver: Bound<'_, PyAny>) -> PyResult<()> {
        let py = resolver.py();
        let mut resolver = py_resolver(resolver);
        // The lock is not held while the resolver runs.
        let mut changes = self.take();
        let read = setting::allowed_ips(&mut changes, text, &mut resolver);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = changes;
        read.map_err(|why| py_err(py, why))
    }

    fn result<'py>(&self, py: Python<'py>) -> Parts<'py> {
        let changes = self.take();
        let replace = changes.replace;
        let (removed, added) = changes.result();
        (
            replace,
            network_parts(py, &removed),
            network_parts(py, &added),
        )
    }
}

impl Changes {
    fn take(&self) -> changes::Changes {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A resolver that is called for numbers too, because it may print a warning about them.
const fn py_resolver(resolver: Bound<'_, PyAny>) -> PyResolver<'_> {
    PyResolver {
        resolver,
        numeric: false,
    }
}

fn py_err(py: Python<'_>, why: SettingError<PyErr>) -> PyErr {
    match why {
        SettingError::Value(reason) => value_error(py, reason),
        SettingError::Resolver(error) => error,
    }
}

fn value_error(py: Python<'_>, reason: Reason) -> PyErr {
    let refusal = Refusal {
        kind: Kind::Value,
        line: None,
        key: None,
        reason,
    };
    refused(py, &refusal)
}
