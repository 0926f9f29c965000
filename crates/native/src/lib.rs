//! Python bindings of the other crates: conversions, no logic. `_native.pyi`
//! documents them.

mod change;
mod endpoint;
mod error;
mod events;
mod noise;
mod peer;
mod plane;
mod relay;
mod resolver;
mod seccomp;
mod setting;
mod snapshot;
mod stack;
mod state;
mod text;
mod tun;
mod update;
mod values;

/// The packet plane; see `_native.pyi`.
#[pyo3::pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::change::{AllowedIPsChange, PeerChange};
    #[pymodule_export]
    use crate::endpoint::Endpoint;
    #[pymodule_export]
    use crate::events::{
        Confirmed, CookieReceived, DebtBegan, Died, Handshake, SendFailing, SessionNeeded,
        UnknownIndex, Unreachable,
    };
    #[pymodule_export]
    use crate::noise::{
        Identity, InitiatorState, ResponderState, SessionKeys, StaticStatic, UnprovenInitiation,
    };
    #[pymodule_export]
    use crate::peer::{Due, Peer};
    #[pymodule_export]
    use crate::plane::Plane;
    #[pymodule_export]
    use crate::relay::{Relay, RelayPair};
    #[pymodule_export]
    use crate::seccomp::confine_system_calls;
    #[pymodule_export]
    use crate::setting::{Changes, read_endpoint, read_fwmark, read_keepalive, read_port};
    #[pymodule_export]
    use crate::stack::{Attempt, Echoed, Ended, Failed, Stack};
    #[pymodule_export]
    use crate::state::State;
    #[pymodule_export]
    use crate::text::{blank_line, dump_answer, public_key};
    #[pymodule_export]
    use crate::tun::Tun;
    #[pymodule_export]
    use crate::update::Update;

    /// Add `Event` and `StackEvent`, the unions of the events, and the exception `Refused`.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        let mut event = py.get_type::<Handshake>().into_any();
        for kind in [
            py.get_type::<SessionNeeded>(),
            py.get_type::<DebtBegan>(),
            py.get_type::<Confirmed>(),
            py.get_type::<CookieReceived>(),
            py.get_type::<UnknownIndex>(),
            py.get_type::<SendFailing>(),
            py.get_type::<Unreachable>(),
            py.get_type::<Died>(),
        ] {
            event = event.bitor(kind)?;
        }
        module.add("Event", event)?;
        let mut event = py.get_type::<Failed>().into_any();
        for kind in [py.get_type::<Echoed>(), py.get_type::<Ended>()] {
            event = event.bitor(kind)?;
        }
        module.add("StackEvent", event)?;
        module.add("Refused", py.get_type::<crate::values::Refused>())?;
        Ok(())
    }
}
