#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| usp_adapters::zigbee_fuzzed::mt(data));
