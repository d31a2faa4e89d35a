//! What became of every photo, and why: for people, as JSON, and as a file.
//!
//! In: the plan's flaws, then one outcome per person. Out: counts, and a row for each photo. A file holds names: it is
//! readable by its owner alone.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use super::person::{Fate, Outcome};
use super::source::{Flaw, Plan, Planned};
use crate::commands::{print_json, print_line, table};

/// So many failures are printed; the report file has all.
const PRINTED: usize = 50;

/// How people end: as the counts call it, and as people read it.
const PEOPLE: [(&str, &str); 4] = [
    ("people_new", "new"),
    ("people_known", "known before"),
    ("people_failed", "not complete"),
    ("people_not_reached", "not reached"),
];
/// How photos end, the same; what follows the first word is the result of a photo's row.
const PHOTOS: [(&str, &str); 5] = [
    ("photos_enrolled", "enrolled"),
    ("photos_present", "there before"),
    ("photos_rejected", "turned down"),
    // The same picture twice for one person: in once.
    ("photos_repeated", "there twice"),
    ("photos_not_reached", "not reached"),
];

#[derive(Default)]
pub struct Report {
    /// `people`, `photos`, and of both how many ended how.
    counts: BTreeMap<&'static str, usize>,
    rows: Vec<Row>,
    /// Why everything stopped before its end.
    pub stop: Option<anyhow::Error>,
    pub dry_run: bool,
}

/// A photo, or a person as a whole where `photo` is empty.
#[derive(Serialize)]
struct Row {
    person: String,
    person_id: Option<String>,
    photo: String,
    result: String,
    reason: String,
}

impl Report {
    pub fn new(plan: &Plan) -> Self {
        let mut report = Self::default();
        PEOPLE.iter().chain(&PHOTOS).for_each(|(end, _)| report.count(end, 0));
        report.count("people", plan.people.len());
        report.count("photos", plan.people.iter().map(|person| person.photos.len()).sum());
        for Flaw { person, photo, reason } in &plan.flaws {
            match photo {
                Some(file) => {
                    report.count("photos", 1);
                    report.photo(person, None, file, "photos_rejected", reason);
                }
                None => {
                    report.count("people", 1);
                    report.count("people_failed", 1);
                    report.row(person, None, String::new(), "rejected".into(), reason);
                }
            }
        }
        for Flaw { person, photo, reason } in &plan.repeated {
            report.count("photos", 1);
            photo.iter().for_each(|file| report.photo(person, None, file, "photos_repeated", reason));
        }
        report
    }

    /// Takes in what became of a person.
    pub fn add(&mut self, planned: &Planned, outcome: Outcome) {
        let id = outcome.person_id.as_deref();
        for (photo, fate) in planned.photos.iter().zip(&outcome.photos) {
            let (end, reason) = match fate {
                Fate::Enrolled => ("photos_enrolled", ""),
                Fate::Present => ("photos_present", ""),
                Fate::Rejected(reason) => ("photos_rejected", reason.as_str()),
            };
            self.photo(&planned.key, id, &photo.file, end, reason);
        }
        for photo in planned.photos.iter().skip(outcome.photos.len()) {
            self.photo(&planned.key, id, &photo.file, "photos_not_reached", "");
        }
        match &outcome.failure {
            Some(reason) => {
                self.count("people_failed", 1);
                self.row(&planned.key, id, String::new(), "failed".into(), reason);
            }
            None if id.is_none() || outcome.photos.len() < planned.photos.len() => self.count("people_not_reached", 1),
            None if outcome.new => self.count("people_new", 1),
            None => self.count("people_known", 1),
        }
    }

    /// Rows in the order of people and photos, however they came.
    pub fn finish(&mut self) {
        self.rows.sort_by(|a, b| (&a.person, &a.photo).cmp(&(&b.person, &b.photo)));
    }

    /// Whether all that was wanted is in the engine.
    pub fn is_complete(&self) -> bool {
        let lacking = ["people_failed", "people_not_reached", "photos_rejected", "photos_not_reached"];
        self.stop.is_none() && lacking.iter().all(|end| self.counts[end] == 0)
    }

    pub fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return print_json(&self.counts).map(drop);
        }
        let counts = &self.counts;
        if self.dry_run {
            let people = counts["people"] - counts["people_failed"];
            let photos = counts["photos"] - counts["photos_rejected"] - counts["photos_repeated"];
            table::line("would send", &format!("{people} people, {photos} photos"));
        } else {
            table::line("people", &self.told(&PEOPLE));
            table::line("photos", &self.told(&PHOTOS));
        }
        let failed: Vec<_> = self.rows.iter().filter(|row| ["rejected", "failed"].contains(&&*row.result)).collect();
        for row in failed.iter().take(PRINTED) {
            let what = if row.photo.is_empty() { &row.person } else { &row.photo };
            print_line(&format!("  {what}: {}", row.reason));
        }
        if failed.len() > PRINTED {
            print_line(&format!("  … and {} more; --report FILE writes them all", failed.len() - PRINTED));
        }
        Ok(())
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

    /// Every end of the tables is counted from the start, with 0.
    fn count(&mut self, end: &'static str, more: usize) {
        *self.counts.entry(end).or_default() += more;
    }

    /// A row for a photo, and one more of its end.
    fn photo(&mut self, person: &str, id: Option<&str>, file: &Path, end: &'static str, reason: &str) {
        self.count(end, 1);
        let result = end.trim_start_matches("photos_").replace('_', " ");
        self.row(person, id, file.display().to_string(), result, reason);
    }

    fn row(&mut self, person: &str, id: Option<&str>, photo: String, result: String, reason: &str) {
        let (person, person_id) = (person.to_owned(), id.map(str::to_owned));
        self.rows.push(Row { person, person_id, photo, result, reason: reason.to_owned() });
    }

    /// `3 new, 1 not complete`; what is not there is not told.
    fn told(&self, ends: &[(&str, &str)]) -> String {
        let there = ends.iter().filter(|(end, _)| self.counts[end] > 0);
        let told: Vec<_> = there.map(|(end, what)| format!("{} {what}", self.counts[end])).collect();
        if told.is_empty() { "none".into() } else { told.join(", ") }
    }
}
