//! See `namespace::namespace`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| holloway_fuzz::namespace::namespace(bytes));
