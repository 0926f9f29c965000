//! The tests of all modules, which share a generator of packets.

mod checksum;
mod coalesce;
mod fuzz_properties;
mod garbage;
mod icmp;
mod ip;
mod packets;
#[path = "../../../../fuzz/seeds.rs"]
mod seeds;
mod split;
