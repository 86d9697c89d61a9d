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
    errors.keep(fits(prefixes, raw));
    errors.keep(not_blank(prefixes, Kind::Float, raw));
    errors.keep(not_blank(prefixes, Kind::Nat, raw));
    errors.keep(distinct(prefixes, raw));
}

/// Whether the longer of the two fits with all that follows it.
fn fits(prefixes: &Prefixes, raw: &RawLog) -> Result<(), Diagnostic> {
    let (tag, follows) = match prefixes.namespace {
        NamespaceTag::Hash => ("[01234567]".len(), "the hash in brackets (10 bytes) and a space"),
        NamespaceTag::Name => {
            (ROUTER_NAME + 2, "the name of a router in brackets (46 bytes) and a space")
        }
        NamespaceTag::None => (0, "a space"),
    };
    let room = MAX_PREFIX - tag - " ".len();
    let lengths = Kind::ALL.map(|kind| (prefixes.stem(kind).len(), kind));
    let Some((length, kind)) = lengths.into_iter().max().filter(|(length, _)| *length > room)
    else {
        return Ok(());
    };
    let (key, text) = own(kind, raw);
    let longest = raw.prefix.iter().chain(text).max_by_key(|text| text.value.len());
    let message = format!(
        "`log.prefix` and `{key}` have {length} bytes together; at most {room} are allowed"
    );
    Err(Diagnostic::new(message, longest.and_then(|text| text.span.clone())).help(format!(
        "shorten them: after them comes {follows}, and {MAX_PREFIX} bytes fit in all"
    )))
}

fn not_blank(prefixes: &Prefixes, kind: Kind, raw: &RawLog) -> Result<(), Diagnostic> {
    if !prefixes.stem(kind).trim().is_empty() {
        return Ok(());
    }
    let (key, text) = own(kind, raw);
    let span = text.or(raw.prefix.as_ref()).and_then(|text| text.span.clone());
    let message = format!("`log.prefix` and `{key}` are both blank");
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
