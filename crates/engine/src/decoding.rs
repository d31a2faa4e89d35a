//! Pictures that strangers may have made, decoded a few at a time: no more at once than there is memory for, and apart
//! from the analysers, so that one that takes long keeps none of them.
//!
//! In: pictures as bytes, and who sent them. Out: [`Decoded`] pictures, whose room is taken until they are dropped. The
//! decoders bound what one picture may cost by its size in pixels; here is bounded what all of them cost together. It
//! knows nothing of faces.

use bytes::Bytes;
use faces::picture::{MAX_PIXELS, Picture, PictureError};

use crate::admission::{Admission, Asker, Place};
use crate::error::{EngineError, Refusal};

/// A picture that takes more than these bytes is a large one: it finds its room among the large ones, and nothing of it
/// is urgent. A frame of a 4K camera takes 100 million.
const LARGE: u64 = 108_000_000;

/// What all large pictures there are at once may take, in MiB: one of the largest, or a few of a phone's. None takes
/// more while it is looked at than while it is decoded: then there are the picture and one that is turned.
const LARGE_MIB: u32 = 576;

/// The room for decoding; clones share it.
#[derive(Clone)]
pub struct Decoding {
    /// Pictures decoded at once.
    at_once: Admission,
    large: Admission,
}

/// Pictures, and the room they take until this is dropped.
pub struct Decoded<const N: usize> {
    pub pictures: [Picture; N],
    /// Who sent them; of large ones nothing is urgent.
    pub asker: Asker,
    _room: Option<LargeRoom>,
}

/// Room among the large pictures. What they took is given back to the system: it is much, and no other thread would use
/// it again.
struct LargeRoom {
    _place: Place,
}

impl Drop for LargeRoom {
    fn drop(&mut self) {
        #[cfg(target_env = "gnu")]
        // SAFETY: the function may be called at any time by any thread; it takes no pointer.
        unsafe {
            libc::malloc_trim(0);
        }
    }
}

impl Decoding {
    /// Decodes as many pictures at once as there are cores, and one more for whoever else comes.
    pub fn new(cores: usize) -> Self {
        let cores = cores as u32;
        Self { at_once: Admission::new(cores + 1, cores), large: Admission::new(LARGE_MIB, LARGE_MIB) }
    }

    /// Decodes pictures, or says which is unusable and why. Work once begun is finished even if nobody waits for it any
    /// more.
    pub async fn decode<const N: usize>(&self, asker: Asker, pictures: [Bytes; N]) -> Result<Decoded<N>, Refusal> {
        let mut bytes = 0;
        for picture in &pictures {
            bytes += check(picture)?;
        }
        let (asker, room) = match bytes {
            ..=LARGE => (asker, None),
            _ => {
                let asker = asker.unhurried();
                let room = self.large.enter(&asker, (bytes.div_ceil(1 << 20) as u32).min(LARGE_MIB)).await?;
                (asker, Some(LargeRoom { _place: room }))
            }
        };
        let place = self.at_once.enter(&asker, 1).await?;
        let decoded = tokio::task::spawn_blocking(move || {
            let _place = place;
            let decoded: Result<Vec<_>, _> =
                pictures.iter().map(|picture| Picture::decode(picture, MAX_PIXELS).map_err(unusable)).collect();
            decoded.map(|pictures| (pictures, room))
        });
        let (pictures, room) = decoded.await.map_err(|_| EngineError::Interrupted)??;
        let pictures = pictures.try_into().map_err(|_| EngineError::Interrupted)?;
        Ok(Decoded { pictures, asker, _room: room })
    }
}

/// The memory a picture takes while it is decoded, in bytes.
fn check(picture: &[u8]) -> Result<u64, Refusal> {
    if picture.is_empty() {
        return Err(Refusal::bad_input("Face bytes are empty"));
    }
    Picture::check(picture, MAX_PIXELS).map_err(unusable)
}

fn unusable(error: PictureError) -> Refusal {
    match error {
        PictureError::Read { .. } | PictureError::Operation { .. } => EngineError::Picture(error).into(),
        _ => Refusal::bad_input(error.to_string()),
    }
}
