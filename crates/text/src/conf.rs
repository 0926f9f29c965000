//! Configuration files of wg(8), read into an update.
//!
//! Names of hosts and services go to the `Resolver` that the caller brings, line by line in the
//! file's order, so that what a user is told comes in that order too.

use crate::address::{Endpoint, Network, parse_ip, split_once, width};
use crate::changes::Changes;
use crate::key::Key;
use crate::number::{decimal, decimal16, decimal32, hexadecimal32};
use crate::refusal::{Kind, Reason, Refusal, shown};
use crate::update::{PeerUpdate, Update};

/// The one reason that stands against a whole file and not against a line of it.
pub const MISSING_PUBLIC_KEY: &str = "A peer is missing a public key";

/// What the reading of a configuration asks of the world outside.
pub trait Resolver {
    /// What goes wrong out there.
    type Error;
    /// Look up a UDP port by number or name.
    fn port(&mut self, service: &[u8]) -> Result<u16, Self::Error>;
    /// Look up an endpoint that was written as `text`.
    fn endpoint(
        &mut self,
        host: &[u8],
        service: &[u8],
        text: &[u8],
    ) -> Result<Endpoint, Self::Error>;
    /// Tell the user of something that is accepted all the same.
    fn warn(&mut self, sentence: &[u8]) -> Result<(), Self::Error>;
}

/// Why a file was not read.
#[derive(Debug, PartialEq, Eq)]
pub enum Trouble<E> {
    /// The file is wrong.
    Refused(Refusal),
    /// The resolver failed, for the line and key of these names.
    Resolver(E, usize, Vec<u8>),
}

/// Why a value was not read.
#[derive(Debug)]
enum Bad<E> {
    Value(Reason),
    Resolver(E),
}

impl<E> From<Reason> for Bad<E> {
    fn from(reason: Reason) -> Self {
        Self::Value(reason)
    }
}

/// Read the lines of a file, each with its number.
///
/// As setconf has it, what the file does not name is reset; with `append`, as addconf has it, it
/// stays. The peers that the file names get exactly its allowed IPs either way.
pub fn parse<'a, R: Resolver>(
    lines: impl IntoIterator<Item = (usize, &'a [u8])>,
    resolver: &mut R,
    append: bool,
) -> Result<Update, Trouble<R::Error>> {
    let mut reader = Reader::new(resolver);
    let mut room = Vec::new();
    for (number, line) in lines {
        let text = clean(line, &mut room);
        if text.is_empty() {
            continue;
        }
        let name = split_once(text, b'=').0;
        reader.read(number, text).map_err(|bad| match bad {
            Bad::Value(reason) => Trouble::Refused(Refusal::value(number, name, reason)),
            Bad::Resolver(error) => Trouble::Resolver(error, number, name.to_vec()),
        })?;
    }
    let mut update = reader.result().map_err(Trouble::Refused)?;
    if !append {
        update.private_key.get_or_insert(Key::ZERO);
        update.listen_port.get_or_insert(0);
        update.fwmark.get_or_insert(0);
        update.replace_peers = true;
    }
    Ok(update)
}

/// Number the lines of a text.
pub fn numbered(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', text).chain([text.len()]);
    let lines = ends.map(move |end| &text[std::mem::replace(&mut start, end + 1)..end]);
    (1..).zip(lines)
}

/// Take away the comment and all space, also within; a NUL ends the line.
fn clean<'a>(line: &[u8], room: &'a mut Vec<u8>) -> &'a [u8] {
    let end = memchr::memchr2(b'\0', b'#', line).unwrap_or(line.len());
    let space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    room.clear();
    room.extend(line[..end].iter().filter(|byte| !space(byte)));
    room
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    None,
    Interface,
    Peer,
}

/// A `[Peer]` while it is read.
struct Named {
    line: usize,
    public_key: Option<Key>,
    peer: PeerUpdate,
    changes: Changes,
}

/// Collects device and peers while the lines go by.
struct Reader<'r, R> {
    resolver: &'r mut R,
    section: Section,
    update: Update,
    peer: Option<Named>,
    /// The line of the first peer without a key; what is wrong with a line comes before it.
    nameless: Option<usize>,
}

impl<'r, R: Resolver> Reader<'r, R> {
    fn new(resolver: &'r mut R) -> Self {
        Self {
            resolver,
            section: Section::None,
            update: Update::default(),
            peer: None,
            nameless: None,
        }
    }

    fn read(&mut self, number: usize, line: &[u8]) -> Result<(), Bad<R::Error>> {
        if line.eq_ignore_ascii_case(b"[interface]") {
            self.section = Section::Interface;
            return Ok(());
        }
        if line.eq_ignore_ascii_case(b"[peer]") {
            self.section = Section::Peer;
            self.begin_peer(number);
            return Ok(());
        }
        // wg(8) knows a setting by its name and "=" with something after it.
        if let (name, Some(value @ [_, ..])) = split_once(line, b'=') {
            let known = match (self.section, &mut self.peer) {
                (Section::Peer, Some(peer)) => peer.read(name, value, self.resolver)?,
                (Section::Interface, _) => self.read_interface(name, value)?,
                _ => false,
            };
            if known {
                return Ok(());
            }
        }
        Err(shown("Line unrecognized", line).into())
    }

    fn read_interface(&mut self, name: &[u8], value: &[u8]) -> Result<bool, Bad<R::Error>> {
        let is = |setting: &str| name.eq_ignore_ascii_case(setting.as_bytes());
        if is("ListenPort") {
            let port = self.resolver.port(value).map_err(Bad::Resolver)?;
            self.update.listen_port = Some(port);
        } else if is("FwMark") {
            self.update.fwmark = Some(parse_fwmark(value)?);
        } else if is("PrivateKey") {
            self.update.private_key = Some(parse_key(value)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn begin_peer(&mut self, line: usize) {
        self.end_peer();
        let mut changes = Changes::default();
        changes.clear();
        self.peer = Some(Named {
            line,
            public_key: None,
            peer: PeerUpdate::new(Key::ZERO),
            changes,
        });
    }

    fn end_peer(&mut self) {
        let Some(named) = self.peer.take() else {
            return;
        };
        let Some(public_key) = named.public_key else {
            self.nameless.get_or_insert(named.line);
            return;
        };
        let replace_allowed_ips = named.changes.replace;
        let (removed_allowed_ips, allowed_ips) = named.changes.result();
        self.update.peers.push(PeerUpdate {
            public_key,
            replace_allowed_ips,
            removed_allowed_ips,
            allowed_ips,
            ..named.peer
        });
    }

    fn result(mut self) -> Result<Update, Refusal> {
        self.end_peer();
        match self.nameless {
            Some(line) => Err(Refusal {
                kind: Kind::Value,
                line: Some(line),
                key: Some(b"PublicKey".to_vec()),
                reason: MISSING_PUBLIC_KEY.into(),
            }),
            None => Ok(self.update),
        }
    }
}

impl Named {
    fn read<R: Resolver>(
        &mut self,
        name: &[u8],
        value: &[u8],
        resolver: &mut R,
    ) -> Result<bool, Bad<R::Error>> {
        let is = |setting: &str| name.eq_ignore_ascii_case(setting.as_bytes());
        if is("AllowedIPs") {
            read_allowed_ips(&mut self.changes, value, resolver)?;
        } else if is("PublicKey") {
            self.public_key = Some(parse_key(value)?);
        } else if is("Endpoint") {
            let (host, service) = split_endpoint(value)?;
            let found = resolver.endpoint(host, service, value);
            self.peer.endpoint = Some(found.map_err(Bad::Resolver)?);
        } else if is("PresharedKey") {
            self.peer.preshared_key = Some(parse_key(value)?);
        } else if is("PersistentKeepalive") {
            self.peer.persistent_keepalive = Some(parse_keepalive(value)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

/// Read networks joined by commas, which replace what there is; with `+` or `-` before any of
/// them they add and take away, as wg(8) after 2021 has it.
fn read_allowed_ips<R: Resolver>(
    changes: &mut Changes,
    value: &[u8],
    resolver: &mut R,
) -> Result<(), Bad<R::Error>> {
    changes.replace = true;
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
            let told = resolver.warn(&[warning, entry].concat());
            told.map_err(Bad::Resolver)?;
        }
        match sign {
            Some(b'-') => changes.remove(network),
            _ => changes.add(network),
        }
    }
    Ok(())
}

/// Read one network; whether it was written without host bits.
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

fn parse_key(text: &[u8]) -> Result<Key, Reason> {
    let reason = || shown("Key is not the correct length or format", text);
    Key::from_base64(text).ok_or_else(reason)
}

/// Read a firewall mark: decimal, `0x` and hexadecimal, or `off`.
fn parse_fwmark(text: &[u8]) -> Result<u32, Reason> {
    let number = match text {
        _ if text.eq_ignore_ascii_case(b"off") => Some(0),
        [b'0', b'x', digits @ ..] => hexadecimal32(digits),
        _ => decimal32(text),
    };
    number.ok_or_else(|| shown("Fwmark is neither 0/off nor 0-0xffffffff", text))
}

/// Read a persistent keepalive interval: seconds or `off`.
fn parse_keepalive(text: &[u8]) -> Result<u16, Reason> {
    let off = text.eq_ignore_ascii_case(b"off").then_some(0);
    let reason = || {
        shown(
            "Persistent keepalive interval is neither 0/off nor 1-65535",
            text,
        )
    };
    off.or_else(|| decimal16(text)).ok_or_else(reason)
}

/// Split `host:port` or `[host]:port`.
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
