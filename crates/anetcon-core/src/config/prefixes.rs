//! The log prefixes: what the kernel, nft and the writers of log files can take.

use super::diagnostic::{Diagnostic, Errors};
use super::raw::{RawLog, Text};
use crate::prefix::{Kind, MAX_PREFIX, NamespaceTag, Prefixes, allowed};

/// The length of `qrouter-` and a UUID: the names that must fit with `log.namespace = "name"`.
const ROUTER_NAME: usize = 44;

/// The text of one prefix.
pub(super) fn prefix(key: &str, text: &Text) -> Result<String, Diagnostic> {
    let odd = text.value.char_indices().find(|&(_, c)| !allowed(c) || !c.is_ascii());
    let Some((at, odd)) = odd else {
        return Ok(text.value.clone());
    };
    let help = if odd.is_ascii() {
        "quotes, backslashes and control characters would break the log line; remove it"
    } else {
        "the kernel log escapes what is not ASCII, so the line would not be recognised; remove it"
    };
    let message = format!("`{key}` holds {odd:?}, which cannot stand in a log prefix");
    Err(Diagnostic::new(message, text.part(at..at + odd.len_utf8())).help(help))
}

/// The prefixes together: their length, and that the two kinds can be told apart.
pub(super) fn together(prefixes: &Prefixes, raw: &RawLog, errors: &mut Errors) {
    for kind in Kind::ALL {
        errors.keep(fits(prefixes, kind, raw));
        errors.keep(not_blank(prefixes, kind, raw));
    }
    errors.keep(distinct(prefixes, raw));
}

fn fits(prefixes: &Prefixes, kind: Kind, raw: &RawLog) -> Result<(), Diagnostic> {
    let (tag, what) = match prefixes.namespace {
        NamespaceTag::Hash => ("[01234567]".len(), "the hash `[01234567]`"),
        NamespaceTag::Name => (ROUTER_NAME + 2, "the name of a router"),
        NamespaceTag::None => (0, "nothing"),
    };
    let stem = prefixes.stem(kind).len();
    let rest = tag + " ".len();
    if stem + rest <= MAX_PREFIX {
        return Ok(());
    }
    let (key, _) = own(kind, raw);
    let message = format!(
        "`log.prefix` and `{key}` are {stem} bytes long; {what} and a space need {rest} more, and at most {MAX_PREFIX} fit"
    );
    Err(Diagnostic::new(message, longest(kind, raw))
        .help(format!("shorten them to {} bytes together", MAX_PREFIX - rest)))
}

fn not_blank(prefixes: &Prefixes, kind: Kind, raw: &RawLog) -> Result<(), Diagnostic> {
    if !prefixes.stem(kind).trim().is_empty() {
        return Ok(());
    }
    let (key, text) = own(kind, raw);
    let span = text.or(raw.prefix.as_ref()).and_then(|text| text.span.clone());
    let message = format!("`log.prefix` and `{key}` are both empty");
    Err(Diagnostic::new(message, span)
        .help("lines are recognised by their prefix; give at least one of them a text"))
}

/// Lines are sorted into files by what they contain, so no stem may be a part of the other.
fn distinct(prefixes: &Prefixes, raw: &RawLog) -> Result<(), Diagnostic> {
    let (float, nat) = (prefixes.stem(Kind::Float), prefixes.stem(Kind::Nat));
    let blank = float.trim().is_empty() || nat.trim().is_empty();
    let problem = if blank || !(float.contains(&nat) || nat.contains(&float)) {
        return Ok(());
    } else if float == nat {
        format!("both kinds of line would begin with {float:?}")
    } else {
        format!("{float:?} and {nat:?} cannot be told apart: one is a part of the other")
    };
    let span = [&raw.prefix_other, &raw.prefix_dnat, &raw.prefix]
        .into_iter()
        .find_map(|text| text.as_ref()?.span.clone());
    Err(Diagnostic::new(problem, span).help(
        "give `log.prefix_dnat` and `log.prefix_other` texts that differ, as `[D]` and `[X]` do",
    ))
}

/// The key that belongs to one kind alone.
fn own(kind: Kind, raw: &RawLog) -> (&'static str, Option<&Text>) {
    match kind {
        Kind::Float => ("log.prefix_dnat", raw.prefix_dnat.as_ref()),
        Kind::Nat => ("log.prefix_other", raw.prefix_other.as_ref()),
    }
}

/// The place of the longer text of a stem: the one to shorten.
fn longest(kind: Kind, raw: &RawLog) -> Option<std::ops::Range<usize>> {
    let (_, text) = own(kind, raw);
    raw.prefix.as_ref().into_iter().chain(text).max_by_key(|text| text.value.len())?.span.clone()
}
