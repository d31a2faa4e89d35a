//! `doorward identities photo` and `document`: files to and from the engine, piece by piece.
//!
//! What was downloaded appears under its name when it is whole, or not at all.

use std::path::Path;

use anyhow::{Context, anyhow};
use identities::{Client, ClientError, DocumentUpload};
use serde_json::json;
use tokio::io::AsyncWrite;
use uuid::Uuid;

use super::access;
use crate::cli::{DocumentCommand, Output, PhotoCommand};
use crate::commands::{CommandResult, print_json, print_line, table};
use crate::terminal::ExitCode;

/// What is downloaded.
enum Wanted<'a> {
    Enrollment { face: &'a str },
    Detection { face: &'a str, detection: &'a str },
    Document { person: &'a str, id: &'a str },
}

pub async fn photo(command: PhotoCommand) -> CommandResult {
    match &command {
        PhotoCommand::Enrollment { face, output } => download(Wanted::Enrollment { face }, output).await,
        PhotoCommand::Detection { face, detection, output } => {
            download(Wanted::Detection { face, detection }, output).await
        }
    }
}

pub async fn document(command: DocumentCommand) -> CommandResult {
    match command {
        DocumentCommand::Download { person, id, output } => {
            download(Wanted::Document { person: &person, id: &id }, &output).await
        }
        DocumentCommand::Upload { person, file, name, description, id, media_type, asking } => {
            if !file.is_file() {
                return Err(anyhow!("{} is not a file", file.display()).into());
            }
            let own_name = || file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let id = id.unwrap_or_else(|| Uuid::new_v4().to_string());
            let upload = DocumentUpload {
                name: name.unwrap_or_else(own_name),
                person_id: person,
                description,
                public_id: Some(id.clone()),
                media_type,
                file,
            };
            let client = access::connect(&asking.access)?;
            let sent = client.upload_document(&upload).await;
            sent.with_context(|| format!("{} was not attached", upload.file.display()))?;
            if asking.json {
                return print_json(&json!({ "personId": upload.person_id, "publicId": id }));
            }
            table::line("document", &id);
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn download(wanted: Wanted<'_>, output: &Output) -> CommandResult {
    let client = access::connect(&output.access)?;
    if output.output == Path::new("-") {
        wanted.write(&client, &mut tokio::io::stdout()).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let file = &output.output;
    if !output.overwrite && file.exists() {
        return Err(anyhow!("{} is there already; give --overwrite to replace it", file.display()).into());
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let part = tempfile::NamedTempFile::new_in(folder);
    let part = part.with_context(|| format!("cannot write into {}", folder.display()))?;
    let handle = part.reopen().context("cannot open the file that is being written")?;
    let bytes = wanted.write(&client, &mut tokio::fs::File::from_std(handle)).await?;
    let kept = if output.overwrite { part.persist(file) } else { part.persist_noclobber(file) };
    kept.with_context(|| format!("cannot write {}", file.display()))?;
    print_line(&format!("{} ({bytes} bytes)", file.display()));
    Ok(ExitCode::SUCCESS)
}

impl Wanted<'_> {
    async fn write(&self, client: &Client, to: &mut (impl AsyncWrite + Unpin + Send)) -> Result<u64, ClientError> {
        match self {
            Self::Enrollment { face } => client.enrollment_photo(face, to).await,
            Self::Detection { face, detection } => client.detection_photo(face, detection, to).await,
            Self::Document { person, id } => client.download_document(person, id, to).await,
        }
    }
}
