//! What a person reads on a terminal: lines without anything a terminal would obey, and a way out of the process.
//!
//! In: text, which may hold what an engine, a file or a broker says. Out: the same text on standard output or standard
//! error, with every control character written out (`\u001b`). It knows no command; colours that we mean ourselves are
//! put in by [`coloured`].

use std::io::{ErrorKind, Write};

pub use wording::with_causes;

/// How a command ended, as the shell is told; unlike the standard library's it tells its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode(u8);

impl ExitCode {
    pub const SUCCESS: Self = Self(0);
    /// The command did not work.
    pub const FAILURE: Self = Self(1);
    /// The configuration is wrong.
    pub const BAD_CONFIGURATION: Self = Self(78);
}

/// Whether a terminal does something for this character, rather than show it: control characters, marks that turn the
/// direction of writing, and separators some terminals take for the end of a line.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text with everything a terminal would obey written out, line breaks included. Inside JSON it is still the same
/// JSON: such characters stand in its strings alone, and are written the way JSON escapes them.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if is_obeyed(c) => plain.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => plain.push(c),
        }
    }
    plain
}

/// Prints one line; false when nobody reads standard output any more.
#[must_use = "a command whose reader has gone ends"]
pub fn tell(line: &str) -> bool {
    write_out(&plain(line))
}

/// Prints a word in a colour (an SGR number) between two texts; false when nobody reads any more.
#[must_use = "a command whose reader has gone ends"]
pub fn coloured(before: &str, colour: &str, word: &str, after: &str) -> bool {
    write_out(&format!("{}\x1b[{colour}m{}\x1b[0m{}", plain(before), plain(word), plain(after)))
}

/// Prints one line. When nobody reads any more (`doorward … | head`) the command has done its work and ends,
/// successfully. A command that has more to end than itself uses [`tell`].
pub fn print_line(line: &str) {
    if !tell(line) {
        leave(ExitCode::SUCCESS);
    }
}

/// Prints a text of several lines that we have laid out ourselves.
pub fn print_lines(text: &str) {
    text.lines().for_each(print_line);
}

/// Prints one line on standard error.
pub fn complain(line: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{}", plain(line));
}

/// Ends the process at once. ONNX Runtime clears itself away when a process ends in the usual manner, under the feet
/// of a thread that is just searching a picture: that one then fails, or crashes. So nothing is cleared away here; the
/// system takes back files, locks and lines by itself.
pub fn leave(code: ExitCode) -> ! {
    let _ = std::io::stdout().flush();
    let _ = std::io::stderr().flush();
    // SAFETY: it only ends the process; what was to be written has been.
    unsafe { nix::libc::_exit(code.0.into()) }
}

fn write_out(line: &str) -> bool {
    let mut out = std::io::stdout().lock();
    let printed = writeln!(out, "{line}").and_then(|()| out.flush());
    !printed.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        for (text, expected) in [
            ("Zoë 前门 👩‍🚀", "Zoë 前门 👩‍🚀"),
            ("\x1b[2J\x1b]0;owned\x07", "\\u001b[2J\\u001b]0;owned\\u0007"),
            ("a\rb\nc\td", "a\\u000db\\u000ac\\u0009d"),
            ("\u{9b}31m\u{7f}", "\\u009b31m\\u007f"),
            ("\u{202e}cba\u{202c}\u{2066}x\u{2069}", "\\u202ecba\\u202c\\u2066x\\u2069"),
        ] {
            assert_eq!(plain(text), expected);
        }
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({ "name": "\x1b[31m\u{202e}evil\u{9b}\u{7f}\n" });
        let text = value.to_string();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&plain(&text)).unwrap(), value);
    }
}
