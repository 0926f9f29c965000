//! Configuration files of wg(8), parsed to an update.
//!
//! The caller's `Resolver` resolves names of hosts and services line by line in the file's order, so that
//! its messages come in that order too.

use crate::address::split_once;
use crate::changes::Changes;
use crate::key::Key;
use crate::refusal::{Kind, Refusal, shown};
use crate::setting::{self, Resolver, SettingError};
use crate::update::{PeerUpdate, Update};

/// The only reason that concerns the whole file instead of a line.
pub const MISSING_PUBLIC_KEY: &str = "A peer is missing a public key";

/// Why a file was refused.
#[derive(Debug, PartialEq, Eq)]
pub enum ConfError<E> {
    /// The file is wrong.
    Refused(Refusal),
    /// The resolver failed, with the number and key of the line.
    Resolver(E, usize, Vec<u8>),
}

/// Parse the lines of a file, each with its number.
///
/// Settings that the file does not have are reset, as by setconf; with `append` they stay, as by addconf.
/// The peers of the file get exactly its allowed IPs in both cases.
pub fn parse<'a, R: Resolver>(
    lines: impl IntoIterator<Item = (usize, &'a [u8])>,
    resolver: &mut R,
    append: bool,
) -> Result<Update, ConfError<R::Error>> {
    let mut reader = Reader::new(resolver);
    let mut buffer = Vec::new();
    for (number, line) in lines {
        let text = clean(line, &mut buffer);
        if text.is_empty() {
            continue;
        }
        let name = split_once(text, b'=').0;
        reader.read(number, text).map_err(|bad| match bad {
            SettingError::Value(reason) => ConfError::Refused(Refusal::value(number, name, reason)),
            SettingError::Resolver(error) => ConfError::Resolver(error, number, name.to_vec()),
        })?;
    }
    let mut update = reader.result().map_err(ConfError::Refused)?;
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

/// Remove the comment and all white space, also inside; a NUL ends the line.
fn clean<'a>(line: &[u8], buffer: &'a mut Vec<u8>) -> &'a [u8] {
    let end = memchr::memchr2(b'\0', b'#', line).unwrap_or(line.len());
    let space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    buffer.clear();
    buffer.extend(line[..end].iter().filter(|byte| !space(byte)));
    buffer
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    None,
    Interface,
    Peer,
}

/// A `[Peer]` that is being parsed.
struct Named {
    line: usize,
    public_key: Option<Key>,
    peer: PeerUpdate,
    changes: Changes,
}

/// Collects device and peers line by line.
struct Reader<'r, R> {
    resolver: &'r mut R,
    section: Section,
    update: Update,
    peer: Option<Named>,
    /// The line of the first peer without a key. Errors of a line take precedence.
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

    fn read(&mut self, number: usize, line: &[u8]) -> Result<(), SettingError<R::Error>> {
        if line.eq_ignore_ascii_case(b"[interface]") {
            self.section = Section::Interface;
            return Ok(());
        }
        if line.eq_ignore_ascii_case(b"[peer]") {
            self.section = Section::Peer;
            self.begin_peer(number);
            return Ok(());
        }
        // wg(8) recognizes a setting by its name and "=" followed by something.
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

    fn read_interface(
        &mut self,
        name: &[u8],
        value: &[u8],
    ) -> Result<bool, SettingError<R::Error>> {
        let is = |setting: &str| name.eq_ignore_ascii_case(setting.as_bytes());
        if is("ListenPort") {
            self.update.listen_port = Some(setting::port(value, self.resolver)?);
        } else if is("FwMark") {
            self.update.fwmark = Some(setting::fwmark(value)?);
        } else if is("PrivateKey") {
            self.update.private_key = Some(setting::key(value)?);
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
    ) -> Result<bool, SettingError<R::Error>> {
        let is = |setting: &str| name.eq_ignore_ascii_case(setting.as_bytes());
        if is("AllowedIPs") {
            setting::allowed_ips(&mut self.changes, value, resolver)?;
        } else if is("PublicKey") {
            self.public_key = Some(setting::key(value)?);
        } else if is("Endpoint") {
            self.peer.endpoint = Some(setting::endpoint(value, resolver)?);
        } else if is("PresharedKey") {
            self.peer.preshared_key = Some(setting::key(value)?);
        } else if is("PersistentKeepalive") {
            self.peer.persistent_keepalive = Some(setting::keepalive(value)?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}
