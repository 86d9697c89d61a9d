//! A configuration with the places of its values.

use anetcon_core::config::Origin;
use serde_json::{Value, json};

use super::clean::word;
use super::columns::{Cell, aligned};
use super::style::DIM;

/// Lines that are a file; with their places as comments if those are wanted.
pub fn origins(origins: &[Origin], places: bool) -> String {
    let line = |origin: &Origin| format!("{} = {}", origin.key, origin.value);
    if !places {
        return origins.iter().map(|origin| word(&line(origin)) + "\n").collect();
    }
    let rows = origins.iter().map(|origin| {
        let place = match &origin.place {
            Some((file, line)) => format!("# {}:{line}", word(file)),
            None => "# default".to_owned(),
        };
        vec![Cell::new(word(&line(origin))), Cell::new(place).style(DIM)]
    });
    aligned("", &rows.collect::<Vec<_>>())
}

/// The same for programs.
pub fn origin_json(origin: &Origin) -> Value {
    let (file, line) = origin.place.clone().unzip();
    json!({ "key": origin.key, "value": origin.value, "file": file, "line": line })
}

/// What follows the name of a main file.
pub fn with_drop_ins(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => " with a drop-in".to_owned(),
        count => format!(" with {count} drop-ins"),
    }
}
