//! See `stack::packets`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holloway_fuzz::stack::packets(bytes));
