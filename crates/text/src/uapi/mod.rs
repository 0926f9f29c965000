//! The UAPI, the text that a WireGuard device speaks over its socket: both directions.
//!
//! A daemon reads with `set::parse` and answers with `get::write_device` and `get::write_peer`; a
//! client asks with `set::write` and reads with `get::parse`. `errno=` lines and the socket are
//! the business of whoever calls.

pub mod get;
pub mod set;

use crate::key::Key;
use crate::number::write_decimal;
use crate::refusal::Reason;

/// The line that begins a peer.
const PUBLIC_KEY: &[u8] = b"public_key";

/// Where the first blank line is, which ends a request or an answer.
#[must_use]
pub fn blank_line(text: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, b"\n\n").map(|place| place + 1)
}

fn key(text: &[u8]) -> Result<Key, Reason> {
    Key::from_hex(text).ok_or_else(|| b"not a key of 64 hexadecimal digits".to_vec())
}

fn number<T>(value: Option<T>, most: u64) -> Result<T, Reason> {
    value.ok_or_else(|| format!("not a number from 0 to {most}").into_bytes())
}

fn write_key(out: &mut Vec<u8>, name: &str, key: &Key) {
    out.extend_from_slice(name.as_bytes());
    key.write_hex(out);
    out.push(b'\n');
}

fn write_number(out: &mut Vec<u8>, name: &str, number: u64) {
    out.extend_from_slice(name.as_bytes());
    write_decimal(out, number);
    out.push(b'\n');
}
