//! The Python classes of the plane's events.

use holloway_plane as plane;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::endpoint::Endpoint;

#[pyclass(frozen, module = "holloway._native")]
pub struct Handshake(plane::Handshake);

#[pymethods]
impl Handshake {
    #[getter]
    fn message<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.message)
    }

    #[getter]
    const fn size(&self) -> usize {
        self.0.size
    }

    #[getter]
    const fn remote(&self) -> Endpoint {
        Endpoint(self.0.remote)
    }
}

macro_rules! event {
    ($name:ident, $field:ident: $type:ty) => {
        #[pyclass(frozen, module = "holloway._native")]
        pub struct $name {
            #[pyo3(get)]
            $field: $type,
        }

        #[pymethods]
        impl $name {
            fn __repr__(&self) -> String {
                format!(
                    concat!(stringify!($name), "(", stringify!($field), "={})"),
                    self.$field
                )
            }
        }
    };
}

event!(SessionNeeded, peer: u32);
event!(DebtBegan, peer: u32);
event!(Confirmed, peer: u32);
event!(CookieReceived, peer: u32);
event!(UnknownIndex, peer: u32);
event!(SendFailing, errno: i32);
event!(Died, errno: i32);

#[pyclass(frozen, module = "holloway._native")]
pub struct Unreachable {
    to: std::net::IpAddr,
    #[pyo3(get)]
    peer: Option<u32>,
}

#[pymethods]
impl Unreachable {
    #[getter]
    fn destination(&self) -> String {
        self.to.to_string()
    }
}

/// Any event of the plane.
#[derive(IntoPyObject)]
pub enum Event {
    Handshake(Handshake),
    SessionNeeded(SessionNeeded),
    DebtBegan(DebtBegan),
    Confirmed(Confirmed),
    CookieReceived(CookieReceived),
    UnknownIndex(UnknownIndex),
    SendFailing(SendFailing),
    Unreachable(Unreachable),
    Died(Died),
}

impl From<plane::Event> for Event {
    fn from(event: plane::Event) -> Self {
        match event {
            plane::Event::Handshake(handshake) => Self::Handshake(Handshake(handshake)),
            plane::Event::SessionNeeded(peer) => Self::SessionNeeded(SessionNeeded { peer }),
            plane::Event::DebtBegan(peer) => Self::DebtBegan(DebtBegan { peer }),
            plane::Event::Confirmed(peer) => Self::Confirmed(Confirmed { peer }),
            plane::Event::CookieReceived(peer) => Self::CookieReceived(CookieReceived { peer }),
            plane::Event::UnknownIndex(peer) => Self::UnknownIndex(UnknownIndex { peer }),
            plane::Event::SendFailing(errno) => Self::SendFailing(SendFailing { errno }),
            plane::Event::Unreachable { to, peer } => Self::Unreachable(Unreachable { to, peer }),
            plane::Event::Died(errno) => Self::Died(Died { errno }),
        }
    }
}
