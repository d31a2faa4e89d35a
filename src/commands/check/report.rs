//! The checks and how they ended, for people and as JSON.
//!
//! In: what each check found. Out: lines or one document, and the exit code. What two checks find wrong with one key is
//! told once.

use std::collections::BTreeSet;

use serde_json::json;

use crate::config::{Mistake, Place};
use crate::terminal::ExitCode;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Verdict {
    Ok,
    Warning,
    /// This machine is not ready.
    Error,
    /// The configuration is wrong.
    #[strum(serialize = "error")]
    BadConfiguration,
}

/// One check and what it found.
#[derive(Debug)]
struct Check {
    name: String,
    verdict: Verdict,
    detail: String,
}

/// The checks so far, in the order they were made.
#[derive(Debug, Default)]
pub struct Report {
    checks: Vec<Check>,
    /// Where mistakes of the configuration have been told of.
    told: BTreeSet<(Option<Place>, String)>,
}

impl Report {
    /// Adds a check.
    pub fn add(&mut self, name: impl Into<String>, verdict: Verdict, detail: impl ToString) {
        self.checks.push(Check { name: name.into(), verdict, detail: detail.to_string() });
    }

    /// Adds a check that found nothing wrong.
    pub fn ok(&mut self, name: impl Into<String>, detail: impl ToString) {
        self.add(name, Verdict::Ok, detail);
    }

    /// Adds a check that found something worth knowing.
    pub fn warning(&mut self, name: impl Into<String>, detail: impl ToString) {
        self.add(name, Verdict::Warning, detail);
    }

    /// Adds a check that found this machine not ready.
    pub fn error(&mut self, name: impl Into<String>, detail: impl ToString) {
        self.add(name, Verdict::Error, detail);
    }

    /// Adds what is wrong with one key of the configuration.
    pub fn mistake(&mut self, name: impl Into<String>, mistake: Mistake) {
        self.mistakes(&name.into(), vec![mistake]);
    }

    /// Tells what one check finds wrong, but for keys that another check has told of.
    pub fn mistakes(&mut self, name: &str, mut mistakes: Vec<Mistake>) {
        let of = |mistake: &Mistake| (mistake.place.clone(), mistake.key.clone());
        mistakes.retain(|mistake| !self.told.contains(&of(mistake)));
        self.told.extend(mistakes.iter().map(of));
        mistakes.into_iter().for_each(|mistake| self.add(name, Verdict::BadConfiguration, mistake));
    }

    /// Takes in the mistakes of the configuration among further checks, and nothing about this machine.
    pub fn mistakes_among(&mut self, further: impl FnOnce(&mut Self)) {
        let mut found = Self { told: self.told.clone(), ..Self::default() };
        further(&mut found);
        self.checks.extend(found.checks.into_iter().filter(|check| check.verdict == Verdict::BadConfiguration));
    }

    fn worst(&self) -> Verdict {
        self.checks.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok)
    }

    /// 0, or 1 when this machine is not ready, or 78 when the configuration is wrong.
    pub fn exit(&self) -> ExitCode {
        match self.worst() {
            Verdict::Ok | Verdict::Warning => ExitCode::SUCCESS,
            Verdict::Error => ExitCode::FAILURE,
            Verdict::BadConfiguration => ExitCode::BAD_CONFIGURATION,
        }
    }

    /// A line for each check, and one that counts them.
    pub fn lines(&self) -> String {
        let line = |Check { name, verdict, detail }: &Check| format!("{:<8} {name}: {detail}\n", verdict.word());
        let count = |word| self.checks.iter().filter(|check| check.verdict.word() == word).count();
        let last = format!("{} ok, {} warnings, {} errors\n", count("ok"), count("warning"), count("error"));
        self.checks.iter().map(line).chain([last]).collect()
    }

    /// All checks as one document.
    pub fn json(&self) -> String {
        let check =
            |check: &Check| json!({ "name": check.name, "result": check.verdict.word(), "detail": check.detail });
        let checks: Vec<_> = self.checks.iter().map(check).collect();
        format!("{}\n", json!({ "ok": self.worst() <= Verdict::Warning, "checks": checks }))
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        self.into()
    }
}
