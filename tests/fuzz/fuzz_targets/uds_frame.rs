#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| usp_fuzz::uds_frame(data));
