//! `doorward identities photo` and `document`: files to and from the engine, piece by piece.
//!
//! What was downloaded appears under its name when it is whole, or not at all.

use std::path::Path;

use anyhow::{Context, bail};
use identities::{Client, ClientError, DocumentUpload};
use serde_json::json;
use tokio::io::AsyncWrite;
use uuid::Uuid;

use super::{access, tree};
use crate::cli::{Asked, Asking, DocumentCommand, Output, PhotoCommand};
use crate::commands::{CommandResult, print_either, print_line, table};
use crate::terminal::ExitCode;

/// Where a download goes.
type Target = Box<dyn AsyncWrite + Unpin + Send>;

pub async fn photo(Asked { command, asking }: Asked<PhotoCommand>) -> CommandResult {
    let (PhotoCommand::Enrollment { output, .. } | PhotoCommand::Detection { output, .. }) = &command;
    let photo = async |client: Client, to: &mut Target| match &command {
        PhotoCommand::Enrollment { face, .. } => client.enrollment_photo(face, to).await,
        PhotoCommand::Detection { face, detection, .. } => client.detection_photo(face, detection, to).await,
    };
    download(photo, output, &asking).await
}

pub async fn document(Asked { command, asking }: Asked<DocumentCommand>) -> CommandResult {
    match command {
        DocumentCommand::Download { person, id, output } => {
            let document = async |client: Client, to: &mut Target| client.download_document(&person, &id, to).await;
            download(document, &output, &asking).await
        }
        DocumentCommand::Upload { person, file, name, description, id, media_type } => {
            let open = tree::named(&file)?;
            let file_name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let id = id.unwrap_or_else(|| Uuid::new_v4().to_string());
            let upload = DocumentUpload {
                file: open.into(),
                name: name.unwrap_or_else(|| file_name.clone()),
                file_name,
                person_id: person,
                description,
                public_id: Some(id.clone()),
                media_type,
            };
            let sent = access::connect(&asking.access)?.upload_document(&upload).await;
            sent.with_context(|| format!("{} was not attached", file.display()))?;
            let answer = json!({ "personId": upload.person_id, "publicId": id });
            print_either(asking.json, &answer, || table::line("document", &id))
        }
    }
}

/// Writes what `fetch` fetches to a file, or to standard output.
async fn download(
    fetch: impl AsyncFnOnce(Client, &mut Target) -> Result<u64, ClientError>,
    output: &Output,
    asking: &Asking,
) -> CommandResult {
    let client = access::connect(&asking.access)?;
    let file = &output.output;
    if file == Path::new("-") {
        fetch(client, &mut (Box::new(tokio::io::stdout()) as Target)).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if !output.overwrite && file.exists() {
        bail!("{} is there already; give --overwrite to replace it", file.display());
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let part = tempfile::NamedTempFile::new_in(folder);
    let part = part.with_context(|| format!("cannot write into {}", folder.display()))?;
    let handle = part.reopen().context("cannot open the file that is being written")?;
    let bytes = fetch(client, &mut (Box::new(tokio::fs::File::from_std(handle)) as Target)).await?;
    let kept = if output.overwrite { part.persist(file) } else { part.persist_noclobber(file) };
    kept.with_context(|| format!("cannot write {}", file.display()))?;
    let answer = json!({ "file": file, "bytes": bytes });
    print_either(asking.json, &answer, || print_line(&format!("{} ({bytes} bytes)", file.display())))
}
