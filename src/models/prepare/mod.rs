//! Turning what a package ships into the file ONNX Runtime loads.
//!
//! In: the raw files of an entry, already known by their sha256. Out: the bytes of the prepared file, the same ones on
//! every machine, so that the manifest can hold their hash as well. It does not know where the files come from.

mod centerface;
mod faceapi;
mod graph;

use faces::models::Preparation;

use super::FetchError;

/// Prepares the raw files, which come in the manifest's order.
///
/// # Errors
/// Raw files that are not what the preparation expects; never a panic, whatever they hold.
pub fn prepare(preparation: Preparation, raw: &[Vec<u8>]) -> Result<Vec<u8>, FetchError> {
    match (preparation, raw) {
        (Preparation::None, [file]) => Ok(file.clone()),
        (Preparation::CenterfaceDynamic, [model]) => centerface::prepare(model),
        (Preparation::FaceapiOnnx, [list, values]) => faceapi::prepare(list, values),
        _ => {
            Err(FetchError::Prepare { what: "the file", problem: format!("{} raw files is a wrong number", raw.len()) })
        }
    }
}
