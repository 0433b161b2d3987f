//! Signing: PDFs as PAdES or the older Adobe form, and anything else with a detached CMS.
//!
//! A signature is appended as a revision of its own and never changes a byte before it, so a document
//! may be signed by the officer first and by the agency after (NĐ 30/2020 Art. 32.2d).

use std::collections::BTreeMap;
use std::time::Duration;

use super::Error;
use super::cms::{self, Statement};
use super::identity::Identity;
use super::page::{escape, fold, text_string};
use super::revision::{Object, Revision, parse_dictionary, reference};
use crate::clock::Time;
use crate::digest::{Sha256, hex};

/// Width of `[0 1234567890 1234567890 1234567890]`: offsets of files up to 10 GB.
const BYTE_RANGE_SIZE: usize = 36;
/// Room for a CMS signature besides its certificates: attributes, names, an RSA-4096 signature.
const CMS_FRAME_SIZE: usize = 2_048;

/// How a PDF is signed.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// Name of the new field; no field of the document may have it.
    pub field: &'a str,
    /// The claimed signing time.
    pub time: Time,
    /// The form of the signature.
    pub sub_filter: SubFilter,
    /// `/Reason`; nothing if empty.
    pub reason: &'a str,
    /// `/Location`; nothing if empty.
    pub location: &'a str,
    /// What the page shows; none makes the signature invisible.
    pub appearance: Option<Appearance<'a>>,
    /// A TSA that stamps the signature.
    pub tsa: Option<&'a Identity>,
    /// When it stamps; none is at `time`, as if the signer's clock were right.
    pub stamped_at: Option<Time>,
}

/// The form of a PDF signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubFilter {
    /// `ETSI.CAdES.detached` (PAdES): the claimed time stands in `/M` only.
    Cades,
    /// `adbe.pkcs7.detached`: the claimed time is a signed attribute, too.
    Pkcs7,
    /// `ETSI.RFC3161`: no signature but a time-stamp over the document, at `time`, by a TSA.
    Timestamp,
}

/// Text on the first page.
#[derive(Debug, Clone, Copy)]
pub struct Appearance<'a> {
    /// Left, bottom, right, top in points.
    pub rectangle: [u16; 4],
    /// Lines; shown without diacritics.
    pub lines: &'a [&'a str],
}

impl<'a> Options<'a> {
    /// An invisible PAdES signature without reason, location or time-stamp.
    pub fn new(field: &'a str, time: Time) -> Self {
        Self {
            field,
            time,
            sub_filter: SubFilter::Cades,
            reason: "",
            location: "",
            appearance: None,
            tsa: None,
            stamped_at: None,
        }
    }
}

/// Signs a PDF; all certificates of the identity are embedded (see [`Identity::leaf_only`]).
///
/// # Errors
/// [`Error::Pdf`] if the file has a structure that is not extended (cross-reference streams,
/// encryption) or a field of that name; [`Error::Key`]; [`Error::Unreadable`].
pub fn pdf(pdf: &[u8], identity: &Identity, options: &Options<'_>) -> Result<Vec<u8>, Error> {
    let revision = Revision::read(pdf)?;
    let number = revision.size()?;
    let (dictionary, range_at, contents) = signature_dictionary(number, identity, options);
    let mut objects = vec![dictionary];
    objects.extend(field(&revision, number, options)?);
    let (mut file, offsets) = revision.append(&objects)?;
    let start = offsets.get(&number).copied().unwrap_or_default();
    fill(
        &mut file,
        start + range_at,
        start + contents.start..start + contents.end,
        identity,
        options,
    )?;
    Ok(file)
}

/// Puts certificates, CRLs and OCSP responses (all DER) into the document security store of a PDF
/// (ISO 32000-2 §12.8.4.3): what a signature needs to be judged when its authorities are gone.
///
/// # Errors
/// [`Error::Pdf`] if the file has a structure that is not extended, or a store already.
pub fn security_store(
    pdf: &[u8],
    certificates: &[Vec<u8>],
    crls: &[Vec<u8>],
    responses: &[Vec<u8>],
) -> Result<Vec<u8>, Error> {
    let revision = Revision::read(pdf)?;
    let catalog_number = revision.catalog()?;
    let catalog = revision.dictionary(catalog_number)?;
    if catalog.value("/DSS").is_some() {
        return Err(Error::Pdf("it has a security store already"));
    }
    let store = revision.size()?;
    let mut objects = Vec::new();
    let mut text = String::from("<< /Type /DSS");
    for (key, list) in [("Certs", certificates), ("CRLs", crls), ("OCSPs", responses)] {
        let mut references = String::new();
        for der in list {
            let number = store + 1 + objects.len();
            references.push_str(&format!(" {number} 0 R"));
            objects.push(Object::stream(number, "<< ", der));
        }
        if !list.is_empty() {
            text.push_str(&format!(" /{key} [{}]", references.trim_start()));
        }
    }
    objects.push(Object::new(store, format!("{text} >>")));
    let with_store = catalog.with("/DSS", &format!("{store} 0 R"));
    objects.push(Object::new(catalog_number, with_store));
    Ok(revision.append(&objects)?.0)
}

/// A detached CMS signature (`.p7s`) over `content`, claimed to be made at `time`.
///
/// # Errors
/// [`Error::Key`] or [`Error::Unreadable`].
pub fn detached(content: &[u8], identity: &Identity, time: Time) -> Result<Vec<u8>, Error> {
    detached_from_digest(Sha256::of(content), identity, time)
}

/// The same from the digest alone, for content that is not in memory (see [`crate::digest::Hasher`]).
///
/// # Errors
/// [`Error::Key`] or [`Error::Unreadable`].
pub fn detached_from_digest(
    digest: Sha256,
    identity: &Identity,
    time: Time,
) -> Result<Vec<u8>, Error> {
    let statement = Statement {
        content_type: cms::DATA,
        content: None,
        digest,
        signing_time: Some(time),
        timestamp: None,
    };
    cms::signed_data(&statement, identity)
}

/// An RFC 3161 time-stamp token over `imprint`. `nonce` is the content of the request's INTEGER, empty
/// if it had none.
///
/// # Errors
/// [`Error::Key`] or [`Error::Unreadable`].
pub fn timestamp(
    imprint: Sha256,
    nonce: &[u8],
    tsa: &Identity,
    now: Time,
) -> Result<Vec<u8>, Error> {
    cms::timestamp(imprint, nonce, tsa, now)
}

/// The signature dictionary with room for the byte range and the signature, and where these stand in it.
fn signature_dictionary(
    number: usize,
    identity: &Identity,
    options: &Options<'_>,
) -> (Object, usize, std::ops::Range<usize>) {
    let sub_filter = match options.sub_filter {
        SubFilter::Cades => "ETSI.CAdES.detached",
        SubFilter::Pkcs7 => "adbe.pkcs7.detached",
        SubFilter::Timestamp => "ETSI.RFC3161",
    };
    let kind = if options.sub_filter == SubFilter::Timestamp { "DocTimeStamp" } else { "Sig" };
    let certificates_size =
        |identity: &Identity| identity.chain_der.iter().map(Vec::len).sum::<usize>();
    let mut room = CMS_FRAME_SIZE + certificates_size(identity);
    room += options.tsa.map_or(0, |tsa| CMS_FRAME_SIZE + certificates_size(tsa));
    let vietnam = cms::digits(options.time.after(Duration::from_secs(7 * 3600)));
    let mut text = format!(
        "<< /Type /{kind} /Filter /Adobe.PPKLite /SubFilter /{sub_filter} /M (D:{vietnam}+07'00')"
    );
    for (key, value) in [
        ("Reason", options.reason),
        ("Location", options.location),
        ("Name", &common_name(identity)),
    ] {
        if !value.is_empty() {
            text.push_str(&format!(" /{key} {}", text_string(value)));
        }
    }
    let before = format!("{number} 0 obj\n").len();
    text.push_str(" /ByteRange ");
    let range_at = before + text.len();
    text.push_str(&" ".repeat(BYTE_RANGE_SIZE));
    text.push_str(" /Contents ");
    let contents = before + text.len()..before + text.len() + 2 * room + 2;
    text.push_str(&format!("<{}> >>", "0".repeat(2 * room)));
    (Object::new(number, text), range_at, contents)
}

/// Puts the byte range and the signature into the file; `gap` is the `<…>` of `/Contents`.
fn fill(
    file: &mut [u8],
    range_at: usize,
    gap: std::ops::Range<usize>,
    identity: &Identity,
    options: &Options<'_>,
) -> Result<(), Error> {
    let range = format!("[0 {} {} {}]", gap.start, gap.end, file.len() - gap.end);
    (file.get_mut(range_at..range_at + range.len()))
        .filter(|_| range.len() <= BYTE_RANGE_SIZE)
        .ok_or(Error::Pdf("it is too large"))?
        .copy_from_slice(range.as_bytes());
    let digest = Sha256::of_parts(&[&file[..gap.start], &file[gap.end..]]);
    let stamped_at = options.stamped_at.unwrap_or(options.time);
    let signature = match options.sub_filter {
        SubFilter::Timestamp => cms::timestamp(digest, &[], identity, options.time)?,
        form => {
            let statement = Statement {
                content_type: cms::DATA,
                content: None,
                digest,
                signing_time: (form == SubFilter::Pkcs7).then_some(options.time),
                timestamp: options.tsa.map(|tsa| (tsa, stamped_at)),
            };
            cms::signed_data(&statement, identity)?
        }
    };
    let signature = hex(&signature);
    (file[gap.start + 1..gap.end - 1].get_mut(..signature.len()))
        .ok_or(Error::Pdf("the signature is larger than its room"))?
        .copy_from_slice(signature.as_bytes());
    Ok(())
}

/// The objects that make the signature a field of the form and an annotation of the first page.
fn field(
    revision: &Revision<'_>,
    signature: usize,
    options: &Options<'_>,
) -> Result<Vec<Object>, Error> {
    let (widget, form, picture) = (signature + 1, signature + 2, signature + 3);
    let page = revision.first_page()?;
    let name = match options.field.is_ascii() {
        true => format!("({})", escape(options.field)),
        false => text_string(options.field),
    };
    let mut objects = BTreeMap::new();
    let mut text = format!(
        "<< /Type /Annot /Subtype /Widget /FT /Sig /T {name} /V {signature} 0 R /F 132 /P {page} 0 R"
    );
    match options.appearance {
        None => text.push_str(" /Rect [0 0 0 0] >>"),
        Some(appearance) => {
            let [left, bottom, right, top] = appearance.rectangle;
            text.push_str(&format!(
                " /Rect [{left} {bottom} {right} {top}] /AP << /N {picture} 0 R >> >>"
            ));
            objects.insert(picture, draw(picture, appearance));
        }
    }
    objects.insert(widget, Object::new(widget, text));
    let dictionary = revision.dictionary(page)?;
    let annotations = extend(revision, dictionary.value("/Annots"), widget)?;
    objects.insert(page, Object::new(page, dictionary.with("/Annots", &annotations)));

    let catalog_number = revision.catalog()?;
    let catalog = revision.dictionary(catalog_number)?;
    let old = catalog.value("/AcroForm");
    let (form, is_new) = match old.and_then(reference) {
        Some(number) => (number, false),
        None => (form, true),
    };
    let old = if is_new { old.unwrap_or("<< >>") } else { revision.object(form)? };
    let old = parse_dictionary(old)?;
    refuse_second(revision, old.value("/Fields"), &name)?;
    let with_field = old.with("/Fields", &extend(revision, old.value("/Fields"), widget)?);
    let with_flags = parse_dictionary(&with_field)?.with("/SigFlags", "3");
    objects.insert(form, Object::new(form, with_flags));
    if is_new {
        let text = catalog.with("/AcroForm", &format!("{form} 0 R"));
        objects.insert(catalog_number, Object::new(catalog_number, text));
    }
    Ok(objects.into_values().collect())
}

/// The array with one more reference.
fn extend(revision: &Revision<'_>, old: Option<&str>, number: usize) -> Result<String, Error> {
    let old = old.map_or(Ok(""), |text| revision.array(text))?.trim();
    let space = if old.is_empty() { "" } else { " " };
    Ok(format!("[{old}{space}{number} 0 R]"))
}

/// Two fields of one name would be one field with two values.
fn refuse_second(revision: &Revision<'_>, fields: Option<&str>, name: &str) -> Result<(), Error> {
    let words: Vec<&str> =
        fields.map_or(Ok(""), |text| revision.array(text))?.split_ascii_whitespace().collect();
    for number in words.chunks(3).filter_map(|triple| reference(&triple.join(" "))) {
        if revision.dictionary(number)?.value("/T") == Some(name) {
            return Err(Error::Pdf("it has a field of that name already"));
        }
    }
    Ok(())
}

/// The lines in Times 10, black, as NĐ 30/2020 asks for annexes and copies.
fn draw(number: usize, appearance: Appearance<'_>) -> Object {
    let [left, bottom, right, top] = appearance.rectangle;
    let (width, height) = (right.saturating_sub(left), top.saturating_sub(bottom));
    let mut content = format!("BT /F1 10 Tf 0 g 2 {} Td 12 TL\n", height.saturating_sub(11));
    for line in appearance.lines {
        content.push_str(&format!("({}) Tj T*\n", escape(&fold(line))));
    }
    content.push_str("ET\n");
    let dictionary = format!(
        "<< /Type /XObject /Subtype /Form /BBox [0 0 {width} {height}] /Resources << /Font << /F1 \
         << /Type /Font /Subtype /Type1 /BaseFont /Times-Roman /Encoding /WinAnsiEncoding >> >> >> "
    );
    Object::stream(number, &dictionary, content.as_bytes())
}

fn common_name(identity: &Identity) -> String {
    let leaf = x509_parser::parse_x509_certificate(identity.leaf());
    let name = leaf.ok().and_then(|(_, leaf)| {
        leaf.subject()
            .iter_common_name()
            .next()
            .and_then(|name| name.as_str().ok().map(str::to_owned))
    });
    name.unwrap_or_default()
}

#[cfg(test)]
#[path = "sign_tests.rs"]
mod tests;
