#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| usp_fuzz::supported_path(data));
