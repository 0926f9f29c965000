//! The plane's only clock: CLOCK_BOOTTIME, which runs while the machine sleeps, so that sessions age
//! across a suspend. The shard reads it once per batch.
#![allow(unsafe_code)]

/// Nanoseconds of CLOCK_BOOTTIME, or a duration.
pub type Nanos = u64;

/// One second.
pub const SECOND: Nanos = 1_000_000_000;

/// The time now.
#[must_use]
pub fn now() -> Nanos {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid timespec for the kernel to fill; the call keeps no pointer.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    debug_assert_eq!(result, 0, "CLOCK_BOOTTIME exists since Linux 2.6.39");
    time.tv_sec.cast_unsigned() * SECOND + time.tv_nsec.cast_unsigned()
}
