//! The signature dictionary and its byte range: P1, P3, P4, P8, P9 of the attack list.

use super::super::report::{Findings, Format, SubIndication as Sub};
use super::super::signer::Place;
use super::document::{Document, Loaded, View};
use super::fields::text;
use super::file::Fault;
use super::object::{Dictionary, Object, Text};
use crate::limits::{CERTIFICATES_MAX, CMS_SIZE_MAX};

/// A signature dictionary whose byte range is well formed.
#[derive(Debug)]
pub(super) struct SignatureValue {
    pub format: Format,
    /// Offset of the dictionary's object.
    pub offset: u64,
    /// The covered ranges are `0..gap_start` and `gap_end..end`.
    pub gap_start: u64,
    pub gap_end: u64,
    pub end: u64,
    /// The value: CMS, or what the format has in its place.
    pub cms: Vec<u8>,
    /// `/Cert`: certificates of a signature that is no CMS, the signer's first.
    pub certificates: Vec<Vec<u8>>,
    /// `/SubFilter`, as text.
    pub sub_filter: Option<String>,
    /// `/M`, as it is written.
    pub claimed: Option<Vec<u8>>,
    /// The certification level, if this signature certifies.
    pub certification: Option<i64>,
    /// Form fields that must not change after this signature.
    pub locks: Vec<Lock>,
}

/// Which fields a signature locks (ISO 32000-1 §12.8.2.4 and table 233).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lock {
    All,
    Only(Vec<String>),
    Except(Vec<String>),
}

impl Lock {
    /// `/Action` and `/Fields` of a lock or of FieldMDP parameters; what is not understood locks all.
    pub fn read(
        document: &Document<'_>,
        view: &View,
        dictionary: &Dictionary,
    ) -> Result<Self, Fault> {
        let fields = document.array(view, dictionary, "Fields")?;
        let names = fields.iter().map(|field| match field {
            Object::String(name) => Some(text(&name.bytes)),
            _ => None,
        });
        let names: Option<Vec<String>> = names.collect();
        Ok(match (dictionary.name("Action"), names) {
            (Some(b"Include"), Some(names)) => Self::Only(names),
            (Some(b"Exclude"), Some(names)) => Self::Except(names),
            _ => Self::All,
        })
    }

    /// Whether the field with this full name is locked; a name stands for all below it, too.
    pub fn holds(&self, field: &str) -> bool {
        let is_at = |name: &String| {
            field.strip_prefix(name.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('.'))
        };
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(is_at),
            Self::Except(names) => !names.iter().any(is_at),
        }
    }
}

impl SignatureValue {
    /// Where the value stands in the file.
    pub fn place(&self) -> Place {
        Place { covered: self.gap_start, end: self.gap_end }
    }
}

pub(super) fn format(dictionary: &Dictionary) -> Format {
    match dictionary.name("SubFilter") {
        Some(b"adbe.pkcs7.detached") => Format::PdfCms,
        Some(b"adbe.pkcs7.sha1") => Format::PdfSha1,
        Some(b"adbe.x509.rsa_sha1") => Format::PdfRsaSha1,
        Some(b"ETSI.CAdES.detached") => Format::PdfCades,
        Some(b"ETSI.RFC3161") => Format::PdfTimestamp,
        _ => Format::PdfOther,
    }
}

/// Reads a signature dictionary; every violation is a finding.
pub(super) fn read(
    document: &Document<'_>,
    view: &View,
    loaded: &Loaded,
    findings: &mut Findings,
) -> Result<Option<SignatureValue>, Fault> {
    let offset = loaded.place.0;
    let mut fail = |code, message: &str| {
        findings.failed_at(Sub::FormatFailure, code, message, Some(offset));
    };
    let Some(dictionary) = loaded.dictionary() else {
        fail("SIGNATURE_NOT_A_DICTIONARY", "The signature field does not hold a signature.");
        return Ok(None);
    };
    if dictionary.has_doubles {
        fail("DOUBLED_KEY", "An entry of the signature dictionary stands there twice.");
        return Ok(None);
    }
    if loaded.place.1.is_some() {
        fail("SIGNATURE_COMPRESSED", "The signature dictionary is not written openly in the file.");
        return Ok(None);
    }
    let Some([start, gap_start, gap_end, length]) = byte_range(dictionary) else {
        fail("BYTE_RANGE", "The signed byte range is missing or does not have four numbers.");
        return Ok(None);
    };
    let end = gap_end.checked_add(length).filter(|&end| end <= document.file.size);
    let Some(end) = end.filter(|_| start == 0 && gap_start < gap_end) else {
        fail(
            "BYTE_RANGE",
            "The signed byte range does not start at 0, overlaps or leaves the file.",
        );
        return Ok(None);
    };
    let contents = match contents(dictionary) {
        Ok(contents) if (contents.start, contents.end) == (gap_start, gap_end) => contents,
        Ok(_) => {
            fail(
                "BYTE_RANGE_GAP",
                "The signature leaves out more or other bytes than its own value; they could be \
                 forged.",
            );
            return Ok(None);
        }
        Err((code, message)) => {
            fail(code, message);
            return Ok(None);
        }
    };
    let place = [offset, gap_start, gap_end, end];
    let bytes = contents.bytes.clone();
    value(document, view, dictionary, place, bytes).map(Some)
}

/// What the dictionary says beside its range, which is in order.
fn value(
    document: &Document<'_>,
    view: &View,
    dictionary: &Dictionary,
    [offset, gap_start, gap_end, end]: [u64; 4],
    cms: Vec<u8>,
) -> Result<SignatureValue, Fault> {
    if cms.len() > CMS_SIZE_MAX {
        return Err(Fault::OverBudget);
    }
    let (certification, locks) = permissions(document, view, dictionary)?;
    Ok(SignatureValue {
        format: format(dictionary),
        offset,
        gap_start,
        gap_end,
        end,
        cms,
        certificates: certificates(document, view, dictionary)?,
        sub_filter: dictionary.name("SubFilter").map(text),
        claimed: claimed(dictionary),
        certification,
        locks,
    })
}

/// `/M`, as it is written.
fn claimed(dictionary: &Dictionary) -> Option<Vec<u8>> {
    match dictionary.get("M") {
        Some(Object::String(text)) => Some(text.bytes.clone()),
        _ => None,
    }
}

/// `/Cert` holds a string, or an array of them.
fn certificates(
    document: &Document<'_>,
    view: &View,
    dictionary: &Dictionary,
) -> Result<Vec<Vec<u8>>, Fault> {
    let Some(value) = dictionary.get("Cert") else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let one = document.resolve(view, value)?;
    let list = match one.as_deref() {
        Some(Loaded { object: Object::String(der), .. }) => return Ok(vec![der.bytes.clone()]),
        Some(Loaded { object: Object::Array(list), .. }) => list,
        _ => return Ok(found),
    };
    for item in list.iter().take(CERTIFICATES_MAX) {
        if let Some(loaded) = document.resolve(view, item)?
            && let Object::String(der) = &loaded.object
        {
            found.push(der.bytes.clone());
        }
    }
    Ok(found)
}

/// The signature value; otherwise what is wrong with it.
fn contents(dictionary: &Dictionary) -> Result<&Text, (&'static str, &'static str)> {
    match dictionary.get("Contents") {
        Some(Object::String(text)) if text.bytes.iter().all(|&byte| byte == 0) => {
            Err(("CONTENTS_EMPTY", "The place for the signature value is empty."))
        }
        Some(Object::String(text)) if !text.is_hexadecimal => {
            Err(("CONTENTS_NOT_HEXADECIMAL", "The signature value is not written in hexadecimal."))
        }
        Some(Object::String(text)) => Ok(text),
        _ => Err(("CONTENTS_MISSING", "The signature value is missing.")),
    }
}

fn byte_range(dictionary: &Dictionary) -> Option<[u64; 4]> {
    let Some(Object::Array(items)) = dictionary.get("ByteRange") else { return None };
    let mut numbers = [0; 4];
    if items.len() != numbers.len() {
        return None;
    }
    for (number, item) in numbers.iter_mut().zip(items) {
        let Object::Integer(value) = item else { return None };
        *number = u64::try_from(*value).ok()?;
    }
    Some(numbers)
}

/// What the references say about later changes: `/P` of a DocMDP transform (ISO 32000-1 §12.8.2.2;
/// 2 if it is not stated), and the fields of FieldMDP transforms.
fn permissions(
    document: &Document<'_>,
    view: &View,
    dictionary: &Dictionary,
) -> Result<(Option<i64>, Vec<Lock>), Fault> {
    let mut certification = None;
    let mut locks = Vec::new();
    for reference in document.array(view, dictionary, "Reference")? {
        let Some(reference) = document.resolve(view, &reference)? else { continue };
        let Some(reference) = reference.dictionary() else { continue };
        let parameters = document.dictionary(view, reference, "TransformParams")?;
        if reference.is("TransformMethod", "DocMDP") {
            certification =
                certification.or(Some(parameters.and_then(|p| p.integer("P")).unwrap_or(2)));
        } else if reference.is("TransformMethod", "FieldMDP") {
            locks.push(Lock::read(document, view, &parameters.unwrap_or_default())?);
        }
    }
    Ok((certification, locks))
}
