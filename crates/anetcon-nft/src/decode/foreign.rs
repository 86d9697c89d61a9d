//! Chains and rules of others, of every family, as far as they bear on ours.

use anetcon_core::expr::Expr;
use anetcon_core::ruleset::{ForeignChain, ForeignRule, Place, family};
use anetcon_netlink::Malformed;
use anetcon_netlink::attribute::Fields;

use super::{TABLE, chain, expression};

/// A chain with its place.
pub(crate) fn foreign_chain(of: u8, attributes: &[u8]) -> Result<ForeignChain, Malformed> {
    let table = Fields::read(attributes)?.take_text(TABLE).ok_or(Malformed("chain's table"))?;
    // A chain of bridge or netdev may lack what a chain of inet has; then it is no base chain that matters here.
    let (name, base) = match chain(attributes) {
        Ok(chain) => (chain.name, chain.base),
        Err(_) => (Fields::read(attributes)?.take_text(3).ok_or(Malformed("chain name"))?, None),
    };
    Ok(ForeignChain { place: Place { family: family(of), table, chain: name }, base })
}

/// A rule, if it keeps packets from connection tracking.
pub(crate) fn untracked_rule(of: u8, attributes: &[u8]) -> Result<Option<ForeignRule>, Malformed> {
    let mut fields = Fields::read(attributes)?;
    let table = fields.take_text(TABLE).ok_or(Malformed("rule's table"))?;
    let chain = fields.take_text(2).ok_or(Malformed("rule's chain"))?;
    let handle = fields.take_u64(3).ok_or(Malformed("rule's handle"))?;
    let (exprs, _) = expression::list(fields.take(4).unwrap_or_default())?;
    let untracks = exprs.iter().any(|expr| match expr {
        Expr::Other { name, data } => name == "notrack" || name == "target" && is_ct_notrack(data),
        _ => false,
    });
    let place = Place { family: family(of), table, chain };
    Ok(untracks.then_some(ForeignRule { place, handle }))
}

/// What iptables writes for `-j CT --notrack` and `-j NOTRACK`: an expression `target` (`NFTA_TARGET_NAME` 1, `_REV` 2, `_INFO` 3)
/// with `struct xt_ct_target_info`, whose first number has `XT_CT_NOTRACK` (1) in it; `NOTRACK` of old has no more.
fn is_ct_notrack(data: &[u8]) -> bool {
    let Ok(mut fields) = Fields::read(data) else { return false };
    let name = fields.take_text(1);
    let flags = fields.take(3).and_then(|info| info.get(..2)).map(|flags| flags.to_vec());
    match name.as_deref() {
        Some("NOTRACK") => true,
        Some("CT") => flags.is_some_and(|flags| flags.first().is_some_and(|low| low & 1 == 1)),
        _ => false,
    }
}
