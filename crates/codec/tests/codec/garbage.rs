//! The properties of the fuzz targets, on lines that are almost valid.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::{fuzz_properties, seeds};

const UAPI: [&str; 20] = [
    "private_key",
    "listen_port",
    "fwmark",
    "replace_peers",
    "public_key",
    "public_key",
    "remove",
    "update_only",
    "preshared_key",
    "endpoint",
    "persistent_keepalive_interval",
    "allowed_ip",
    "replace_allowed_ips",
    "errno",
    "allowed_ip",
    "protocol_version",
    "last_handshake_time_sec",
    "last_handshake_time_nsec",
    "rx_bytes",
    "tx_bytes",
];
const CONF: [&str; 10] = [
    "ListenPort",
    "FwMark",
    "PrivateKey",
    "PublicKey",
    "presharedkey",
    "AllowedIPs",
    "Endpoint",
    "PersistentKeepalive",
    "[Peer]",
    "[Interface]",
];
const VALUES: [&str; 18] = [
    "true",
    "0505050505050505050505050505050505050505050505050505050505050505",
    "10.0.0.0/8",
    "-10.0.0.0/8",
    "fd00::/7",
    "[::1]:5",
    "[fe80::1%lo]:5",
    "1.2.3.4:5",
    "1",
    "0",
    "off",
    "",
    "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=",
    "0x20",
    "+fd00::/8,-10.0.0.0/8",
    "\0",
    "é",
    "#",
];

fn texts(names: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![
        8 => select(&VALUES[..]).prop_map(str::to_owned),
        1 => "[0-9a-f:./\\[\\]%,+-]{0,20}",
        1 => any::<String>(),
    ];
    let line = (select(names), value).prop_map(|(name, value)| format!("{name}={value}\n"));
    vec(line, 0..12).prop_map(|lines| lines.concat().into_bytes())
}

#[test]
fn the_stored_inputs_hold() {
    seeds::replay("answer", fuzz_properties::answer);
    seeds::replay("request", fuzz_properties::request);
    seeds::replay("configuration", fuzz_properties::configuration);
    seeds::replay("setting", fuzz_properties::setting);
}

proptest! {
    #[test]
    fn no_setting_is_understood_in_two_ways(value in select(&VALUES[..]), bytes: Vec<u8>) {
        fuzz_properties::setting(value.as_bytes());
        fuzz_properties::setting(&[value.as_bytes(), &bytes].concat());
        fuzz_properties::setting(&bytes);
    }

    #[test]
    fn no_answer_is_understood_in_two_ways(text in texts(&UAPI), bytes: Vec<u8>) {
        fuzz_properties::answer(&text);
        fuzz_properties::answer(&[b"public_key=", VALUES[1].as_bytes(), b"\n", &text].concat());
        fuzz_properties::answer(&bytes);
    }

    #[test]
    fn no_request_is_understood_in_two_ways(text in texts(&UAPI), bytes: Vec<u8>) {
        fuzz_properties::request(&text);
        fuzz_properties::request(&[b"public_key=", VALUES[1].as_bytes(), b"\n", &text].concat());
        fuzz_properties::request(&bytes);
    }

    #[test]
    fn no_file_makes_a_request_that_is_none(text in texts(&CONF), bytes: Vec<u8>) {
        let text = String::from_utf8_lossy(&text).replace("]=", "]\n#");
        fuzz_properties::configuration(text.as_bytes());
        let peer = format!("[Peer]\nPublicKey={}\n{text}", VALUES[12]);
        fuzz_properties::configuration(peer.as_bytes());
        fuzz_properties::configuration(&bytes);
    }
}
