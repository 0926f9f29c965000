//! Python bindings of `holloway-plane`: conversions, no logic. `_native.pyi` documents them.

mod endpoint;
mod error;
mod events;
mod peer;
mod plane;
mod relay;
mod tun;

/// The packet plane; see `_native.pyi`.
#[pyo3::pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::endpoint::Endpoint;
    #[pymodule_export]
    use crate::events::{Active, Confirmed, Died, Handshake, Stale, Trouble, Unreachable};
    #[pymodule_export]
    use crate::peer::{Due, Peer};
    #[pymodule_export]
    use crate::plane::Plane;
    #[pymodule_export]
    use crate::relay::{Link, Relay};
    #[pymodule_export]
    use crate::tun::Tun;

    /// `Event`, the union of the events.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        let mut event = py.get_type::<Handshake>().into_any();
        for kind in [
            py.get_type::<Stale>(),
            py.get_type::<Active>(),
            py.get_type::<Confirmed>(),
            py.get_type::<Trouble>(),
            py.get_type::<Unreachable>(),
            py.get_type::<Died>(),
        ] {
            event = event.bitor(kind)?;
        }
        module.add("Event", event)
    }
}
