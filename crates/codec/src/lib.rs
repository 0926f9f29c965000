//! WireGuard's texts: the UAPI in both directions, configuration files, and `dump` of `wg show`.
//!
//! Bytes in, values or bytes out: no file, no socket, no resolver of its own, and no Python. What
//! is refused is refused whole, as a `Refusal` that names line, key and reason. `crates/native`
//! binds it; `holloway.text` is its view for Python.

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
