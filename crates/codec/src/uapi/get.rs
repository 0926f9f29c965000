//! `get=1`: the state of a device.

use crate::address::{Endpoint, Network, split_once};
use crate::device::{Device, Peer};
use crate::number::{decimal, decimal16, decimal32};
use crate::refusal::{Kind, Reason, Refusal};

use super::{PUBLIC_KEY, key, lines, number, write_key, write_number};

/// The limit of seconds of a clock.
const MAX_SECONDS: u64 = i64::MAX.unsigned_abs();
/// The approximate length of a peer with two allowed IPs.
const PEER_LENGTH: usize = 400;
const NO_KEY: &[u8] = &[b'0'; 64];

/// Parse a response up to its first blank line. Unknown keys are skipped, like in wg(8).
pub fn parse(answer: &[u8]) -> Result<Device, Refusal> {
    let mut peers = Vec::new();
    let device = parse_each(answer, |_, peer| peers.push(peer.clone()))?;
    Ok(Device { peers, ..device })
}

/// Like `parse`, but passes each peer to `take` with its device as soon as it is complete; the returned
/// device has no peers. If the response is refused, the caller must discard what `take` got.
pub fn parse_each(answer: &[u8], mut take: impl FnMut(&Device, &Peer)) -> Result<Device, Refusal> {
    let (mut device, mut peer) = (Device::default(), None::<Peer>);
    for (line, text) in lines(answer).take_while(|(_, text)| !text.is_empty()) {
        let (name, Some(value)) = split_once(text, b'=') else {
            return Err(Refusal::language(line, "no `=' in the line"));
        };
        let read = match &mut peer {
            _ if name == PUBLIC_KEY => key(value).map(|key| match &mut peer {
                Some(peer) => {
                    take(&device, peer);
                    peer.renew(key);
                }
                None => peer = Some(Peer::new(key)),
            }),
            Some(peer) => read_peer(peer, name, value),
            None => read_device(&mut device, name, value),
        };
        read.map_err(|reason| Refusal {
            kind: Kind::Language, // it is the device's error
            ..Refusal::value(line, name, reason)
        })?;
    }
    peer.iter().for_each(|peer| take(&device, peer));
    Ok(device)
}

fn read_device(device: &mut Device, name: &[u8], value: &[u8]) -> Result<(), Reason> {
    match name {
        b"private_key" => device.private_key = Some(key(value)?),
        b"listen_port" => device.listen_port = number(decimal16(value), u16::MAX.into())?,
        b"unbound_port" => device.listen_port = number(decimal16(value), u16::MAX.into())?,
        b"listen_error" => device.listen_error = number(decimal32(value), u32::MAX.into())?,
        b"fwmark" => device.fwmark = number(decimal32(value), u32::MAX.into())?,
        _ => {}
    }
    Ok(())
}

fn read_peer(peer: &mut Peer, name: &[u8], value: &[u8]) -> Result<(), Reason> {
    let seconds = || number(decimal(value, MAX_SECONDS), MAX_SECONDS);
    let count = || number(decimal(value, u64::MAX), u64::MAX);
    match name {
        b"allowed_ip" => {
            if !value.contains(&b'/') {
                return Err(b"no prefix length".to_vec());
            }
            peer.allowed_ips.push(Network::parse(value)?);
        }
        b"endpoint" => peer.endpoint = Some(Endpoint::parse(value)?),
        b"preshared_key" if value == NO_KEY => peer.preshared_key = None,
        b"preshared_key" => peer.preshared_key = Some(key(value)?),
        b"protocol_version" => {
            peer.protocol_version = number(decimal32(value), u32::MAX.into())?;
        }
        b"last_handshake_time_sec" => peer.latest_handshake.0 = seconds()?,
        b"last_handshake_time_nsec" => peer.latest_handshake.1 = seconds()?,
        b"tx_bytes" => peer.tx_bytes = count()?,
        b"rx_bytes" => peer.rx_bytes = count()?,
        b"persistent_keepalive_interval" => {
            peer.persistent_keepalive = number(decimal16(value), u16::MAX.into())?;
        }
        _ => {}
    }
    Ok(())
}

/// Write a response, without the errno line at its end.
#[must_use]
pub fn write(device: &Device) -> Vec<u8> {
    let mut out = Vec::with_capacity(PEER_LENGTH * (device.peers.len() + 1));
    write_device(&mut out, device);
    for peer in &device.peers {
        write_peer(&mut out, peer);
    }
    out
}

/// Write the lines before the first peer.
fn write_device(out: &mut Vec<u8>, device: &Device) {
    if let Some(key) = device.private_key.as_ref().filter(|key| !key.is_zero()) {
        write_key(out, "private_key=", key);
    }
    write_number(out, "listen_port=", device.usable_port().into());
    if device.listen_error != 0 {
        // Keys of ours: wg(8) ignores them, and shows no port.
        write_number(out, "listen_error=", device.listen_error.into());
        write_number(out, "unbound_port=", device.listen_port.into());
    }
    if device.fwmark != 0 {
        write_number(out, "fwmark=", device.fwmark.into());
    }
}

fn write_peer(out: &mut Vec<u8>, peer: &Peer) {
    write_key(out, "public_key=", &peer.public_key);
    out.extend_from_slice(b"preshared_key=");
    match &peer.preshared_key {
        Some(key) => key.write_hex(out),
        None => out.extend_from_slice(NO_KEY),
    }
    write_number(out, "\nprotocol_version=", peer.protocol_version.into());
    if let Some(endpoint) = &peer.endpoint {
        out.extend_from_slice(b"endpoint=");
        endpoint.write(out);
        out.push(b'\n');
    }
    let (seconds, nanoseconds) = peer.latest_handshake;
    write_number(out, "last_handshake_time_sec=", seconds);
    write_number(out, "last_handshake_time_nsec=", nanoseconds);
    write_number(out, "tx_bytes=", peer.tx_bytes);
    write_number(out, "rx_bytes=", peer.rx_bytes);
    let interval = peer.persistent_keepalive;
    write_number(out, "persistent_keepalive_interval=", interval.into());
    for network in &peer.allowed_ips {
        out.extend_from_slice(b"allowed_ip=");
        network.write(out);
        out.push(b'\n');
    }
}
