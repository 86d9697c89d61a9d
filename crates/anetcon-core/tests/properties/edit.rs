//! One edit somewhere in a table, of every kind that the planner must see.

use anetcon_core::expr::Expr;
use anetcon_core::table::{BaseChain, Chain, Element, Rule, Set, Table};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;

use super::tables::{any_chain, any_expr, any_rule, any_set, name};

/// One edit somewhere in a table.
#[derive(Debug, Clone)]
pub enum Edit {
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

pub fn edit() -> impl Strategy<Value = Edit> {
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
    pub fn of(&self, table: &Table) -> Option<Table> {
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
    pub fn most_drifts(&self) -> usize {
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
