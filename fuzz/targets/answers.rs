//! Whatever an engine answers: it becomes an answer or an error in words, bounded, and nothing else.

#![no_main]

use doorward::recognition::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fuzzing::answer(data));
