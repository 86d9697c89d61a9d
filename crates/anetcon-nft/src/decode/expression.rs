//! The expressions of a rule. Each known one has exactly the attributes read here; one more, and it is kept as
//! [`Expr::Other`] (a `ct` with a direction, a `log` to a group, a `bitwise` that shifts, ...).

use anetcon_core::expr::{Expr, Register};
use anetcon_netlink::Malformed;
use anetcon_netlink::attribute::{Fields, attributes};

use super::take_value;

/// `NFTA_LIST_ELEM`.
const ELEMENT: u16 = 1;
/// `LOGLEVEL_WARNING`: what the kernel uses where no level was asked for.
const DEFAULT_LEVEL: u32 = 4;

/// Packets and bytes.
type Counter = (u64, u64);

/// A list of expressions, and what the first counter among them counted.
pub(super) fn list(nest: &[u8]) -> Result<(Vec<Expr>, Option<Counter>), Malformed> {
    let mut exprs = Vec::new();
    let mut counter = None;
    for element in attributes(nest) {
        let element = element?;
        if element.kind != ELEMENT {
            return Err(Malformed("expression list"));
        }
        let mut fields = Fields::read(element.data)?;
        let name = fields.take_text(1).ok_or(Malformed("expression name"))?;
        let data = fields.take(2).unwrap_or_default();
        let (expr, count) = expression(name, data)?;
        exprs.push(expr);
        counter = counter.or(count);
    }
    Ok((exprs, counter))
}

fn expression(name: String, data: &[u8]) -> Result<(Expr, Option<Counter>), Malformed> {
    let mut fields = Fields::read(data)?;
    let mut counter = None;
    let known = match name.as_str() {
        "meta" => meta(&mut fields),
        "ct" => ct(&mut fields),
        "payload" => payload(&mut fields),
        "bitwise" => bitwise(&mut fields),
        "cmp" => cmp(&mut fields),
        "lookup" => lookup(&mut fields),
        "log" => log(&mut fields),
        "counter" => {
            counter = count(&mut fields);
            counter.map(|_| Expr::Counter)
        }
        _ => None,
    };
    let known = known.filter(|_| fields.is_empty());
    Ok((known.unwrap_or_else(|| Expr::Other { name, data: data.to_vec() }), counter))
}

fn register(fields: &mut Fields<'_>, kind: u16) -> Option<Register> {
    fields.take_u32(kind).map(Register)
}

fn meta(fields: &mut Fields<'_>) -> Option<Expr> {
    Some(Expr::Meta { dreg: register(fields, 1)?, key: fields.take_u32(2)? })
}

fn ct(fields: &mut Fields<'_>) -> Option<Expr> {
    Some(Expr::Ct { dreg: register(fields, 1)?, key: fields.take_u32(2)? })
}

fn payload(fields: &mut Fields<'_>) -> Option<Expr> {
    Some(Expr::Payload {
        dreg: register(fields, 1)?,
        base: fields.take_u32(2)?,
        offset: fields.take_u32(3)?,
        len: fields.take_u32(4)?,
    })
}

/// Attribute 6 is the operation since kernel 5.7; 0 is mask and xor, as it always was before.
fn bitwise(fields: &mut Fields<'_>) -> Option<Expr> {
    let expr = Expr::Bitwise {
        sreg: register(fields, 1)?,
        dreg: register(fields, 2)?,
        len: fields.take_u32(3)?,
        mask: take_value(fields, 4)?,
        xor: take_value(fields, 5)?,
    };
    let operation = fields.take_u32(6).unwrap_or_default();
    (operation == 0).then_some(expr)
}

fn cmp(fields: &mut Fields<'_>) -> Option<Expr> {
    Some(Expr::Cmp {
        sreg: register(fields, 1)?,
        op: fields.take_u32(2)?,
        data: take_value(fields, 3)?,
    })
}

fn lookup(fields: &mut Fields<'_>) -> Option<Expr> {
    let set = fields.take_text(1)?;
    let sreg = register(fields, 2)?;
    let inverted = match fields.take_u32(5).unwrap_or_default() {
        0 => false,
        1 => true,
        _ => return None,
    };
    Some(Expr::Lookup { set, sreg, inverted })
}

fn log(fields: &mut Fields<'_>) -> Option<Expr> {
    Some(Expr::Log {
        prefix: fields.take_text(2)?,
        level: fields.take_u32(5).unwrap_or(DEFAULT_LEVEL),
        flags: fields.take_u32(6).unwrap_or_default(),
    })
}

fn count(fields: &mut Fields<'_>) -> Option<Counter> {
    let bytes = fields.take_u64(1)?;
    let packets = fields.take_u64(2)?;
    fields.ignore(&[3]);
    Some((packets, bytes))
}
