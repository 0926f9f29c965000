//! Statements of classic BPF programs, which the kernel runs for each datagram of a socket.

use libc::sock_filter;

/// A statement of a classic BPF program.
#[must_use]
pub const fn statement(code: u32, k: u32) -> sock_filter {
    branch(code, k, 0, 0)
}

/// A jump of a classic BPF program, relative to the next statement.
#[must_use]
pub const fn branch(code: u32, k: u32, then: u8, or_else: u8) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: then,
        jf: or_else,
        k,
    }
}
