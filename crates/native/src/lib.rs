//! Python bindings of `holloway-plane`: conversions, no logic.

use pyo3::prelude::*;

/// The packet plane; see `_native.pyi`.
#[pymodule(gil_used = false)]
mod _native {}
