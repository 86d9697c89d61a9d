//! Which files were opened anew.

use anetcon_api::Rotated;

use super::clean::word;
use super::style::{GOOD, paint};

/// One line for each file.
pub fn rotate(rotated: &Rotated) -> String {
    if rotated.files.is_empty() {
        return "The agent writes no files\n".to_owned();
    }
    let line = |file: &String| format!("{} {}\n", paint(GOOD, "Open:"), word(file));
    rotated.files.iter().map(line).collect()
}
