//! What the fuzz targets check, also run by the tests on shorter inputs.
//!
//! Each property must hold for any bytes.

use holloway_codec::address::{Endpoint, Host, Network};
use holloway_codec::changes::Changes;
use holloway_codec::conf;
use holloway_codec::dump::{dump, dump_answer};
use holloway_codec::setting::{self, Resolver};
use holloway_codec::uapi::{get, set};

/// A parsed device is written and parsed to the same device again; and its dump is the same with and
/// without a `Device`.
pub fn answer(bytes: &[u8]) {
    let device = match get::parse(bytes) {
        Ok(device) => device,
        Err(refusal) => return assert_eq!(dump_answer(bytes, b"x"), Err(refusal)),
    };
    assert_eq!(dump_answer(bytes, b"x").as_ref(), Ok(&dump(&device, b"x")));
    let written = get::write(&device);
    let again = get::parse(&written).expect("what we wrote");
    assert_eq!(get::write(&again), written);
    assert_eq!(
        dump(&again, b"").len(),
        dump_answer(&written, b"").map_or(0, |dump| dump.len())
    );
}

/// A parsed request is written and parsed to the same request again.
pub fn request(bytes: &[u8]) {
    let Ok(update) = set::parse(bytes) else {
        return;
    };
    let written = set::write(&update);
    let again = set::parse(body(&written)).expect("what we wrote");
    assert_eq!(set::write(&again), written);
}

/// The update of a parsed file is written as a request that can be parsed.
pub fn configuration(bytes: &[u8]) {
    for append in [false, true] {
        let read = conf::parse(conf::numbered(bytes), &mut Numbers::default(), append);
        if let Ok(update) = read {
            let again = set::parse(body(&set::write(&update))).expect("what we wrote");
            assert_eq!(again, update);
        }
    }
}

/// A single setting is refused, or written and parsed to the same again.
pub fn setting(bytes: &[u8]) {
    if let Ok(mark) = setting::fwmark(bytes) {
        assert_eq!(
            setting::fwmark(mark.to_string().as_bytes()).ok(),
            Some(mark)
        );
    }
    if let Ok(seconds) = setting::keepalive(bytes) {
        let text = seconds.to_string();
        assert_eq!(setting::keepalive(text.as_bytes()).ok(), Some(seconds));
    }
    if let Ok(key) = setting::key(bytes) {
        let mut text = vec![];
        key.write_base64(&mut text);
        assert_eq!(text, bytes, "one key, one text");
    }
    if let Ok(endpoint) = Endpoint::parse(bytes) {
        let mut text = vec![];
        endpoint.write(&mut text);
        assert_eq!(Endpoint::parse(&text).ok(), Some(endpoint));
    }
    let _ = setting::port(bytes, &mut Numbers::default());
    let _ = setting::endpoint(bytes, &mut Numbers::default());
    let mut changes = Changes::default();
    if setting::allowed_ips(&mut changes, bytes, &mut Numbers::default()).is_ok() {
        let (removed, added) = changes.result();
        for network in removed.iter().chain(&added) {
            let mut text = vec![];
            network.write(&mut text);
            assert_eq!(Network::parse(&text).as_ref(), Ok(network));
        }
    }
}

/// The lines of a request between its operation and the blank line.
pub fn body(request: &[u8]) -> &[u8] {
    let body = request.strip_prefix(b"set=1\n").expect("an operation");
    body.strip_suffix(b"\n").expect("a blank line")
}

/// A resolver that knows only numbers, and records warnings.
#[derive(Default)]
pub struct Numbers {
    pub warnings: Vec<String>,
}

impl Resolver for Numbers {
    type Error = String;

    fn port(&mut self, service: &[u8]) -> Result<u16, String> {
        let text = String::from_utf8_lossy(service);
        text.parse().map_err(|_| format!("no such service: {text}"))
    }

    fn endpoint(&mut self, host: &[u8], service: &[u8], text: &[u8]) -> Result<Endpoint, String> {
        let found = Endpoint::numeric(host, service);
        let zoned = || {
            Endpoint::parse(text)
                .ok()
                .filter(|found| matches!(found.host, Host::Text(_)))
        };
        let unknown = || format!("no such host: {}", String::from_utf8_lossy(text));
        found.or_else(zoned).ok_or_else(unknown)
    }

    fn warn(&mut self, sentence: &[u8]) -> Result<(), String> {
        self.warnings
            .push(String::from_utf8_lossy(sentence).into_owned());
        Ok(())
    }
}
