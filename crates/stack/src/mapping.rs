//! The buffer of one direction of a stream: address space that takes memory only where it is written, and
//! can release it.
//!
//! The allocator is not suitable: it keeps freed memory and clears it for the next use, so that ten
//! thousand streams that come and go would have all their buffers in memory.
#![allow(unsafe_code)]

use std::io;
use std::ptr::NonNull;

/// A private anonymous mapping.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is plain memory that belongs to this value alone.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Map `length` bytes, all zero.
    pub fn new(length: usize) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, placed by the kernel.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // With huge pages, a stream that has sent one byte would take a whole one.
        // SAFETY: the mapping is ours. Kernels without huge pages refuse, which changes nothing.
        unsafe { libc::madvise(start, length, libc::MADV_NOHUGEPAGE) };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// The memory.
    ///
    /// # Safety
    /// At most one slice may be in use, and none once this value is dropped.
    #[must_use]
    pub unsafe fn as_static(&self) -> &'static mut [u8] {
        // SAFETY: mapped, initialized by the kernel, and exclusive as the caller guarantees.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }

    /// Release the memory. The content becomes zeros.
    pub fn release(&self) {
        // SAFETY: the mapping is ours, and zeros are valid for `u8`.
        unsafe { libc::madvise(self.start.as_ptr().cast(), self.length, libc::MADV_DONTNEED) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length; nobody uses it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
