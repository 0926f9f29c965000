//! The stack against malicious packets and misbehaving hosts.

mod blind;
mod floods;
mod fuzz_properties;
mod harness;
mod memory;
mod opening;
mod segments;
mod uploads;
mod windows;
