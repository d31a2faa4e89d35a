//! `doorward identities`: talking to an Identities engine from the command line.
//!
//! In: how to reach the engine, and what to do there. Out: what was done or found, for people or as JSON. One file per
//! group of commands; `access` is what all of them begin with.

mod access;
mod detections;
mod enroll;
mod faces;
mod files;
mod import;
mod people;
mod photo;
mod tags;
mod tree;
mod trust;

#[cfg(fuzzing)]
pub use import::fuzzing;
#[cfg(feature = "engine")]
pub use import::people as import_people;
#[cfg(feature = "engine")]
pub use people::give_tag;

use crate::cli::IdentitiesCommand;
use crate::commands::CommandResult;

pub async fn run(command: IdentitiesCommand) -> CommandResult {
    match command {
        IdentitiesCommand::Login(asking) => access::login(asking).await,
        IdentitiesCommand::Whoami(asking) => access::whoami(asking).await,
        IdentitiesCommand::Enroll(args) => enroll::run(args).await,
        IdentitiesCommand::Import(args) => import::run(args).await,
        IdentitiesCommand::Detect { photo, asking } => faces::detect(&photo, asking).await,
        IdentitiesCommand::Compare { first, second, asking } => faces::compare(&first, &second, asking).await,
        IdentitiesCommand::Person(command) => people::run(command).await,
        IdentitiesCommand::Search(args) => people::search(args).await,
        IdentitiesCommand::Tags(command) => tags::run(command).await,
        IdentitiesCommand::Detections(args) => detections::run(args).await,
        IdentitiesCommand::Photo(command) => files::photo(command).await,
        IdentitiesCommand::Document(command) => files::document(command).await,
        IdentitiesCommand::Trust(args) => trust::run(args).await,
    }
}
