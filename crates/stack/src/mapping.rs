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

    /// A part of the memory.
    ///
    /// # Safety
    /// The slice of `as_static` is not in use meanwhile.
    #[must_use]
    pub unsafe fn part(&self, start: usize, count: usize) -> &[u8] {
        assert!(start <= self.length && count <= self.length - start);
        // SAFETY: mapped, initialized by the kernel, and not written as the caller guarantees.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(start), count) }
    }

    /// Its length.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// The offset of a place in it.
    #[must_use]
    pub fn offset(&self, place: *const u8) -> usize {
        place.addr() - self.start.addr().get()
    }

    /// Release the memory of all but `count` bytes from `start` on, which may wrap around. What is released
    /// becomes zeros.
    pub fn release_all_but(&self, start: usize, count: usize) {
        let end = start + count;
        if end > self.length {
            self.release(end - self.length, start);
        } else if count == 0 {
            self.release(0, self.length);
        } else {
            self.release(0, start);
            self.release(end, self.length);
        }
    }

    /// Release the pages that lie between two offsets.
    fn release(&self, from: usize, to: usize) {
        // SAFETY: no pointers.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        let page = usize::try_from(page).unwrap_or(4096);
        let first = from.next_multiple_of(page);
        // The kernel rounds up, and nothing is behind the end of the mapping.
        let last = if to == self.length {
            to
        } else {
            to / page * page
        };
        if first < last {
            // SAFETY: a part of the mapping, which is ours, and zeros are valid for `u8`.
            unsafe {
                let start = self.start.as_ptr().add(first);
                libc::madvise(start.cast(), last - first, libc::MADV_DONTNEED);
            }
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length; nobody uses it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_stays_and_the_rest_becomes_zeros() {
        const SIZE: usize = 16 * 4096;
        for (start, count) in [
            (0, 0),
            (5000, 9000),
            (60_000, 20_000),
            (0, SIZE),
            (SIZE - 1, 1),
        ] {
            let mapping = Mapping::new(SIZE).expect("memory");
            // SAFETY: the only slice.
            let bytes = unsafe { mapping.as_static() };
            bytes.fill(7);
            mapping.release_all_but(start, count);
            let kept = (start..start + count).all(|at| bytes[at % SIZE] == 7);
            assert!(kept, "{start} {count}");
            let zeros = bytes.iter().filter(|&&byte| byte == 0).count();
            assert!(zeros + count + 4 * 4096 >= SIZE, "{start} {count} {zeros}");
        }
    }
}
