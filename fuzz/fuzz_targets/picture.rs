//! The fuzz target of pictures.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ziffer_fuzz::run(ziffer_fuzz::checks::picture, bytes));
