//! `doorward pictures`: what `outbox.keep_…` keeps of answered visits.
//!
//! In: which pictures. Out: a line for each, and for `export` its JPEG in a folder, for its owner alone. It only reads,
//! whether the service is running or not; exporting takes the key.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::{CommandResult, complain, print_line};
use crate::cli::{PicturesArgs, PicturesCommand};
use crate::outbox::{KeptPicture, Pictures};
use crate::terminal::ExitCode;

pub fn run(command: PicturesCommand) -> CommandResult {
    let (which, folder) = match command {
        PicturesCommand::List(which) => (which, None),
        PicturesCommand::Export { to, which } => (which, Some(to)),
    };
    let settings = super::load_config(&which.config)?.settings;
    let pictures = Pictures::open(&settings.state_dir, &settings.outbox)?;
    if let Some(folder) = &folder {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let mut all = true;
    for picture in pictures.list(which.visit.as_deref(), which.person.as_deref())? {
        let Some(folder) = &folder else {
            tell(&which, &picture, None);
            continue;
        };
        if let Some(jpeg) = pictures.read(&picture)? {
            tell(&which, &picture, Some(&export(&picture, &jpeg, folder)?));
        } else {
            all = false;
            let id = &picture.sighting;
            complain(&format!("doorward: the picture of sighting {id} has gone, or was stored with another key"));
        }
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Gives the file's name, which sorts by time.
fn export(picture: &KeptPicture, jpeg: &[u8], folder: &Path) -> Result<String> {
    let name = format!("{}_{}_{}.jpg", picture.seen_at.replace(':', "-"), picture.visit, picture.shot);
    let path = folder.join(&name);
    let mut options = OpenOptions::new();
    let written = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
    written.and_then(|mut file| file.write_all(jpeg)).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(name)
}

fn tell(which: &PicturesArgs, picture: &KeptPicture, file: Option<&str>) {
    if which.json {
        let mut line = json!(picture);
        if let Some(file) = file {
            line["file"] = file.into();
        }
        return print_line(&line.to_string());
    }
    let person = picture.person.as_deref().map(|person| format!(" {person}")).unwrap_or_default();
    let KeptPicture { visit, detector, seen_at, shot, outcome, until, bytes, .. } = picture;
    print_line(&match file {
        Some(file) => format!("{file}: {outcome}{person} at {detector}"),
        None => {
            format!("{seen_at} {detector}: {outcome}{person}, visit {visit} shot {shot}, {bytes} bytes until {until}")
        }
    });
}
