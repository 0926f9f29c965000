//! The Python classes `Relay` and `RelayPair`.

use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::time::Duration;

use holloway_poll::duplicate;
use holloway_relay as relay;
use pyo3::prelude::*;

use crate::error::os_error;

#[pyclass(frozen, module = "holloway._native")]
pub struct Relay(relay::Relay);

#[pymethods]
impl Relay {
    #[new]
    fn new() -> PyResult<Self> {
        relay::Relay::new().map(Self).map_err(os_error)
    }

    fn fileno(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    #[pyo3(signature = (first, second, /, limit = None, to_first = &b""[..], to_second = &b""[..], connect_timeout = None))]
    fn join(
        &self,
        first: RawFd,
        second: RawFd,
        limit: Option<u64>,
        to_first: &[u8],
        to_second: &[u8],
        connect_timeout: Option<f64>,
    ) -> PyResult<RelayPair> {
        let first = duplicate(first).map_err(os_error)?;
        let second = duplicate(second).map_err(os_error)?;
        let options = relay::Options {
            limit,
            greetings: [to_first.to_vec(), to_second.to_vec()],
            connect_timeout: connect_timeout.map(Duration::from_secs_f64),
        };
        self.0
            .join(first, second, options)
            .map(RelayPair)
            .map_err(os_error)
    }

    #[pyo3(signature = (id, /))]
    fn abort(&self, id: u64) {
        self.0.abort(id);
    }

    fn ends(&self) -> Vec<(u64, Option<usize>, i32, Option<RawFd>)> {
        let parts = |end: relay::End| {
            let (side, errno) = end
                .failure
                .map_or((None, 0), |failure| (failure.side, failure.errno));
            let unconnected = end.unconnected.map(IntoRawFd::into_raw_fd);
            (end.id, side, errno, unconnected)
        };
        self.0.ends().into_iter().map(parts).collect()
    }

    fn moved(&self) -> (u64, u64) {
        self.0.moved().into()
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }
}

#[pyclass(frozen, module = "holloway._native")]
pub struct RelayPair(relay::PairHandle);

#[pymethods]
impl RelayPair {
    #[getter]
    fn id(&self) -> u64 {
        self.0.id()
    }

    fn moved(&self) -> (u64, u64) {
        self.0.moved().into()
    }
}
