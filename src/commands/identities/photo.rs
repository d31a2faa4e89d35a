//! Photos on their way to an engine.
//!
//! In: a file. Out: its bytes, if it is a whole photo that an engine can take; or what is wrong with it and what to do
//! about it. The pixels are the engine's to judge.

use std::path::Path;

use anyhow::{Context, bail};
use faces::picture::{Looks, MAX_PHOTO_BYTES, MAX_PIXELS, Picture, PictureError, looks_like};
use identities::ClientError;

/// Reads a photo, if it is one an engine can take.
pub fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = file.display();
    let size = std::fs::metadata(file).with_context(|| format!("cannot read {shown}"))?.len();
    if size > MAX_PHOTO_BYTES as u64 {
        let [mb, most] = [size, MAX_PHOTO_BYTES as u64].map(|bytes| bytes as f64 / 1e6);
        bail!("{shown} has {mb:.1} MB; a photo of at most {most:.1} MB is taken: save it as JPEG, or smaller");
    }
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {shown}"))?;
    match Picture::check(&bytes, MAX_PIXELS) {
        Ok(()) => Ok(bytes),
        Err(PictureError::NotTaken { format: None }) => {
            bail!("{shown} is not a picture that is taken (JPEG, PNG, WebP and BMP are)")
        }
        Err(error) => Err(error).with_context(|| format!("{shown} cannot be sent")),
    }
}

/// What a file looks like, whatever its name says.
pub fn looks(file: &Path) -> std::io::Result<Looks> {
    use std::io::Read;
    let mut beginning = Vec::new();
    std::fs::File::open(file)?.take(64).read_to_end(&mut beginning)?;
    Ok(looks_like(&beginning))
}

/// What to do about a photo that an engine would not take, if anything can be done.
pub fn advice(refusal: &ClientError, forced: bool) -> Option<&'static str> {
    let ClientError::Rejected { status, .. } = refusal else { return None };
    Some(match status {
        // Whoever stands in between may have a limit of its own.
        413 => "the engine takes no file of this size: save it smaller, as JPEG of at most 4000 pixels",
        500 if forced => "is there one face in it, upright and not covered?",
        500 => {
            "take one with one face, sharp, from the front and at least 100 pixels high, or add --force; somebody the \
             engine knows gets another photo with --person-id"
        }
        _ => "save it anew as JPEG of at most 4000 pixels, or take another one",
    })
}
