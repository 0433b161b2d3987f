//! Distinguished names: how they compare and how they read.
//!
//! Names compare by RFC 5280 §7.1: letters without case, runs of spaces as one, composed and
//! decomposed letters alike (RFC 4518), and the string type does not count. Vietnamese authorities
//! write the same name once as PrintableString and once as UTF8String. A value that is no text is
//! equal only to the same octets of the same type.

use unicode_normalization::UnicodeNormalization;

use super::asn1::{Malformed, Reader, dotted, tag};
use crate::digest::hex;

/// A name in comparable form; meaningless otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CanonicalName(Vec<u8>);

impl CanonicalName {
    /// A name without any part; no authority has it (RFC 5280 §4.1.2.4).
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this name lies in the subtree below `root`. Every part says how long it is, so the
    /// octets of a shorter name are those of its first parts.
    pub fn is_within(&self, root: &Self) -> bool {
        self.0.starts_with(&root.0)
    }

    /// The name one relative name below this one; `set` is the content of that SET.
    pub fn extended(&self, set: &[u8]) -> Result<Self, Malformed> {
        let mut longer = self.clone();
        longer.append(set, |_, _| {})?;
        Ok(longer)
    }

    /// Appends a RelativeDistinguishedName and shows each of its attributes.
    fn append(&mut self, set: &[u8], mut note: impl FnMut(&[u8], &str)) -> Result<(), Malformed> {
        let mut set = Reader::new(set);
        let mut parts = Vec::new();
        while !set.is_empty() {
            let mut pair = set.expect(tag::SEQUENCE)?.children();
            let oid = pair.expect(tag::OBJECT_IDENTIFIER)?.content;
            let value = pair.read()?;
            let text = text(value.tag, value.content);
            parts.push(canonical_part(oid, text.as_deref(), value.raw));
            note(oid, &text.unwrap_or_else(|| format!("#{}", hex(value.content))));
        }
        parts.sort_unstable();
        self.0.push(u8::try_from(parts.len()).map_err(|_| Malformed)?);
        self.0.extend(parts.into_iter().flatten());
        Ok(())
    }
}

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
const ORGANIZATION_IDENTIFIER: &[u8] = &[0x55, 0x04, 0x61];
const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01];

/// A Name (RDNSequence) read once.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub canonical: CanonicalName,
    /// `C=VN, O=…, CN=…` in the order of the certificate.
    pub text: String,
    pub common_name: Option<String>,
    pub organization: Option<String>,
    pub organization_identifier: Option<String>,
    /// Every emailAddress attribute; constraints on mail addresses hold for them too.
    pub emails: Vec<String>,
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
            emails: Vec::new(),
        };
        while !sequence.is_empty() {
            let set = sequence.expect(tag::SET)?.content;
            let mut canonical = std::mem::replace(&mut name.canonical, CanonicalName(Vec::new()));
            canonical.append(set, |oid, text| name.note(oid, text))?;
            name.canonical = canonical;
        }
        Ok(name)
    }

    fn note(&mut self, oid: &[u8], text: &str) {
        if oid == EMAIL_ADDRESS {
            self.emails.push(text.to_owned());
        }
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
        EMAIL_ADDRESS => "emailAddress",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01] => "UID",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19] => "DC",
        _ => return dotted(oid),
    };
    known.to_owned()
}

/// One attribute; `raw` is its value as it stands, for values that are no text.
fn canonical_part(oid: &[u8], text: Option<&str>, raw: &[u8]) -> Vec<u8> {
    let folded = text.map(|text| {
        // ASCII is its own normal form, and nearly all names are ASCII.
        let folded: String = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            text.nfkc().flat_map(char::to_lowercase).nfkc().collect()
        };
        folded.split_whitespace().collect::<Vec<_>>().join(" ")
    });
    let value = folded.as_deref().map_or(raw, str::as_bytes);
    let mut part = Vec::with_capacity(oid.len() + value.len() + 17);
    part.extend_from_slice(&oid.len().to_be_bytes());
    part.extend_from_slice(oid);
    part.push(u8::from(folded.is_some()));
    part.extend_from_slice(&value.len().to_be_bytes());
    part.extend_from_slice(value);
    part
}

/// A string as text; `None` if the octets are none.
pub(super) fn text(tag: u8, content: &[u8]) -> Option<String> {
    const UTF8_STRING: u8 = 0x0c;
    const NUMERIC_STRING: u8 = 0x12;
    const VISIBLE_STRING: u8 = 0x1a;
    const UNIVERSAL_STRING: u8 = 0x1c;
    const BMP_STRING: u8 = 0x1e;
    let number = |octets: &[u8]| octets.iter().fold(0, |n: u32, &octet| n << 8 | u32::from(octet));
    match tag {
        BMP_STRING if content.len().is_multiple_of(2) => {
            let units = content.chunks(2).map(|pair| u16::try_from(number(pair)).unwrap_or(0));
            char::decode_utf16(units).collect::<Result<_, _>>().ok()
        }
        UNIVERSAL_STRING if content.len().is_multiple_of(4) => {
            content.chunks(4).map(|octets| char::from_u32(number(octets))).collect()
        }
        UTF8_STRING | NUMERIC_STRING..=VISIBLE_STRING => {
            std::str::from_utf8(content).ok().map(str::to_owned)
        }
        _ => None,
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
    fn composed_and_decomposed_letters_are_the_same_name() {
        let composed = name(0x0c, "Văn phòng Chính phủ".as_bytes());
        let decomposed = name(0x0c, "VA\u{306}N PHO\u{300}NG CHI\u{301}NH PHU\u{309}".as_bytes());
        assert_eq!(composed.canonical, decomposed.canonical);
        assert_ne!(composed.canonical, name(0x0c, "Van phòng Chính phủ".as_bytes()).canonical);
    }

    #[test]
    fn octets_that_are_no_text_equal_no_text() {
        assert_ne!(name(0x0c, &[0xff]).canonical, name(0x0c, b"#ff").canonical);
        assert_ne!(name(0x14, &[0xff]).canonical, name(0x0c, &[0xff]).canonical);
        assert_eq!(name(0x1e, &[0, b'A']).canonical, name(0x13, b"a").canonical);
    }

    #[test]
    fn a_subtree_holds_whole_parts_only() {
        let mut part = Vec::new();
        let oid = encode(tag::OBJECT_IDENTIFIER, &[COMMON_NAME]);
        part.extend(encode(tag::SEQUENCE, &[&oid, &encode(0x0c, &[b"x"])]));
        let root = name(0x0c, b"Root");
        let below = root.canonical.extended(&part).unwrap();
        assert!(below.is_within(&root.canonical) && root.canonical.is_within(&root.canonical));
        assert!(!below.is_within(&name(0x0c, b"Roo").canonical));
        assert!(!root.canonical.is_within(&below));
    }

    #[test]
    fn separators_inside_a_value_are_escaped() {
        assert_eq!(name(0x0c, b"A, O=B").text, "CN=A\\, O=B");
    }
}
