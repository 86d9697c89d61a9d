//! Properties of the planner over configurations, over arbitrary tables and over every single edit of one.

use std::collections::BTreeMap;

use anetcon_core::config::{Config, NetworksScope, Protocol};
use anetcon_core::expr::{Expr, Register};
use anetcon_core::netns::NetnsName;
use anetcon_core::observed::{Observed, RuleCounter};
use anetcon_core::plan::{Plan, plan};
use anetcon_core::table::{BaseChain, Chain, Element, Rule, Set, Table};
use anetcon_core::{desired, drift, render};
use ipnet::IpNet;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

fn observed(table: Option<Table>) -> Observed {
    Observed { table, counters: Vec::new(), generation: 0 }
}

/// What the kernel holds after a plan was carried out.
fn applied(plan: &Plan, before: Observed) -> Observed {
    match plan {
        Plan::Nothing => before,
        Plan::Replace { wanted, .. } => observed(Some(wanted.clone())),
        Plan::Remove { .. } => observed(None),
    }
}

/// Every difference is seen, has words, and is gone after the plan was carried out.
fn check(wanted: Option<Table>, held: Option<Table>) -> Result<(), TestCaseError> {
    let equal = wanted == held;
    let before = observed(held.clone());
    let plan = plan(wanted.as_ref(), &before);
    prop_assert_eq!(plan == Plan::Nothing, equal);
    if let Plan::Replace { drift, .. } = &plan {
        prop_assert!(!drift.is_empty(), "{:?}", plan);
        prop_assert!(drift.iter().all(|drift| !drift.to_string().is_empty()));
    }
    let diff = render::diff(wanted.as_ref(), held.as_ref());
    prop_assert_eq!(diff.is_empty(), equal);
    let after = applied(&plan, before);
    prop_assert_eq!(&after.table, &wanted);
    prop_assert_eq!(anetcon_core::plan::plan(wanted.as_ref(), &after), Plan::Nothing);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_leads_from_any_table_to_the_wanted_one(
        wanted in option::of(wanted_table()),
        held in option::of(prop_oneof![any_table(), wanted_table()]),
    ) {
        check(wanted, held)?;
    }

    #[test]
    fn a_plan_leads_from_any_table_to_any_other(
        wanted in option::of(any_table()),
        held in option::of(any_table()),
    ) {
        check(wanted, held)?;
    }

    #[test]
    fn every_single_edit_is_seen(table in wanted_table(), edit in edit()) {
        let edited = edit.of(&table);
        prop_assume!(edited.as_ref() != Some(&table));
        check(Some(table.clone()), edited.clone())?;
        if let Some(edited) = edited {
            let drift = drift::between(&table, &edited);
            prop_assert!(drift.len() <= edit.most_drifts(), "{:?} gives {:?}", edit, drift);
            prop_assert_ne!(render::table(&table), render::table(&edited));
        }
    }

    #[test]
    fn any_table_is_equal_to_itself_and_reads_the_same(table in any_table()) {
        prop_assert_eq!(drift::between(&table, &table), vec![]);
        prop_assert_eq!(render::diff(Some(&table), Some(&table)), "");
        let text = render::table(&table);
        prop_assert!(text.starts_with("table inet ") && text.ends_with("}\n"), "{text}");
        prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{:?}", text);
    }

    #[test]
    fn counters_do_not_count(table in wanted_table(), packets in any::<u64>(), generation in any::<u32>()) {
        let counters = vec![RuleCounter { comment: None, packets, bytes: packets }];
        let observed = Observed { table: Some(table.clone()), counters, generation };
        prop_assert_eq!(plan(Some(&table), &observed), Plan::Nothing);
    }

    /// What `-` and `+` mark leads from one text to the other.
    #[test]
    fn a_diff_holds_both_texts(wanted in any_table(), held in any_table()) {
        prop_assume!(wanted != held);
        let diff = render::diff(Some(&wanted), Some(&held));
        let side = |dropped: char| -> String {
            diff.lines().filter(|line| !line.starts_with(dropped)).map(|line| format!("{}\n", &line[1..])).collect()
        };
        prop_assert_eq!(side('-'), render::table(&wanted));
        prop_assert_eq!(side('+'), render::table(&held));
    }
}

/// The table of a configuration: with and without networks, of one protocol or several.
fn wanted_table() -> impl Strategy<Value = Table> {
    let network = prop_oneof![
        (any::<[u8; 4]>(), 0..=32_u8).prop_map(|(octets, len)| (octets.to_vec(), len)),
        (any::<[u8; 16]>(), 0..=128_u8).prop_map(|(octets, len)| (octets.to_vec(), len)),
    ];
    let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp, Protocol::Icmp];
    let protocols = subsequence(protocols.to_vec(), 1..=4);
    (vec(network, 0..5), protocols, any::<bool>(), -199..=99_i32).prop_map(
        |(networks, protocols, both, priority)| {
            let scope = if both { NetworksScope::Both } else { NetworksScope::Outgoing };
            let networks = IpNet::aggregate(&networks.iter().map(network_of).collect());
            let mut config = Config { protocols, networks_scope: scope, ..Config::default() };
            config.rules.priority = priority;
            config.networks = BTreeMap::from([("r".to_owned(), networks)]);
            desired::table(&config, &NetnsName::named("r").unwrap()).unwrap()
        },
    )
}

fn network_of((octets, len): &(Vec<u8>, u8)) -> IpNet {
    let address = match <[u8; 4]>::try_from(octets.as_slice()) {
        Ok(octets) => octets.into(),
        Err(_) => <[u8; 16]>::try_from(octets.as_slice()).unwrap().into(),
    };
    IpNet::new(address, *len).unwrap().trunc()
}

/// Tables as nobody would make them, of few and small values so that parts of two of them are often equal.
fn any_table() -> impl Strategy<Value = Table> {
    (name(), 0..9_u32, vec(any_set(), 0..4), vec(any_chain(), 0..4))
        .prop_map(|(name, flags, sets, chains)| Table { name, flags, sets, chains })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("anetcon".to_owned()), "[ab]{0,2}", "\\PC{0,4}", any::<String>()]
}

fn any_set() -> impl Strategy<Value = Set> {
    let key = prop_oneof![vec(0..3_u8, 0..3), vec(0..3_u8, 4..=4), vec(any::<u8>(), 16..=16)];
    let element = (key, any::<bool>(), any::<bool>())
        .prop_map(|(key, interval_end, foreign)| Element { key, interval_end, foreign });
    (name(), 6..14_u32, prop_oneof![Just(1_u32), Just(4), Just(16)], 0..9_u32, vec(element, 0..6))
        .prop_map(|(name, key_type, key_len, flags, elements)| Set {
            name,
            key_type,
            key_len,
            flags,
            elements,
        })
}

fn any_chain() -> impl Strategy<Value = Chain> {
    let kind = prop_oneof![Just("nat".to_owned()), name()];
    let base = (kind, 0..8_u32, -310..310_i32, 0..3_u32)
        .prop_map(|(kind, hook, priority, policy)| BaseChain { kind, hook, priority, policy });
    (name(), option::of(base), vec(any_rule(), 0..6)).prop_map(|(name, base, rules)| Chain {
        name,
        base,
        rules,
    })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    (option::of(name()), vec(any_expr(), 0..5)).prop_map(|(comment, exprs)| Rule { comment, exprs })
}

fn any_expr() -> impl Strategy<Value = Expr> {
    let reg = || (0..3_u32).prop_map(Register);
    let data = || prop_oneof![Just(vec![0; 4]), vec(0..3_u8, 0..5), vec(any::<u8>(), 0..20)];
    prop_oneof![
        (14..18_u32, reg()).prop_map(|(key, dreg)| Expr::Meta { key, dreg }),
        (0..4_u32, reg()).prop_map(|(key, dreg)| Expr::Ct { key, dreg }),
        (0..3_u32, 8..17_u32, 1..17_u32, reg())
            .prop_map(|(base, offset, len, dreg)| Expr::Payload { base, offset, len, dreg }),
        (reg(), reg(), 3..6_u32, data(), data()).prop_map(|(sreg, dreg, len, mask, xor)| {
            Expr::Bitwise { sreg, dreg, len, mask, xor }
        }),
        (0..3_u32, reg(), data()).prop_map(|(op, sreg, data)| Expr::Cmp { op, sreg, data }),
        (name(), reg(), any::<bool>()).prop_map(|(set, sreg, inverted)| Expr::Lookup {
            set,
            sreg,
            inverted
        }),
        Just(Expr::Counter),
        (name(), 0..11_u32, 0..66_u32).prop_map(|(prefix, level, flags)| Expr::Log {
            prefix,
            level,
            flags
        }),
        (prop_oneof![Just("immediate".to_owned()), name()], data())
            .prop_map(|(name, data)| Expr::Other { name, data }),
    ]
}

/// One edit somewhere in a table.
#[derive(Debug, Clone)]
enum Edit {
    DropTable,
    Flags(u32),
    DropChain,
    AddChain(Chain),
    Base(BaseChain),
    Detach,
    DropRule(Index),
    AddRule(Index, Rule),
    CopyRule(Index, Index),
    MoveRule(Index, Index),
    Comment(Index, Option<String>),
    DropExpr(Index, Index),
    AddExpr(Index, Index, Expr),
    SwapExprs(Index, Index),
    Bits(Index, Index, u32),
    DropSet(Index),
    AddSet(Set),
    DropElement(Index, Index),
    AddElement(Index, Element),
    FlipElement(Index, Index, u8),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    let element = (vec(any::<u8>(), 4..=4), any::<bool>(), any::<bool>())
        .prop_map(|(key, interval_end, foreign)| Element { key, interval_end, foreign });
    prop_oneof![
        Just(Edit::DropTable),
        (1..64_u32).prop_map(Edit::Flags),
        Just(Edit::DropChain),
        any_chain().prop_map(Edit::AddChain),
        any_chain().prop_filter_map("a base", |chain| chain.base).prop_map(Edit::Base),
        Just(Edit::Detach),
        at().prop_map(Edit::DropRule),
        (at(), any_rule()).prop_map(|(to, rule)| Edit::AddRule(to, rule)),
        (at(), at()).prop_map(|(from, to)| Edit::CopyRule(from, to)),
        (at(), at()).prop_map(|(from, to)| Edit::MoveRule(from, to)),
        (at(), option::of(name())).prop_map(|(rule, comment)| Edit::Comment(rule, comment)),
        (at(), at()).prop_map(|(rule, expr)| Edit::DropExpr(rule, expr)),
        (at(), at(), any_expr()).prop_map(|(rule, to, expr)| Edit::AddExpr(rule, to, expr)),
        (at(), at()).prop_map(|(rule, expr)| Edit::SwapExprs(rule, expr)),
        (at(), at(), any::<u32>()).prop_map(|(rule, expr, bits)| Edit::Bits(rule, expr, bits)),
        at().prop_map(Edit::DropSet),
        any_set().prop_map(Edit::AddSet),
        (at(), at()).prop_map(|(set, element)| Edit::DropElement(set, element)),
        (at(), element).prop_map(|(set, element)| Edit::AddElement(set, element)),
        (at(), at(), 1..=255_u8)
            .prop_map(|(set, element, bits)| Edit::FlipElement(set, element, bits)),
    ]
}

impl Edit {
    /// The edited table; the same one where there is nothing to edit.
    fn of(&self, table: &Table) -> Option<Table> {
        let mut table = table.clone();
        match self {
            Self::DropTable => return None,
            Self::Flags(flags) => table.flags ^= flags,
            Self::DropChain => table.chains.clear(),
            Self::AddChain(chain) => table.chains.push(chain.clone()),
            Self::Base(base) => table.chains[0].base = Some(base.clone()),
            Self::Detach => table.chains[0].base = None,
            Self::DropSet(at) => drop(with(&mut table.sets, at, Vec::remove)),
            Self::AddSet(set) => table.sets.push(set.clone()),
            Self::DropElement(set, at) => {
                if let Some(elements) = elements(&mut table, set) {
                    with(elements, at, Vec::remove);
                }
            }
            Self::AddElement(set, element) => {
                elements(&mut table, set).into_iter().for_each(|all| all.push(element.clone()));
            }
            Self::FlipElement(set, at, bits) => {
                if let Some(elements) = elements(&mut table, set) {
                    with(elements, at, |elements, at| elements[at].key[0] ^= bits);
                }
            }
            _ => self.of_rules(&mut table.chains[0].rules),
        }
        Some(table)
    }

    fn of_rules(&self, rules: &mut Vec<Rule>) {
        let end = rules.len() + 1;
        match self {
            Self::DropRule(at) => drop(rules.remove(at.index(rules.len()))),
            Self::AddRule(to, rule) => rules.insert(to.index(end), rule.clone()),
            Self::CopyRule(from, to) => {
                let rule = rules[from.index(rules.len())].clone();
                rules.insert(to.index(end), rule);
            }
            Self::MoveRule(from, to) => {
                let rule = rules.remove(from.index(rules.len()));
                rules.insert(to.index(rules.len() + 1), rule);
            }
            Self::Comment(at, comment) => {
                with(rules, at, |r, at| r[at].comment = comment.clone()).unwrap()
            }
            Self::DropExpr(rule, at) => {
                let exprs = exprs(rules, rule);
                exprs.remove(at.index(exprs.len()));
            }
            Self::AddExpr(rule, to, expr) => {
                let exprs = exprs(rules, rule);
                exprs.insert(to.index(exprs.len() + 1), expr.clone());
            }
            Self::SwapExprs(rule, at) => {
                let exprs = exprs(rules, rule);
                let at = at.index(exprs.len() - 1);
                exprs.swap(at, at + 1);
            }
            Self::Bits(rule, at, bits) => {
                let exprs = exprs(rules, rule);
                let at = at.index(exprs.len());
                flip(&mut exprs[at], *bits);
            }
            other => unreachable!("{other:?} is no edit of rules"),
        }
    }

    /// One edit has one cause; a change of a base chain has one per property, of elements one per side.
    fn most_drifts(&self) -> usize {
        match self {
            Self::Flags(_) => 3,
            Self::Base(_) => 4,
            Self::DropElement(..) | Self::AddElement(..) | Self::FlipElement(..) => 2,
            // A chain or rule of another name and content can look like a renamed one.
            _ => 1,
        }
    }
}

/// Changes one number of an expression.
fn flip(expr: &mut Expr, bits: u32) {
    let byte = bits.to_ne_bytes()[0];
    match expr {
        Expr::Meta { key, .. } | Expr::Ct { key, .. } => *key ^= bits,
        Expr::Payload { base, offset, len, .. } => {
            let number = [base, offset, len].into_iter().nth((bits % 3) as usize).unwrap();
            *number ^= bits;
        }
        Expr::Bitwise { mask, .. } => mask[(bits % 4) as usize] ^= byte,
        Expr::Cmp { op, data, .. } if bits.is_multiple_of(2) || data.is_empty() => *op ^= bits,
        Expr::Cmp { data, .. } => data[0] ^= byte,
        Expr::Lookup { inverted, .. } if bits.is_multiple_of(2) => *inverted = !*inverted,
        Expr::Lookup { set, .. } => set.push('x'),
        Expr::Log { level, .. } if bits.is_multiple_of(2) => *level ^= bits,
        Expr::Log { prefix, .. } => drop(prefix.pop()),
        Expr::Counter => *expr = Expr::Other { name: "counter".to_owned(), data: Vec::new() },
        Expr::Other { data, .. } => data.push(byte),
    }
}

fn with<T, R>(
    list: &mut Vec<T>,
    at: &Index,
    edit: impl FnOnce(&mut Vec<T>, usize) -> R,
) -> Option<R> {
    (!list.is_empty()).then(|| {
        let at = at.index(list.len());
        edit(list, at)
    })
}

fn elements<'a>(table: &'a mut Table, set: &Index) -> Option<&'a mut Vec<Element>> {
    let count = table.sets.len();
    (count > 0).then(|| &mut table.sets[set.index(count)].elements)
}

fn exprs<'a>(rules: &'a mut [Rule], rule: &Index) -> &'a mut Vec<Expr> {
    let count = rules.len();
    &mut rules[rule.index(count)].exprs
}
