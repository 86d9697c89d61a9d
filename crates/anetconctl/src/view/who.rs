//! Sentences that can be pasted into a ticket, and why a question is refused.

use std::collections::HashSet;

use anetcon_records::search::{
    Answer, Content, Found, Hit, KernelLine, Query, Refused, Role, Span, endpoint,
};
use anetcon_records::session::SessionRecord;
use anetcon_records::session::record::{Endpoint, RecordAction, RecordKind, Translated};
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use super::clean::word;
use super::style::{BAD, BOLD, DIM, paint};

const LEFT_OUT: &str = "a remote end that is left out of the records";

/// Every connection as a sentence, the best first, each with what distinguishes it.
pub fn who(query: &Query, found: &Found) -> String {
    let hits = connections(&found.hits);
    let many = hits.len() > 1;
    let mut text = String::new();
    for (hit, number) in hits.iter().zip(1..) {
        let (head, indent) =
            if many { (format!("{number}. "), "   ") } else { (String::new(), "") };
        let sentence = sentence(query, hit);
        text.push_str(&format!("{head}{}\n", paint(BOLD, sentence)));
        text.push_str(&format!("{indent}{}\n", paint(DIM, reason(query, hit))));
    }
    if many || found.matched > found.hits.len() as u64 {
        let told_twice = (found.hits.len() - hits.len()) as u64;
        let fitting = found.matched.saturating_sub(told_twice);
        text.push_str(&format!("\n{}\n", summary(query, hits.len() as u64, fitting)));
    }
    text
}

/// The hits without the start of a connection whose end is among them: the end says when it began.
fn connections(hits: &[Hit]) -> Vec<&Hit> {
    let identity = |hit: &Hit| match hit.answer() {
        Some(Answer::Session(record)) => {
            let end = record.event.action == RecordAction::End;
            let start = if end { record.event.start? } else { record.timestamp };
            let anetcon = &record.anetcon;
            let of = (anetcon.boot_id.to_string(), anetcon.cookie.to_string());
            Some((end, (of, anetcon.conntrack_id, start)))
        }
        _ => None,
    };
    let identities: Vec<_> = hits.iter().map(identity).collect();
    let over: HashSet<_> = identities
        .iter()
        .flatten()
        .filter(|(end, _)| *end)
        .map(|(_, connection)| connection)
        .collect();
    let told = |found: &Option<_>| match found {
        Some((false, connection)) => over.contains(connection),
        _ => false,
    };
    hits.iter().zip(&identities).filter(|(_, found)| !told(found)).map(|(hit, _)| hit).collect()
}

/// Nothing was found: what was searched.
pub fn nothing(query: &Query, found: &Found) -> String {
    let mut text = nothing_found(query);
    let read = |content: Content| {
        found.files.iter().filter(move |file| file.content == content && file.searched > 0)
    };
    let sessions = found.files.iter().filter(|file| file.content == Content::Sessions).count();
    match found.covered {
        Some((oldest, newest)) => text.push_str(&format!(
            "Session records: {} from {} to {}\n",
            files(sessions),
            second(oldest),
            second(newest)
        )),
        None => text.push_str("Session records: none\n"),
    }
    for file in read(Content::Sessions) {
        text.push_str(&format!("  searched {}\n", word(&file.path.display().to_string())));
    }
    let kernel: Vec<_> = read(Content::KernelFloat).chain(read(Content::KernelNat)).collect();
    if !kernel.is_empty() {
        text.push_str("Kernel log lines, for times without session records; they do not show the outside address\n");
    }
    for file in kernel {
        text.push_str(&format!("  searched {}\n", word(&file.path.display().to_string())));
    }
    text + wider(query)
}

/// That nothing was found, and what was asked.
pub(super) fn nothing_found(query: &Query) -> String {
    format!("Nothing found: {} {}\n", paint(BOLD, question(query)), when(query.span))
}

/// What else might find something.
pub(super) fn wider(query: &Query) -> &'static str {
    match query.span.at {
        Some(_) => {
            "A connection that was opened earlier and was still open needs a wider --window\n"
        }
        None => "",
    }
}

/// What is wrong with the files: one sentence for each.
pub fn damage(found: &Found) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some(error) = &found.hashes {
        sentences.push(format!("the hash file cannot be read: {error}"));
    }
    for file in &found.files {
        let path = file.path.display();
        if let Some(first) = file.damage.first {
            let lines = match file.damage.lines {
                1 => "1 damaged line was".to_owned(),
                count => format!("{count} damaged lines were"),
            };
            sentences.push(format!("{path}: {lines} passed over, the first at byte {first}"));
        }
        if let Some(error) = &file.error {
            sentences.push(format!("{path} cannot be searched to its end: {error}"));
        }
    }
    sentences
}

/// An argument with its wrong part marked below.
pub fn refused(option: &str, refused: &Refused) -> String {
    let part = |range| word(refused.text.get(range).unwrap_or_default());
    let (before, wrong) = (part(0..refused.part.start), part(refused.part.clone()));
    let after = part(refused.part.end..refused.text.len());
    let margin = " ".repeat(before.chars().count());
    let mark = "^".repeat(wrong.chars().count().max(1));
    let message = word(&refused.message);
    format!(
        "{} is not understood\n  {before}{wrong}{after}\n  {margin}{} {message}",
        paint(BOLD, option),
        paint(BAD, mark)
    )
}

/// How a local time was understood.
pub fn local_time(option: &str, time: Timestamp, now: &ZonedDateTime) -> String {
    let zone = now.time_zone();
    let name = zone.iana_name().map(|name| format!(", {name}")).unwrap_or_default();
    let offset = zone.to_offset(time);
    format!("{option} is taken as local time ({offset}{name}): {}", second(time))
}

/// `203.0.113.7:41022, tcp, with 198.51.100.9:443`.
fn question(query: &Query) -> String {
    let mut text = query.asked.to_string();
    if let Some(transport) = &query.transport {
        text.push_str(&format!(", {transport}"));
    }
    if let Some(peer) = query.peer {
        text.push_str(&format!(", with {peer}"));
    }
    if let Some(namespace) = &query.namespace {
        text.push_str(&format!(", in namespaces like {}", word(namespace.as_str())));
    }
    text
}

fn when(span: Span) -> String {
    match (span.from, span.to) {
        (None, None) => "at any time".to_owned(),
        (Some(from), None) => format!("from {} on", second(from)),
        (None, Some(to)) => format!("up to {}", second(to)),
        (Some(from), Some(to)) => format!("from {} to {}", second(from), second(to)),
    }
}

fn summary(query: &Query, shown: u64, fitting: u64) -> String {
    let count = if fitting > shown {
        format!("{fitting} connections fit, the best {shown} are shown (--limit)")
    } else {
        format!("{shown} connections fit, the best first")
    };
    let hints = [
        ("a port", query.asked.port.is_none()),
        ("--at", query.span.at.is_none()),
        ("--peer", query.peer.is_none()),
        ("--proto", query.transport.is_none()),
    ];
    let hints: Vec<&str> =
        hints.into_iter().filter(|(_, open)| *open).map(|(hint, _)| hint).collect();
    match hints.split_last() {
        None => count,
        Some((only, [])) => format!("{count}; {only} would tell more of them apart"),
        Some((last, others)) => {
            format!("{count}; {} or {last} would tell more of them apart", others.join(", "))
        }
    }
}

fn sentence(query: &Query, hit: &Hit) -> String {
    match hit.answer() {
        Some(Answer::Session(record)) => session(query, hit.fit.role, &record),
        Some(Answer::Kernel(line)) => kernel(hit.fit.role, line),
        None => word(&hit.line),
    }
}

fn session(query: &Query, role: Role, record: &SessionRecord<'_>) -> String {
    let (source, destination) = (record.source.as_ref(), record.destination.as_ref());
    let (source_nat, destination_nat) =
        (source.and_then(|end| end.nat), destination.and_then(|end| end.nat));
    let (from, to) = (end(source), end(destination));
    let (place, how) = (place(record), opened(record));
    let kind = kind(record.anetcon.kind);
    let by_destination = matches!(role, Role::OutsideDestination | Role::InsideDestination)
        || role == Role::Remote && source.and_then(|end| end.ip) == Some(query.asked.address);
    match (source_nat, destination_nat) {
        (None, None) => format!("{from} {how} to {to} in {place} ({kind})"),
        (Some(nat), None) => {
            format!("{} was {from} in {place}: it {how} to {to} ({kind})", translated(nat))
        }
        (None, Some(nat)) => {
            format!("{to} was {} in {place}: {from} {how} to it ({kind})", translated(nat))
        }
        (Some(inner), Some(outer)) if by_destination => format!(
            "{to} was {} in {place}: {from}, seen as {}, {how} to it ({kind})",
            translated(outer),
            translated(inner)
        ),
        (Some(inner), Some(outer)) => format!(
            "{} was {from} in {place}: it {how} to {to}, which was {} there ({kind})",
            translated(inner),
            translated(outer)
        ),
    }
}

fn end(end: Option<&Endpoint>) -> String {
    match end.and_then(|end| Some((end.ip?, end.port))) {
        Some((address, port)) => shown(address, port),
        None => LEFT_OUT.to_owned(),
    }
}

fn translated(nat: Translated) -> String {
    shown(nat.ip, nat.port)
}

/// An address that stands alone needs no brackets.
fn shown(address: std::net::IpAddr, port: Option<u16>) -> String {
    match port {
        Some(_) => endpoint(address, port),
        None => address.to_string(),
    }
}

/// `namespace qrouter-... (router ..., host net1)`.
fn place(record: &SessionRecord<'_>) -> String {
    let host = word(&record.observer.hostname);
    let router = match &record.anetcon.router_id {
        Some(id) => format!("router {}, ", word(id)),
        None => String::new(),
    };
    format!("namespace {} ({router}host {host})", word(&record.anetcon.namespace))
}

/// `opened a TCP connection at ...`, up to the words `to ...`.
fn opened(record: &SessionRecord<'_>) -> String {
    let transport = word(&record.network.transport).to_uppercase();
    let time = micros(record.timestamp.0);
    let start = record.event.start.map(|start| micros(start.0));
    match (record.event.action, start) {
        (RecordAction::Seen, None) => {
            format!("had opened, some time before {time}, a {transport} connection")
        }
        (RecordAction::Seen, Some(start)) => {
            format!("opened at {start} (and had open at {time}) a {transport} connection")
        }
        (RecordAction::End, None) => format!("had until {time} a {transport} connection"),
        (RecordAction::End, Some(start)) => {
            format!("had from {start} to {time} a {transport} connection")
        }
        _ => format!("opened at {time} a {transport} connection"),
    }
}

fn kind(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Float => "float: a floating address was dialled",
        RecordKind::Nat => "nat: the source was translated",
        RecordKind::Direct => "direct: nothing was translated",
    }
}

fn kernel(role: Role, line: &KernelLine) -> String {
    let (from, to) =
        (shown(line.source.0, line.source.1), shown(line.destination.0, line.destination.1));
    let place = match (&line.namespace, &line.tag) {
        (Some(name), _) => format!("namespace {}", word(name)),
        (None, Some(tag)) => format!("the namespace with the hash {}", word(tag)),
        (None, None) => "a namespace that is not named".to_owned(),
    };
    let perhaps = if role == Role::KernelPort { "perhaps " } else { "" };
    let (transport, time) = (word(&line.transport).to_uppercase(), micros(line.time));
    let limits = match line.content {
        Content::KernelFloat => "kernel log: the floating address is not shown",
        Content::KernelNat | Content::Sessions => "kernel log: the translated source is not shown",
    };
    format!(
        "{perhaps}{from} opened at {time} a {transport} connection to {to} in {place} ({limits})"
    )
}

fn reason(query: &Query, hit: &Hit) -> String {
    let asked = if query.asked.port.is_some() { "address and port" } else { "address" };
    let role = match hit.fit.role {
        Role::OutsideSource => format!("{asked} are the translated source"),
        Role::OutsideDestination => format!("{asked} are the floating address that was dialled"),
        Role::Opener => format!("{asked} opened the connection untranslated"),
        Role::Dialled => format!("{asked} were dialled untranslated"),
        Role::InsideSource => format!("{asked} are the inside source"),
        Role::InsideDestination => format!("{asked} are the inside destination"),
        Role::Remote => format!("{asked} are the remote end"),
        Role::KernelLine => format!("{asked} stand in a kernel log line; there is no session record"),
        Role::KernelPort => {
            "only the port fits, which translation keeps unless it is taken; there is no session record"
                .to_owned()
        }
    };
    let role = if query.asked.port.is_none() { singular(&role) } else { role };
    let mut parts = vec![role];
    if let Some(apart) = hit.fit.apart {
        parts.push(distance(apart));
    }
    if hit.fit.peer_unknown {
        parts.push("the other end is not on record".to_owned());
    }
    parts.join("; ")
}

fn singular(text: &str) -> String {
    text.replacen(" are ", " is ", 1)
        .replacen(" were ", " was ", 1)
        .replacen(" stand ", " stands ", 1)
}

fn distance(apart: SignedDuration) -> String {
    let length = apart.unsigned_abs();
    let seconds = length.as_secs();
    let text = match seconds {
        0 => format!("{} ms", length.as_millis()),
        1..=119 => format!("{}.{} s", seconds, length.subsec_millis() / 100),
        120..=7199 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    };
    match apart.signum() {
        0 => "at the time asked for".to_owned(),
        1 => format!("{text} after the time asked for"),
        _ => format!("{text} before the time asked for"),
    }
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}

fn micros(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S%.6f UTC").to_string()
}

pub(super) fn second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
