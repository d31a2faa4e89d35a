//! What became of every photo, and why: for people, as JSON, and as a file.
//!
//! In: the plan's flaws, then one outcome per person. Out: counts, and a row for each photo. A file holds names: it is
//! readable by its owner alone.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use super::person::{Fate, Outcome};
use super::source::{Flaw, Plan, Planned};
use crate::commands::{print_line, table};

/// So many failures are printed; the report file has all.
const PRINTED: usize = 50;

#[derive(Default)]
pub struct Report {
    counts: Counts,
    rows: Vec<Row>,
    /// Why everything stopped before its end.
    pub stop: Option<anyhow::Error>,
    pub dry_run: bool,
}

#[derive(Default, Serialize)]
struct Counts {
    people: usize,
    people_new: usize,
    people_known: usize,
    people_failed: usize,
    people_not_reached: usize,
    photos: usize,
    photos_enrolled: usize,
    photos_present: usize,
    photos_rejected: usize,
    /// The same picture twice for one person: in once.
    photos_repeated: usize,
    photos_not_reached: usize,
}

/// A photo, or a person as a whole where `photo` is empty.
#[derive(Serialize)]
struct Row {
    person: String,
    person_id: Option<String>,
    photo: String,
    result: &'static str,
    reason: String,
}

impl Report {
    pub fn new(plan: &Plan) -> Self {
        let mut report = Self::default();
        report.counts.people = plan.people.len();
        report.counts.photos = plan.people.iter().map(|person| person.photos.len()).sum();
        for flaw in &plan.flaws {
            match &flaw.photo {
                Some(file) => {
                    report.counts.photos += 1;
                    report.photo(&flaw.person, None, file, "rejected", &flaw.reason);
                }
                None => {
                    report.counts.people += 1;
                    report.counts.people_failed += 1;
                    report.row(&flaw.person, None, String::new(), "rejected", &flaw.reason);
                }
            }
        }
        for Flaw { person, photo, reason } in &plan.repeated {
            report.counts.photos += 1;
            photo.iter().for_each(|file| report.photo(person, None, file, "repeated", reason));
        }
        report
    }

    /// Takes in what became of a person.
    pub fn add(&mut self, planned: &Planned, outcome: Outcome) {
        let id = outcome.person_id.as_deref();
        for (photo, fate) in planned.photos.iter().zip(&outcome.photos) {
            let (result, reason) = match fate {
                Fate::Enrolled => ("enrolled", ""),
                Fate::Present => ("present", ""),
                Fate::Rejected(reason) => ("rejected", reason.as_str()),
            };
            self.photo(&planned.key, id, &photo.file, result, reason);
        }
        for photo in planned.photos.iter().skip(outcome.photos.len()) {
            self.photo(&planned.key, id, &photo.file, "not reached", "");
        }
        match &outcome.failure {
            Some(reason) => {
                self.counts.people_failed += 1;
                self.row(&planned.key, id, String::new(), "failed", reason);
            }
            None if id.is_none() || outcome.photos.len() < planned.photos.len() => self.counts.people_not_reached += 1,
            None if outcome.new => self.counts.people_new += 1,
            None => self.counts.people_known += 1,
        }
    }

    /// Rows in the order of people and photos, however they came.
    pub fn finish(&mut self) {
        self.rows.sort_by(|a, b| (&a.person, &a.photo).cmp(&(&b.person, &b.photo)));
    }

    /// Whether all that was wanted is in the engine.
    pub fn is_complete(&self) -> bool {
        let counts = &self.counts;
        let lacking =
            [counts.people_failed, counts.people_not_reached, counts.photos_rejected, counts.photos_not_reached];
        self.stop.is_none() && lacking.iter().all(|count| *count == 0)
    }

    pub fn print(&self, json: bool) {
        if json {
            // Numbers can always be written.
            print_line(&serde_json::to_string(&self.counts).unwrap_or_default());
            return;
        }
        let counts = &self.counts;
        if self.dry_run {
            let people = counts.people - counts.people_failed;
            let photos = counts.photos - counts.photos_rejected - counts.photos_repeated;
            table::line("would send", &format!("{people} people, {photos} photos"));
        } else {
            table::line(
                "people",
                &told(&[
                    (counts.people_new, "new"),
                    (counts.people_known, "known before"),
                    (counts.people_failed, "not complete"),
                    (counts.people_not_reached, "not reached"),
                ]),
            );
            table::line(
                "photos",
                &told(&[
                    (counts.photos_enrolled, "enrolled"),
                    (counts.photos_present, "there before"),
                    (counts.photos_rejected, "turned down"),
                    (counts.photos_repeated, "there twice"),
                    (counts.photos_not_reached, "not reached"),
                ]),
            );
        }
        let failed: Vec<_> = self.rows.iter().filter(|row| matches!(row.result, "rejected" | "failed")).collect();
        for row in failed.iter().take(PRINTED) {
            let what = if row.photo.is_empty() { &row.person } else { &row.photo };
            print_line(&format!("  {}: {}", table::plain(what), table::plain(&row.reason)));
        }
        if failed.len() > PRINTED {
            print_line(&format!("  … and {} more; --report FILE writes them all", failed.len() - PRINTED));
        }
    }

    /// Writes every row; JSON if the file is called so, else CSV.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        let failed = || format!("cannot write the report {}", file.display());
        let open = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file);
        let mut open = std::io::BufWriter::new(open.with_context(failed)?);
        if file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
            serde_json::to_writer_pretty(&mut open, &self.rows).with_context(failed)?;
            writeln!(open).with_context(failed)?;
        } else {
            let mut csv = csv::Writer::from_writer(&mut open);
            self.rows.iter().try_for_each(|row| csv.serialize(row)).with_context(failed)?;
            csv.flush().with_context(failed)?;
        }
        open.flush().with_context(failed)
    }

    /// A row for a photo, which is counted by its result.
    fn photo(&mut self, person: &str, id: Option<&str>, file: &Path, result: &'static str, reason: &str) {
        *match result {
            "enrolled" => &mut self.counts.photos_enrolled,
            "present" => &mut self.counts.photos_present,
            "repeated" => &mut self.counts.photos_repeated,
            "not reached" => &mut self.counts.photos_not_reached,
            _ => &mut self.counts.photos_rejected,
        } += 1;
        self.row(person, id, file.display().to_string(), result, reason);
    }

    fn row(&mut self, person: &str, id: Option<&str>, photo: String, result: &'static str, reason: &str) {
        let (person, person_id) = (person.to_owned(), id.map(str::to_owned));
        self.rows.push(Row { person, person_id, photo, result, reason: reason.to_owned() });
    }
}

/// `3 new, 1 not complete`; what is not there is not told.
fn told(counts: &[(usize, &str)]) -> String {
    let told: Vec<_> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if told.is_empty() { "none".into() } else { told.join(", ") }
}
