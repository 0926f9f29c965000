//! The tests of all modules, which share how they make packets.

mod checksum;
mod coalesce;
mod fuzz_properties;
mod garbage;
mod icmp;
mod ip;
mod packets;
mod split;
