#![no_main]

#[path = "../../tests/any_input/smtp.rs"]
mod smtp;

libfuzzer_sys::fuzz_target!(|input: &[u8]| smtp::smtp_replies(input));
