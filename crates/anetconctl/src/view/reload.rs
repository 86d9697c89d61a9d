//! What a reload changed.

use anetcon_api::Reload;

use super::clean::word;
use super::style::{BOLD, GOOD, paint};

/// The file, what changed in it, and which namespaces came and went.
pub fn reload(reload: &Reload) -> String {
    let file = reload.file.as_deref().map_or("the defaults".to_owned(), word);
    let groups = [
        ("Changed", &reload.changes),
        ("Audited from now on", &reload.added),
        ("No longer audited", &reload.removed),
    ];
    let shown: String = groups
        .into_iter()
        .filter(|(_, lines)| !lines.is_empty())
        .map(|(title, lines)| {
            let lines: String = lines.iter().map(|line| format!("  {}\n", word(line))).collect();
            format!("{}\n{lines}", paint(BOLD, title))
        })
        .collect();
    let headline = paint(GOOD, format_args!("In force: {file}"));
    let unchanged = if shown.is_empty() { "Nothing changed\n" } else { "" };
    format!("{headline}\n{unchanged}{shown}")
}
