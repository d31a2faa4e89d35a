//! For the fuzz targets alone: what becomes of an engine's bytes once they are read.
//!
//! In: any bytes. Out: nothing; it panics when what is kept of an answer is larger than the answer, names
//! nobody, or when the reason of a failure is not that of its error.

use faces::detect::Rect;
use identities::fuzzing::{Heard, Read, answer as read};

use super::identify::{edge_answer, published_answer};
use super::{Answer, IdentifyError};

const FACE: Rect = Rect { x: 10.0, y: 20.0, width: 100.0, height: 120.0 };

/// See [`identities::fuzzing::answer`] for what the bytes are.
pub fn answer(data: &[u8]) {
    let Some(Heard { read, size }) = read(data) else { return };
    match read {
        Ok(Read::Published(answer, now)) => {
            known(&published_answer(answer, FACE, data.first().is_some_and(|call| call % 2 == 0), now), size);
        }
        Ok(Read::Found(found, now)) => known(&edge_answer(found.map(|person| (person, now))), size),
        Ok(Read::Other) => {}
        Err(error) => {
            let told = error.to_string();
            assert_eq!(IdentifyError::from(error).reason(), told, "the reason says neither more nor less");
        }
    }
}

fn known(answer: &Answer, size: usize) {
    if let Answer::Known(known) = answer {
        assert!(known.tags.len() + known.fields.len() <= size);
        assert!(!known.person.id.is_empty() && known.tags.iter().all(|tag| !tag.name.is_empty()));
    }
    drop(format!("{answer:?}"));
}
