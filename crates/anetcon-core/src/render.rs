//! A table as the text that `nft list table` prints, and the difference of two tables as such text.
//!
//! Nothing is left out that could make a difference: what has no words here is printed in square brackets.
//! Counter values are not part of a table.

mod chain;
mod elements;
mod verdict;
mod words;

pub(crate) use self::chain::{hook_name, policy_name};
pub(crate) use self::elements::items;
pub(crate) use self::words::name;
use self::words::quoted;
use crate::expr::kernel;
use crate::lcs;
use crate::table::{Rule, Set, Table};

/// The whole table.
pub fn table(table: &Table) -> String {
    let mut blocks: Vec<String> = table.sets.iter().map(set).collect();
    blocks.extend(table.chains.iter().map(chain::block));
    let mut text = format!("table inet {} {{\n", name(&table.name));
    if let Some(flags) = table_flags(table.flags) {
        let owner = table.foreign_owner.map(|port| format!(" # of netlink port {port}"));
        text.push_str(&format!("\tflags {flags}{}\n", owner.unwrap_or_default()));
        text.push_str(if blocks.is_empty() { "" } else { "\n" });
    }
    text.push_str(&blocks.join("\n"));
    text.push_str("}\n");
    text
}

/// What a repair would do to the kernel's text: `-` before lines that are only in the kernel, `+` before
/// lines that are only wanted, a space before common ones. Empty if both are the same.
pub fn diff(wanted: Option<&Table>, observed: Option<&Table>) -> String {
    if wanted == observed {
        return String::new();
    }
    let (wanted, observed) = (wanted.map(table), observed.map(table));
    let wanted: Vec<&str> = wanted.iter().flat_map(|text| text.lines()).collect();
    let observed: Vec<&str> = observed.iter().flat_map(|text| text.lines()).collect();
    let mut text = String::new();
    let (mut from, mut to) = (0, 0);
    let end = (observed.len(), wanted.len());
    for (left, right) in lcs::common(&observed, &wanted).into_iter().chain([end]) {
        push_lines(&mut text, '-', observed.get(from..left).unwrap_or_default());
        push_lines(&mut text, '+', wanted.get(to..right).unwrap_or_default());
        push_lines(&mut text, ' ', observed.get(left..=left).unwrap_or_default());
        (from, to) = (left + 1, right + 1);
    }
    text
}

fn push_lines(text: &mut String, mark: char, lines: &[&str]) {
    for line in lines {
        text.push(mark);
        text.push_str(line);
        text.push('\n');
    }
}

/// One rule without its indentation: `meta l4proto tcp ct state new counter comment "..."`.
pub fn rule(rule: &Rule) -> String {
    let mut parts = words::statements(&rule.exprs);
    parts.extend(rule.comment.iter().map(|comment| format!("comment {}", quoted(comment))));
    parts.join(" ")
}

/// The names of `NFT_TABLE_F_*` flags.
pub(crate) fn table_flags(flags: u32) -> Option<String> {
    let names = [
        (kernel::TABLE_DORMANT, "dormant"),
        (kernel::TABLE_OWNER, "owner"),
        (kernel::TABLE_PERSIST, "persist"),
    ];
    flag_names(flags, &names)
}

/// The names of `NFT_SET_*` flags in nft's order.
pub(crate) fn set_flags(flags: u32) -> Option<String> {
    let names =
        [(2, "constant"), (32, "dynamic"), (kernel::SET_INTERVAL, "interval"), (16, "timeout")];
    flag_names(flags, &names)
}

/// The names of all flags set, comma separated; those without a name in hex. `None` without flags.
fn flag_names(flags: u32, names: &[(u32, &str)]) -> Option<String> {
    let set = names.iter().filter(|(bit, _)| flags & bit != 0);
    let unnamed = set.clone().fold(flags, |rest, (bit, _)| rest & !bit);
    let mut texts: Vec<String> = set.map(|(_, name)| (*name).to_owned()).collect();
    texts.extend((unnamed != 0).then(|| format!("{unnamed:#x}")));
    (!texts.is_empty()).then(|| texts.join(","))
}

fn set(set: &Set) -> String {
    let mut text = format!("\tset {} {{\n\t\ttype {}\n", name(&set.name), set_type(set));
    if let Some(flags) = set_flags(set.flags) {
        text.push_str(&format!("\t\tflags {flags}\n"));
    }
    let items = items(set);
    if !items.is_empty() {
        let lines: Vec<String> =
            items.chunks(items_per_line(set)).map(|line| line.join(", ")).collect();
        text.push_str(&format!("\t\telements = {{ {} }}\n", lines.join(",\n\t\t\t     ")));
    }
    text + "\t}\n"
}

/// A type that does not go with the key's length is never ours and shows both numbers.
pub(crate) fn set_type(set: &Set) -> String {
    match (set.key_type, set.key_len) {
        (kernel::TYPE_IPADDR, 4) => "ipv4_addr".to_owned(),
        (kernel::TYPE_IP6ADDR, 16) => "ipv6_addr".to_owned(),
        (kernel::TYPE_INET_PROTOCOL, 1) => "inet_proto".to_owned(),
        (key_type, len) => format!("[{key_type}, {len}b]"),
    }
}

/// As nft breaks the line.
fn items_per_line(set: &Set) -> usize {
    match set.key_type {
        kernel::TYPE_IPADDR => 2,
        kernel::TYPE_IP6ADDR => 1,
        _ => 5,
    }
}
