//! Counting what libtest says of itself.

use serde::{Deserialize, Serialize};

/// Tests that passed and failed, and what else went wrong, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
    pub problems: Vec<String>,
}

impl Tally {
    /// Whether nothing went wrong.
    pub fn clean(&self) -> bool {
        self.failed == 0 && self.problems.is_empty()
    }

    /// Counts `other` in.
    pub fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.problems.extend(other.problems.iter().cloned());
    }

    /// One more failure, in words.
    pub fn fail(&mut self, problem: String) {
        self.failed += 1;
        self.problems.push(problem);
    }
}

/// Reads libtest's lines as they come.
#[derive(Debug, Default)]
pub struct Reader {
    /// Sums of the closing lines seen so far.
    pub closed: Tally,
    /// How many closing lines there were.
    pub closings: u64,
    /// Names of the tests that have ended.
    pub ended: Vec<String>,
}

impl Reader {
    /// Takes one line of output.
    pub fn line(&mut self, line: &str) {
        if let Some((passed, failed)) = closing(line) {
            self.closed.passed += passed;
            self.closed.failed += failed;
            self.closings += 1;
        } else if let Some((name, _)) =
            line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "))
        {
            self.ended.push(name.to_owned());
        }
    }
}

/// The numbers of a line like `test result: ok. 5 passed; 0 failed; 0 ignored; ...`.
fn closing(line: &str) -> Option<(u64, u64)> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut passed = None;
    let mut failed = None;
    for part in numbers.split("; ") {
        match part.split_once(' ') {
            Some((number, "passed")) => passed = number.parse().ok(),
            Some((number, "failed")) => failed = number.parse().ok(),
            _ => {}
        }
    }
    Some((passed?, failed?))
}

#[cfg(test)]
mod tests {
    use super::{Reader, closing};

    #[test]
    fn closing_lines_of_libtest() {
        let cases = [
            (
                "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.02s",
                Some((12, 0)),
            ),
            (
                "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
                Some((1, 2)),
            ),
            ("test result of a person: ok. 1 passed; 0 failed", None),
            ("test plan::empty ... ok", None),
        ];
        for (line, wanted) in cases {
            assert_eq!(closing(line), wanted, "{line}");
        }
    }

    #[test]
    fn ended_tests_are_known_by_name() {
        let mut reader = Reader::default();
        for line in ["running 2 tests", "test a::b ... ok", "test c - should panic ... FAILED"] {
            reader.line(line);
        }
        assert_eq!(reader.ended, ["a::b", "c - should panic"]);
        assert_eq!(reader.closings, 0);
    }
}
