//! A resolver for the codec that calls a resolver in Python.

use holloway_codec::address::{Endpoint, Host};
use holloway_codec::number::decimal16;
use holloway_codec::setting::Resolver;
use pyo3::prelude::*;

use crate::values::text;

/// A resolver in Python; with `numeric` it is not called for numeric addresses and ports.
pub struct PyResolver<'py> {
    pub resolver: Bound<'py, PyAny>,
    pub numeric: bool,
}

impl Resolver for PyResolver<'_> {
    type Error = PyErr;

    fn port(&mut self, service: &[u8]) -> PyResult<u16> {
        if self.numeric
            && let Some(port) = decimal16(service)
        {
            return Ok(port);
        }
        let service = text(self.resolver.py(), service)?;
        let found: u64 = self.resolver.call_method1("port", (service,))?.extract()?;
        Ok(found as u16) // larger numbers wrap around, as in wg(8)
    }

    fn endpoint(&mut self, host: &[u8], service: &[u8], written: &[u8]) -> PyResult<Endpoint> {
        if self.numeric
            && let Some(endpoint) = Endpoint::numeric(host, service)
        {
            return Ok(endpoint);
        }
        let py = self.resolver.py();
        let arguments = (text(py, host)?, text(py, service)?, text(py, written)?);
        let found = self.resolver.call_method1("endpoint", arguments)?;
        let host: String = found.getattr("host")?.extract()?;
        let port: u64 = found.getattr("port")?.extract()?;
        Ok(Endpoint {
            host: Host::of(&host),
            port: port as u16,
        })
    }

    fn warn(&mut self, sentence: &[u8]) -> PyResult<()> {
        let sentence = text(self.resolver.py(), sentence)?;
        self.resolver.call_method1("warn", (sentence,))?;
        Ok(())
    }
}
