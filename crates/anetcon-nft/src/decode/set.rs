//! Named sets and their elements.

use anetcon_core::table::{Element, Set};
use anetcon_netlink::Malformed;
use anetcon_netlink::attribute::{Attribute, Fields, attributes};

use super::take_value;

/// Facts that every set has and that nobody can ask for: table, id within a batch, user data (how nft prints it), padding,
/// handle, and since 6.14 the kind of storage and the number of elements. Later kernels may add such facts.
const FACTS: [u16; 7] = [1, 10, 13, 14, 16, 19, 20];
/// `NFT_SET_ELEM_INTERVAL_END`.
const INTERVAL_END: u32 = 1;

/// A set without its elements. One that has what we never ask for (a timeout, a size, a map's data, ...) gets an element
/// that says so.
pub(crate) fn set(attributes: &[u8]) -> Result<Set, Malformed> {
    let mut fields = Fields::read(attributes)?;
    let name = fields.take_text(2).ok_or(Malformed("set name"))?;
    let flags = fields.take_u32(3).unwrap_or_default();
    let key_type = fields.take_u32(4).unwrap_or_default();
    let key_len = fields.take_u32(5).ok_or(Malformed("set key length"))?;
    fields.ignore(&FACTS);
    let foreign = fields.left().iter().any(|left| !empty_description(left));
    let elements = if foreign { vec![foreign_element()] } else { Vec::new() };
    Ok(Set { name, key_type, key_len, flags, elements })
}

/// `NFTA_SET_DESC` stands in every dump, without content where no size or concatenation was asked for.
fn empty_description(attribute: &Attribute<'_>) -> bool {
    attribute.kind == 9 && attribute.data.is_empty()
}

/// Stands in a set that differs from all that we want, whatever its elements are.
fn foreign_element() -> Element {
    Element { key: Vec::new(), interval_end: false, foreign: true }
}

/// The elements of one message of a dump.
pub(crate) fn elements(attributes: &[u8]) -> Result<Vec<Element>, Malformed> {
    let mut fields = Fields::read(attributes)?;
    // A set without elements is dumped without the list.
    let list = fields.take(3).unwrap_or_default();
    let all: Vec<_> =
        self::attributes(list).map(|item| element(item?.data)).collect::<Result<_, _>>()?;
    Ok(all.into_iter().filter(|element| !ends_nothing(element)).collect())
}

fn element(nest: &[u8]) -> Result<Element, Malformed> {
    let mut fields = Fields::read(nest)?;
    let key = take_value(&mut fields, 1);
    let flags = fields.take_u32(3).unwrap_or_default();
    // User data (a comment) and padding.
    fields.ignore(&[6, 8]);
    let foreign = key.is_none() || flags & !INTERVAL_END != 0 || !fields.is_empty();
    let key = key.unwrap_or_default();
    Ok(Element { key, interval_end: flags & INTERVAL_END != 0, foreign })
}

/// nft writes an end at the very first key into each interval set. No range lies before it, so it says nothing.
fn ends_nothing(element: &Element) -> bool {
    element.interval_end && !element.foreign && element.key.iter().all(|&byte| byte == 0)
}
