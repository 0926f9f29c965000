//! Cryptokey routing against a linear search.

use proptest::prelude::*;

use super::*;
use crate::fuzz_properties::{Peer, network};

/// All prefixes in the order of insertion, searched linearly.
#[derive(Default)]
struct Linear(Vec<(Prefix, u32)>);

impl Linear {
    fn insert(&mut self, prefix: Prefix, owner: u32) {
        self.0.retain(|(other, _)| *other != prefix);
        self.0.push((prefix, owner));
    }

    fn remove(&mut self, prefix: Prefix, owner: u32) -> bool {
        let before = self.0.len();
        self.0.retain(|entry| *entry != (prefix, owner));
        self.0.len() < before
    }

    fn lookup(&self, address: IpAddr) -> Option<u32> {
        let covering = self.0.iter().filter(|(prefix, _)| {
            network(address, prefix.length()).is_some_and(|other| other == *prefix)
        });
        covering
            .max_by_key(|(prefix, _)| prefix.length())
            .map(|(_, owner)| *owner)
    }

    fn owned_by(&self, owner: u32) -> Vec<Prefix> {
        self.0
            .iter()
            .filter(|entry| entry.1 == owner)
            .map(|entry| entry.0)
            .collect()
    }
}

/// Few distinct bits at both ends, so that prefixes overlap.
fn address() -> impl Strategy<Value = IpAddr> {
    (any::<bool>(), 0u8..16, 0u8..8).prop_map(|(is_v4, high, low)| {
        if is_v4 {
            IpAddr::V4(Ipv4Addr::new(high << 4, 0, 0, low))
        } else {
            IpAddr::V6(Ipv6Addr::from_bits(
                u128::from(high) << 124 | u128::from(low),
            ))
        }
    })
}

fn prefix() -> impl Strategy<Value = Prefix> {
    let length = prop_oneof![0u8..=6, 28u8..=32, 124u8..=128];
    (address(), length).prop_map(|(address, length)| {
        let length = if address.is_ipv4() {
            length.min(32)
        } else {
            length
        };
        network(address, length).expect("masked to its length")
    })
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Prefix, u32),
    Remove(Prefix, u32),
    RemoveOwner(u32),
    Lookup(IpAddr),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (prefix(), 0u32..5).prop_map(|(prefix, owner)| Step::Insert(prefix, owner)),
        4 => (prefix(), 0u32..5).prop_map(|(prefix, owner)| Step::Remove(prefix, owner)),
        1 => (0u32..5).prop_map(Step::RemoveOwner),
        4 => address().prop_map(Step::Lookup),
    ]
}

proptest! {
    #[test]
    fn routing_agrees_with_a_search_of_every_prefix(
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let (mut table, mut linear) = (AllowedIps::new(), Linear::default());
        for step in steps {
            match step {
                Step::Insert(prefix, owner) => {
                    table.insert(prefix, &Peer(owner));
                    linear.insert(prefix, owner);
                }
                Step::Remove(prefix, owner) => {
                    prop_assert_eq!(table.remove(prefix, owner), linear.remove(prefix, owner));
                }
                Step::RemoveOwner(owner) => {
                    table.remove_owner(owner);
                    linear.0.retain(|entry| entry.1 != owner);
                }
                Step::Lookup(address) => {
                    let found = table.lookup(address).map(Owner::id);
                    prop_assert_eq!(found, linear.lookup(address));
                }
            }
        }
        for owner in 0..5 {
            prop_assert_eq!(table.owned_by(owner), linear.owned_by(owner));
        }
    }
}

fn v4(text: &str) -> Prefix {
    let (address, length) = text.split_once('/').expect("address/length");
    let address = address.parse().expect("an address");
    Prefix::new(address, length.parse().expect("a length")).expect("host bits zero")
}

#[test]
fn a_prefix_with_host_bits_or_too_long_is_none() {
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    assert_eq!(Prefix::new(address("10.0.0.1"), 24), None);
    assert_eq!(Prefix::new(address("10.0.0.0"), 33), None);
    assert_eq!(Prefix::new(address("10.0.0.0"), 0), None);
    assert_eq!(Prefix::new(address("fe80::1"), 64), None);
    assert_eq!(Prefix::new(address("fe80::"), 129), None);
    assert!(Prefix::new(address("0.0.0.0"), 0).is_some());
    assert!(Prefix::new(address("::"), 0).is_some());
    assert!(Prefix::new(address("fe80::1"), 128).is_some());
}

#[test]
fn the_default_route_yields_to_anything_longer() {
    let mut table = AllowedIps::new();
    table.insert(v4("0.0.0.0/0"), &Peer(1));
    table.insert(v4("10.0.0.0/8"), &Peer(2));
    table.insert(v4("10.1.2.3/32"), &Peer(3));
    let owners =
        [[9, 9, 9, 9], [10, 0, 0, 1], [10, 1, 2, 3]].map(|at| table.lookup_v4(at).cloned());
    assert_eq!(owners, [Some(Peer(1)), Some(Peer(2)), Some(Peer(3))]);
    assert_eq!(
        table.lookup_v6([0; 16]),
        None,
        "IPv6 has its own default route"
    );
}

#[test]
fn a_prefix_moves_to_whom_it_is_given_last() {
    let mut table = AllowedIps::new();
    table.insert(v4("10.0.0.0/24"), &Peer(1));
    table.insert(v4("10.0.0.0/24"), &Peer(2));
    assert!(table.owned_by(1).is_empty());
    assert_eq!(table.owned_by(2), [v4("10.0.0.0/24")]);
    assert!(
        !table.remove(v4("10.0.0.0/24"), 1),
        "it is no longer theirs to lose"
    );
    assert_eq!(table.lookup_v4([10, 0, 0, 9]), Some(&Peer(2)));
}

/// The tests of wireguard-go and of the kernel give one peer 130,560 prefixes. If the removal of one took
/// linear time, this would take minutes.
#[test]
fn a_peer_with_130560_prefixes_can_lose_them_one_by_one() {
    let mut table = AllowedIps::new();
    let prefixes: Vec<Prefix> = (0u32..130_560)
        .map(|number| Prefix::new(Ipv4Addr::from_bits(number << 8).into(), 24).expect("a /24"))
        .collect();
    for prefix in &prefixes {
        table.insert(*prefix, &Peer(7));
    }
    assert_eq!(table.owned_by(7).len(), prefixes.len());
    assert!(prefixes.iter().all(|prefix| table.remove(*prefix, 7)));
    assert_eq!(table.lookup_v4([0, 0, 1, 1]), None);
}
