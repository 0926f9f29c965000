//! The update of `wg syncconf` for a device and a file.

use holloway_codec::device::{Device, Peer};
use holloway_codec::difference::difference;
use holloway_codec::key::Key;
use holloway_codec::update::{PeerUpdate, Update};

fn key(number: u8) -> Key {
    Key::new([number; 32])
}

fn device(numbers: &[u8]) -> Device {
    Device {
        peers: numbers
            .iter()
            .map(|number| Peer::new(key(*number)))
            .collect(),
        ..Device::default()
    }
}

fn update(peers: Vec<PeerUpdate>) -> Update {
    Update {
        replace_peers: true,
        peers,
        ..Update::default()
    }
}

#[test]
fn peers_that_are_not_named_go_the_highest_key_first() {
    let wanted = update(vec![PeerUpdate::new(key(7))]);
    let made = difference(&device(&[3, 7, 200, 128]), wanted);
    assert!(!made.replace_peers);
    let order: Vec<_> = made
        .peers
        .iter()
        .map(|peer| (peer.public_key.raw()[0], peer.remove))
        .collect();
    assert_eq!(order, [(200, true), (128, true), (3, true), (7, false)]);
}

#[test]
fn where_either_side_has_no_peers_all_are_replaced() {
    for (numbers, wanted) in [(&[][..], vec![PeerUpdate::new(key(1))]), (&[1][..], vec![])] {
        let wanted = update(wanted);
        assert_eq!(difference(&device(numbers), wanted.clone()), wanted);
    }
}

#[test]
fn what_the_first_section_of_a_peer_is_silent_about_is_turned_off() {
    let mut device = device(&[1]);
    device.peers[0].preshared_key = Some(key(9));
    device.peers[0].persistent_keepalive = 25;
    let twice = vec![PeerUpdate::new(key(1)), PeerUpdate::new(key(1))];
    let made = difference(&device, update(twice)).peers;
    assert_eq!(
        (&made[0].preshared_key, made[0].persistent_keepalive),
        (&Some(Key::ZERO), Some(0))
    );
    assert_eq!(made[1], PeerUpdate::new(key(1)));
}
