//! What went wrong: the step in words and the system's error number, for the program to explain.

use std::io;

/// A step that the system refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was tried; a fixed word, so that the other side can tell steps apart.
    pub step: &'static str,
    /// The system's error number.
    pub errno: i32,
}

impl Failure {
    /// A message that was not understood.
    pub const BAD_REQUEST: Self = Self {
        step: "request",
        errno: libc::EINVAL,
    };
}

/// Names the step of a system call.
pub trait Step<T> {
    /// The result, or the failure of `step`.
    fn step(self, step: &'static str) -> Result<T, Failure>;
}

impl<T> Step<T> for io::Result<T> {
    fn step(self, step: &'static str) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            step,
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        })
    }
}
