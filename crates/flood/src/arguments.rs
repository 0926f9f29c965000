//! The command line.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use base64ct::{Base64, Encoding};

use crate::messages::Kind;
use crate::packets::{Prefix, Sources};
use crate::target::Target;

/// How it is called.
pub const USAGE: &str = "\
Usage: holloway-flood --namespace PID|/proc/PID/ns/net --target ADDRESS:PORT --kind KIND
                      --rate PACKETS-A-SECOND --seconds SECONDS [OPTION...]

  --rate           0: as fast as one processor sends
  --seconds        at most 60
  --kind           initiation, response, mixed-train   need --public-key
                   wrong-mac1, random
                   replay                              needs --message
                   transport                           takes --receivers
  --public-key     the target's, in base64
  --message        in hexadecimal
  --receivers      receiver indices, separated by commas; otherwise random ones
  --sources        own, or a prefix of spoofed addresses: otherwise 32.0.0.0/3 or 2000::/3";

/// A flood lasts no longer, so that a forgotten one ends.
const LONGEST: f64 = 60.0;
const SPOOFED_V4: Prefix = Prefix {
    address: IpAddr::V4(Ipv4Addr::new(32, 0, 0, 0)),
    length: 3,
};
const SPOOFED_V6: Prefix = Prefix {
    address: IpAddr::V6(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0)),
    length: 3,
};

/// What the flood is.
#[derive(Debug)]
pub struct Arguments {
    pub namespace: PathBuf,
    pub target: SocketAddr,
    pub kind: Kind,
    /// Packets a second; 0 for as many as possible.
    pub rate: u32,
    pub duration: Duration,
    /// `None` for our own.
    spoofed: Option<Prefix>,
}

impl Arguments {
    /// Parse the words; the error is what the user reads.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options::read(words)?;
        let target: SocketAddr = options.required("--target", |text| text.parse().ok())?;
        let parsed = Self {
            namespace: options.required("--namespace", namespace)?,
            target,
            kind: kind(&mut options)?,
            rate: options.required("--rate", |text| text.parse().ok())?,
            duration: options.required("--seconds", duration)?,
            spoofed: options
                .optional("--sources", |text| sources(text, target))?
                .unwrap_or(Some(if target.is_ipv4() {
                    SPOOFED_V4
                } else {
                    SPOOFED_V6
                })),
        };
        options.none_left()?;
        Ok(parsed)
    }

    /// Where the packets come from.
    pub fn sources(&self, target: &Target) -> Sources {
        match self.spoofed {
            Some(prefix) => Sources::Spoofed(prefix),
            None => Sources::One(target.own_address()),
        }
    }
}

/// Options that were not read yet.
struct Options(HashMap<String, String>);

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = HashMap::new();
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} has no value"))?;
            if options.insert(name.clone(), value).is_some() {
                return Err(format!("{name} is given twice"));
            }
        }
        Ok(Self(options))
    }

    fn optional<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(text) = self.0.remove(name) else {
            return Ok(None);
        };
        match parse(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(format!("{name} {text} is not understood")),
        }
    }

    fn required<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, String> {
        self.optional(name, parse)?
            .ok_or_else(|| format!("{name} is missing"))
    }

    fn none_left(&self) -> Result<(), String> {
        match self.0.keys().next() {
            Some(name) => Err(format!("{name} does not belong here")),
            None => Ok(()),
        }
    }
}

fn namespace(text: &str) -> Option<PathBuf> {
    let number = match text.strip_prefix("/proc/") {
        Some(rest) => rest.strip_suffix("/ns/net")?,
        None => text,
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| PathBuf::from(format!("/proc/{number}/ns/net")))
}

fn duration(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    (seconds > 0.0 && seconds <= LONGEST).then(|| Duration::from_secs_f64(seconds))
}

fn kind(options: &mut Options) -> Result<Kind, String> {
    let name: String = options.required("--kind", |text| Some(text.to_owned()))?;
    match name.as_str() {
        "initiation" => options.required("--public-key", key).map(Kind::Initiation),
        "response" => options.required("--public-key", key).map(Kind::Response),
        "mixed-train" => options.required("--public-key", key).map(Kind::MixedTrain),
        "wrong-mac1" => Ok(Kind::WrongMac1),
        "random" => Ok(Kind::Noise),
        "replay" => options.required("--message", message).map(Kind::Replay),
        "transport" => {
            let receivers = options.optional("--receivers", receivers)?;
            Ok(Kind::Transport(receivers.unwrap_or_default()))
        }
        _ => Err(format!("--kind {name} is not understood")),
    }
}

fn key(text: &str) -> Option<[u8; 32]> {
    Base64::decode_vec(text).ok()?.try_into().ok()
}

fn message(text: &str) -> Option<Vec<u8>> {
    base16ct::lower::decode_vec(text)
        .ok()
        .filter(|bytes| !bytes.is_empty())
}

fn receivers(text: &str) -> Option<Vec<u32>> {
    text.split(',').map(|number| number.parse().ok()).collect()
}

/// The outer option is whether it was understood, the inner one whether it is a prefix.
fn sources(text: &str, target: SocketAddr) -> Option<Option<Prefix>> {
    if text == "own" {
        return Some(None);
    }
    let (address, length) = text.split_once('/')?;
    let prefix = Prefix {
        address: address.parse().ok()?,
        length: length.parse().ok()?,
    };
    let bits = if target.is_ipv4() { 32 } else { 128 };
    let fits = prefix.address.is_ipv4() == target.is_ipv4() && prefix.length <= bits;
    fits.then_some(Some(prefix))
}
