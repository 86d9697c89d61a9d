//! The TOML that says what the old file said, with its comments above the keys that they stood above.

use toml::Value;

/// The sections in the order of the shipped file; keys of none come first.
const SECTIONS: [&str; 5] = ["", "networks", "rules", "log", "state"];

/// One key with its value.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) section: &'static str,
    pub(super) key: String,
    pub(super) value: Written,
    /// Comments with their `#`; an empty text is an empty line.
    pub(super) above: Vec<String>,
    pub(super) beside: Option<String>,
}

/// A value to be written.
#[derive(Debug)]
pub(super) enum Written {
    Plain(Value),
    /// Texts, each with the comments above it.
    List(Vec<(Vec<String>, String)>),
}

impl Line {
    pub(super) fn new(section: &'static str, key: &str, value: impl Into<Value>) -> Self {
        Self::with(section, key, Written::Plain(value.into()))
    }

    pub(super) fn list(
        section: &'static str,
        key: &str,
        texts: Vec<(Vec<String>, String)>,
    ) -> Self {
        Self::with(section, key, Written::List(texts))
    }

    fn with(section: &'static str, key: &str, value: Written) -> Self {
        Self { section, key: key.to_owned(), value, above: Vec::new(), beside: None }
    }
}

/// The whole file. `below` are the comments of its end.
pub(super) fn print(lines: &[Line], below: &[String]) -> String {
    let mut out = String::new();
    for section in SECTIONS {
        let mut begun = section.is_empty();
        for line in lines.iter().filter(|line| line.section == section) {
            if !begun {
                out += &format!("{}[{section}]\n", if out.is_empty() { "" } else { "\n" });
            }
            comments(&mut out, &line.above, begun);
            begun = true;
            out += &format!("{} = {}", key(&line.key), value(&line.value));
            if let Some(beside) = &line.beside {
                out += &format!("  {}", clean(beside));
            }
            out.push('\n');
        }
    }
    comments(&mut out, below, true);
    out.truncate(out.trim_end_matches('\n').len());
    out + "\n"
}

/// Empty lines at the beginning of a file or section say nothing, and more than one says no more than one.
fn comments(out: &mut String, comments: &[String], empty_lines: bool) {
    for comment in comments {
        let first =
            out.is_empty() || out.ends_with("\n\n") || (out.ends_with("]\n") && !empty_lines);
        if !(comment.is_empty() && first) {
            out.push_str(&clean(comment));
            out.push('\n');
        }
    }
}

/// TOML takes no control characters in a comment, except tabs.
fn clean(comment: &str) -> String {
    let shown = |c: char| match c {
        '\t' => "\t".to_owned(),
        c if c.is_ascii_control() => c.escape_default().to_string(),
        c => c.to_string(),
    };
    comment.chars().map(shown).collect()
}

/// A name of a namespace may need quotes as a key.
fn key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let plain = !key.is_empty() && key.chars().all(bare);
    if plain { key.to_owned() } else { basic(key) }
}

/// A basic string, which can hold anything.
fn basic(text: &str) -> String {
    let shown = |c: char| match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    };
    format!("\"{}\"", text.chars().map(shown).collect::<String>())
}

fn value(value: &Written) -> String {
    match value {
        Written::Plain(value) => value.to_string(),
        Written::List(texts) if texts.iter().all(|(above, _)| above.is_empty()) => {
            let texts: Vec<String> = texts.iter().map(|(_, text)| quoted(text)).collect();
            format!("[{}]", texts.join(", "))
        }
        Written::List(texts) => {
            let mut out = "[\n".to_owned();
            for (above, text) in texts {
                let comments = above.iter().filter(|comment| !comment.is_empty());
                out.extend(comments.map(|comment| format!("    {}\n", clean(comment))));
                out += &format!("    {},\n", quoted(text));
            }
            out + "]"
        }
    }
}

/// A literal string for what has backslashes, as regular expressions have.
fn quoted(text: &str) -> String {
    let literal = text.contains('\\') && !text.contains(|c: char| c == '\'' || c.is_control());
    if literal { format!("'{text}'") } else { basic(text) }
}
