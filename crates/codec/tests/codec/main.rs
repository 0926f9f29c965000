//! The codec of texts, tested through its public names.

mod conf;
mod difference;
mod fuzz_properties;
mod garbage;
mod get;
mod set;
