#![no_main]

#[path = "../../tests/any_input/exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|input: &[u8]| exercise::form(input));
