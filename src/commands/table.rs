//! What people read: tables, lines of a label and a value, and how far a command is.
//!
//! In: texts of an engine, which may hold anything. Out: standard output, on which no text moves the cursor: what a
//! terminal would obey is written out in a table's cells, and by whatever prints a line.

use comfy_table::{ContentArrangement, Table, presets};
use identities::text::tidy;
use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal::{plain, print_line, print_lines};

/// Prints a table with these columns, as wide as the terminal at most; the word `none` where there is no row.
pub fn print<const N: usize>(columns: [&str; N], rows: impl IntoIterator<Item = [String; N]>, none: &str) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(columns.map(str::to_uppercase));
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| plain(&cell))));
    if table.is_empty() { print_line(none) } else { print_lines(&table.trim_fmt()) }
}

/// `label       value`; nothing for an empty value.
pub fn line(label: &str, value: &str) {
    if !value.is_empty() {
        print_line(&format!("{label:<12}{value}"));
    }
}

/// The texts there are, one after the other.
pub fn joined<'a>(texts: impl IntoIterator<Item = &'a Option<String>>, between: &str) -> String {
    let texts = texts.into_iter().flatten().map(|text| tidy(text)).filter(|text| !text.is_empty());
    texts.collect::<Vec<_>>().join(between)
}

/// To the second, UTC.
pub fn time(time: chrono::DateTime<chrono::Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// A progress bar on standard error, which indicatif draws on terminals alone, of this look (indicatif's templates),
/// whose length is not known yet.
pub fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_say_nothing_leave_no_gap() {
        let parts = [Some(" Mara ".to_owned()), None, Some(String::new()), Some("L.".to_owned())];
        assert_eq!(joined(&parts, " "), "Mara L.");
    }
}
