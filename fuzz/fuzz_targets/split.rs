//! See `bodies::split_any`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holloway_fuzz::bodies::split_any(bytes));
