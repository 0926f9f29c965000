//! See `bodies::unreachable`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holloway_fuzz::bodies::unreachable(bytes));
