//! The pure half of the plane, tested through its public names.

mod allowed_ips;
mod checksum;
mod coalesce;
mod cookie;
mod debts;
mod fuzz_properties;
mod garbage;
mod icmp;
mod ip;
mod packets;
mod replay;
mod session;
mod split;
mod transmit;
