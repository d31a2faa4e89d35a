//! Photos on their way to an engine.
//!
//! In: a file. Out: a photo that an engine can take, without what the file says of place, time and camera; or what is
//! wrong with it and what to do about it. The pixels are the engine's to judge.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use faces::picture::{Looks, MAX_PHOTO_BYTES, MAX_PIXELS, Picture, PictureError, bare_jpeg, looks_like};
use identities::ClientError;

use super::tree;

/// Of a photo that is sent as another file than it came as.
const JPEG_QUALITY: u8 = 95;

/// Reads a photo that is to be sent, if it is one an engine can take.
pub fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = file.display();
    bare(as_it_is(tree::named(file)?, file)?).with_context(|| format!("{shown} cannot be sent"))
}

/// The bytes of such a file, which is open.
pub fn as_it_is(open: File, file: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = file.display();
    let size = open.metadata().with_context(|| format!("cannot read {shown}"))?.len();
    if size > MAX_PHOTO_BYTES as u64 {
        let [mb, most] = [size, MAX_PHOTO_BYTES as u64].map(|bytes| bytes as f64 / 1e6);
        bail!("{shown} has {mb:.1} MB; a photo of at most {most:.1} MB is taken: save it as JPEG, or smaller");
    }
    let bytes = tree::read(open, MAX_PHOTO_BYTES as u64).with_context(|| format!("cannot read {shown}"))?;
    match Picture::check(&bytes, MAX_PIXELS) {
        Ok(_) => Ok(bytes),
        Err(PictureError::NotTaken { format: None }) => {
            bail!("{shown} is not a picture that is taken (JPEG, PNG, WebP and BMP are)")
        }
        Err(error) => Err(error).with_context(|| format!("{shown} cannot be sent")),
    }
}

/// The photo alone: a JPEG as it is but for its metadata, or a new one of what is turned or of another format.
fn bare(bytes: Vec<u8>) -> Result<Vec<u8>, PictureError> {
    match bare_jpeg(&bytes) {
        Some(bare) => Ok(bare),
        None => Picture::decode(&bytes, MAX_PIXELS)?.jpeg(JPEG_QUALITY),
    }
}

/// What a file looks like, whatever its name says.
pub fn looks(open: File) -> std::io::Result<Looks> {
    let mut beginning = Vec::new();
    open.take(64).read_to_end(&mut beginning)?;
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
