//! Edits of a table, one per line, as somebody else might make them: the language of `cases/*/observed.txt`.

use std::net::IpAddr;

use anetcon_core::expr::{Expr, kernel};
use anetcon_core::observed::{Observed, RuleCounter};
use anetcon_core::table::{BaseChain, Chain, Element, Rule, Set, Table};

/// What a namespace holds after the edits; `None` for a table that was not there or is gone.
pub fn observed(table: Option<Table>, edits: &str) -> Observed {
    let mut observed = Observed { table, counters: Vec::new(), generation: 1 };
    for line in edits.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        edit(&mut observed, &words).unwrap_or_else(|| panic!("no such edit: {line}"));
    }
    observed
}

fn edit(observed: &mut Observed, words: &[&str]) -> Option<()> {
    match words {
        ["no", "table"] => observed.table = None,
        ["counted", packets] => count(observed, packets.parse().ok()?),
        _ => {
            let table = observed.table.as_mut()?;
            edit_table(table, words).or_else(|| edit_rules(table, words))?;
        }
    }
    Some(())
}

fn count(observed: &mut Observed, packets: u64) {
    let rules =
        observed.table.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
    let counter =
        |rule: &Rule| RuleCounter { comment: rule.comment.clone(), packets, bytes: packets * 60 };
    observed.counters = rules.map(counter).collect();
}

fn edit_table(table: &mut Table, words: &[&str]) -> Option<()> {
    match words {
        ["flags", flags] => table.flags = flags.parse().ok()?,
        ["owner", port] => table.foreign_owner = Some(port.parse().ok()?),
        ["no", "chain"] => table.chains.clear(),
        ["chain", name] => {
            table.chains.push(Chain { name: (*name).to_owned(), base: None, rules: Vec::new() });
            table.chains.sort_by(|left, right| left.name.cmp(&right.name));
        }
        ["no", "hook"] => table.chains.first_mut()?.base = None,
        ["type", kind] => base(table)?.kind = (*kind).to_owned(),
        ["hook", hook] => base(table)?.hook = hook.parse().ok()?,
        ["priority", priority] => base(table)?.priority = priority.parse().ok()?,
        ["policy", policy] => base(table)?.policy = policy.parse().ok()?,
        ["no", "set", name] => table.sets.retain(|set| set.name != *name),
        ["set", name] => table.sets.push(Set {
            name: (*name).to_owned(),
            key_type: kernel::TYPE_IPADDR,
            key_len: 4,
            flags: 0,
            elements: Vec::new(),
        }),
        ["set", name, property, value] => edit_set(set(table, name)?, property, value)?,
        _ => return None,
    }
    Some(())
}

fn edit_set(set: &mut Set, property: &str, value: &str) -> Option<()> {
    match property {
        "flags" => set.flags = value.parse().ok()?,
        "key_type" => set.key_type = value.parse().ok()?,
        "without" => set.elements.retain(|element| element.key != key(value)),
        "start" => set.elements.push(element(value, false)),
        "end" => set.elements.push(element(value, true)),
        "foreign" => {
            set.elements.iter_mut().find(|element| element.key == key(value))?.foreign = true;
        }
        _ => return None,
    }
    set.elements.sort();
    Some(())
}

fn edit_rules(table: &mut Table, words: &[&str]) -> Option<()> {
    let rules = &mut table.chains.first_mut()?.rules;
    let index = |text: &str| text.parse::<usize>().ok();
    match words {
        ["flush"] => rules.clear(),
        ["delete", at] => drop(rules.remove(index(at)?)),
        ["move", from, to] => {
            let rule = rules.remove(index(from)?);
            rules.insert(index(to)?, rule);
        }
        ["copy", from, to] => rules.insert(index(to)?, rules.get(index(from)?)?.clone()),
        ["insert", at, word] => {
            rules.insert(index(at)?, Rule { comment: None, exprs: vec![expr(word)?] })
        }
        ["uncomment", at] => rules.get_mut(index(at)?)?.comment = None,
        ["comment", at, words @ ..] => rules.get_mut(index(at)?)?.comment = Some(words.join(" ")),
        ["without", at, word] => {
            rules.get_mut(index(at)?)?.exprs.retain(|expr| kind(expr) != *word)
        }
        ["negate", at] => {
            let exprs = &mut rules.get_mut(index(at)?)?.exprs;
            let cmp = exprs.iter_mut().rev().find_map(|expr| match expr {
                Expr::Cmp { op, .. } => Some(op),
                _ => None,
            })?;
            *cmp = kernel::CMP_NEQ - *cmp;
        }
        ["prepend", at, word] => rules.get_mut(index(at)?)?.exprs.insert(0, expr(word)?),
        _ => return None,
    }
    Some(())
}

fn kind(expr: &Expr) -> &str {
    match expr {
        Expr::Log { .. } => "log",
        Expr::Counter => "counter",
        Expr::Lookup { .. } => "lookup",
        _ => "other",
    }
}

fn expr(word: &str) -> Option<Expr> {
    let verdict = |code: i32| Expr::Other { name: "immediate".into(), data: immediate(code) };
    Some(match word {
        "accept" => verdict(1),
        "drop" => verdict(0),
        "return" => verdict(-5),
        "counter" => Expr::Counter,
        "notrack" => Expr::Other { name: "notrack".into(), data: Vec::new() },
        "limit" => Expr::Other { name: "limit".into(), data: vec![0x0c, 0, 1, 0] },
        _ => return None,
    })
}

/// The attributes of `immediate` with a verdict, as the kernel dumps them (linux/netfilter/nf_tables.h).
fn immediate(code: i32) -> Vec<u8> {
    let attribute = |kind: u16, payload: &[u8]| {
        let length = u16::try_from(payload.len() + 4).expect("these are a few bytes");
        [&length.to_ne_bytes(), &kind.to_ne_bytes(), payload].concat()
    };
    let verdict = attribute(2, &attribute(1, &code.to_be_bytes()));
    [attribute(1, &[0; 4]), attribute(2, &verdict)].concat()
}

fn base(table: &mut Table) -> Option<&mut BaseChain> {
    table.chains.first_mut()?.base.as_mut()
}

fn set<'a>(table: &'a mut Table, name: &str) -> Option<&'a mut Set> {
    table.sets.iter_mut().find(|set| set.name == name)
}

fn element(address: &str, interval_end: bool) -> Element {
    Element { key: key(address), interval_end, foreign: false }
}

/// An address, or a protocol number.
fn key(text: &str) -> Vec<u8> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.octets().to_vec(),
        Ok(IpAddr::V6(address)) => address.octets().to_vec(),
        Err(_) => vec![text.parse().expect("a key is an address or a number")],
    }
}
