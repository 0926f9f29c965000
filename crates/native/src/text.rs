//! Functions of texts that create no `Update` or `State`.

use holloway_codec::{dump, uapi};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::values::{key_of, key_parts, refused};

#[pyfunction]
#[pyo3(signature = (text, /))]
pub fn blank_line(text: &[u8]) -> Option<usize> {
    uapi::blank_line(text)
}

#[pyfunction]
#[pyo3(signature = (answer, prefix, /))]
pub fn dump_answer<'py>(
    py: Python<'py>,
    answer: &[u8],
    prefix: &[u8],
) -> PyResult<Bound<'py, PyBytes>> {
    let printed = dump::dump_answer(answer, prefix).map_err(|why| refused(py, &why))?;
    Ok(PyBytes::new(py, &printed))
}

#[pyfunction]
#[pyo3(signature = (private_key, /))]
pub fn public_key<'py>(
    py: Python<'py>,
    private_key: &Bound<'py, PyBytes>,
) -> PyResult<Bound<'py, PyBytes>> {
    Ok(key_parts(py, &key_of(private_key)?.public()))
}
