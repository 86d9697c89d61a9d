//! One namespace with all that is known about it.

use std::net::IpAddr;

use anetcon_api::{Connections, Link, Namespace, NamespaceDetail, RuleCounter};
use jiff::Timestamp;

use super::clean::{lines as clean_lines, word};
use super::columns::{Cell, aligned};
use super::list::state;
use super::style::{BAD, BOLD, DIM, GOOD, ODD, paint};
use super::time;

/// Several paragraphs. An address that was searched for stands out.
pub fn show(detail: &NamespaceDetail, searched: Option<IpAddr>, now: Timestamp) -> String {
    let mut text = headline(&detail.namespace, now);
    text.push_str(&facts(detail));
    for unreadable in &detail.unreadable {
        text.push_str(&format!("  {}\n", paint(BAD, word(unreadable))));
    }
    text.push_str(&links(&detail.links, searched));
    text.push_str(&counters(&detail.counters));
    text.push_str(&rules(detail.rules.as_deref()));
    text
}

/// Whether a link holds an address, whatever its prefix length.
pub fn holds(link: &Link, searched: IpAddr) -> bool {
    link.addresses.iter().any(|address| is(address, searched))
}

fn is(address: &str, searched: IpAddr) -> bool {
    address.split('/').next().and_then(|address| address.parse().ok()) == Some(searched)
}

fn headline(netns: &Namespace, now: Timestamp) -> String {
    let (name, style) = state(netns.state);
    let (netns_name, since) = (paint(BOLD, word(&netns.name)), time::since(&netns.since, now));
    let mut text = format!("{netns_name}: {} since {since}\n", paint(style, name));
    if let Some(error) = &netns.error {
        text.push_str(&format!("  {}\n", paint(BAD, word(error))));
    }
    if netns.fighting {
        text.push_str(&format!("  {}\n", paint(ODD, "somebody keeps changing our rules")));
    }
    text
}

fn facts(detail: &NamespaceDetail) -> String {
    let netns = &detail.namespace;
    let or = |words: &[String], none: &str| match words {
        [] => none.to_owned(),
        words => words.iter().map(|text| word(text)).collect::<Vec<_>>().join(", "),
    };
    let prefixes: Vec<String> =
        detail.prefixes.iter().map(|prefix| format!("\"{prefix}\"")).collect();
    let last = netns.last_repair.as_deref().map(|last| format!(", last {}", time::second(last)));
    let rows = [
        ("Hash", word(&netns.hash)),
        ("Cookie", netns.cookie.as_deref().map_or("not known yet".to_owned(), word)),
        (
            "Connections",
            format!("{} float, {} nat", netns.connections.float, netns.connections.nat),
        ),
        ("Lines", told(netns.balance.lines, netns.balance.unaccounted_lines)),
        ("Records", told(netns.balance.records, netns.balance.unaccounted_records)),
        ("Repairs", format!("{}{}", netns.repairs, last.unwrap_or_default())),
        ("Protection", super::status::protection(netns.protection).to_owned()),
        ("Networks", or(&detail.networks, "all")),
        ("Log prefixes", or(&prefixes, "none")),
    ];
    let rows = rows.map(|(name, fact)| vec![Cell::new(name).style(BOLD), Cell::new(fact)]);
    aligned("  ", &rows)
}

/// What was told of the connections that were counted.
fn told(told: Connections, unaccounted: u64) -> String {
    let mut text = format!("{} float, {} nat since the start", told.float, told.nat);
    if unaccounted > 0 {
        text.push_str(&format!(", {}", paint(BAD, format_args!("{unaccounted} missing"))));
    }
    text
}

fn links(links: &[Link], searched: Option<IpAddr>) -> String {
    let rows: Vec<Vec<Cell>> = links.iter().flat_map(|link| link_rows(link, searched)).collect();
    paragraph("Links", &aligned("  ", &rows))
}

/// The link with its first address, then its other addresses below.
fn link_rows(link: &Link, searched: Option<IpAddr>) -> Vec<Vec<Cell>> {
    let address = |address: Option<&String>| {
        let found = address.zip(searched).is_some_and(|(address, searched)| is(address, searched));
        let cell = Cell::new(address.map(|address| word(address)).unwrap_or_default());
        if found { cell.style(GOOD.bold()) } else { cell }
    };
    let mut addresses = link.addresses.iter();
    let first = vec![
        Cell::new(link.index).right(),
        Cell::new(word(&link.name)).style(BOLD),
        Cell::new(link.kind.as_deref().map_or("-".to_owned(), word)),
        if link.up { Cell::new("up") } else { Cell::new("down").style(ODD) },
        Cell::new(link.mac.as_deref().map_or("-".to_owned(), word)),
        address(addresses.next()),
    ];
    let blank = || Cell::new("");
    let others = addresses
        .map(|other| vec![blank(), blank(), blank(), blank(), blank(), address(Some(other))]);
    std::iter::once(first).chain(others).collect()
}

fn counters(counters: &[RuleCounter]) -> String {
    let rows: Vec<Vec<Cell>> = counters
        .iter()
        .map(|rule| {
            vec![
                Cell::new(rule.comment.as_deref().map_or("(no comment)".to_owned(), word)),
                Cell::number(rule.packets),
                Cell::new("connections"),
                Cell::number(rule.bytes),
                Cell::new("bytes"),
            ]
        })
        .collect();
    paragraph("Counters since the rules were made", &aligned("  ", &rows))
}

fn rules(rules: Option<&str>) -> String {
    match rules {
        Some(rules) => {
            let text: String =
                clean_lines(rules).lines().map(|line| format!("  {line}\n")).collect();
            paragraph("Rules in the kernel", &text)
        }
        None => paragraph("Rules in the kernel", &format!("  {}\n", paint(BAD, "none"))),
    }
}

fn paragraph(title: &str, text: &str) -> String {
    let none = || format!("  {}\n", paint(DIM, "none"));
    let text = if text.is_empty() { none() } else { text.to_owned() };
    format!("\n{}\n{text}", paint(BOLD, title))
}
