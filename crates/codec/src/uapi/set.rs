//! `set=1`: a change of a device.

use std::str;

use crate::address::{Endpoint, Network, split_once};
use crate::changes::Changes;
use crate::number::{decimal16, decimal32};
use crate::refusal::{Kind, Reason, Refusal};
use crate::update::{PeerUpdate, Update};

use super::{PUBLIC_KEY, key, lines, number, write_key, write_number};

/// The approximate length of a peer in a request without its allowed IPs.
const PEER: usize = 200;

/// Parse the lines between `set=1` and the blank line, each with its line end.
pub fn parse(body: &[u8]) -> Result<Update, Refusal> {
    if str::from_utf8(body).is_err() {
        return Err(Refusal {
            kind: Kind::Value,
            line: None,
            key: None,
            reason: b"not UTF-8".to_vec(),
        });
    }
    let mut reader = Reader::default();
    for (line, text) in lines(body) {
        let (name, Some(value)) = split_once(text, b'=') else {
            return Err(Refusal::language(line, "no `=' in the line"));
        };
        let read = reader.read(name, value);
        read.map_err(|reason| Refusal::value(line, name, reason))?;
    }
    reader.end_peer();
    Ok(reader.update)
}

/// Collects device and peers line by line.
#[derive(Default)]
struct Reader {
    update: Update,
    peer: Option<(PeerUpdate, Changes)>,
}

impl Reader {
    fn read(&mut self, name: &[u8], value: &[u8]) -> Result<(), Reason> {
        if name == PUBLIC_KEY {
            let public_key = key(value)?;
            self.end_peer();
            self.peer = Some((PeerUpdate::new(public_key), Changes::default()));
            return Ok(());
        }
        match &mut self.peer {
            Some((peer, changes)) => read_peer(peer, changes, name, value),
            None => self.read_device(name, value),
        }
    }

    fn read_device(&mut self, name: &[u8], value: &[u8]) -> Result<(), Reason> {
        match name {
            b"private_key" => self.update.private_key = Some(key(value)?),
            b"listen_port" => {
                self.update.listen_port = Some(number(decimal16(value), u16::MAX.into())?);
            }
            b"fwmark" => self.update.fwmark = Some(number(decimal32(value), u32::MAX.into())?),
            b"replace_peers" => self.update.replace_peers = truth(value)?,
            _ => return Err(b"not a setting of a device".to_vec()),
        }
        Ok(())
    }

    fn end_peer(&mut self) {
        if let Some((mut peer, changes)) = self.peer.take() {
            peer.replace_allowed_ips = changes.replace;
            (peer.removed_allowed_ips, peer.allowed_ips) = changes.result();
            self.update.peers.push(peer);
        }
    }
}

fn read_peer(
    peer: &mut PeerUpdate,
    changes: &mut Changes,
    name: &[u8],
    value: &[u8],
) -> Result<(), Reason> {
    match name {
        b"allowed_ip" => match value {
            [b'-', network @ ..] => changes.remove(Network::parse(network)?),
            network => changes.add(Network::parse(network)?),
        },
        b"endpoint" => peer.endpoint = Some(Endpoint::parse(value)?),
        b"persistent_keepalive_interval" => {
            peer.persistent_keepalive = Some(number(decimal16(value), u16::MAX.into())?);
        }
        b"preshared_key" => peer.preshared_key = Some(key(value)?),
        b"replace_allowed_ips" => {
            truth(value)?;
            changes.clear();
        }
        b"protocol_version" if value == b"1" => {}
        b"protocol_version" => return Err(b"not protocol version 1".to_vec()),
        b"remove" => peer.remove = truth(value)?,
        b"update_only" => peer.update_only = truth(value)?,
        _ => return Err(b"not a setting of a peer".to_vec()),
    }
    Ok(())
}

fn truth(value: &[u8]) -> Result<bool, Reason> {
    let reason = || b"not `true'".to_vec();
    (value == b"true").then_some(true).ok_or_else(reason)
}

/// Write the whole request, with the blank line at its end.
#[must_use]
pub fn write(update: &Update) -> Vec<u8> {
    let mut out = Vec::with_capacity(PEER * (update.peers.len() + 1));
    out.extend_from_slice(b"set=1\n");
    if let Some(key) = &update.private_key {
        write_key(&mut out, "private_key=", key);
    }
    if let Some(port) = update.listen_port {
        write_number(&mut out, "listen_port=", port.into());
    }
    if let Some(fwmark) = update.fwmark {
        write_number(&mut out, "fwmark=", fwmark.into());
    }
    if update.replace_peers {
        out.extend_from_slice(b"replace_peers=true\n");
    }
    for peer in &update.peers {
        write_peer(&mut out, peer);
    }
    out.push(b'\n');
    out
}

fn write_peer(out: &mut Vec<u8>, peer: &PeerUpdate) {
    write_key(out, "public_key=", &peer.public_key);
    if peer.update_only {
        out.extend_from_slice(b"update_only=true\n");
    }
    if peer.remove {
        out.extend_from_slice(b"remove=true\n");
        return;
    }
    if let Some(key) = &peer.preshared_key {
        write_key(out, "preshared_key=", key);
    }
    if let Some(endpoint) = &peer.endpoint {
        out.extend_from_slice(b"endpoint=");
        endpoint.write(out);
        out.push(b'\n');
    }
    if let Some(interval) = peer.persistent_keepalive {
        write_number(out, "persistent_keepalive_interval=", interval.into());
    }
    if peer.replace_allowed_ips {
        out.extend_from_slice(b"replace_allowed_ips=true\n");
    }
    let removed = peer
        .removed_allowed_ips
        .iter()
        .map(|network| ("allowed_ip=-", network));
    let added = peer
        .allowed_ips
        .iter()
        .map(|network| ("allowed_ip=", network));
    for (name, network) in removed.chain(added) {
        out.extend_from_slice(name.as_bytes());
        network.write(out);
        out.push(b'\n');
    }
}
