//! `doorward engine quality`: whom the engine may mistake or miss because of the photos they were enrolled with.
//!
//! Standard output has a line for each, the most urgent first. The exit code is 1 when people are mistaken or missed,
//! and 0 when there are at most hints.

use std::path::Path;

use serde_json::{Value, json};

use crate::commands::{CommandResult, print_line, table};
use crate::terminal::ExitCode;

pub fn run(data: &Path, as_json: bool) -> CommandResult {
    let bar = table::bar("{bar:30} {pos}/{len} people, {eta} left");
    let quality = engine::quality(data, &|people| {
        bar.set_length(people as u64);
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    let engine::Quality { people, photos, findings } = &quality;
    if as_json {
        findings.iter().try_for_each(|finding| line(finding).map(|line| print_line(&line.to_string())))?;
    } else {
        let rows = findings.iter().map(|finding| {
            let (problem, advice) = finding.told();
            [finding.person.told(), problem, advice.to_owned()]
        });
        table::print(["person", "what is wrong", "what to do"], rows, "nothing is wrong");
        print_line(&format!("looked at {photos} photos of {people} people"));
    }
    let harms = findings.iter().any(|finding| finding.problem.harms());
    Ok(if harms { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A finding as a program reads it, with what to do.
fn line(finding: &engine::Finding) -> anyhow::Result<Value> {
    let mut line = serde_json::to_value(finding)?;
    let (problem, advice) = finding.told();
    (line["told"], line["advice"]) = (json!(problem), json!(advice));
    Ok(line)
}
