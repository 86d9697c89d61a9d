//! What was done about the rules that the bash script left.

use serde::Serialize;

use super::clean::word;
use super::style::{BAD, BOLD, GOOD, paint};

/// What was found in all namespaces.
#[derive(Debug, Serialize)]
pub struct Takeover {
    /// The name of the script's chain.
    pub chain: String,
    /// Nothing was removed, only looked for.
    pub dry_run: bool,
    /// How many namespaces were looked into.
    pub examined: usize,
    /// What was found, if anything.
    pub taken: Vec<Taken>,
}

/// One thing that was found.
#[derive(Debug, Serialize)]
pub struct Taken {
    /// In which namespace.
    pub namespace: String,
    /// What became of it.
    pub state: TakenState,
    /// What it is, or why it stays.
    pub text: String,
    /// The commands to look and to remove it by hand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub run: Vec<String>,
}

/// What became of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TakenState {
    /// It is gone.
    Removed,
    /// It could be removed: this is a dry run.
    Removable,
    /// It holds more than the script made.
    Kept,
    /// There is a table that cannot be looked into.
    Legacy,
    /// It could not be looked into or removed.
    Failed,
}

impl Takeover {
    /// Whether nothing is left to be done by hand.
    pub fn is_complete(&self) -> bool {
        let done = [TakenState::Removed, TakenState::Removable];
        self.taken.iter().all(|taken| done.contains(&taken.state))
    }
}

/// A line for each thing, the commands below it, and a sum.
pub fn takeover(takeover: &Takeover) -> String {
    let lines: String = takeover.taken.iter().map(line).collect();
    let count = |state| takeover.taken.iter().filter(|taken| taken.state == state).count();
    let (verb, done) = match takeover.dry_run {
        true => ("would be removed", count(TakenState::Removable)),
        false => ("removed", count(TakenState::Removed)),
    };
    let sum = format!(
        "{} looked into, {} {verb}, {} left to you.",
        counted(takeover.examined, "namespace"),
        counted(done, "chain"),
        counted(takeover.taken.len() - done, "thing"),
    );
    let sum = paint(if takeover.is_complete() { GOOD } else { BAD }, sum);
    let again = match takeover.dry_run || done == 0 {
        true => "",
        false => "If the script still runs it makes its chain again: stop it first.\n",
    };
    format!("{lines}{sum}\n{again}")
}

/// `1 chain`, `2 chains`.
fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn line(taken: &Taken) -> String {
    let verb = match taken.state {
        TakenState::Removed => "removed: ",
        TakenState::Removable => "would be removed: ",
        TakenState::Kept | TakenState::Legacy | TakenState::Failed => "",
    };
    let name = paint(BOLD, word(&taken.namespace));
    let commands: String =
        taken.run.iter().map(|command| format!("    {}\n", word(command))).collect();
    format!("{name}: {verb}{}\n{commands}", word(&taken.text))
}
