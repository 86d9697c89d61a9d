//! Chains and rules of the nat tables that iptables-nft makes, as far as it must be known whose they are.

use anetcon_core::expr::Expr;
use anetcon_core::takeover::{Effect, NatChain, NatRule, TABLE as NAT};
use anetcon_netlink::Malformed;
use anetcon_netlink::attribute::Fields;

use super::{TABLE, expression};

/// `NFT_JUMP` and `NFT_GOTO`.
const JUMPS: [i32; 2] = [-3, -4];

/// Expressions that only match, under their kernel names. Those that we know are told apart by their type.
const MATCHES: [&str; 5] = ["match", "range", "limit", "fib", "counter"];

/// A chain, if it is in a nat table.
pub(crate) fn nat_chain(family: u8, attributes: &[u8]) -> Result<Option<NatChain>, Malformed> {
    let mut fields = Fields::read(attributes)?;
    let table = fields.take_text(TABLE).ok_or(Malformed("chain's table"))?;
    let name = fields.take_text(3).ok_or(Malformed("chain name"))?;
    let is_base = fields.take(4).is_some();
    Ok((table == NAT).then_some(NatChain { family, name, is_base }))
}

/// A rule, if it is in a nat table.
pub(crate) fn nat_rule(family: u8, attributes: &[u8]) -> Result<Option<NatRule>, Malformed> {
    let mut fields = Fields::read(attributes)?;
    let table = fields.take_text(TABLE).ok_or(Malformed("rule's table"))?;
    let chain = fields.take_text(2).ok_or(Malformed("rule's chain"))?;
    let handle = fields.take_u64(3).ok_or(Malformed("rule's handle"))?;
    if table != NAT {
        return Ok(None);
    }
    let (exprs, _) = expression::list(fields.take(4).unwrap_or_default())?;
    let effects = exprs.into_iter().filter_map(effect).collect();
    Ok(Some(NatRule { family, chain, handle, effects }))
}

/// What an expression does to a packet; `None` if it only matches or counts.
fn effect(expr: Expr) -> Option<Effect> {
    match expr {
        Expr::Log { .. } => Some(Effect::Log),
        Expr::Other { name, data } => match name.as_str() {
            name if MATCHES.contains(&name) => None,
            "immediate" => Some(jump(&data).unwrap_or(Effect::Other(name))),
            "target" => Some(target(&data).unwrap_or(Effect::Other(name))),
            _ => Some(Effect::Other(name)),
        },
        _ => None,
    }
}

/// `NFTA_IMMEDIATE_DATA` (2), `NFTA_DATA_VERDICT` (2), and in it `NFTA_VERDICT_CODE` (1) and `_CHAIN` (2).
fn jump(data: &[u8]) -> Option<Effect> {
    let data = Fields::read(data).ok()?.take(2)?;
    let verdict = Fields::read(data).ok()?.take(2)?;
    let mut verdict = Fields::read(verdict).ok()?;
    let code = verdict.take_u32(1)?.cast_signed();
    let chain = verdict.take_text(2)?;
    JUMPS.contains(&code).then_some(Effect::Jump(chain))
}

/// An extension of xtables (`NFTA_TARGET_NAME`, 1).
fn target(data: &[u8]) -> Option<Effect> {
    let name = Fields::read(data).ok()?.take_text(1)?;
    Some(if name == "LOG" { Effect::Log } else { Effect::Other(format!("target {name}")) })
}

#[cfg(test)]
mod tests {
    use anetcon_netlink::attribute::push;

    use super::*;

    fn nest(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut stream = Vec::new();
        for (kind, data) in attributes {
            push(&mut stream, *kind, data).unwrap();
        }
        stream
    }

    fn immediate(code: i32, chain: &[u8]) -> Expr {
        let verdict = nest(&[(1, &code.to_be_bytes()), (2, chain)]);
        let data = nest(&[(1, &[0; 4]), (2, &nest(&[(2, &verdict)]))]);
        Expr::Other { name: "immediate".into(), data }
    }

    #[test]
    fn effects_are_told_from_matches() {
        let other = |name: &str, data| Expr::Other { name: name.into(), data };
        let named = |name: &[u8]| nest(&[(1, name)]);
        let cases = [
            (immediate(-3, b"old\0"), Some(Effect::Jump("old".into()))),
            (immediate(-4, b"old\0"), Some(Effect::Jump("old".into()))),
            (immediate(1, b"old\0"), Some(Effect::Other("immediate".into()))),
            (other("immediate", vec![1, 2]), Some(Effect::Other("immediate".into()))),
            (other("target", named(b"LOG\0")), Some(Effect::Log)),
            (other("target", named(b"SNAT\0")), Some(Effect::Other("target SNAT".into()))),
            (other("target", vec![9]), Some(Effect::Other("target".into()))),
            (other("match", named(b"conntrack\0")), None),
            // `meta` with a source register sets the packet's mark.
            (other("meta", vec![]), Some(Effect::Other("meta".into()))),
            (Expr::Counter, None),
        ];
        for (expr, wanted) in cases {
            assert_eq!(effect(expr.clone()), wanted, "{expr:?}");
        }
    }
}
