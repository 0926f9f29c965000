//! See `codec::setting`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holloway_fuzz::codec::setting(bytes));
