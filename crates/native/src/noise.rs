//! The Python classes of `holloway_noise`.

use std::sync::Arc;

use holloway_noise::{self as noise, InitiationFields, Refusal, ResponseFields};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::values::key;

/// A value, or the name of the reason why a message was refused.
#[derive(IntoPyObject)]
pub enum Accepted<T> {
    Value(T),
    Refused(&'static str),
}

impl<T> From<Result<T, Refusal>> for Accepted<T> {
    fn from(result: Result<T, Refusal>) -> Self {
        match result {
            Ok(value) => Self::Value(value),
            Err(Refusal::LowOrder) => Self::Refused("low_order"),
            Err(Refusal::Undecryptable) => Self::Refused("undecryptable"),
        }
    }
}

type Bytes<'py> = Bound<'py, PyBytes>;

#[pyclass(frozen, module = "holloway._native")]
pub struct Identity(Arc<noise::Identity>);

#[pymethods]
impl Identity {
    #[new]
    #[pyo3(signature = (private_key, /))]
    fn new(private_key: &[u8]) -> PyResult<Self> {
        Ok(Self(Arc::new(noise::Identity::new(key(private_key)?))))
    }

    #[getter]
    fn public_key<'py>(&self, py: Python<'py>) -> Bytes<'py> {
        PyBytes::new(py, self.0.public_key())
    }

    #[pyo3(signature = (public_key, /))]
    fn static_static(&self, public_key: &[u8]) -> PyResult<Option<StaticStatic>> {
        Ok(noise::StaticStatic::new(&self.0, key(public_key)?).map(StaticStatic))
    }

    #[pyo3(signature = (sender, ephemeral, sealed_static, sealed_timestamp, /))]
    fn decrypt_static(
        &self,
        sender: u32,
        ephemeral: &[u8],
        sealed_static: &[u8],
        sealed_timestamp: &[u8],
    ) -> PyResult<Accepted<UnprovenInitiation>> {
        let fields = InitiationFields {
            sender,
            ephemeral: field(ephemeral)?,
            sealed_static: field(sealed_static)?,
            sealed_timestamp: field(sealed_timestamp)?,
        };
        let unproven = noise::UnprovenInitiation::decrypt_static(&self.0, &fields);
        Ok(unproven.map(UnprovenInitiation).into())
    }
}

#[pyclass(frozen, module = "holloway._native")]
pub struct StaticStatic(noise::StaticStatic);

#[pymethods]
impl StaticStatic {
    #[pyo3(signature = (ephemeral, index, timestamp, /))]
    fn initiate<'py>(
        &self,
        py: Python<'py>,
        ephemeral: Option<&[u8]>,
        index: u32,
        timestamp: &[u8],
    ) -> PyResult<(InitiatorState, Bytes<'py>, Bytes<'py>, Bytes<'py>)> {
        let (ephemeral, timestamp) = (ephemeral_of(ephemeral)?, field(timestamp)?);
        let (fields, state) =
            noise::InitiatorState::initiate(&self.0, ephemeral, index, &timestamp);
        Ok((
            InitiatorState(state),
            PyBytes::new(py, &fields.ephemeral),
            PyBytes::new(py, &fields.sealed_static),
            PyBytes::new(py, &fields.sealed_timestamp),
        ))
    }
}

#[pyclass(frozen, module = "holloway._native")]
pub struct InitiatorState(noise::InitiatorState);

#[pymethods]
impl InitiatorState {
    #[getter]
    const fn index(&self) -> u32 {
        self.0.index()
    }

    #[pyo3(signature = (preshared_key, sender, ephemeral, sealed_nothing, /))]
    fn consume_response(
        &self,
        preshared_key: &[u8],
        sender: u32,
        ephemeral: &[u8],
        sealed_nothing: &[u8],
    ) -> PyResult<Accepted<SessionKeys>> {
        let fields = ResponseFields {
            sender,
            ephemeral: field(ephemeral)?,
            sealed_nothing: field(sealed_nothing)?,
        };
        let keys = self.0.consume(key(preshared_key)?, &fields);
        Ok(keys.map(SessionKeys).into())
    }
}

#[pyclass(frozen, module = "holloway._native")]
pub struct UnprovenInitiation(noise::UnprovenInitiation);

#[pymethods]
impl UnprovenInitiation {
    #[getter]
    fn static_key<'py>(&self, py: Python<'py>) -> Bytes<'py> {
        PyBytes::new(py, self.0.static_key())
    }

    #[pyo3(signature = (static_static, /))]
    fn decrypt_timestamp(&self, static_static: &StaticStatic) -> Accepted<ResponderState> {
        let proven = self.0.decrypt_timestamp(&static_static.0);
        proven.map(ResponderState).into()
    }
}

#[pyclass(frozen, module = "holloway._native")]
pub struct ResponderState(noise::ResponderState);

#[pymethods]
impl ResponderState {
    #[getter]
    fn timestamp<'py>(&self, py: Python<'py>) -> Bytes<'py> {
        PyBytes::new(py, self.0.timestamp())
    }

    #[pyo3(signature = (preshared_key, ephemeral, index, /))]
    fn respond<'py>(
        &self,
        py: Python<'py>,
        preshared_key: &[u8],
        ephemeral: Option<&[u8]>,
        index: u32,
    ) -> PyResult<(SessionKeys, Bytes<'py>, Bytes<'py>)> {
        let ephemeral = ephemeral_of(ephemeral)?;
        let (fields, keys) = self.0.respond(key(preshared_key)?, &ephemeral, index);
        Ok((
            SessionKeys(keys),
            PyBytes::new(py, &fields.ephemeral),
            PyBytes::new(py, &fields.sealed_nothing),
        ))
    }
}

#[pyclass(frozen, module = "holloway._native")]
pub struct SessionKeys(pub noise::SessionKeys);

#[pymethods]
impl SessionKeys {
    #[new]
    #[pyo3(signature = (local_index, remote_index, send, receive, /))]
    fn new(local_index: u32, remote_index: u32, send: &[u8], receive: &[u8]) -> PyResult<Self> {
        Ok(Self(noise::SessionKeys {
            local_index,
            remote_index,
            send: (*key(send)?).into(),
            receive: (*key(receive)?).into(),
        }))
    }

    #[getter]
    const fn local_index(&self) -> u32 {
        self.0.local_index
    }

    #[getter]
    const fn remote_index(&self) -> u32 {
        self.0.remote_index
    }

    #[getter]
    fn send<'py>(&self, py: Python<'py>) -> Bytes<'py> {
        PyBytes::new(py, &*self.0.send)
    }

    #[getter]
    fn receive<'py>(&self, py: Python<'py>) -> Bytes<'py> {
        PyBytes::new(py, &*self.0.receive)
    }
}

fn ephemeral_of(private_key: Option<&[u8]>) -> PyResult<noise::Ephemeral> {
    Ok(match private_key {
        Some(private_key) => noise::Ephemeral::from_private(key(private_key)?),
        None => noise::Ephemeral::generate(),
    })
}

fn field<const LENGTH: usize>(bytes: &[u8]) -> PyResult<[u8; LENGTH]> {
    bytes
        .try_into()
        .map_err(|_| PyValueError::new_err(format!("a field of {LENGTH} bytes has another length")))
}
