//! See `plane::coalesce`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holloway_fuzz::plane::coalesce(bytes));
