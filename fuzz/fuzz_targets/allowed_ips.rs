//! See `bodies::allowed_ips`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holloway_fuzz::bodies::allowed_ips(bytes));
