//! Requests that begin with `set=1`.

use holloway_codec::refusal::Kind;
use holloway_codec::uapi::set;

const KEY: &str = "0505050505050505050505050505050505050505050505050505050505050505";

#[test]
fn the_order_of_lines_within_a_peer_counts() {
    let (add, take) = ("allowed_ip=10.0.0.0/8\n", "allowed_ip=-10.0.0.0/8\n");
    let clear = "replace_allowed_ips=true\n";
    for (lines, replace, removed, added) in [
        ([add, take, ""], false, 1, 0),
        ([take, add, ""], false, 1, 1),
        ([add, clear, ""], true, 0, 0),
        ([take, clear, add], true, 0, 1),
    ] {
        let text = format!("public_key={KEY}\n{}", lines.concat());
        let update = set::parse(text.as_bytes()).expect("a request");
        let [peer] = &update.peers[..] else {
            panic!("one peer")
        };
        let counts = (peer.removed_allowed_ips.len(), peer.allowed_ips.len());
        assert_eq!(
            (peer.replace_allowed_ips, counts),
            (replace, (removed, added))
        );
    }
}

#[test]
fn a_peer_named_twice_is_changed_twice() {
    let text = format!("public_key={KEY}\nremove=true\npublic_key={KEY}\nupdate_only=true\n");
    let update = set::parse(text.as_bytes()).expect("a request");
    let flags: Vec<_> = update
        .peers
        .iter()
        .map(|peer| (peer.remove, peer.update_only))
        .collect();
    assert_eq!(flags, [(true, false), (false, true)]);
    assert_eq!(set::write(&update), format!("set=1\n{text}\n").into_bytes());
}

#[test]
fn what_is_not_the_language_is_told_from_a_bad_value() {
    let kind = |text: &[u8]| set::parse(text).expect_err("no request").kind;
    assert_eq!(kind(b"listen_port\n"), Kind::Language);
    assert_eq!(kind(b"listen_port=1\n\n"), Kind::Language);
    assert_eq!(kind(b"listen_port=x\n"), Kind::Value);
    assert_eq!(kind(b"\xff\n"), Kind::Value);
}

#[test]
fn a_secret_that_is_refused_is_not_repeated() {
    let refusal = set::parse(b"private_key=5e5e5e\n").expect_err("no key");
    assert!(!String::from_utf8_lossy(&refusal.reason).contains("5e5e"));
}
