#![no_main]

#[path = "../../tests/any_input/suppressions.rs"]
mod suppressions;

libfuzzer_sys::fuzz_target!(|input: &[u8]| suppressions::suppression_file(input));
