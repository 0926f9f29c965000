//! The filter of system calls.

use pyo3::prelude::*;

use crate::error::os_error;

#[pyfunction]
pub fn confine_system_calls() -> PyResult<()> {
    holloway_seccomp::confine().map_err(os_error)
}
