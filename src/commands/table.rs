//! What people read: tables, and lines of a label and a value.
//!
//! In: texts of an engine, which may hold anything. Out: standard output, on which no text moves the cursor.

use comfy_table::{ContentArrangement, Table, presets};

use crate::terminal::{is_obeyed, print_line, print_lines};

/// Prints a table with these columns, as wide as the terminal at most; the word `none` where there is no row.
pub fn print<const N: usize>(columns: [&str; N], rows: impl IntoIterator<Item = [String; N]>, none: &str) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(columns.map(str::to_uppercase));
    table.add_rows(rows.into_iter().map(|row| row.map(|cell| plain(&cell))));
    match table.is_empty() {
        true => print_line(none),
        false => print_lines(&table.trim_fmt()),
    }
}

/// `label       value`; nothing for an empty value.
pub fn line(label: &str, value: &str) {
    if !value.is_empty() {
        print_line(&format!("{label:<12}{}", plain(value)));
    }
}

/// Without what a terminal would obey.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if is_obeyed(c) { ' ' } else { c }).collect()
}

/// The texts there are, one after the other.
pub fn joined<'a>(texts: impl IntoIterator<Item = &'a Option<String>>, between: &str) -> String {
    let texts = texts.into_iter().flatten().map(|text| plain(text.trim())).filter(|text| !text.is_empty());
    texts.collect::<Vec<_>>().join(between)
}

/// To the second, UTC.
pub fn time(time: chrono::DateTime<chrono::Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_moves_the_cursor() {
        assert_eq!(plain("a\u{1b}[31mb\r\nc\u{202e}d"), "a [31mb  c d");
        let parts = [Some(" Mara ".to_owned()), None, Some(String::new()), Some("L.".to_owned())];
        assert_eq!(joined(&parts, " "), "Mara L.");
    }
}
