//! How messages speak of words: "did you mean" for unknown ones, lists of known ones, quoted values.

use strsim::damerau_levenshtein;

/// What to do about a word that is none of `known`: the one it is close to, or all of them.
pub(super) fn one_of(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it can be {}", list(known)),
    }
}

/// The closest known word, if at most a third of its letters differ. Case does not count.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_lowercase();
    known
        .iter()
        .map(|&candidate| (damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A value as the operator wrote it: in quotes, with only control characters escaped.
pub(crate) fn quote(value: &str) -> String {
    let shown = value
        .chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() });
    format!("\"{}\"", shown.collect::<String>())
}

/// `a`, `b` or `c`.
pub(crate) fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word() {
        let known = ["hash", "name", "none", "prefix_dnat"];
        let cases = [
            ("hsah", Some("hash")),
            ("NAME", Some("name")),
            ("non", Some("none")),
            ("prefix-dnat", Some("prefix_dnat")),
            ("prefxi_dant", Some("prefix_dnat")),
            ("md5", None),
            ("", None),
        ];
        for (word, near) in cases {
            assert_eq!(nearest(word, &known), near, "{word:?}");
        }
    }

    #[test]
    fn a_list_reads_as_a_sentence() {
        assert_eq!(list(&["a"]), "`a`");
        assert_eq!(list(&["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
