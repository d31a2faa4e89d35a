//! Photos on their way to an engine.

use std::path::Path;

use anyhow::{Context, bail};

/// A photo larger than this is a mistake; engines refuse it anyway.
const MAX_PHOTO_BYTES: u64 = 32 << 20;

/// Reads a photo, if it is one an engine can take.
pub fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let size = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
    if size > MAX_PHOTO_BYTES {
        bail!("{} has {size} bytes; a photo has at most {MAX_PHOTO_BYTES}", file.display());
    }
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    use imagesize::ImageType::{Bmp, Jpeg, Png, Webp};
    match imagesize::image_type(&bytes) {
        Ok(Jpeg | Png | Webp | Bmp) => Ok(bytes),
        _ => bail!("{} is not a picture this can send (JPEG, PNG, WebP and BMP are)", file.display()),
    }
}
