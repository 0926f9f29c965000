//! The codec, tested through its public interface.

mod conf;
mod difference;
mod fuzz_properties;
mod garbage;
mod get;
mod set;
