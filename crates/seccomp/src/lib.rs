//! The system calls that a device process may make once it is set up; all others are refused.
//!
//! Two filters (seccomp(2)), compiled by seccompiler. The one refuses what is not listed with ENOSYS,
//! as a kernel that is older than the call: libraries then take the older way, and what is missing in
//! the list breaks one call and not the device. The other ends the process at calls that only an
//! intruder makes. Which calls these are is in `calls`; the binding for Python is in `native`.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod calls;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod filter;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub use filter::confine;

/// Fail: the numbers of this processor's system calls are not listed.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub fn confine() -> std::io::Result<()> {
    Err(std::io::Error::from_raw_os_error(libc::ENOSYS))
}
