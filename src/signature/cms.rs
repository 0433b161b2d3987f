//! CMS SignedData (RFC 5652) as views over the raw bytes, BER or DER.

use std::borrow::Cow;

use super::asn1::{Malformed, Reader, Value, encode, sorted, tag, trimmed};
use super::name::{CanonicalName, Name};
use crate::clock::Time;
use crate::limits::{
    ATTRIBUTES_MAX, CERTIFICATES_MAX, CMS_SIZE_MAX, EMBEDDED_REVOCATIONS_MAX, SIGNATURES_MAX,
};

/// Object identifiers of contents and attributes.
pub(super) mod oid {
    pub const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
    pub const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
    pub const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
    pub const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
    pub const SIGNING_TIME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05];
    pub const COUNTER_SIGNATURE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x06];
    const SMIME: [u8; 10] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02];
    pub const SIGNING_CERTIFICATE: &[u8] = &smime(12);
    pub const SIGNING_CERTIFICATE_V2: &[u8] = &smime(47);
    pub const TIMESTAMP_TOKEN: &[u8] = &smime(14);
    /// The time-stamp over the content that was there before the signature (RFC 5126 §5.11.4).
    pub const CONTENT_TIMESTAMP: &[u8] = &smime(20);
    /// The archive time-stamp of RFC 3126, and the one of RFC 5126 §6.4.1.
    pub const ARCHIVE_TIMESTAMP_V1: &[u8] = &smime(27);
    pub const ARCHIVE_TIMESTAMP_V2: &[u8] = &smime(48);
    /// id-aa-ets-archiveTimestampV3 (EN 319 122-1 §5.5.3).
    pub const ARCHIVE_TIMESTAMP_V3: &[u8] = &[0x04, 0x00, 0x8d, 0x45, 0x02, 0x04];
    /// id-aa-ATSHashIndex and its later versions (EN 319 122-1 §5.5.2 and annex D).
    pub const ATS_HASH_INDEX: &[u8] = &[0x04, 0x00, 0x8d, 0x45, 0x02, 0x05];
    pub const ATS_HASH_INDEX_V2: &[u8] = &[0x04, 0x00, 0x81, 0x95, 0x32, 0x01, 0x04];
    pub const ATS_HASH_INDEX_V3: &[u8] = &[0x04, 0x00, 0x81, 0x95, 0x32, 0x01, 0x05];
    pub const REVOCATION_VALUES: &[u8] = &smime(24);
    pub const CERTIFICATE_VALUES: &[u8] = &smime(23);
    /// adbe-revocationInfoArchival (ISO 32000-1 §12.8.3.3.2).
    pub const REVOCATION_ARCHIVAL: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x2f, 0x01, 0x01, 0x08];
    pub const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];

    const fn smime(last: u8) -> [u8; 11] {
        let [a, b, c, d, e, f, g, h, i, j] = SMIME;
        [a, b, c, d, e, f, g, h, i, j, last]
    }
}

/// SignedData.
#[derive(Debug)]
pub(super) struct SignedData<'a> {
    pub content_type: &'a [u8],
    /// The content, if it stands inside.
    pub content: Option<Cow<'a, [u8]>>,
    /// EncapsulatedContentInfo, CertificateSet and RevocationInfoChoices as they stand; empty if absent.
    pub raw: [&'a [u8]; 3],
    /// X.509 certificates, DER.
    pub certificates: Vec<&'a [u8]>,
    /// CertificateChoices of every kind, as they stand.
    pub all_certificates: Vec<&'a [u8]>,
    /// RevocationInfoChoices: CRLs and other kinds, as they stand.
    pub revocations: Vec<Value<'a>>,
    pub signers: Vec<SignerInfo<'a>>,
    pub quirks: Vec<String>,
    /// Bytes after the structure.
    pub rest: &'a [u8],
}

/// SignerInfo.
#[derive(Debug)]
pub(super) struct SignerInfo<'a> {
    pub identifier: SignerIdentifier<'a>,
    pub digest_algorithm: &'a [u8],
    pub signed_attributes: Option<Attributes<'a>>,
    /// The AlgorithmIdentifier as it stands.
    pub algorithm_raw: &'a [u8],
    pub value: Cow<'a, [u8]>,
    pub unsigned_attributes: Vec<UnsignedAttribute<'a>>,
    /// All fields before the unsigned attributes, as they stand.
    pub stamped: &'a [u8],
}

/// An attribute that nothing protects.
#[derive(Debug)]
pub(super) struct UnsignedAttribute<'a> {
    pub kind: &'a [u8],
    /// The attribute as it stands.
    pub raw: &'a [u8],
    /// Content of the set of values, which need not be ASN.1.
    content: &'a [u8],
}

impl<'a> UnsignedAttribute<'a> {
    /// The readable values.
    pub fn values(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let mut reader = Reader::new(self.content);
        std::iter::from_fn(move || reader.read().ok())
    }
}

/// How the signer's certificate is named.
#[derive(Debug)]
pub(super) enum SignerIdentifier<'a> {
    IssuerAndSerial(CanonicalName, &'a [u8]),
    KeyIdentifier(Cow<'a, [u8]>),
}

/// Signed attributes: what they say and the bytes that are signed.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    content: &'a [u8],
    list: Vec<(&'a [u8], Value<'a>)>,
}

impl<'a> SignedData<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.len() > CMS_SIZE_MAX {
            return Err(Malformed);
        }
        let mut outer = Reader::new(bytes);
        let info = outer.expect(tag::SEQUENCE)?;
        let rest = outer.rest();
        let mut info_fields = info.children();
        if info_fields.expect(tag::OBJECT_IDENTIFIER)?.content != oid::SIGNED_DATA {
            return Err(Malformed);
        }
        let mut fields =
            info_fields.expect(tag::CONTEXT_0)?.children().expect(tag::SEQUENCE)?.children();
        fields.expect(tag::INTEGER)?;
        fields.expect(tag::SET)?;
        let mut raw: [&[u8]; 3] = [&[]; 3];
        let [raw_content, raw_certificates, raw_revocations] = &mut raw;
        let encapsulated = fields.expect(tag::SEQUENCE)?;
        *raw_content = encapsulated.raw;
        let mut encapsulated = encapsulated.children();
        let content_type = encapsulated.expect(tag::OBJECT_IDENTIFIER)?.content;
        let content = match encapsulated.optional(tag::CONTEXT_0)? {
            // PKCS#7 of the old kind puts any value here; a string is what everyone signs.
            Some(wrapper) => Some(wrapper.children().octets(tag::OCTET_STRING)?),
            None => None,
        };
        let mut quirks = Vec::new();
        if info.indefinite {
            quirks.push("the CMS structure is BER, not DER".to_owned());
        }
        let (mut certificates, mut all_certificates) = (Vec::new(), Vec::new());
        if let Some(set) = fields.optional(tag::CONTEXT_0)? {
            *raw_certificates = set.raw;
            (certificates, all_certificates) = choices(set)?;
        }
        let mut revocations = Vec::new();
        if let Some(set) = fields.optional(tag::CONTEXT_1)? {
            *raw_revocations = set.raw;
            let mut set = set.children();
            revocations
                .extend(std::iter::from_fn(|| set.read().ok()).take(EMBEDDED_REVOCATIONS_MAX));
        }
        let signers = signers(fields.expect(tag::SET)?)?;
        Ok(Self {
            content_type,
            content,
            raw,
            certificates,
            all_certificates,
            revocations,
            signers,
            quirks,
            rest,
        })
    }
}

fn signers(set: Value<'_>) -> Result<Vec<SignerInfo<'_>>, Malformed> {
    let mut set = set.children();
    let mut signers = Vec::new();
    while !set.is_empty() {
        if signers.len() >= SIGNATURES_MAX {
            return Err(Malformed);
        }
        signers.push(SignerInfo::parse(set.expect(tag::SEQUENCE)?)?);
    }
    Ok(signers)
}

impl<'a> SignerInfo<'a> {
    /// The readable values of the unsigned attributes of this kind.
    pub fn unsigned(&self, kind: &[u8]) -> Vec<Value<'a>> {
        let attributes = self.unsigned_attributes.iter().filter(|known| known.kind == kind);
        attributes.flat_map(UnsignedAttribute::values).collect()
    }

    pub fn parse(sequence: Value<'a>) -> Result<Self, Malformed> {
        let mut fields = sequence.children();
        fields.expect(tag::INTEGER)?;
        let identifier = match fields.peek() {
            Some(tag::SEQUENCE) => {
                let mut pair = fields.read()?.children();
                let issuer = Name::from_der(pair.expect(tag::SEQUENCE)?.raw)?.canonical;
                let serial = trimmed(pair.expect(tag::INTEGER)?.content);
                SignerIdentifier::IssuerAndSerial(issuer, serial)
            }
            Some(0x80) => SignerIdentifier::KeyIdentifier(fields.read()?.content.into()),
            Some(tag::CONTEXT_0) => SignerIdentifier::KeyIdentifier(
                fields.read()?.children().octets(tag::OCTET_STRING)?,
            ),
            _ => return Err(Malformed),
        };
        let mut digest = fields.expect(tag::SEQUENCE)?.children();
        let digest_algorithm = digest.expect(tag::OBJECT_IDENTIFIER)?.content;
        let signed_attributes = match fields.optional(tag::CONTEXT_0)? {
            Some(set) => Some(Attributes::parse(set)?),
            None => None,
        };
        let algorithm_raw = fields.expect(tag::SEQUENCE)?.raw;
        let value = fields.octets(tag::OCTET_STRING)?;
        let stamped_size = sequence.content.len() - fields.rest().len();
        let stamped = sequence.content.get(..stamped_size).ok_or(Malformed)?;
        let unsigned_attributes = match fields.optional(tag::CONTEXT_1)? {
            Some(set) => unsigned(set),
            None => Vec::new(),
        };
        Ok(Self {
            identifier,
            digest_algorithm,
            signed_attributes,
            algorithm_raw,
            value,
            unsigned_attributes,
            stamped,
        })
    }
}

/// The X.509 certificates of a CertificateSet, and all of its members.
type Choices<'a> = (Vec<&'a [u8]>, Vec<&'a [u8]>);

fn choices(set: Value<'_>) -> Result<Choices<'_>, Malformed> {
    let (mut certificates, mut all) = (Vec::new(), Vec::new());
    let mut set = set.children();
    while !set.is_empty() {
        let choice = set.read()?;
        // Attribute certificates and other kinds have context tags.
        if choice.tag == tag::SEQUENCE && certificates.len() < CERTIFICATES_MAX {
            certificates.push(choice.raw);
        }
        if all.len() < 4 * CERTIFICATES_MAX {
            all.push(choice.raw);
        }
    }
    Ok((certificates, all))
}

/// The unsigned attributes. Real files have ones whose value is no ASN.1; nothing in them is
/// trusted, so nothing in them can fail.
fn unsigned(set: Value<'_>) -> Vec<UnsignedAttribute<'_>> {
    let mut attributes = Vec::new();
    let mut reader = set.children();
    while let Ok(attribute) = reader.read() {
        let mut parts = attribute.children();
        if let Ok(kind) = parts.expect(tag::OBJECT_IDENTIFIER) {
            let content = parts.expect(tag::SET).map_or(&[][..], |set| set.content);
            let (kind, raw) = (kind.content, attribute.raw);
            attributes.push(UnsignedAttribute { kind, raw, content });
        }
        if attributes.len() >= ATTRIBUTES_MAX {
            break;
        }
    }
    attributes
}

impl<'a> Attributes<'a> {
    fn parse(set: Value<'a>) -> Result<Self, Malformed> {
        let mut list = Vec::new();
        let mut reader = set.children();
        while !reader.is_empty() {
            if list.len() >= ATTRIBUTES_MAX {
                return Err(Malformed);
            }
            let mut attribute = reader.expect(tag::SEQUENCE)?.children();
            let kind = attribute.expect(tag::OBJECT_IDENTIFIER)?.content;
            list.push((kind, attribute.expect(tag::SET)?));
        }
        Ok(Self { content: set.content, list })
    }

    /// How many attributes of this kind there are.
    pub fn count(&self, kind: &[u8]) -> usize {
        self.list.iter().filter(|(known, _)| *known == kind).count()
    }

    /// The readable values of all attributes of this kind.
    pub fn all(&self, kind: &[u8]) -> Vec<Value<'a>> {
        let sets = self.list.iter().filter(|(known, _)| *known == kind);
        sets.flat_map(|(_, values)| {
            let mut reader = values.children();
            std::iter::from_fn(move || reader.read().ok())
        })
        .collect()
    }

    /// The single value of the single attribute of this kind.
    pub fn single(&self, kind: &[u8]) -> Result<Value<'a>, Malformed> {
        let mut found = self.list.iter().filter(|(known, _)| *known == kind);
        let (Some((_, values)), None) = (found.next(), found.next()) else {
            return Err(Malformed);
        };
        let mut values = values.children();
        let value = values.read()?;
        if values.is_empty() { Ok(value) } else { Err(Malformed) }
    }

    /// The bytes that are signed, as stored: the set under its universal tag.
    pub fn as_stored(&self) -> Vec<u8> {
        encode(tag::SET, &[self.content])
    }

    /// The bytes that should have been signed; `None` if that is how they are stored.
    pub fn der_sorted(&self) -> Option<Vec<u8>> {
        let sorted = encode(tag::SET, &sorted(self.content).ok()?);
        (sorted != self.as_stored()).then_some(sorted)
    }
}

/// The place for a value may be larger and is filled up with zeros, or a line ends there; anything else
/// behind it is odd.
pub(super) fn note_rest(rest: &[u8], value: &str, quirks: &mut Vec<String>) {
    if !rest.iter().all(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        quirks.push(format!("bytes follow the {value}"));
    }
}

/// UTCTime or GeneralizedTime, with or without seconds, in UTC.
pub(super) fn time(value: Value<'_>) -> Option<Time> {
    let text = std::str::from_utf8(value.content).ok()?.strip_suffix('Z')?;
    let digits = match value.tag {
        tag::UTC_TIME => {
            let century = if text.get(..2)? < "50" { "20" } else { "19" };
            format!("{century}{text}")
        }
        tag::GENERALIZED_TIME => text.split('.').next()?.to_owned(),
        _ => return None,
    };
    utc(&digits)
}

/// `YYYYMMDDHHMM[SS]` in UTC.
pub(super) fn utc(digits: &str) -> Option<Time> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |range| digits.get(range);
    let seconds = part(12..14).unwrap_or("00");
    format!(
        "{}-{}-{}T{}:{}:{seconds}.000Z",
        part(0..4)?,
        part(4..6)?,
        part(6..8)?,
        part(8..10)?,
        part(10..12)?
    )
    .parse()
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_kinds_are_read() {
        let read = |tag, content: &str| {
            let bytes = encode(tag, &[content.as_bytes()]);
            time(Reader::new(&bytes).read().unwrap()).map(|time| time.to_string())
        };
        let expected = Some("2026-11-22T03:45:18.000Z".to_owned());
        assert_eq!(read(tag::UTC_TIME, "261122034518Z"), expected);
        assert_eq!(read(tag::GENERALIZED_TIME, "20261122034518Z"), expected);
        assert_eq!(read(tag::GENERALIZED_TIME, "20261122034518.5Z"), expected);
        for wrong in ["", "Z", "261322034518Z", "26112203451é", "2611220345"] {
            assert_eq!(read(tag::UTC_TIME, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn truncated_structures_are_refused_at_every_length() {
        let oid = encode(tag::OBJECT_IDENTIFIER, &[oid::SIGNED_DATA]);
        let data = encode(tag::OBJECT_IDENTIFIER, &[oid::DATA]);
        let fields = [
            encode(tag::INTEGER, &[&[1]]),
            encode(tag::SET, &[]),
            encode(tag::SEQUENCE, &[&data]),
            encode(tag::SET, &[]),
        ]
        .concat();
        let inner = encode(tag::CONTEXT_0, &[&encode(tag::SEQUENCE, &[&fields])]);
        let whole = encode(tag::SEQUENCE, &[&oid, &inner]);
        assert!(SignedData::parse(&whole).unwrap().signers.is_empty());
        for size in 0..whole.len() {
            assert!(SignedData::parse(&whole[..size]).is_err());
        }
    }
}
