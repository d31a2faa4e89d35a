//! How far a command is: a bar on standard error, which indicatif draws when that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of this look (indicatif's templates), whose length is not known yet.
pub fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}
