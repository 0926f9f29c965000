//! Conversions of single values between Rust and Python.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use holloway_codec::address::{Endpoint, Host, Network, width};
use holloway_codec::key::Key;
use holloway_codec::refusal::{Kind, Refusal};
use holloway_plane::Discard;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

pyo3::create_exception!(holloway._native, Refused, PyValueError);

/// A packed address and its prefix length.
pub type NetworkParts<'py> = (Bound<'py, PyBytes>, u8);
/// A host and a port.
pub type EndpointParts = (String, u16);

/// Converts a refusal into the exception `Refused`; the stub documents its arguments.
pub fn refused(py: Python<'_>, refusal: &Refusal) -> PyErr {
    let key = refusal
        .key
        .as_ref()
        .map(|key| PyBytes::new(py, key).unbind());
    let reason = PyBytes::new(py, &refusal.reason).unbind();
    Refused::new_err((refusal.kind == Kind::Language, refusal.line, key, reason))
}

/// Decodes a text that may not be UTF-8 as Python does for file names, with `surrogateescape`.
pub fn text<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    let bytes = PyBytes::new(py, bytes);
    let decoded = bytes.call_method1("decode", ("utf-8", "surrogateescape"))?;
    Ok(decoded.cast_into()?)
}

pub fn key_of(raw: &Bound<'_, PyBytes>) -> PyResult<Key> {
    key(raw.as_bytes()).map(|raw| Key::new(*raw))
}

pub fn key_parts<'py>(py: Python<'py>, key: &Key) -> Bound<'py, PyBytes> {
    PyBytes::new(py, key.raw())
}

pub fn network_of((packed, length): NetworkParts<'_>) -> PyResult<Network> {
    let network = address(packed.as_bytes()).filter(|address| length <= width(*address));
    let network = network.map(|address| Network::around(address, length));
    network.ok_or_else(|| PyValueError::new_err("not a network: address length or bits"))
}

pub fn network_parts<'py>(py: Python<'py>, networks: &[Network]) -> Vec<NetworkParts<'py>> {
    let networks = networks.iter();
    networks
        .map(|network| (packed(py, network.address), network.length))
        .collect()
}

pub fn packed(py: Python<'_>, address: IpAddr) -> Bound<'_, PyBytes> {
    match address {
        IpAddr::V4(address) => PyBytes::new(py, &address.octets()),
        IpAddr::V6(address) => PyBytes::new(py, &address.octets()),
    }
}

pub fn endpoint_of((host, port): EndpointParts) -> Endpoint {
    let host = Host::of(&host);
    Endpoint { host, port }
}

pub fn endpoint_parts(endpoint: &Endpoint) -> EndpointParts {
    let mut host = Vec::new();
    endpoint.host.write(&mut host);
    (String::from_utf8_lossy(&host).into_owned(), endpoint.port)
}

pub fn key(bytes: &[u8]) -> PyResult<&[u8; 32]> {
    bytes
        .try_into()
        .map_err(|_| PyValueError::new_err("a key has 32 bytes"))
}

pub fn counts<'py>(py: Python<'py>, counts: &[u64], all: bool) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (reason, &count) in Discard::ALL.iter().zip(counts) {
        if all || count != 0 {
            dict.set_item(reason.name(), count)?;
        }
    }
    Ok(dict)
}

pub fn address(packed: &[u8]) -> Option<IpAddr> {
    match *packed {
        [a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d).into()),
        _ => <[u8; 16]>::try_from(packed)
            .ok()
            .map(|bytes| Ipv6Addr::from(bytes).into()),
    }
}
