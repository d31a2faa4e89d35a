//! Photos and documents: files to and from the engine, and exchanges of any size.
//!
//! In: ids, and where the bytes come from or go to. Out: how many there were. They pass through piece by piece and are
//! never in memory as a whole. What limits the time of such an exchange is a standstill, not its length: what stands
//! still for as long as another exchange may take altogether is given up.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream};
use reqwest::Body;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::multipart::{Form, Part};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, watch};

use super::client::Client;
use super::error::{ClientError, Result};
use super::operation::{DETECTION_PHOTO, DOWNLOAD_DOCUMENT, ENROLLMENT_PHOTO, Operation, UPLOAD_DOCUMENT};
use super::transport::{Reply, Transport, counted};
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
    /// It is open, and is read from its beginning however often it is sent.
    pub file: Arc<File>,
    /// What the file is called.
    pub file_name: String,
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
        let exchange = move |token| async move {
            let (form, progress) = upload.form().await?;
            counted(&UPLOAD_DOCUMENT, self.0.transport.push(token, form, progress)).await
        };
        self.with_token(exchange).await.map(drop)
    }
}

impl DocumentUpload {
    /// The form, and a watch on how far its file has been read.
    async fn form(&self) -> Result<(Form, watch::Receiver<u64>)> {
        let file = Arc::clone(&self.file);
        let size = in_file(move || Ok(file.metadata()?.len())).await;
        let size = size.map_err(|source| ClientError::File { operation: UPLOAD_DOCUMENT.id, source })?;
        let (progress, watched) = watch::channel(0);
        let pieces = pieces(Arc::clone(&self.file), size)
            .inspect_ok(move |piece| progress.send_modify(|read| *read += piece.len() as u64));

        let kind = self.media_type.as_deref().and_then(|kind| HeaderValue::from_str(kind).ok());
        let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
        let part = Part::stream_with_length(Body::wrap_stream(pieces), size)
            .file_name(self.file_name.clone())
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

/// A file's bytes up to `size`. Each piece is read where it stands, so that no other reader of the file is in the way.
fn pieces(file: Arc<File>, size: u64) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(0, move |at| {
        let file = Arc::clone(&file);
        async move {
            let mut piece = vec![0; PIECE.min(usize::try_from(size - at).unwrap_or(PIECE))];
            let read = move || {
                let length = file.read_at(&mut piece, at)?;
                piece.truncate(length);
                Ok(Bytes::from(piece))
            };
            let piece = in_file(read).await?;
            let next = at + piece.len() as u64;
            Ok((!piece.is_empty()).then_some((piece, next)))
        }
    })
}

/// What is done to a file, which may take its time.
async fn in_file<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// However well it moves, an exchange ends after this.
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// Where the body of an answer is written to, and how many bytes have been.
struct Destination<'a, W> {
    to: &'a mut W,
    written: u64,
}

impl Client {
    /// Writes the body of a successful answer to `to`, at most `most` bytes; gives how many there were. After an error
    /// some of it may have been written.
    async fn download(
        &self,
        operation: &'static Operation,
        given: &[&str],
        to: &mut (impl AsyncWrite + Unpin + Send),
        most: u64,
    ) -> Result<u64> {
        let transport = &self.0.transport;
        // Guards the one destination of all tries, of which one is under way at a time; no other lock is held with it.
        let destination = &Mutex::new(Destination { to, written: 0 });
        let exchange = move |token| async move {
            let mut destination = destination.lock().await;
            counted(operation, transport.save(operation, given, token, &mut destination, most)).await
        };
        self.with_token(exchange).await?;
        Ok(destination.lock().await.written)
    }
}

impl Transport {
    /// Writes the body of a successful answer to its destination; the reply has none then.
    async fn save(
        &self,
        operation: &'static Operation,
        given: &[&str],
        token: HeaderValue,
        destination: &mut Destination<'_, impl AsyncWrite + Unpin + Send>,
        most: u64,
    ) -> Result<Reply> {
        let request = self.request(operation, given, Some(token))?.timeout(LONGEST);
        let mut response = self.in_time(operation, request.send()).await?;
        if !response.status().is_success() {
            return self.reply(operation, response).await;
        }
        let too_large = || ClientError::TooLarge { operation: operation.id, limit: most as usize };
        let failed = |source| ClientError::File { operation: operation.id, source };
        if response.content_length().is_some_and(|length| length > most) {
            return Err(too_large());
        }
        while let Some(piece) = self.in_time(operation, response.chunk()).await? {
            destination.written += piece.len() as u64;
            if destination.written > most {
                return Err(too_large());
            }
            destination.to.write_all(&piece).await.map_err(failed)?;
        }
        destination.to.flush().await.map_err(failed)?;
        self.reply(operation, response).await
    }

    /// Uploads a document; `progress` changes while its file is read.
    async fn push(&self, token: HeaderValue, form: Form, mut progress: watch::Receiver<u64>) -> Result<Reply> {
        let operation = &UPLOAD_DOCUMENT;
        let request = self.request(operation, &[], Some(token))?.timeout(LONGEST).multipart(form);
        let standstill = async {
            while let Ok(moved) = tokio::time::timeout(self.timeout, progress.changed()).await {
                if moved.is_err() {
                    // The whole file has been read: only the answer is missing.
                    return tokio::time::sleep(self.timeout).await;
                }
            }
        };
        let response = tokio::select! {
            sent = request.send() => sent.map_err(|source| self.failed(operation, source))?,
            () = standstill => return Err(self.late(operation)),
        };
        let reply = self.reply(operation, response);
        tokio::time::timeout(self.timeout, reply).await.map_err(|_| self.late(operation))?
    }

    /// Waits for one step of an exchange, none of which may take longer than a whole exchange otherwise does.
    async fn in_time<T>(
        &self,
        operation: &Operation,
        step: impl Future<Output = Result<T, reqwest::Error>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.timeout, step).await {
            Ok(done) => done.map_err(|source| self.failed(operation, source)),
            Err(_) => Err(self.late(operation)),
        }
    }

    fn late(&self, operation: &Operation) -> ClientError {
        ClientError::TimedOut { operation: operation.id, after_ms: self.timeout.as_millis() }
    }
}
