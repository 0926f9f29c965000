//! The Python class `Stack`, and the classes of its events.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

use holloway_stack::addresses::{Addresses, Own};
use holloway_stack::memory::BUDGET;
use holloway_stack::net::Settings;
use holloway_stack::{events, stack};
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

    #[pyo3(signature = (local, remote, timeout, /))]
    fn connect(&self, local: Option<Address>, remote: Address, timeout: f64) -> PyResult<u64> {
        let local = local.map(socket_address).transpose()?;
        let microseconds = (timeout.clamp(0.0, 1e9) * 1e6) as i64;
        Ok(self
            .open()?
            .connect(local, socket_address(remote)?, microseconds))
    }

    #[pyo3(signature = (local, backlog, /))]
    fn listen(&self, local: Address, backlog: usize) -> PyResult<u64> {
        Ok(self.open()?.listen(socket_address(local)?, backlog))
    }

    #[pyo3(signature = (listener, /))]
    fn accept(&self, listener: u64) -> PyResult<Option<(RawFd, Address, Address)>> {
        Ok(self.open()?.accept(listener).map(|accepted| {
            let (remote, local) = (address(accepted.remote), address(accepted.local));
            (accepted.fd.into_raw_fd(), remote, local)
        }))
    }

    #[pyo3(signature = (local, remote, /))]
    fn datagrams(&self, local: Option<Address>, remote: Option<Address>) -> PyResult<u64> {
        let local = local.map(socket_address).transpose()?;
        let remote = remote.map(socket_address).transpose()?;
        Ok(self.open()?.datagrams(local, remote))
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
pub struct Opened {
    #[pyo3(get)]
    id: u64,
    #[pyo3(get)]
    fd: Option<RawFd>,
    #[pyo3(get)]
    address: Address,
}

#[pyclass(frozen, module = "holloway._native")]
pub struct Failed {
    #[pyo3(get)]
    id: u64,
    #[pyo3(get)]
    errno: i32,
}

#[pyclass(frozen, module = "holloway._native")]
pub struct Acceptable {
    #[pyo3(get)]
    id: u64,
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
    Opened(Opened),
    Failed(Failed),
    Acceptable(Acceptable),
    Echoed(Echoed),
    Ended(Ended),
}

impl From<events::Event> for StackEvent {
    fn from(event: events::Event) -> Self {
        match event {
            events::Event::Opened(id, fd, local) => Self::Opened(Opened {
                id,
                fd: fd.map(IntoRawFd::into_raw_fd),
                address: address(local),
            }),
            events::Event::Failed(id, errno) => Self::Failed(Failed { id, errno }),
            events::Event::Acceptable(id) => Self::Acceptable(Acceptable { id }),
            events::Event::Echoed(id, nanoseconds) => Self::Echoed(Echoed { id, nanoseconds }),
            events::Event::Ended(errno) => Self::Ended(Ended { errno }),
        }
    }
}

/// errno 9; the standard library has no name for it, and only the stack depends on libc.
const EBADF: i32 = 9;
