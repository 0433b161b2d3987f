//! Taking apart what others answer, as far as it must be understood to pass it on; judging uses a
//! reader of its own.

use x509_parser::asn1_rs::{Any, FromBer as _, Tag};

/// A value inside another.
pub struct Value<'a> {
    /// Its tag.
    pub tag: Tag,
    /// Whether it holds other values.
    pub is_constructed: bool,
    /// What stands in it.
    pub content: &'a [u8],
    /// All of it, tag and length included.
    pub whole: &'a [u8],
}

/// What stands in the value at the begin.
pub fn content(bytes: &[u8]) -> Option<&[u8]> {
    Any::from_ber(bytes).ok().map(|(_, any)| any.data)
}

/// The values one after the other; `None` if they are cut or strange.
pub fn children(bytes: &[u8]) -> Option<Vec<Value<'_>>> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (after, any) = Any::from_ber(rest).ok()?;
        let whole = rest.get(..rest.len().checked_sub(after.len())?)?;
        let is_constructed = any.header.is_constructed();
        out.push(Value { tag: any.tag(), is_constructed, content: any.data, whole });
        rest = after;
    }
    Some(out)
}
