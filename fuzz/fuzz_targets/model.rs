//! The fuzz target of models.
#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ziffer_fuzz::run(ziffer_fuzz::checks::model, bytes));
