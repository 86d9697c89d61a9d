//! Rows of cells with their columns aligned.

use clap::builder::styling::Style;

use super::style::{PLAIN, paint};

/// One cell.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    style: Style,
    right: bool,
}

impl Cell {
    /// Text, aligned left.
    pub fn new(text: impl ToString) -> Self {
        Self { text: text.to_string(), style: PLAIN, right: false }
    }

    /// A number, aligned right.
    pub fn number(number: u64) -> Self {
        Self { text: number.to_string(), style: PLAIN, right: true }
    }

    /// The same in a style.
    pub fn style(self, style: Style) -> Self {
        Self { style, ..self }
    }

    /// The same aligned right.
    pub fn right(self) -> Self {
        Self { right: true, ..self }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }

    fn padded(&self, width: usize, last: bool) -> String {
        let space = " ".repeat(width.saturating_sub(self.width()));
        let text = paint(self.style, &self.text);
        match (self.right, last) {
            (true, _) => format!("{space}{text}"),
            (false, true) => text,
            (false, false) => format!("{text}{space}"),
        }
    }
}

/// One line per row, two spaces between columns, no space at the end of a line. Nothing is ever cut.
pub fn aligned(indent: &str, rows: &[Vec<Cell>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    rows.iter().map(|row| line(indent, &widths, row)).collect()
}

fn line(indent: &str, widths: &[usize], row: &[Cell]) -> String {
    let filled = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
    let cells: Vec<String> = row
        .iter()
        .take(filled)
        .zip(widths)
        .enumerate()
        .map(|(index, (cell, &width))| cell.padded(width, index + 1 == filled))
        .collect();
    format!("{indent}{}\n", cells.join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_end_without_spaces() {
        let rows = [
            vec![Cell::new("NAME"), Cell::new("N").right(), Cell::new("WHY")],
            vec![Cell::new("a"), Cell::number(100), Cell::new("")],
            vec![Cell::new("long name"), Cell::number(5), Cell::new("x")],
        ];
        let expected = "NAME         N  WHY\na          100\nlong name    5  x\n";
        assert_eq!(aligned("", &rows), expected);
    }
}
