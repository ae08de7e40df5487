//! The fuzz target of IDX files.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ziffer_fuzz::run(ziffer_fuzz::checks::idx, bytes));
