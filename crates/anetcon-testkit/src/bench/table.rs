//! Tables and verdicts as they are printed. Pure.

/// Rows under a head, numbers to the right, as text with a line for each row.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        let head = head.get(column).map_or(0, |word| word.chars().count());
        cells.chain([head]).max().unwrap_or_default()
    });
    let head = head.map(str::to_owned);
    let lines = [&head].into_iter().chain(rows).map(|row| {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        format!("  {}\n", line.trim_end())
    });
    lines.collect()
}

/// Whether a target is met; `None`: there was too little to measure.
pub(super) fn verdict(met: Option<bool>, target: &str, reached: &str) -> String {
    let word = match met {
        Some(true) => "met",
        Some(false) => "NOT met",
        None => "not measured",
    };
    format!("  target: {target}: {word} ({reached})\n")
}

/// Whether a ratio is as wanted; it is no number where nothing was measured.
pub(super) fn if_measured(ratio: f64, wanted: impl FnOnce(f64) -> bool) -> Option<bool> {
    ratio.is_finite().then(|| wanted(ratio))
}

/// `1234567` as `1,234,567`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [["a".to_owned(), "1".to_owned()], ["long".to_owned(), "1000".to_owned()]];
        assert_eq!(table(["", "n"], &rows), "           n\n  a        1\n  long  1000\n");
    }

    #[test]
    fn verdicts_say_when_there_is_none() {
        for (ratio, word) in [(0.4, ": met"), (0.6, ": NOT met"), (f64::NAN, ": not measured")] {
            let met = if_measured(ratio, |ratio| ratio <= 0.5);
            assert!(verdict(met, "half", "x").contains(word), "{ratio}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
    }
}
