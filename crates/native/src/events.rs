//! The events.

use holloway_plane::events as plane;
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

event!(Stale, peer: u32);
event!(Active, peer: u32);
event!(Confirmed, peer: u32);
event!(Trouble, errno: i32);
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

/// Any of them.
#[derive(IntoPyObject)]
pub enum Event {
    Handshake(Handshake),
    Stale(Stale),
    Active(Active),
    Confirmed(Confirmed),
    Trouble(Trouble),
    Unreachable(Unreachable),
    Died(Died),
}

impl From<plane::Event> for Event {
    fn from(event: plane::Event) -> Self {
        match event {
            plane::Event::Handshake(handshake) => Self::Handshake(Handshake(handshake)),
            plane::Event::Stale(peer) => Self::Stale(Stale { peer }),
            plane::Event::Active(peer) => Self::Active(Active { peer }),
            plane::Event::Confirmed(peer) => Self::Confirmed(Confirmed { peer }),
            plane::Event::Trouble(errno) => Self::Trouble(Trouble { errno }),
            plane::Event::Unreachable { to, peer } => Self::Unreachable(Unreachable { to, peer }),
            plane::Event::Died(errno) => Self::Died(Died { errno }),
        }
    }
}
