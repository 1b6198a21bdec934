#![no_main]

#[path = "../../tests/any_input/sending.rs"]
mod sending;

libfuzzer_sys::fuzz_target!(|input: &[u8]| sending::answers(input));
