//! See `plane::allowed_ips`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holloway_fuzz::plane::allowed_ips(bytes));
