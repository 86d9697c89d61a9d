//! What the bash script left in the nat tables of iptables-nft, and whether it can be taken away.
//!
//! Only what is without doubt the script's goes: a chain of its name that holds log rules and nothing else, and the jumps to
//! it. Everything else in those tables belongs to others.

use crate::ruleset::family;

/// The table in which the script put its chain.
pub const TABLE: &str = "nat";

/// The nat tables of one namespace, as they were at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NatTables {
    /// The generation of the ruleset (`NFTA_GEN_ID`) at which all of this was true.
    pub generation: u32,
    /// The chains of the tables `ip nat` and `ip6 nat`.
    pub chains: Vec<NatChain>,
    /// Their rules, in the order in which packets meet them.
    pub rules: Vec<NatRule>,
}

/// A chain of such a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatChain {
    /// `NFPROTO_*` of its table.
    pub family: u8,
    /// Its name.
    pub name: String,
    /// Whether packets come to it by themselves, without a jump.
    pub is_base: bool,
}

/// A rule of such a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatRule {
    /// `NFPROTO_*` of its table.
    pub family: u8,
    /// The chain that it is in.
    pub chain: String,
    /// The kernel's number of it in its table.
    pub handle: u64,
    /// What it does to a packet that it matches.
    pub effects: Vec<Effect>,
}

/// Something that a rule does. What only matches or counts is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Writes a line to the kernel log.
    Log,
    /// Goes on in this chain.
    Jump(String),
    /// Anything else, by the kernel's name for it.
    Other(String),
}

/// What can be taken away from one namespace, all at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The generation at which it was so. If there is another one by then, nothing may be removed.
    pub generation: u32,
    /// The chains; never empty.
    pub chains: Vec<OldChain>,
}

/// A chain of the script's, with all that leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldChain {
    /// `NFPROTO_*` of its table.
    pub family: u8,
    /// Its name.
    pub name: String,
    /// The rules that jump to it: their chain and handle.
    pub jumps: Vec<(String, u64)>,
    /// The handles of its rules.
    pub rules: Vec<u64>,
}

/// A chain of the script's name that must stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// `NFPROTO_*` of its table.
    pub family: u8,
    /// Why, as what follows "it stays, because".
    pub why: String,
}

/// The chains of this name: what can be removed, and what must stay.
pub fn find(tables: &NatTables, name: &str) -> (Option<Removal>, Vec<Kept>) {
    let (mut chains, mut kept) = (Vec::new(), Vec::new());
    for chain in tables.chains.iter().filter(|chain| chain.name == name) {
        match judge(tables, chain) {
            Ok(old) => chains.push(old),
            Err(why) => kept.push(Kept { family: chain.family, why }),
        }
    }
    let removal = Removal { generation: tables.generation, chains };
    ((!removal.chains.is_empty()).then_some(removal), kept)
}

/// The chain with all that goes, or why it stays.
fn judge(tables: &NatTables, chain: &NatChain) -> Result<OldChain, String> {
    if chain.is_base {
        return Err("it is a chain that packets reach by themselves, which the script never made"
            .to_owned());
    }
    let of_table = || tables.rules.iter().filter(|rule| rule.family == chain.family);
    let mut rules = Vec::new();
    for rule in of_table().filter(|rule| rule.chain == chain.name) {
        match rule.effects.as_slice() {
            [Effect::Log] => rules.push(rule.handle),
            _ => return Err(format!("its rule with handle {} does more than log", rule.handle)),
        }
    }
    let mut jumps = Vec::new();
    for rule in of_table().filter(|rule| rule.chain != chain.name) {
        let jump = Effect::Jump(chain.name.clone());
        match rule.effects.as_slice() {
            [only] if *only == jump => jumps.push((rule.chain.clone(), rule.handle)),
            effects if effects.contains(&jump) => {
                let (other, handle) = (&rule.chain, rule.handle);
                return Err(format!(
                    "the rule with handle {handle} in {other} does more than jump to it"
                ));
            }
            _ => (),
        }
    }
    Ok(OldChain { family: chain.family, name: chain.name.clone(), jumps, rules })
}

/// The program that shows and changes such a table: `iptables-nft` or `ip6tables-nft`.
pub fn program(number: u8) -> &'static str {
    if family(number) == "ip6" { "ip6tables-nft" } else { "iptables-nft" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: u8 = 2;
    const IP6: u8 = 10;

    fn chain(family: u8, name: &str, is_base: bool) -> NatChain {
        NatChain { family, name: name.into(), is_base }
    }

    fn rule(family: u8, chain: &str, handle: u64, effects: &[Effect]) -> NatRule {
        NatRule { family, chain: chain.into(), handle, effects: effects.to_vec() }
    }

    fn jump(to: &str) -> Effect {
        Effect::Jump(to.into())
    }

    fn tables(more: Vec<NatRule>) -> NatTables {
        let mut rules = vec![
            rule(IP, "POSTROUTING", 1, &[jump("old")]),
            rule(IP, "POSTROUTING", 2, &[Effect::Other("target MASQUERADE".into())]),
            rule(IP, "old", 3, &[Effect::Log]),
            rule(IP, "old", 4, &[Effect::Log]),
            rule(IP6, "POSTROUTING", 5, &[jump("old")]),
        ];
        rules.extend(more);
        let chains = vec![chain(IP, "POSTROUTING", true), chain(IP, "old", false)];
        NatTables { generation: 7, chains, rules }
    }

    #[test]
    fn the_chain_goes_with_its_jumps_and_nothing_else() {
        let (removal, kept) = find(&tables(vec![rule(IP, "other", 9, &[jump("old")])]), "old");
        let jumps = vec![("POSTROUTING".into(), 1), ("other".into(), 9)];
        let old = OldChain { family: IP, name: "old".into(), jumps, rules: vec![3, 4] };
        assert_eq!(removal, Some(Removal { generation: 7, chains: vec![old] }));
        assert_eq!(kept, []);
        assert_eq!(find(&tables(vec![]), "another"), (None, vec![]));
    }

    #[test]
    fn what_is_not_only_the_scripts_stays() {
        let cases = [
            (rule(IP, "old", 9, &[]), "does more than log"),
            (rule(IP, "old", 9, &[jump("x")]), "does more than log"),
            (
                rule(IP, "old", 9, &[Effect::Log, Effect::Other("masq".into())]),
                "does more than log",
            ),
            (rule(IP, "x", 9, &[Effect::Log, jump("old")]), "does more than jump"),
        ];
        for (more, why) in cases {
            let (removal, kept) = find(&tables(vec![more.clone()]), "old");
            assert_eq!(removal, None, "{more:?}");
            assert!(kept.iter().all(|kept| kept.why.contains(why)) && kept.len() == 1, "{kept:?}");
        }
        let (removal, kept) = find(&tables(vec![]), "POSTROUTING");
        assert_eq!((removal, kept.len()), (None, 1));
    }
}
