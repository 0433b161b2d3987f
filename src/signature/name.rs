//! Distinguished names: how they compare and how they read.
//!
//! Names compare by RFC 5280 §7.1 in spirit: letters without case, runs of spaces as one, and the
//! string type does not count. Vietnamese authorities write the same name once as PrintableString
//! and once as UTF8String.

use super::asn1::{Malformed, Reader, dotted, tag};

/// A name in comparable form; meaningless otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CanonicalName(Vec<u8>);

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const ORGANIZATION_IDENTIFIER: &[u8] = &[0x55, 0x04, 0x61];

/// A Name (RDNSequence) read once.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub canonical: CanonicalName,
    /// `C=VN, O=…, CN=…` in the order of the certificate.
    pub text: String,
    pub common_name: Option<String>,
    pub organization: Option<String>,
    pub organization_identifier: Option<String>,
}

impl Name {
    pub fn from_der(raw: &[u8]) -> Result<Self, Malformed> {
        let mut sequence = Reader::new(raw).expect(tag::SEQUENCE)?.children();
        let mut name = Self {
            canonical: CanonicalName(Vec::new()),
            text: String::new(),
            common_name: None,
            organization: None,
            organization_identifier: None,
        };
        while !sequence.is_empty() {
            let mut set = sequence.expect(tag::SET)?.children();
            let mut parts = Vec::new();
            while !set.is_empty() {
                let mut pair = set.expect(tag::SEQUENCE)?.children();
                let oid = pair.expect(tag::OBJECT_IDENTIFIER)?.content;
                let value = pair.read()?;
                let text = text(value.tag, value.content);
                name.note(oid, &text);
                parts.push(canonical_part(oid, &text));
            }
            parts.sort_unstable();
            name.canonical.0.push(u8::try_from(parts.len()).map_err(|_| Malformed)?);
            name.canonical.0.extend(parts.into_iter().flatten());
        }
        Ok(name)
    }

    fn note(&mut self, oid: &[u8], text: &str) {
        let field = match oid {
            COMMON_NAME => Some(&mut self.common_name),
            ORGANIZATION => Some(&mut self.organization),
            ORGANIZATION_IDENTIFIER => Some(&mut self.organization_identifier),
            _ => None,
        };
        // The first one is the one people see; a second must not replace it.
        if let Some(field) = field.filter(|field| field.is_none()) {
            *field = Some(text.to_owned());
        }
        if !self.text.is_empty() {
            self.text.push_str(", ");
        }
        self.text.push_str(&label(oid));
        self.text.push('=');
        for letter in text.chars() {
            if matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
                self.text.push('\\');
            }
            self.text.push(if letter.is_control() { ' ' } else { letter });
        }
    }

    /// The name by which a person knows it.
    pub fn short(&self) -> &str {
        self.common_name.as_deref().or(self.organization.as_deref()).unwrap_or(&self.text)
    }
}

fn label(oid: &[u8]) -> String {
    let known = match oid {
        COMMON_NAME => "CN",
        ORGANIZATION => "O",
        ORGANIZATION_IDENTIFIER => "organizationIdentifier",
        [0x55, 0x04, 0x04] => "SN",
        [0x55, 0x04, 0x05] => "serialNumber",
        [0x55, 0x04, 0x06] => "C",
        [0x55, 0x04, 0x07] => "L",
        [0x55, 0x04, 0x08] => "ST",
        [0x55, 0x04, 0x0b] => "OU",
        [0x55, 0x04, 0x0c] => "title",
        [0x55, 0x04, 0x2a] => "givenName",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01] => "emailAddress",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01] => "UID",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19] => "DC",
        _ => return dotted(oid),
    };
    known.to_owned()
}

fn canonical_part(oid: &[u8], text: &str) -> Vec<u8> {
    let folded = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let mut part = Vec::with_capacity(oid.len() + folded.len() + 16);
    part.extend_from_slice(&oid.len().to_be_bytes());
    part.extend_from_slice(oid);
    part.extend_from_slice(&folded.len().to_be_bytes());
    part.extend_from_slice(folded.as_bytes());
    part
}

/// A directory string as text; bytes that are no text are kept apart by their hexadecimal form.
fn text(tag: u8, content: &[u8]) -> String {
    const BMP_STRING: u8 = 0x1e;
    if tag == BMP_STRING {
        let units = content
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0_u16, |unit, &byte| unit << 8 | u16::from(byte)));
        return char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')).collect();
    }
    match std::str::from_utf8(content) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("#{}", crate::digest::hex(content)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::asn1::encode;

    fn name(string_tag: u8, common_name: &[u8]) -> Name {
        let oid = encode(tag::OBJECT_IDENTIFIER, &[COMMON_NAME]);
        let value = encode(string_tag, &[common_name]);
        let set = encode(tag::SET, &[&encode(tag::SEQUENCE, &[&oid, &value])]);
        Name::from_der(&encode(tag::SEQUENCE, &[&set])).unwrap()
    }

    #[test]
    fn case_spaces_and_string_type_do_not_count() {
        let first = name(0x13, b"Ban Co yeu  CHINH PHU");
        assert_eq!(first.canonical, name(0x0c, b" ban co yeu chinh phu").canonical);
        assert_ne!(first.canonical, name(0x0c, b"bancoyeu chinh phu").canonical);
        assert_eq!(first.text, "CN=Ban Co yeu  CHINH PHU");
    }

    #[test]
    fn separators_inside_a_value_are_escaped() {
        assert_eq!(name(0x0c, b"A, O=B").text, "CN=A\\, O=B");
    }
}
