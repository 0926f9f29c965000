//! Converts errors of the system into Python's `OSError` with an errno.

use std::io;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

/// pyo3's conversion omits the errno.
pub fn os_error(error: io::Error) -> PyErr {
    let Some(errno) = error.raw_os_error() else {
        return error.into();
    };
    Python::attach(|py| {
        let text = py
            .import("os")
            .and_then(|os| os.call_method1("strerror", (errno,)));
        match text {
            Ok(text) => PyOSError::new_err((errno, text.unbind())),
            Err(error) => error,
        }
    })
}
