//! The Python class `Stack`, and the classes of its events.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

use holloway_stack::addresses::{Addresses, Own};
use holloway_stack::local::Local;
use holloway_stack::memory::BUDGET;
use holloway_stack::net::Settings;
use holloway_stack::{attempt, events, stack};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::os_error;
use crate::tun::Tun;

type Address = (String, u16);

#[pyclass(frozen, module = "holloway._native")]
pub struct Stack {
    stack: Mutex<Option<Arc<stack::Stack>>>,
    tun: Py<Tun>,
}

impl Stack {
    fn open(&self) -> PyResult<Arc<stack::Stack>> {
        let stack = self.stack.lock().unwrap_or_else(PoisonError::into_inner);
        let closed = || PyOSError::new_err((EBADF, "the stack is closed"));
        stack.clone().ok_or_else(closed)
    }

    /// Make a request that the engine answers, without the interpreter meanwhile.
    fn ask<F>(&self, py: Python<'_>, request: F) -> PyResult<Address>
    where
        F: FnOnce(&stack::Stack) -> Result<SocketAddr, i32> + Send,
    {
        let stack = self.open()?;
        let answer = py.detach(|| request(&stack));
        let failed = |errno| os_error(io::Error::from_raw_os_error(errno));
        answer.map(address).map_err(failed)
    }
}

#[pymethods]
impl Stack {
    #[new]
    fn new(
        py: Python<'_>,
        name: &str,
        addresses: Vec<(String, u8)>,
        mtu: usize,
        buffer: usize,
    ) -> PyResult<Self> {
        if !(576..=65_000).contains(&mtu) || !(4096..=1 << 28).contains(&buffer) {
            return Err(PyValueError::new_err(
                "the MTU or the buffer is out of range",
            ));
        }
        let own = addresses.into_iter().map(|(address, length)| {
            let address = ip(&address)?;
            Ok(Own { address, length })
        });
        let settings = Settings {
            addresses: Addresses::new(own.collect::<PyResult<_>>()?),
            mtu,
            buffer,
            memory: BUDGET,
        };
        let (tun, endpoint) = Tun::to_stack(name)?;
        let stack = stack::Stack::new(endpoint, &settings).map_err(os_error)?;
        Ok(Self {
            stack: Mutex::new(Some(Arc::new(stack))),
            tun: Py::new(py, tun)?,
        })
    }

    #[getter]
    fn tun(&self, py: Python<'_>) -> Py<Tun> {
        self.tun.clone_ref(py)
    }

    fn fileno(&self) -> PyResult<RawFd> {
        Ok(self.open()?.as_raw_fd())
    }

    #[pyo3(signature = (limit = 64))]
    fn events(&self, limit: usize) -> PyResult<Vec<StackEvent>> {
        let events = self.open()?.events(limit).into_iter();
        Ok(events.map(StackEvent::from).collect())
    }

    fn stream(&self) -> PyResult<(u64, RawFd)> {
        let (id, fd) = self.open()?.stream().map_err(os_error)?;
        Ok((id, fd.into_raw_fd()))
    }

    fn datagrams(&self) -> PyResult<(u64, RawFd)> {
        let (id, fd) = self.open()?.datagrams().map_err(os_error)?;
        Ok((id, fd.into_raw_fd()))
    }

    #[pyo3(signature = (socket, local, is_dual, /))]
    fn bind(
        &self,
        py: Python<'_>,
        socket: u64,
        local: Address,
        is_dual: bool,
    ) -> PyResult<Address> {
        let address = socket_address(local)?;
        let local = Local { address, is_dual };
        self.ask(py, |stack| stack.bind(socket, local))
    }

    #[pyo3(signature = (socket, /))]
    fn name(&self, py: Python<'_>, socket: u64) -> PyResult<Address> {
        self.ask(py, |stack| stack.name(socket))
    }

    #[pyo3(signature = (socket, fd, remote, timeout, /))]
    fn connect(&self, socket: u64, fd: RawFd, remote: Address, timeout: f64) -> PyResult<Attempt> {
        let remote = socket_address(remote)?;
        let microseconds = (timeout.clamp(0.0, 1e9) * 1e6) as i64;
        let attempt = self.open()?.connect(socket, fd, remote, microseconds);
        Ok(Attempt(attempt.map_err(os_error)?))
    }

    #[pyo3(signature = (socket, remote, /))]
    fn associate(&self, py: Python<'_>, socket: u64, remote: Address) -> PyResult<Address> {
        let remote = socket_address(remote)?;
        self.ask(py, |stack| stack.associate(socket, remote))
    }

    #[pyo3(signature = (socket, backlog, /))]
    fn listen(&self, py: Python<'_>, socket: u64, backlog: usize) -> PyResult<Address> {
        self.ask(py, |stack| stack.listen(socket, backlog))
    }

    #[pyo3(signature = (to, /))]
    fn echo(&self, to: &str) -> PyResult<u64> {
        Ok(self.open()?.echo(ip(to)?))
    }

    #[pyo3(signature = (request, /))]
    fn cancel(&self, request: u64) -> PyResult<()> {
        self.open()?.cancel(request);
        Ok(())
    }

    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, count) in self.open()?.counts() {
            dict.set_item(name, count)?;
        }
        Ok(dict)
    }

    fn start_closing(&self) -> PyResult<()> {
        self.open()?.start_closing();
        Ok(())
    }

    #[getter]
    fn has_ended(&self) -> PyResult<bool> {
        Ok(self.open()?.has_ended())
    }

    fn close(&self, py: Python<'_>) {
        let mut place = self.stack.lock().unwrap_or_else(PoisonError::into_inner);
        let stack = place.take();
        drop(place);
        py.detach(|| {
            if let Some(stack) = &stack {
                stack.close();
            }
        });
    }
}

fn ip(text: &str) -> PyResult<IpAddr> {
    text.parse()
        .map_err(|_| PyValueError::new_err(format!("not a numeric address: {text:?}")))
}

fn socket_address((host, port): Address) -> PyResult<SocketAddr> {
    Ok(SocketAddr::new(ip(&host)?, port))
}

fn address(address: SocketAddr) -> Address {
    (address.ip().to_string(), address.port())
}

#[pyclass(frozen, module = "holloway._native")]
pub struct Attempt(Arc<attempt::Attempt>);

#[pymethods]
impl Attempt {
    fn outcome(&self) -> Option<(i32, Option<Address>)> {
        self.0.outcome().map(|outcome| match outcome {
            Ok(local) => (0, Some(address(local))),
            Err(errno) => (errno, None),
        })
    }
}

#[pyclass(frozen, module = "holloway._native")]
pub struct Failed {
    #[pyo3(get)]
    id: u64,
    #[pyo3(get)]
    errno: i32,
}

#[pyclass(frozen, module = "holloway._native")]
pub struct Echoed {
    #[pyo3(get)]
    id: u64,
    #[pyo3(get)]
    nanoseconds: u64,
}

#[pyclass(frozen, module = "holloway._native")]
pub struct Ended {
    #[pyo3(get)]
    errno: i32,
}

/// Any event of a stack.
#[derive(IntoPyObject)]
pub enum StackEvent {
    Failed(Failed),
    Echoed(Echoed),
    Ended(Ended),
}

impl From<events::Event> for StackEvent {
    fn from(event: events::Event) -> Self {
        match event {
            events::Event::Failed(id, errno) => Self::Failed(Failed { id, errno }),
            events::Event::Echoed(id, nanoseconds) => Self::Echoed(Echoed { id, nanoseconds }),
            events::Event::Ended(errno) => Self::Ended(Ended { errno }),
        }
    }
}

/// errno 9; the standard library has no name for it, and only the stack depends on libc.
const EBADF: i32 = 9;
