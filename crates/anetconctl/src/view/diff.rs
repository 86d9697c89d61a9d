//! Differences as nft text, one paragraph per namespace.

use anetcon_api::{Diff, NamespaceDiff};

use super::clean::{lines as clean_lines, word};
use super::style::{AnsiStyle, BAD, BOLD, GOOD, ODD, PLAIN, paint};

/// What differs and what could not be read, then one line on the rest.
pub fn diff(diff: &Diff) -> String {
    let mut text: String =
        diff.namespaces.iter().filter(|diff| !diff.in_force).map(paragraph).collect();
    let in_force = diff.namespaces.iter().filter(|diff| diff.in_force).count();
    text.push_str(&match (in_force, diff.namespaces.len()) {
        (_, 0) => format!("{}\n", paint(ODD, "No namespace is selected.")),
        (some, all) if some == all => format!("{}\n", paint(GOOD, rest(some))),
        (0, _) => String::new(),
        (some, _) => format!("{}\n", rest(some)),
    });
    text
}

fn rest(count: usize) -> String {
    match count {
        1 => "1 namespace holds exactly what is wanted.".to_owned(),
        count => format!("{count} namespaces hold exactly what is wanted."),
    }
}

fn paragraph(diff: &NamespaceDiff) -> String {
    let name = paint(BOLD, word(&diff.namespace));
    if let Some(error) = &diff.error {
        return format!("{name}: {}\n\n", paint(BAD, clean_lines(error)));
    }
    let text = clean_lines(&diff.text);
    let lines: String =
        text.lines().map(|line| format!("{}\n", paint(style(line), line))).collect();
    format!("{name}: {}\n{lines}\n", paint(ODD, "differs"))
}

fn style(line: &str) -> AnsiStyle {
    match line.as_bytes().first() {
        Some(b'-') => BAD,
        Some(b'+') => GOOD,
        _ => PLAIN,
    }
}
