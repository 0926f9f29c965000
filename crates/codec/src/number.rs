//! Decimal and hexadecimal numbers.

/// More digits than this are leading zeros, or too many.
const MOST_DIGITS: usize = 20;

/// Parse ASCII digits of a number up to `most`. None if it is anything else.
#[must_use]
pub fn decimal(text: &[u8], most: u64) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let mut digits = text;
    while digits.len() > MOST_DIGITS && digits[0] == b'0' {
        digits = &digits[1..];
    }
    let number = digits.iter().try_fold(0u64, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        let next = number.checked_mul(10)?.checked_add(digit.into())?;
        (digit < 10).then_some(next)
    })?;
    (number <= most).then_some(number)
}

/// Like `decimal`, for numbers of 16 bits.
#[must_use]
pub fn decimal16(text: &[u8]) -> Option<u16> {
    decimal(text, u16::MAX.into()).map(|number| number as u16)
}

/// Like `decimal`, for numbers of 32 bits.
#[must_use]
pub fn decimal32(text: &[u8]) -> Option<u32> {
    decimal(text, u32::MAX.into()).map(|number| number as u32)
}

/// Parse hexadecimal digits of either case, with any number of leading zeros.
#[must_use]
pub fn hexadecimal32(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u32, |number, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(number.checked_mul(16)? + digit)
    })
}

/// Write a decimal number.
pub fn write_decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; MOST_DIGITS];
    let mut at = MOST_DIGITS;
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Write a hexadecimal number.
pub fn write_hexadecimal(out: &mut Vec<u8>, number: u32) {
    let zeros = (number | 1).leading_zeros() / 4 * 4;
    for shift in (0..32 - zeros).step_by(4).rev() {
        out.push(b"0123456789abcdef"[(number >> shift & 15) as usize]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("digits are ASCII")
    }

    #[test]
    fn digits_may_have_any_number_of_zeros_before_them() {
        let long = "0".repeat(5000) + "7";
        assert_eq!(decimal(long.as_bytes(), 9), Some(7));
        assert_eq!(decimal(b"18446744073709551615", u64::MAX), Some(u64::MAX));
        assert_eq!(hexadecimal32(b"0000000000000fF"), Some(255));
    }

    #[test]
    fn what_is_no_number_or_too_great_is_none() {
        for text in [
            "",
            "+1",
            "-1",
            " 1",
            "1 ",
            "1_0",
            "18446744073709551616",
            "\u{661}",
        ] {
            assert_eq!(decimal(text.as_bytes(), u64::MAX), None, "{text}");
        }
        assert_eq!(decimal(b"8", 7), None);
        assert_eq!(decimal16(b"65536"), None);
        assert_eq!(decimal32(b"4294967296"), None);
        for text in ["", "g", "100000000", "0x1"] {
            assert_eq!(hexadecimal32(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn numbers_are_written_as_rust_writes_them(number: u64, short in 0u64..1000) {
            for number in [number, short] {
                let mark = number as u32;
                prop_assert_eq!(written(|out| write_decimal(out, number)), number.to_string());
                prop_assert_eq!(written(|out| write_hexadecimal(out, mark)), format!("{mark:x}"));
            }
        }
    }
}
