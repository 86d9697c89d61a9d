//! The few colours there are.

use std::fmt::Display;

use clap::builder::styling::{AnsiColor, Style};

/// Something is wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Something deserves a look.
pub const ODD: Style = AnsiColor::Yellow.on_default();
/// All is well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// A heading or a name.
pub const BOLD: Style = Style::new().bold();
/// Less important.
pub const DIM: Style = Style::new().dimmed();
/// As the surrounding text.
pub const PLAIN: Style = Style::new();

pub use clap::builder::styling::Style as AnsiStyle;

/// The text in a style. Plain text gets no escape sequences at all.
pub fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}
