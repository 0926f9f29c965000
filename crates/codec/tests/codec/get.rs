//! Responses to `get=1`.

use holloway_codec::device::Device;
use holloway_codec::dump::{dump, dump_answer};
use holloway_codec::refusal::{Kind, Refusal};
use holloway_codec::uapi::{blank_line, get};

const KEY: &str = "0505050505050505050505050505050505050505050505050505050505050505";
const BASE64: &str = "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=";

fn dumped(answer: &str) -> String {
    let dumped = dump_answer(answer.as_bytes(), b"").expect(answer);
    assert_eq!(
        dump(&get::parse(answer.as_bytes()).expect(answer), b""),
        dumped
    );
    String::from_utf8(dumped).expect("text")
}

#[test]
fn a_device_of_which_nothing_is_known_is_dumped() {
    let nothing = "(none)\t(none)\t0\toff\n";
    assert_eq!(dumped("errno=0\n"), nothing);
    let peer = format!("{BASE64}\t(none)\t(none)\t(none)\t0\t0\t0\toff\n");
    assert_eq!(
        dumped(&format!("public_key={KEY}\n")),
        format!("{nothing}{peer}")
    );
}

#[test]
fn nothing_of_a_peer_goes_over_to_the_next() {
    let full = format!(
        "public_key={KEY}\npreshared_key={KEY}\nendpoint=[::1]:5\nlast_handshake_time_sec=7\n\
         last_handshake_time_nsec=9\ntx_bytes=2\nrx_bytes=1\npersistent_keepalive_interval=25\n\
         allowed_ip=10.1.0.0/16\nallowed_ip=fd00::/8\n"
    );
    let dumped = dumped(&format!("fwmark=32\n{full}public_key={KEY}\n"));
    let lines: Vec<&str> = dumped.lines().collect();
    let shown = format!("{BASE64}\t{BASE64}\t[::1]:5\t10.1.0.0/16,fd00::/8\t7\t1\t2\t25");
    let bare = format!("{BASE64}\t(none)\t(none)\t(none)\t0\t0\t0\toff");
    assert_eq!(lines, ["(none)\t(none)\t0\t0x20", &shown, &bare]);
}

#[test]
fn what_is_written_of_a_device_has_the_keys_in_their_order() {
    let answer = format!(
        "private_key={KEY}\nlisten_port=1\nfwmark=2\npublic_key={KEY}\npreshared_key={KEY}\n\
         protocol_version=1\nendpoint=[fe80::1%lo]:7\nlast_handshake_time_sec=3\n\
         last_handshake_time_nsec=9\ntx_bytes=1\nrx_bytes=2\npersistent_keepalive_interval=25\n\
         allowed_ip=10.0.0.0/8\n"
    );
    let device = get::parse(answer.as_bytes()).expect("an answer");
    assert_eq!(
        String::from_utf8(get::write(&device)).expect("text"),
        answer
    );
}

#[test]
fn what_follows_the_blank_line_is_no_part_of_it() {
    let device = get::parse(b"listen_port=4\n\nlisten_port=x\n").expect("an answer");
    assert_eq!(device.listen_port, 4);
    assert_eq!(blank_line(b"a=1\n\nb"), Some(4));
    assert_eq!(blank_line(b"a=1\nb\n"), None);
}

#[test]
fn a_bad_line_is_refused_with_its_place() {
    let long = "9".repeat(9999);
    for (line, key) in [
        ("listen_port", None),
        ("listen_port=65536", Some("listen_port")),
        (long.as_str(), None),
        ("private_key=zz", Some("private_key")),
        ("public_key=05", Some("public_key")),
    ] {
        let refusal = get::parse(format!("new=1\n{line}\n").as_bytes()).expect_err(line);
        assert_eq!((refusal.kind, refusal.line), (Kind::Language, Some(2)));
        assert_eq!(refusal.key.as_deref(), key.map(str::as_bytes));
    }
    for line in [
        "allowed_ip=10.0.0.1",
        "allowed_ip=10.0.0.0/33",
        "endpoint=1.2.3.4",
        "rx_bytes=x",
        "preshared_key=05",
        "last_handshake_time_sec=9223372036854775808",
        "protocol_version=-1",
    ] {
        let text = format!("public_key={KEY}\n{line}\n");
        let Refusal { line: place, .. } = get::parse(text.as_bytes()).expect_err(line);
        assert_eq!(place, Some(2));
    }
}

#[test]
fn a_port_that_is_not_bound_is_marked_and_hidden_from_other_readers() {
    let device = Device {
        listen_port: 51820,
        listen_error: 98,
        ..Device::default()
    };
    let answer = get::write(&device);
    assert_eq!(
        answer,
        b"listen_port=0\nlisten_error=98\nunbound_port=51820\n"
    );
    assert_eq!(get::parse(&answer), Ok(device));
}
