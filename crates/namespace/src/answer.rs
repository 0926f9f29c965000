//! The kernel's answers to rtnetlink requests (linux/netlink.h, rtnetlink.h). Pure.

use std::io;

const HEADER: usize = 16;
const RTN_LOCAL: u8 = 2;

/// The result in an acknowledgement.
pub fn acknowledged(answer: &[u8]) -> io::Result<()> {
    // struct nlmsgerr after the header: 0 or a negative error number.
    let number = answer
        .get(HEADER..HEADER + 4)
        .and_then(|bytes| bytes.try_into().ok());
    match number.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(number.saturating_neg())),
        None => Err(io::Error::from_raw_os_error(libc::EBADMSG)),
    }
}

/// Whether an answer is a route that delivers locally.
pub fn is_local_route(answer: &[u8]) -> bool {
    // The type of the message, and that of the route: the last byte of rtmsg before its flags.
    let kind = answer
        .get(4..6)
        .map(|bytes| u16::from_ne_bytes([bytes[0], bytes[1]]));
    kind == Some(libc::RTM_NEWROUTE) && answer.get(HEADER + 7) == Some(&RTN_LOCAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_error_number_is_an_error() {
        for number in [i32::MIN, i32::MAX, -1, 1] {
            let answer = [&[0; HEADER][..], &number.to_ne_bytes()].concat();
            assert!(acknowledged(&answer).is_err(), "{number}");
        }
    }
}
