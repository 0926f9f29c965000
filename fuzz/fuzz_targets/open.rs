//! See `bodies::open`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holloway_fuzz::bodies::open(bytes));
