//! Single settings, parsed as by wg(8), in files and on the command line.
//!
//! The reasons of errors are the messages of wg(8).

use crate::address::{Endpoint, Network, parse_ip, split_once, width};
use crate::changes::Changes;
use crate::key::Key;
use crate::number::{decimal, decimal16, decimal32, hexadecimal32};
use crate::refusal::{Reason, shown};

/// Name resolution and warnings, which the caller provides.
pub trait Resolver {
    /// The error of a lookup.
    type Error;
    /// Look up a UDP port by number or name.
    fn port(&mut self, service: &[u8]) -> Result<u16, Self::Error>;
    /// Look up the endpoint written as `text`.
    fn endpoint(
        &mut self,
        host: &[u8],
        service: &[u8],
        text: &[u8],
    ) -> Result<Endpoint, Self::Error>;
    /// Warn about a value that is accepted.
    fn warn(&mut self, sentence: &[u8]) -> Result<(), Self::Error>;
}

/// Why a value was refused.
#[derive(Debug)]
pub enum SettingError<E> {
    /// It is invalid.
    Value(Reason),
    /// The resolver failed.
    Resolver(E),
}

impl<E> From<Reason> for SettingError<E> {
    fn from(reason: Reason) -> Self {
        Self::Value(reason)
    }
}

/// Parse networks separated by commas, or none from an empty text. They replace the existing ones; if any
/// of them has `+` or `-` in front, they are added and removed, like in wg(8) after 2021.
pub fn allowed_ips<R: Resolver>(
    changes: &mut Changes,
    value: &[u8],
    resolver: &mut R,
) -> Result<(), SettingError<R::Error>> {
    changes.replace = true;
    if value.is_empty() {
        return Ok(());
    }
    for entry in value.split(|&byte| byte == b',') {
        let (sign, entry) = match entry {
            [sign @ (b'+' | b'-'), rest @ ..] => (Some(*sign), rest),
            _ => (None, entry),
        };
        if sign.is_some() {
            changes.replace = false;
        }
        let (network, exact) = parse_allowed_ip(entry)?;
        if !exact {
            let warning = b"Warning: AllowedIP has nonzero host part: ";
            let warned = resolver.warn(&[warning, entry].concat());
            warned.map_err(SettingError::Resolver)?;
        }
        match sign {
            Some(b'-') => changes.remove(network),
            _ => changes.add(network),
        }
    }
    Ok(())
}

/// Parse one network. Also returns whether its host bits are zero.
fn parse_allowed_ip(entry: &[u8]) -> Result<(Network, bool), Reason> {
    let (host, length) = split_once(entry, b'/');
    let address = parse_ip(host).ok_or_else(|| shown("Unable to parse IP address", host))?;
    let width = width(address);
    let bits = match length {
        None => Some(width.into()),
        Some(length) => decimal(length, width.into()),
    };
    let bits = bits.ok_or_else(|| shown("AllowedIP is not in the correct format", entry))?;
    let network = Network::around(address, bits as u8);
    Ok((network, network.address == address))
}

/// Parse a key in base64.
pub fn key(text: &[u8]) -> Result<Key, Reason> {
    let reason = || shown("Key is not the correct length or format", text);
    Key::from_base64(text).ok_or_else(reason)
}

/// Parse a firewall mark: decimal, hexadecimal with `0x`, or `off`.
pub fn fwmark(text: &[u8]) -> Result<u32, Reason> {
    let number = match text {
        _ if text.eq_ignore_ascii_case(b"off") => Some(0),
        [b'0', b'x', digits @ ..] => hexadecimal32(digits),
        _ => decimal32(text),
    };
    number.ok_or_else(|| shown("Fwmark is neither 0/off nor 0-0xffffffff", text))
}

/// Parse a persistent keepalive interval: seconds or `off`.
pub fn keepalive(text: &[u8]) -> Result<u16, Reason> {
    let off = text.eq_ignore_ascii_case(b"off").then_some(0);
    let reason = || {
        shown(
            "Persistent keepalive interval is neither 0/off nor 1-65535",
            text,
        )
    };
    off.or_else(|| decimal16(text)).ok_or_else(reason)
}

/// Parse a listening port: a number or the name of a service.
pub fn port<R: Resolver>(text: &[u8], resolver: &mut R) -> Result<u16, SettingError<R::Error>> {
    if text.is_empty() {
        return Err(b"Unable to parse empty port".to_vec().into());
    }
    resolver.port(text).map_err(SettingError::Resolver)
}

/// Split `host:port` or `[host]:port`, and let the resolver look it up.
pub fn endpoint<R: Resolver>(
    text: &[u8],
    resolver: &mut R,
) -> Result<Endpoint, SettingError<R::Error>> {
    if text.is_empty() {
        return Err(b"Unable to parse empty endpoint".to_vec().into());
    }
    let (host, service) = split_endpoint(text)?;
    let found = resolver.endpoint(host, service, text);
    found.map_err(SettingError::Resolver)
}

fn split_endpoint(text: &[u8]) -> Result<(&[u8], &[u8]), Reason> {
    let no_port = || shown("Unable to find port of endpoint", text);
    let (host, service) = if let [b'[', rest @ ..] = text {
        let (host, rest) = split_once(rest, b']');
        let rest = rest.ok_or_else(|| shown("Unable to find matching brace of endpoint", text))?;
        (host, rest.strip_prefix(b":").ok_or_else(no_port)?)
    } else {
        let colon = memchr::memrchr(b':', text).ok_or_else(no_port)?;
        (&text[..colon], &text[colon + 1..])
    };
    if service.is_empty() {
        return Err(no_port());
    }
    Ok((host, service))
}
