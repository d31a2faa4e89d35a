//! Photos and documents: files to and from the engine.
//!
//! In: ids, and where the bytes come from or go to. Out: how many there were. They pass through piece by piece and are
//! never in memory as a whole.

use std::path::PathBuf;

use futures_util::TryStreamExt;
use reqwest::Body;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::multipart::{Form, Part};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::sync::watch;
use tokio_util::io::ReaderStream;

use super::client::Client;
use super::error::{ClientError, Result};
use super::operation::{DETECTION_PHOTO, DOWNLOAD_DOCUMENT, ENROLLMENT_PHOTO, UPLOAD_DOCUMENT};
use super::wire::upload_part;

/// A photo may have this many bytes.
const MAX_PHOTO: u64 = 64 << 20;
/// A document may have this many bytes.
const MAX_DOCUMENT: u64 = 4 << 30;
/// A file is read in pieces of this many bytes.
const PIECE: usize = 64 << 10;

/// A file to attach to a person. Its `Debug` shows the ids only: what a file is called may say what is wrong with
/// somebody.
#[derive(Clone, derive_more::Debug)]
#[debug("DocumentUpload({person_id}, {public_id:?})")]
pub struct DocumentUpload {
    pub file: PathBuf,
    pub person_id: String,
    /// The name that users are shown.
    pub name: String,
    pub description: Option<String>,
    /// The id by which the document can be downloaded; without it nobody learns the id, and a repetition makes another
    /// document.
    pub public_id: Option<String>,
    pub media_type: Option<String>,
}

impl Client {
    /// Writes the photo a face was enrolled from to `to`; gives its bytes.
    pub async fn enrollment_photo(&self, face: &str, to: &mut (impl AsyncWrite + Unpin + Send)) -> Result<u64> {
        self.download(&ENROLLMENT_PHOTO, &[face], to, MAX_PHOTO).await
    }

    /// Writes the photo of one sighting of a face to `to`; gives its bytes.
    pub async fn detection_photo(
        &self,
        face: &str,
        detection: &str,
        to: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<u64> {
        self.download(&DETECTION_PHOTO, &[face, detection], to, MAX_PHOTO).await
    }

    /// Writes a document to `to`; gives its bytes. `document` is its public id.
    pub async fn download_document(
        &self,
        person: &str,
        document: &str,
        to: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<u64> {
        self.download(&DOWNLOAD_DOCUMENT, &[person, document], to, MAX_DOCUMENT).await
    }

    /// Attaches a file to a person.
    pub async fn upload_document(&self, upload: &DocumentUpload) -> Result<()> {
        self.upload(&UPLOAD_DOCUMENT, move || upload.form()).await?.success(&UPLOAD_DOCUMENT).map(drop)
    }
}

impl DocumentUpload {
    /// The form, and a watch on how far its file has been read.
    async fn form(&self) -> Result<(Form, watch::Receiver<u64>)> {
        let failed = |source| ClientError::File { operation: UPLOAD_DOCUMENT.id, source };
        let file = File::open(&self.file).await.map_err(failed)?;
        let size = file.metadata().await.map_err(failed)?.len();
        let (progress, watched) = watch::channel(0);
        let pieces = ReaderStream::with_capacity(file.take(size), PIECE)
            .inspect_ok(move |piece| progress.send_modify(|read| *read += piece.len() as u64));

        let kind = self.media_type.as_deref().and_then(|kind| HeaderValue::from_str(kind).ok());
        let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
        let name = self.file.file_name().map(|name| name.to_string_lossy().into_owned());
        let part = Part::stream_with_length(Body::wrap_stream(pieces), size)
            .file_name(name.unwrap_or_else(|| "file".into()))
            .headers(HeaderMap::from_iter([(CONTENT_TYPE, kind)]));

        let texts = [
            (upload_part::PERSON_ID, Some(&self.person_id)),
            (upload_part::NAME, Some(&self.name)),
            (upload_part::DESCRIPTION, self.description.as_ref()),
            (upload_part::PUBLIC_ID, self.public_id.as_ref()),
        ];
        let form = texts.into_iter().fold(Form::new(), |form, (name, text)| match text {
            Some(text) => form.text(name, text.clone()),
            None => form,
        });
        // Last, so that the engine knows whose it is before it comes.
        Ok((form.part(upload_part::FILE, part), watched))
    }
}
