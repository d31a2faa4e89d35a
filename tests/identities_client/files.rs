//! Photos and documents: bytes that pass through, however many, and what happens when they do not come.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use identities::{ClientError, DocumentUpload};

use super::*;

const MIB: usize = 1 << 20;

fn head(length: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nContent-Type: application/octet-stream\r\n\r\n")
}

/// A writer that only counts.
struct Counted(usize);

impl tokio::io::AsyncWrite for Counted {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.0 += bytes.len();
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

fn upload(file: &std::path::Path) -> DocumentUpload {
    DocumentUpload {
        file: std::fs::File::open(file).unwrap().into(),
        file_name: file.file_name().unwrap().to_str().unwrap().into(),
        person_id: "2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10".into(),
        name: "Contract".into(),
        description: Some("signed".into()),
        public_id: Some("contract-2026-017".into()),
        media_type: Some("application/pdf".into()),
    }
}

/// The most memory this process has ever used, in bytes.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn a_large_document_comes_and_goes_without_being_in_memory() {
    const LARGE: usize = 512 * MIB;
    let fake = Fake::start(|_| Reply::flood(head(LARGE), LARGE)).await;
    let before = peak_memory();
    let mut to = Counted(0);
    let bytes = client(&fake).download_document("p", "d", &mut to).await.unwrap();
    assert_eq!((bytes as usize, to.0), (LARGE, LARGE));
    // The kernel counts in batches, so that a later figure may be a little less.
    let grown = peak_memory().saturating_sub(before);
    assert!(grown < LARGE / 4, "{grown} bytes more memory for a document of {LARGE}");
}

#[tokio::test]
async fn an_upload_is_this_form() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("contract.pdf");
    std::fs::write(&file, "%PDF-1.7").unwrap();
    let fake = Fake::start(|_| Reply::with(200, "", "")).await;
    client(&fake).upload_document(&upload(&file)).await.unwrap();
    let request = &fake.seen()[1];
    assert_eq!(request.line(), "POST /api/v1/people/fileDocuments/upload");
    let boundary = request.header("content-type").unwrap().strip_prefix("multipart/form-data; boundary=").unwrap();
    let body = String::from_utf8(request.body.clone()).unwrap().replace(boundary, "BOUNDARY");
    let text = |name: &str, value: &str| {
        format!("--BOUNDARY\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    assert_eq!(
        body,
        text("personId", "2c9f9a4e-6d0c-4b57-b3f8-0b9a7f7f2e10")
            + &text("name", "Contract")
            + &text("description", "signed")
            + &text("publicId", "contract-2026-017")
            + "--BOUNDARY\r\nContent-Disposition: form-data; name=\"file\"; filename=\"contract.pdf\"\r\n\
               content-type: application/pdf\r\n\r\n%PDF-1.7\r\n--BOUNDARY--\r\n"
    );
}

#[tokio::test]
async fn an_upload_is_sent_whole_again_after_a_new_login_and_never_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::File::create(&file).unwrap().write_all(&vec![7; 3 * MIB]).unwrap();
    for (status, sent) in [(401, 2), (403, 1), (500, 1), (503, 1), (404, 1)] {
        let tries = AtomicUsize::new(0);
        let fake = Fake::start(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
            0 => Reply::with(status, "", ""),
            _ => Reply::with(200, "", ""),
        })
        .await;
        let result = client(&fake).upload_document(&upload(&file)).await;
        assert_eq!(result.is_ok(), status == 401, "{status}");
        let uploads: Vec<_> = fake.seen().into_iter().filter(|request| request.is("/upload")).collect();
        assert_eq!(uploads.len(), sent, "{status}");
        assert!(uploads.iter().all(|upload| upload.body.len() > 3 * MIB), "{status}");
    }
}

#[tokio::test]
async fn a_standstill_ends_and_slowness_does_not() {
    let patient = |fake: &Fake| {
        Client::new(&ClientOptions { timeout: Duration::from_millis(400), ..config(&fake.url()) }).unwrap()
    };
    // Nothing, a head and no more, a body that stops.
    for start in ["", "HTTP/1.1 200 OK\r\n", &head(100), &(head(100) + "abc")] {
        let start = start.to_owned();
        let fake = Fake::start(move |_| match start.as_str() {
            "" => Reply::Silence,
            start => Reply::Stuck(start.as_bytes().to_vec()),
        })
        .await;
        let error = patient(&fake).enrollment_photo("f", &mut Vec::new()).await.unwrap_err();
        assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    }
    // A byte every 20 ms for longer than the 400 ms another answer may take.
    let length = 60;
    let fake = Fake::start(move |_| Reply::Drip(head(length).into_bytes())).await;
    let mut photo = Vec::new();
    patient(&fake).enrollment_photo("f", &mut photo).await.unwrap();
    assert_eq!(photo.len(), length);

    // An engine that takes nothing of a file, and one that takes it all and says nothing.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("f");
    std::fs::File::create(&file).unwrap().write_all(&vec![7; 64 * MIB]).unwrap();
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = deaf.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = deaf.accept().await {
            open.push(stream);
            if open.len() == 1 {
                let token = r#"{"username":"gate","token":"t"}"#;
                let mut login = open.remove(0);
                let answer =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{token}", token.len());
                use tokio::io::{AsyncReadExt, AsyncWriteExt};
                let _ = login.read(&mut [0; 4096]).await;
                let _ = login.write_all(answer.as_bytes()).await;
                // The next one is kept open and never read.
                if let Ok((stream, _)) = deaf.accept().await {
                    open.push(stream);
                    std::future::pending::<()>().await;
                }
            }
        }
    });
    let config = ClientOptions { timeout: Duration::from_millis(400), ..config(&format!("http://{address}")) };
    let error = Client::new(&config).unwrap().upload_document(&upload(&file)).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
    std::fs::write(&file, "short").unwrap();
    let mute = Fake::start(|_| Reply::Silence).await;
    let error = patient(&mute).upload_document(&upload(&file)).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn what_is_cut_short_too_large_or_refused_is_an_error() {
    let photo = |reply: fn() -> Reply| async move {
        let fake = Fake::start(move |_| reply()).await;
        client(&fake).detection_photo("f", "d", &mut Vec::new()).await.unwrap_err()
    };
    let error = photo(|| Reply::Raw((head(100) + "abc").into_bytes())).await;
    assert!(matches!(error, ClientError::Cut { .. }), "{error}");
    let error = photo(|| Reply::flood(head(100 * MIB), 100 * MIB)).await;
    assert!(matches!(error, ClientError::TooLarge { .. }), "{error}");
    let endless = || Reply::flood("HTTP/1.1 200 OK\r\n\r\n".into(), 200 * MIB);
    let error = photo(endless).await;
    assert!(matches!(error, ClientError::TooLarge { .. }), "{error}");
    let error = photo(|| Reply::with(404, "", "")).await;
    assert_eq!(error.to_string(), "getDetectionPhoto: there is no such photo (status 404)");
    let error = photo(|| Reply::with(302, "Location: http://elsewhere.example/\r\n", "")).await;
    assert!(matches!(error, ClientError::Redirected { .. }), "{error}");
    let error = photo(|| Reply::with(401, "", "")).await;
    assert!(matches!(error, ClientError::Unauthorised { .. }), "{error}");

    // A missing call is no answer about a record.
    let old = Fake::start(|_| Reply::with(404, "", "")).await;
    let error = client(&old).tags(None).await.unwrap_err();
    assert!(matches!(error, ClientError::NoSuchCall { .. }), "{error}");
    assert!(!client(&old).delete_tag("t").await.unwrap(), "already gone");
}
