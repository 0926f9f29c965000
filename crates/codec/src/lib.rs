//! The codec of WireGuard's text formats: the UAPI in both directions, configuration files, and `dump` of
//! `wg show`.
//!
//! It converts between bytes and values: no files, no sockets, no resolver, and no Python. A text is refused
//! as a whole, with a `Refusal` that has line, key and reason. `crates/native` binds it; `holloway.text` is
//! its Python interface.

pub mod address;
pub mod changes;
pub mod conf;
pub mod device;
pub mod difference;
pub mod dump;
pub mod key;
pub mod number;
pub mod refusal;
pub mod setting;
pub mod uapi;
pub mod update;
