//! What the commands that go through images print: one line per image, to a reader that may go away.
//!
//! In: what was found in an image, or why nothing could be. Out: JSON lines on standard output; or text there and
//! the failures on standard error. It remembers whether anything failed.

use std::path::{Path, PathBuf};

use anyhow::Context;
use faces::detect::Rect;
use faces::picture::{MAX_PIXELS, Picture};
use serde_json::json;

use super::CommandResult;
use crate::terminal::{ExitCode, complain, plain, tell};

/// Prints a line for each image: what `look` finds in it, as text and as JSON. 1 when any of them failed.
pub(super) fn print_each(
    images: &[PathBuf],
    json: bool,
    mut look: impl FnMut(&Path) -> anyhow::Result<(String, String)>,
) -> CommandResult {
    let mut code = ExitCode::SUCCESS;
    for image in images {
        let file = image.display().to_string();
        let result = look(image).inspect_err(|_| code = ExitCode::FAILURE);
        let lines = match result {
            Ok((_, line)) if json => line,
            // The text may have several lines; a file's name must not make one of its own.
            Ok((text, _)) => format!("{}: {text}", plain(&file)),
            Err(error) if json => json!({ "file": file, "error": format!("{error:#}") }).to_string(),
            Err(error) => {
                complain(&format!("{file}: {error:#}"));
                continue;
            }
        };
        // The reader has closed its end (`| head -1`): no reason to go on, and none to complain.
        if !lines.lines().all(tell) {
            break;
        }
    }
    Ok(code)
}

/// Reads an image; the error does not repeat the file's name, which every line begins with.
pub(super) fn read(image: &Path) -> anyhow::Result<Picture> {
    let encoded = std::fs::read(image).context("cannot read it")?;
    Ok(Picture::decode(&encoded, MAX_PIXELS)?)
}

/// `[x, y, width, height]`.
pub(super) fn bbox(rect: &Rect) -> [f64; 4] {
    [rect.x, rect.y, rect.width, rect.height].map(|value| rounded(value.into()))
}

/// Three digits after the point: finer than a pixel or a millisecond is worth.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        let rect = Rect { x: -0.12345, y: 10.0, width: 1.0 / 3.0, height: 99.9996 };
        assert_eq!(bbox(&rect), [-0.123, 10.0, 0.333, 100.0]);
    }

    #[test]
    fn a_failure_is_remembered() {
        let images = ["a.jpg", "b.jpg"].map(PathBuf::from);
        for (broken, code) in [("a.jpg", ExitCode::FAILURE), ("c.jpg", ExitCode::SUCCESS)] {
            let look = |image: &Path| match image == Path::new(broken) {
                true => Err(anyhow::anyhow!("broken")),
                false => Ok(("fine".into(), "{}".into())),
            };
            assert_eq!(print_each(&images, true, look).unwrap(), code);
        }
    }
}
