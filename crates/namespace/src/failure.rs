//! Failures: the step and the system's error number, which the program explains to the user.

use std::io;

/// A step that the system refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was tried: a fixed text by which the other side identifies the step.
    pub step: &'static str,
    /// The system's error number.
    pub errno: i32,
}

impl Failure {
    /// A message that could not be parsed.
    pub const BAD_REQUEST: Self = Self {
        step: "request",
        errno: libc::EINVAL,
    };
}

/// Adds the step to an error of a system call.
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
