//! The scheduling priority of a thread (nice(2)).
#![allow(unsafe_code)]

/// Prefer the calling thread to others by `steps` of nice(2), where the system allows it: root may.
pub fn prefer_this_thread(steps: i32) {
    // SAFETY: no pointers. Process 0 is the calling thread, on Linux.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -steps) };
}
