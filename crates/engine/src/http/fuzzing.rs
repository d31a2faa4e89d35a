//! For the fuzz targets alone: what the bytes of a form go through, without a network.
//!
//! In: any bytes. Out: nothing; it panics where a part is longer than what was sent.

use axum::body::Body;
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::header::CONTENT_TYPE;
use futures_util::FutureExt;
use identities::wire::{lookup_part, upload_part};

use super::extract::{Form, bytes, text, which};

/// The body of a form whose parts are told apart by a line of `--x`.
pub fn form(body: &[u8]) {
    const NAMES: [&str; 4] =
        [lookup_part::CROPPED_ALIGNED, lookup_part::EMBEDDINGS, upload_part::PERSON_ID, upload_part::NAME];
    let request = Request::builder().header(CONTENT_TYPE, "multipart/form-data; boundary=x");
    let Ok(request) = request.body(Body::from(body.to_vec())) else { return };
    let taken = async {
        let Ok(form) = Multipart::from_request(request, &()).await else { return };
        let mut form = Form(form);
        while let Ok(Some(part)) = form.next().await {
            let known = which(&part, &NAMES);
            let size = match known == Some(upload_part::NAME) {
                true => text(part).await.map_or(0, |text| text.chars().count()),
                false => bytes(part).await.map_or(0, |bytes| bytes.len()),
            };
            assert!(size <= body.len());
        }
    };
    // All of it is there: nothing has to be waited for.
    let _ = taken.now_or_never();
}
