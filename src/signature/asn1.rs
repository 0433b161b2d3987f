//! A reader of BER and DER that keeps the raw bytes.
//!
//! One in eight real CMS signatures is not DER (indefinite lengths, constructed strings), so this
//! reader takes BER and hands out views; whoever needs DER encodes it anew with [`encode`]. It never
//! recurses deeper than [`ASN1_DEPTH_MAX`], never copies except for constructed strings, and never
//! panics.

use std::borrow::Cow;

use crate::limits::ASN1_DEPTH_MAX;

/// The bytes are not the expected ASN.1 value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the expected ASN.1 value")]
pub(super) struct Malformed;

/// Tags of the universal class, and the context-specific constructed ones CMS uses.
pub(super) mod tag {
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const NULL: u8 = 0x05;
    pub const OBJECT_IDENTIFIER: u8 = 0x06;
    pub const ENUMERATED: u8 = 0x0a;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
    pub const CONTEXT_0: u8 = 0xa0;
    pub const CONTEXT_1: u8 = 0xa1;
    pub const CONTEXT_2: u8 = 0xa2;
    pub const CONTEXT_3: u8 = 0xa3;
    /// The bit that says that the content is made of values.
    pub const CONSTRUCTED: u8 = 0x20;
}

/// One value: tag, content, and the bytes as they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value<'a> {
    pub tag: u8,
    /// Header, content and, for an indefinite length, the end mark.
    pub raw: &'a [u8],
    pub content: &'a [u8],
    pub indefinite: bool,
}

/// Values one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The tag of the next value, without reading it.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next value, whatever it is.
    pub fn read(&mut self) -> Result<Value<'a>, Malformed> {
        let value = read_value(self.rest, 0)?;
        self.rest = self.rest.get(value.raw.len()..).ok_or(Malformed)?;
        Ok(value)
    }

    /// The next value, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Result<Value<'a>, Malformed> {
        let value = self.read()?;
        if value.tag == tag { Ok(value) } else { Err(Malformed) }
    }

    /// The next value if it has this tag; nothing is read otherwise.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Value<'a>>, Malformed> {
        if self.peek() == Some(tag) { self.read().map(Some) } else { Ok(None) }
    }

    /// The content octets of the next string, primitive or constructed.
    pub fn octets(&mut self, tag: u8) -> Result<Cow<'a, [u8]>, Malformed> {
        let value = self.read()?;
        value.octets(tag)
    }
}

impl<'a> Value<'a> {
    /// The values inside.
    pub fn children(&self) -> Reader<'a> {
        Reader::new(self.content)
    }

    /// The octets of a string with the primitive tag `tag`, its segments joined if it is constructed.
    pub fn octets(&self, tag: u8) -> Result<Cow<'a, [u8]>, Malformed> {
        if self.tag == tag {
            return Ok(Cow::Borrowed(self.content));
        }
        if self.tag != tag | tag::CONSTRUCTED {
            return Err(Malformed);
        }
        let mut joined = Vec::new();
        join(self.content, &mut joined, 0)?;
        Ok(Cow::Owned(joined))
    }
}

/// Joins the segments of a constructed OCTET STRING.
fn join(content: &[u8], joined: &mut Vec<u8>, depth: usize) -> Result<(), Malformed> {
    if depth > ASN1_DEPTH_MAX {
        return Err(Malformed);
    }
    let mut reader = Reader::new(content);
    while !reader.is_empty() {
        let segment = reader.read()?;
        match segment.tag {
            tag::OCTET_STRING => joined.extend_from_slice(segment.content),
            other if other == tag::OCTET_STRING | tag::CONSTRUCTED => {
                join(segment.content, joined, depth + 1)?;
            }
            _ => return Err(Malformed),
        }
    }
    Ok(())
}

fn read_value(bytes: &[u8], depth: usize) -> Result<Value<'_>, Malformed> {
    if depth > ASN1_DEPTH_MAX {
        return Err(Malformed);
    }
    let (&tag, after_tag) = bytes.split_first().ok_or(Malformed)?;
    // No structure read here has tag numbers above 30.
    if tag & 0x1f == 0x1f {
        return Err(Malformed);
    }
    let (&first, after_length) = after_tag.split_first().ok_or(Malformed)?;
    if first == 0x80 {
        return read_indefinite(bytes, tag, after_length, depth);
    }
    let (length, header_size) = if first < 0x80 {
        (usize::from(first), 2_usize)
    } else {
        let count = usize::from(first & 0x7f);
        if count > 8 {
            return Err(Malformed);
        }
        let digits = after_length.get(..count).ok_or(Malformed)?;
        let length = digits.iter().fold(0_u64, |length, &digit| length << 8 | u64::from(digit));
        (usize::try_from(length).map_err(|_| Malformed)?, 2 + count)
    };
    let end = header_size.checked_add(length).ok_or(Malformed)?;
    let raw = bytes.get(..end).ok_or(Malformed)?;
    let content = raw.get(header_size..).ok_or(Malformed)?;
    Ok(Value { tag, raw, content, indefinite: false })
}

/// Values up to the end mark 00 00.
fn read_indefinite<'a>(
    bytes: &'a [u8],
    tag: u8,
    content: &'a [u8],
    depth: usize,
) -> Result<Value<'a>, Malformed> {
    if tag & tag::CONSTRUCTED == 0 {
        return Err(Malformed);
    }
    let mut rest = content;
    while !rest.starts_with(&[0, 0]) {
        let child = read_value(rest, depth + 1)?;
        rest = rest.get(child.raw.len()..).ok_or(Malformed)?;
    }
    let content_size = content.len() - rest.len();
    let content = content.get(..content_size).ok_or(Malformed)?;
    let raw = bytes.get(..content_size + 4).ok_or(Malformed)?;
    Ok(Value { tag, raw, content, indefinite: true })
}

/// The single value that fills `bytes`, which must have this tag.
pub(super) fn only(bytes: &[u8], tag: u8) -> Result<Value<'_>, Malformed> {
    let mut reader = Reader::new(bytes);
    let value = reader.expect(tag)?;
    if reader.is_empty() { Ok(value) } else { Err(Malformed) }
}

/// One value in DER.
pub(super) fn encode(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let size: usize = content.iter().map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(size + 10);
    bytes.push(tag);
    if let Some(short) = u8::try_from(size).ok().filter(|&short| short < 0x80) {
        bytes.push(short);
    } else {
        let digits = size.to_be_bytes();
        let skipped = digits.iter().take_while(|&&digit| digit == 0).count();
        bytes.push(0x80 | u8::try_from(digits.len() - skipped).unwrap_or(8));
        bytes.extend(digits.iter().skip(skipped));
    }
    for part in content {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// The elements of a SET OF in DER order.
pub(super) fn sorted(content: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut reader = Reader::new(content);
    let mut elements = Vec::new();
    while !reader.is_empty() {
        elements.push(reader.read()?.raw);
    }
    elements.sort_unstable();
    Ok(elements)
}

/// An unsigned INTEGER without leading zeros; serial numbers compare equal in this form.
pub(super) fn trimmed(integer: &[u8]) -> &[u8] {
    let zeros = integer.iter().take_while(|&&byte| byte == 0).count();
    integer.get(zeros..).unwrap_or_default()
}

/// An INTEGER in its shortest form, sign kept: the form in which −1 and 255 differ.
pub(super) fn minimal(integer: &[u8]) -> &[u8] {
    let mut rest = integer;
    while let [first, second, ..] = rest {
        let padding = if *second < 0x80 { 0x00 } else { 0xff };
        if *first != padding {
            break;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    rest
}

/// An INTEGER that fits, at most `u32::MAX`; what is larger counts as that, what is negative not.
pub(super) fn count(integer: &[u8]) -> Result<u32, Malformed> {
    let digits = trimmed(integer);
    if integer.is_empty() || integer.first().is_some_and(|&byte| byte >= 0x80) {
        return Err(Malformed);
    }
    if digits.len() > 4 {
        return Ok(u32::MAX);
    }
    Ok(digits.iter().fold(0, |value, &byte| value << 8 | u32::from(byte)))
}

/// A BOOLEAN's content. BER allows any octet but zero for true.
pub(super) fn boolean(content: &[u8]) -> Result<bool, Malformed> {
    match content {
        [octet] => Ok(*octet != 0),
        _ => Err(Malformed),
    }
}

/// An object identifier in dots.
pub(super) fn dotted(oid: &[u8]) -> String {
    let mut text = String::new();
    let mut arc = 0_u64;
    let mut first = true;
    for &byte in oid.iter().take(64) {
        arc = arc.saturating_mul(128).saturating_add(u64::from(byte & 0x7f));
        if byte & 0x80 != 0 {
            continue;
        }
        if first {
            let root = (arc / 40).min(2);
            text = format!("{root}.{}", arc - root * 40);
            first = false;
        } else {
            text.push('.');
            text.push_str(&arc.to_string());
        }
        arc = 0;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definite_and_indefinite_lengths_give_the_same_octets() {
        let definite = [0x04, 0x03, 1, 2, 3];
        let indefinite = [0x24, 0x80, 0x04, 0x01, 1, 0x04, 0x02, 2, 3, 0, 0];
        for bytes in [&definite[..], &indefinite[..]] {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.octets(tag::OCTET_STRING).unwrap().as_ref(), [1, 2, 3]);
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn lengths_beyond_the_bytes_and_endless_nesting_are_refused() {
        let nested = [0x30_u8, 0x80].repeat(10_000);
        let huge = [0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        for bytes in [&nested[..], &huge, &[0x30, 0x05, 1], &[0x30], &[], &[0x04, 0x80, 0, 0]] {
            assert_eq!(Reader::new(bytes).read(), Err(Malformed));
        }
    }

    #[test]
    fn encoding_round_trips_at_every_length_form() {
        for size in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; size];
            let bytes = encode(tag::OCTET_STRING, &[&content]);
            assert_eq!(only(&bytes, tag::OCTET_STRING).unwrap().content, content);
        }
    }

    #[test]
    fn the_shortest_form_keeps_the_sign() {
        assert_eq!(minimal(&[0x00, 0x00, 0xff]), [0x00, 0xff]);
        assert_eq!(minimal(&[0xff, 0xff, 0xff]), [0xff]);
        assert_eq!(minimal(&[0x00, 0x7f]), [0x7f]);
        assert_eq!(minimal(&[0x00]), [0x00]);
        assert_eq!(count(&[0x00, 0xff, 0xff, 0xff, 0xff, 0xff]), Ok(u32::MAX));
        assert_eq!((count(&[1, 0]), count(&[0xff])), (Ok(256), Err(Malformed)));
    }

    #[test]
    fn identifiers_are_written_in_dots() {
        assert_eq!(
            dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b]),
            "1.2.840.113549.1.1.11"
        );
        assert_eq!(dotted(&[0x55, 0x04, 0x61]), "2.5.4.97");
    }
}
