//! The codec, tested through its public interface.

mod conf;
mod difference;
mod fuzz_properties;
mod garbage;
mod get;
#[path = "../../../../fuzz/seeds.rs"]
mod seeds;
mod set;
