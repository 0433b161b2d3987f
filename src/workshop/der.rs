//! Writing DER: the few values that a CMS signature and a PKCS#8 key consist of.
//!
//! Only the workshop writes ASN.1; judging uses a reader of its own.

pub const INTEGER: u8 = 0x02;
pub const OCTET_STRING: u8 = 0x04;
pub const UTC_TIME: u8 = 0x17;
pub const GENERALIZED_TIME: u8 = 0x18;
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;
/// The whole value `NULL`.
pub const NULL: [u8; 2] = [0x05, 0x00];

/// A constructed context tag `[number]`.
pub fn context(number: u8) -> u8 {
    0xa0 | number
}

/// One value: `tag`, the shortest length, and the concatenated parts.
pub fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(size + 6);
    out.push(tag);
    match u8::try_from(size) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            let bytes = size.to_be_bytes();
            let skip = bytes.iter().take_while(|byte| **byte == 0).count();
            let count = u8::try_from(bytes.len() - skip).expect("a usize has at most 8 bytes");
            out.push(0x80 | count);
            out.extend_from_slice(&bytes[skip..]);
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// `SEQUENCE`.
pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(SEQUENCE, parts)
}

/// `SET OF`: the elements in ascending order of their encodings (X.690 §11.6).
pub fn set_of(tag: u8, mut elements: Vec<Vec<u8>>) -> Vec<u8> {
    elements.sort();
    let parts: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
    value(tag, &parts)
}

/// A small non-negative `INTEGER`.
pub fn small(number: u8) -> Vec<u8> {
    debug_assert!(number < 0x80);
    value(INTEGER, &[&[number]])
}

/// A non-negative `INTEGER` from its bytes, the highest first.
pub fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let zeroes = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = bytes.get(zeroes..).unwrap_or_default();
    let sign: &[u8] = if bytes.first().is_none_or(|first| *first >= 0x80) { &[0] } else { &[] };
    value(INTEGER, &[sign, bytes])
}

/// `OBJECT IDENTIFIER`.
pub fn oid(arcs: &[u32]) -> Vec<u8> {
    let mut body = Vec::new();
    let first = arcs.iter().take(2).fold(0, |sum, arc| sum * 40 + arc);
    for arc in std::iter::once(first).chain(arcs.iter().skip(2).copied()) {
        let groups = (32 - arc.leading_zeros()).div_ceil(7).max(1);
        for group in (0..groups).rev() {
            let more = if group > 0 { 0x80 } else { 0 };
            body.push(u8::try_from(arc >> (7 * group) & 0x7f).expect("seven bits") | more);
        }
    }
    value(0x06, &[&body])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        assert_eq!(value(4, &[&[0; 127]])[..2], [4, 127]);
        assert_eq!(value(4, &[&[0; 128]])[..3], [4, 0x81, 128]);
        assert_eq!(value(4, &[&[0; 200], &[0; 100]])[..4], [4, 0x82, 1, 44]);
    }

    #[test]
    fn object_identifiers_are_encoded_in_base_128() {
        assert_eq!(oid(&[1, 2, 840, 113_549]), [6, 6, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]);
        assert_eq!(oid(&[2, 5, 4, 97]), [6, 3, 0x55, 4, 97]);
    }

    #[test]
    fn numbers_have_no_more_bytes_than_they_need() {
        assert_eq!(unsigned(&[0, 0, 5]), [2, 1, 5]);
        assert_eq!(unsigned(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(unsigned(&[]), [2, 1, 0]);
    }

    #[test]
    fn sets_are_sorted() {
        assert_eq!(set_of(SET, vec![small(2), small(1)]), [SET, 6, 2, 1, 1, 2, 1, 2]);
    }
}
