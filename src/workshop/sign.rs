//! Signing: PDFs as PAdES or the older Adobe form, and anything else with a detached CMS.
//!
//! A signature is appended as a revision of its own and never changes a byte before it, so a document
//! may be signed by the officer first and by the agency after (NĐ 30/2020 Art. 32.2d).

use std::time::Duration;

use super::Error;
pub use super::cms::Stamp;
use super::cms::{self, Statement};
use super::drawing::{Drawing, Face, WhichPage};
use super::field;
use super::identity::Identity;
use super::key::{Hash, Signer, SigningKey as _, SoftwareKey};
use super::page::text_string;
use super::revision::{Object, Revision, reference};
use crate::clock::Time;
use crate::digest::{Sha256, hex};

/// Width of `[0 1234567890 1234567890 1234567890]`: offsets of files up to 10 GB.
const BYTE_RANGE_SIZE: usize = 36;
/// Room for a CMS signature besides its certificates: attributes, names, an RSA-4096 signature.
const CMS_FRAME_SIZE: usize = 2_048;

/// How a PDF is signed.
#[derive(Clone)]
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
    /// Text that the first page shows; without it and without `drawing`, the signature is invisible.
    pub appearance: Option<Appearance<'a>>,
    /// What a page shows instead.
    pub drawing: Option<Drawing<'a>>,
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
    /// Lines; shown in the reader's own Times.
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
            drawing: None,
            tsa: None,
            stamped_at: None,
        }
    }
}

/// A development TSA, which stamps without network.
struct OwnAuthority<'a> {
    identity: &'a Identity,
    now: Time,
}

impl Stamp for OwnAuthority<'_> {
    fn stamp(&self, imprint: Sha256) -> Result<Vec<u8>, Error> {
        cms::timestamp(imprint, &[], self.identity, self.now)
    }

    fn room(&self) -> usize {
        CMS_FRAME_SIZE + self.identity.chain_der.iter().map(Vec::len).sum::<usize>()
    }
}

/// Signs a PDF; all certificates of the identity are embedded (see [`Identity::leaf_only`]).
///
/// # Errors
/// [`Error::Pdf`] if the file is not one we extend or has a field of that name; [`Error::Key`];
/// [`Error::Unreadable`].
pub fn pdf(pdf: &[u8], identity: &Identity, options: &Options<'_>) -> Result<Vec<u8>, Error> {
    if options.sub_filter == SubFilter::Timestamp {
        let authority = OwnAuthority { identity, now: options.time };
        let whole = |parts: &[&[u8]]| authority.stamp(Sha256::of_parts(parts));
        return seal(pdf, options, &common_name(identity.leaf()), authority.room(), &whole);
    }
    let key = SoftwareKey::of_identity(identity)?;
    let now = options.stamped_at.unwrap_or(options.time);
    let authority = options.tsa.map(|identity| OwnAuthority { identity, now });
    let stamp = authority.as_ref().map(|authority| authority as &dyn Stamp);
    pdf_by(pdf, Signer { chain_der: &identity.chain_der, key: &key }, stamp, options)
}

/// Signs a PDF with any key; `options.tsa` is not asked, but `stamp`.
///
/// # Errors
/// The same, and those of the key and of `stamp`.
pub fn pdf_by(
    pdf: &[u8],
    by: Signer<'_>,
    stamp: Option<&dyn Stamp>,
    options: &Options<'_>,
) -> Result<Vec<u8>, Error> {
    let room = CMS_FRAME_SIZE + by.chain_der.iter().map(Vec::len).sum::<usize>();
    let room = room + stamp.map_or(0, Stamp::room);
    let signed_time = (options.sub_filter == SubFilter::Pkcs7).then_some(options.time);
    let whole = |parts: &[&[u8]]| {
        let digest = by.key.scheme().hash().of(parts);
        cms::signed_data(&statement(&digest, signed_time, stamp), by)
    };
    seal(pdf, options, &common_name(by.leaf()), room, &whole)
}

fn statement<'a>(
    digest: &'a [u8],
    signing_time: Option<Time>,
    stamp: Option<&'a dyn Stamp>,
) -> Statement<'a> {
    Statement { content_type: cms::DATA, content: None, digest, signing_time, stamp }
}

/// Makes the CMS over the parts of a file.
type Make<'a> = &'a dyn Fn(&[&[u8]]) -> Result<Vec<u8>, Error>;

/// Appends the revision and fills in what `make` makes of it.
fn seal(
    pdf: &[u8],
    options: &Options<'_>,
    name: &str,
    room: usize,
    make: Make<'_>,
) -> Result<Vec<u8>, Error> {
    let revision = Revision::read(&pdf)?;
    let number = revision.size();
    let (dictionary, range_at, contents) = signature_dictionary(number, name, room, options);
    let mut objects = vec![dictionary];
    let text = options.appearance.map(Appearance::drawing);
    let drawing = options.drawing.as_ref().or(text.as_ref());
    objects.extend(field::objects(&revision, number, options.field, drawing)?);
    let (mut file, offsets) = revision.append(&objects)?;
    let start = offsets.get(&number).copied().unwrap_or_default();
    fill(&mut file, start + range_at, start + contents.start..start + contents.end, make)?;
    Ok(file)
}

/// A name that no field of the PDF has: `Signature1`, `Signature2`, …
///
/// # Errors
/// [`Error::Pdf`] if the file is not one we extend.
pub fn free_field(pdf: &[u8]) -> Result<String, Error> {
    let fields = Revision::read(&pdf)?.outline().fields()?;
    let names = (1..=fields.len() + 1).map(|number| format!("Signature{number}"));
    let mut free = names.filter(|name| fields.iter().all(|field| field.name != *name));
    Ok(free.next().unwrap_or_default())
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
    let revision = Revision::read(&pdf)?;
    let catalog_id = revision.outline().catalog()?;
    let catalog = revision.outline().values(catalog_id)?;
    if catalog.get("DSS").is_some() {
        return Err(Error::Pdf("it has a security store already"));
    }
    let store = revision.size();
    let mut objects = Vec::new();
    let mut next = store + 1;
    let mut text = String::from("<< /Type /DSS");
    for (key, list) in [("Certs", certificates), ("CRLs", crls), ("OCSPs", responses)] {
        let mut references = Vec::new();
        for der in list {
            references.push(reference(next));
            objects.push(Object::stream(next, "<< ", der));
            next += 1;
        }
        if !list.is_empty() {
            text.push_str(&format!(" /{key} [{}]", references.join(" ")));
        }
    }
    objects.push(Object::new(store, format!("{text} >>")));
    objects.push(Object::again(catalog_id, catalog.with("DSS", reference(store)).text()));
    Ok(revision.append(&objects)?.0)
}

/// A detached CMS signature (`.p7s`) over `content`, claimed to be made at `time`.
///
/// # Errors
/// [`Error::Key`] or [`Error::Unreadable`].
pub fn detached(content: &[u8], identity: &Identity, time: Time) -> Result<Vec<u8>, Error> {
    let key = SoftwareKey::of_identity(identity)?;
    let digest = key.scheme().hash().of(&[content]);
    detached_by(&digest, Signer { chain_der: &identity.chain_der, key: &key }, None, time)
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
    let key = SoftwareKey::of_identity(identity)?;
    if key.scheme().hash() != Hash::Sha256 {
        return Err(Error::KeyKind);
    }
    let by = Signer { chain_der: &identity.chain_der, key: &key };
    detached_by(&digest.0, by, None, time)
}

/// The same with any key, from the digest by the key's hash; CAdES B-T with a stamp, B-B without.
///
/// # Errors
/// Those of the key and of `stamp`; [`Error::Unreadable`].
pub fn detached_by(
    digest: &[u8],
    by: Signer<'_>,
    stamp: Option<&dyn Stamp>,
    time: Time,
) -> Result<Vec<u8>, Error> {
    cms::signed_data(&statement(digest, Some(time), stamp), by)
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
    number: u32,
    name: &str,
    room: usize,
    options: &Options<'_>,
) -> (Object, usize, std::ops::Range<usize>) {
    let sub_filter = match options.sub_filter {
        SubFilter::Cades => "ETSI.CAdES.detached",
        SubFilter::Pkcs7 => "adbe.pkcs7.detached",
        SubFilter::Timestamp => "ETSI.RFC3161",
    };
    let kind = if options.sub_filter == SubFilter::Timestamp { "DocTimeStamp" } else { "Sig" };
    let vietnam = cms::digits(options.time.after(Duration::from_secs(7 * 3600)));
    let mut text = format!(
        "<< /Type /{kind} /Filter /Adobe.PPKLite /SubFilter /{sub_filter} /M (D:{vietnam}+07'00')"
    );
    for (key, value) in [("Reason", options.reason), ("Location", options.location), ("Name", name)]
    {
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
    make: Make<'_>,
) -> Result<(), Error> {
    let range = format!("[0 {} {} {}]", gap.start, gap.end, file.len() - gap.end);
    (file.get_mut(range_at..range_at + range.len()))
        .filter(|_| range.len() <= BYTE_RANGE_SIZE)
        .ok_or(Error::Pdf("it is too large"))?
        .copy_from_slice(range.as_bytes());
    let signature = make(&[&file[..gap.start], &file[gap.end..]])?;
    let signature = hex(&signature);
    (file[gap.start + 1..gap.end - 1].get_mut(..signature.len()))
        .ok_or(Error::Pdf("the signature is larger than its room"))?
        .copy_from_slice(signature.as_bytes());
    Ok(())
}

impl<'a> Appearance<'a> {
    fn drawing(self) -> Drawing<'a> {
        Drawing {
            page: WhichPage::Number(1),
            rectangle: self.rectangle.map(f64::from),
            image: None,
            lines: self.lines.iter().map(|line| (*line).to_owned()).collect(),
            face: Face::Composed,
        }
    }
}

fn common_name(leaf: &[u8]) -> String {
    let leaf = x509_parser::parse_x509_certificate(leaf);
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
