//! `doorward engine erase`: people, strangers and times, for good, from a data folder that an engine may be serving.
//!
//! Standard output tells what went, or would go, in numbers.

use anyhow::bail;
use engine::{Erased, Whom};

use crate::cli::EngineEraseArgs;
use crate::commands::{CommandResult, print_line};
use crate::terminal::ExitCode;

pub fn run(args: EngineEraseArgs) -> CommandResult {
    let whom = match (args.person, args.stranger, args.from, args.to) {
        (Some(person), ..) => Whom::Person(person),
        (_, Some(face), ..) => Whom::Stranger(face),
        (.., Some(from), Some(to)) if from < to => Whom::Seen { from, to, detector: args.detector },
        (.., Some(_), Some(_)) => bail!("`--from` must be before `--to`"),
        _ => bail!("whom or what? give `--person`, `--stranger`, or `--from` and `--to`"),
    };
    let erased = engine::erase(&args.folder.data, &whom, args.dry_run)?;
    if args.json {
        print_line(&serde_json::to_string(&erased)?);
    } else {
        print_line(&told(&erased, if args.dry_run { "would be erased" } else { "erased" }));
    }
    Ok(ExitCode::SUCCESS)
}

fn told(erased: &Erased, verb: &str) -> String {
    let Erased { people, photos, notes, documents, strangers, sightings } = *erased;
    let of = [
        (people, "people"),
        (photos, "enrolled photos"),
        (notes, "notes"),
        (documents, "documents"),
        (strangers, "strangers"),
        (sightings, "sightings"),
    ];
    let parts: Vec<_> =
        of.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if parts.is_empty() { format!("nothing {verb}") } else { format!("{verb}: {}", parts.join(", ")) }
}
