//! The output of `wg show INTERFACE dump`: one line for the device and one per peer, separated by tabs.

use crate::device::{Device, Peer};
use crate::key::Key;
use crate::number::{write_decimal, write_hexadecimal};
use crate::refusal::Refusal;
use crate::uapi::get::parse_each;

/// The approximate length of a peer's line without endpoint and allowed IPs.
const LINE: usize = 200;

/// Write the dump of a device, with `prefix` before each line.
#[must_use]
pub fn dump(device: &Device, prefix: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(LINE * (device.peers.len() + 1));
    write_device(&mut out, device, prefix);
    for peer in &device.peers {
        out.extend_from_slice(prefix);
        write_peer(&mut out, peer);
    }
    out
}

/// Write the dump of the device in a response to `get=1`, without creating a `Device`.
pub fn dump_answer(answer: &[u8], prefix: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::with_capacity(answer.len() / 3);
    let device = parse_each(answer, |device, peer| {
        if out.is_empty() {
            write_device(&mut out, device, prefix);
        }
        out.extend_from_slice(prefix);
        write_peer(&mut out, peer);
    })?;
    if out.is_empty() {
        write_device(&mut out, &device, prefix);
    }
    Ok(out)
}

fn write_device(out: &mut Vec<u8>, device: &Device, prefix: &[u8]) {
    out.extend_from_slice(prefix);
    let public = device.private_key.as_ref().map(Key::public);
    write_key(out, device.private_key.as_ref());
    out.push(b'\t');
    write_key(out, public.as_ref());
    out.push(b'\t');
    write_decimal(out, device.usable_port().into());
    out.push(b'\t');
    if device.fwmark == 0 {
        out.extend_from_slice(b"off");
    } else {
        out.extend_from_slice(b"0x");
        write_hexadecimal(out, device.fwmark);
    }
    out.push(b'\n');
}

fn write_peer(out: &mut Vec<u8>, peer: &Peer) {
    peer.public_key.write_base64(out);
    out.push(b'\t');
    write_key(out, peer.preshared_key.as_ref());
    out.push(b'\t');
    match &peer.endpoint {
        Some(endpoint) => endpoint.write(out),
        None => out.extend_from_slice(NONE),
    }
    out.push(b'\t');
    for (place, network) in peer.allowed_ips.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        network.write(out);
    }
    if peer.allowed_ips.is_empty() {
        out.extend_from_slice(NONE);
    }
    let (seconds, nanoseconds) = peer.latest_handshake;
    let seconds = seconds.saturating_add(nanoseconds / 1_000_000_000);
    for number in [seconds, peer.rx_bytes, peer.tx_bytes] {
        out.push(b'\t');
        write_decimal(out, number);
    }
    out.push(b'\t');
    match peer.persistent_keepalive {
        0 => out.extend_from_slice(b"off"),
        interval => write_decimal(out, interval.into()),
    }
    out.push(b'\n');
}

fn write_key(out: &mut Vec<u8>, key: Option<&Key>) {
    match key {
        Some(key) => key.write_base64(out),
        None => out.extend_from_slice(NONE),
    }
}

const NONE: &[u8] = b"(none)";
