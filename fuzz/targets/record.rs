//! Whatever stands in the outbox: it is a sighting no larger than its record, or unreadable, and nothing else.

#![no_main]

use bytes::Bytes;
use doorward::outbox::decode_record;
use libfuzzer_sys::fuzz_target;
use uuid::Uuid;

fuzz_target!(|data: &[u8]| {
    let id = Uuid::from_u128(7);
    let Some(sighting) = decode_record(&Bytes::copy_from_slice(data), id, None) else { return };
    assert_eq!((sighting.id, sighting.arrived), (id, None));
    let values = sighting.embedding.map_or(0, |embedding| embedding.values.len() * 4);
    let aligned = sighting.aligned.map_or(0, |aligned| aligned.len());
    assert!(sighting.expanded.len() + aligned + values <= data.len());
    assert!((1..=64).contains(&sighting.detector.as_str().chars().count()));
});
