#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vector_datalib_fuzz::canonical_bytes::run(data));
