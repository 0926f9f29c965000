//! An attempt to connect, as its owner sees it. The program's descriptor becomes writable when it ends.

use std::net::SocketAddr;
use std::sync::OnceLock;

/// The outcome of an attempt, once there is one.
#[derive(Debug, Default)]
pub struct Attempt(OnceLock<Result<SocketAddr, i32>>);

impl Attempt {
    /// The local address, or an errno; None while it lasts.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<SocketAddr, i32>> {
        self.0.get().copied()
    }

    /// Set the outcome; the first one counts.
    pub fn end(&self, outcome: Result<SocketAddr, i32>) {
        let _ = self.0.set(outcome);
    }
}
