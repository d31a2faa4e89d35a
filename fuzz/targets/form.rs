//! Whatever is sent as a form: parts come out of it, or it is refused, within the time its bytes take.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| engine::fuzzing::form(data));
