//! The UAPI, the text protocol of a WireGuard device's socket, in both directions.
//!
//! A daemon parses requests with `set::parse` and writes responses with `get::write`; a client writes
//! requests with `set::write` and parses responses with `get::parse`. The caller handles `errno=` lines and
//! the socket.

pub mod get;
pub mod set;

use std::iter;

use crate::key::Key;
use crate::number::write_decimal;
use crate::refusal::Reason;

/// The key of the line that begins a peer.
const PUBLIC_KEY: &[u8] = b"public_key";

/// The position of the first blank line, which ends a request or a response.
#[must_use]
pub fn blank_line(text: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, b"\n\n").map(|place| place + 1)
}

/// The lines of a text, numbered from 1, without line ends.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let (mut rest, mut number) = (text, 0);
    iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after.get(1..).unwrap_or_default();
        number += 1;
        Some((number, line))
    })
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
