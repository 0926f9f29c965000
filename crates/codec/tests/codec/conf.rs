//! Configuration files.

use holloway_codec::conf::{ConfError, MISSING_PUBLIC_KEY, numbered, parse};
use holloway_codec::key::Key;
use holloway_codec::refusal::Refusal;
use holloway_codec::update::Update;

use crate::fuzz_properties::Numbers;

const KEY: &str = "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=";

fn read(text: &str) -> Result<Update, ConfError<String>> {
    parse(numbered(text.as_bytes()), &mut Numbers::default(), false)
}

fn refusal(text: &str) -> Refusal {
    match read(text) {
        Err(ConfError::Refused(refusal)) => refusal,
        other => panic!("{text} was to be refused: {other:?}"),
    }
}

#[test]
fn space_case_and_comments_mean_nothing() {
    let text = format!(
        " [ interface ] \r\n listenport = 5 1 8 2 0 # c\n[PEER]\npublickey\t=\t{KEY} # x\n\
         AllowedIPs = 10.0.0.0/8\0, rest\n"
    );
    let update = read(&text).expect("a file");
    assert_eq!(update.listen_port, Some(51820));
    assert_eq!(update.peers[0].allowed_ips.len(), 1);
}

#[test]
fn what_a_file_does_not_name_is_reset_unless_it_is_appended() {
    let reset = Update {
        private_key: Some(Key::ZERO),
        listen_port: Some(0),
        fwmark: Some(0),
        replace_peers: true,
        peers: vec![],
    };
    assert_eq!(read("").expect("a file"), reset);
    let appended = parse(numbered(b""), &mut Numbers::default(), true);
    assert_eq!(appended.expect("a file"), Update::default());
}

#[test]
fn signs_make_changes_of_what_else_replaces() {
    let peer = |value: &str| {
        let text = format!("[Peer]\nPublicKey={KEY}\nAllowedIPs={value}\n");
        read(&text).expect(value).peers.remove(0)
    };
    let replaced = peer("10.0.0.0/8,fd00::/8");
    assert!(replaced.replace_allowed_ips && replaced.allowed_ips.len() == 2);
    let changed = peer("+10.0.0.0/8,-fd00::/8");
    assert!(!changed.replace_allowed_ips);
    assert_eq!(
        (changed.allowed_ips.len(), changed.removed_allowed_ips.len()),
        (1, 1)
    );
}

#[test]
fn host_bits_are_told_as_they_were_written() {
    let mut resolver = Numbers::default();
    let text = format!("[Peer]\nPublicKey={KEY}\nAllowedIPs=FD00::1/048\n");
    parse(numbered(text.as_bytes()), &mut resolver, false).expect("a file");
    assert_eq!(
        resolver.warnings,
        ["Warning: AllowedIP has nonzero host part: FD00::1/048"]
    );
}

#[test]
fn the_first_bad_line_is_told_before_a_missing_key() {
    let (first, bad) = ("[Peer]\n[Peer]\n", "[Interface]\nFwMark=zz\n");
    let refused = refusal(&format!("{first}{bad}"));
    assert_eq!(
        (refused.line, refused.key),
        (Some(4), Some(b"FwMark".to_vec()))
    );
    let refused = refusal(first);
    assert_eq!(
        (refused.line, refused.reason),
        (Some(1), MISSING_PUBLIC_KEY.into())
    );
}

#[test]
fn what_the_resolver_says_comes_with_the_line_and_the_key() {
    let error = read("[Peer]\n\nEndpoint = example.org:5\n").expect_err("no resolver of names");
    let (reason, key) = (
        "no such host: example.org:5".to_owned(),
        b"Endpoint".to_vec(),
    );
    assert_eq!(error, ConfError::Resolver(reason, 3, key));
}

#[test]
fn a_refusal_repeats_what_was_written_even_where_it_is_no_text() {
    let read = parse(
        numbered(b"[Interface]\n\xff=1\n"),
        &mut Numbers::default(),
        false,
    );
    let Err(ConfError::Refused(refusal)) = read else {
        panic!("no setting is called so");
    };
    assert_eq!(refusal.reason, b"Line unrecognized: `\xff=1'");
}
