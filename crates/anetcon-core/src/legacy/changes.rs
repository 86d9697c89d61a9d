//! What an operator should know when the old file is taken over: what means something else, and what is left out.

use std::fmt;
use std::ops::Range;

use crate::config::Config;
use crate::netns::NetnsName;
use crate::prefix::NamespaceTag;

/// One thing to know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The line of the old file that it is about, from 1; `None`: it is about no line.
    pub line: Option<usize>,
    /// A sentence without a full stop.
    pub text: String,
}

impl Change {
    /// About a place in the text.
    pub(super) fn at(span: &Range<usize>, file: &str, text: String) -> Self {
        let before = file.bytes().take(span.start).filter(|&byte| byte == b'\n').count();
        Self { line: Some(before + 1), text }
    }

    fn of_all(text: impl Into<String>) -> Self {
        Self { line: None, text: text.into() }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// Those of the file in its order, then what is true of every file.
pub(super) fn sorted(mut changes: Vec<Change>, config: &Config) -> Vec<Change> {
    changes.sort_by_key(|change| change.line);
    let (table, chain) = (&config.rules.table, &config.rules.chain);
    changes.push(Change::of_all(format!(
        "the rules are in a table of their own (inet {table}), no longer in the nat table of iptables; \
         the chain {chain} that the script left there goes with `anetconctl migrate --takeover`"
    )));
    changes.push(Change::of_all("IPv6 connections are audited too; the script saw only IPv4"));
    let file = config.records.file.display();
    changes.push(Change::of_all(format!(
        "beside the log lines each connection is put on record in {file}; [records] enabled = false turns that off"
    )));
    let root = NetnsName::root();
    if config.selection.matches(&root) && config.log.prefixes.namespace == NamespaceTag::Hash {
        changes.push(Change::of_all(
            "lines of the root namespace carry a hash too, [c21f969b]; the script gave them none",
        ));
    }
    changes
}
