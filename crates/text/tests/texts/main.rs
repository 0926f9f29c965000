//! The codec of texts, tested through its public names.

mod bodies;
mod conf;
mod difference;
mod garbage;
mod get;
mod set;
