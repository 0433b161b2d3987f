//! The doors of the room: sniff what it is and judge every signature in it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::cms::{self, SignedData};
use super::content::Content;
use super::counter;
use super::evidence::{Material, Proofs};
use super::package;
use super::past::Occasion;
use super::pdf;
use super::report::{
    Coverage, Findings, Format, Kind, Report, Signature, SubIndication as Sub, Verdict,
};
use super::signer::{self, Context, Profile};
use super::trust::Trust;
use super::xml;
use crate::clock::Time;
use crate::limits::CMS_SIZE_MAX;
use crate::source::Source;

/// Judges every signature in `content`: a PDF, an XML document, a ZIP package or a CMS with its
/// content inside. Anything else has no signatures.
pub fn judge(content: &dyn Source, trust: &Trust, now: Time) -> Report {
    let size = usize::try_from(content.size().min(pdf::HEADER_WITHIN)).unwrap_or(0);
    let mut head = vec![0; size];
    if content.read_at(0, &mut head).is_err() {
        let findings = unreadable("The content could not be read.");
        return broken(Kind::Other, Format::CmsAttached, findings);
    }
    // Before the PDF: a package may hold one, packed as it is, at its begin.
    if package::begins(&head) {
        return package::judge(content, trust, now);
    }
    // A message around a PDF has the header of a PDF near its begin, too.
    let holds_pdf = head.windows(5).any(|window| window == b"%PDF-");
    if holds_pdf && !starts_like_cms(&head) {
        return pdf::judge(content, trust, now);
    }
    if xml::starts_like_xml(&head) {
        return xml::report(content, &xml::NoFiles, trust, now);
    }
    let is_pem = head.starts_with(b"-----BEGIN");
    if !is_pem && !starts_like_cms(&head) {
        return if package::ends(content) {
            package::judge(content, trust, now)
        } else {
            Report::unsigned(Kind::Other)
        };
    }
    let Some(bytes) = read_all(content) else {
        return if is_pem {
            Report::unsigned(Kind::Other)
        } else {
            let mut findings = Findings::default();
            findings.unjudged("CMS_TOO_LARGE", "The signed message is too large to be judged.");
            broken(Kind::Cms, Format::CmsAttached, findings)
        };
    };
    let Some(bytes) = unarmoured(&bytes) else { return Report::unsigned(Kind::Other) };
    let mut report = judge_cms(&bytes, None, trust, now);
    if holds_pdf {
        report.quirks.push("the signed message holds a PDF, which may show more".to_owned());
    }
    report
}

/// Judges a detached CMS (DER, BER or PEM) or XML signature over `content`.
pub fn judge_detached(signature: &[u8], content: &dyn Source, trust: &Trust, now: Time) -> Report {
    if xml::starts_like_xml(signature) {
        return xml::report(&signature, &xml::OneFile::new(content), trust, now);
    }
    match unarmoured(signature) {
        Some(bytes) => judge_cms(&bytes, Some(content), trust, now),
        None => broken(Kind::Cms, Format::CmsDetached, not_cms()),
    }
}

/// SEQUENCE, then an object identifier: ContentInfo with signed-data.
fn starts_like_cms(head: &[u8]) -> bool {
    const SIGNED_DATA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
    head.first() == Some(&0x30)
        && head.get(..32.min(head.len())).is_some_and(|start| {
            start.windows(SIGNED_DATA.len()).any(|window| window == SIGNED_DATA)
        })
}

fn read_all(content: &dyn Source) -> Option<Vec<u8>> {
    let size = usize::try_from(content.size()).ok().filter(|&size| size <= CMS_SIZE_MAX)?;
    let mut bytes = vec![0; size];
    content.read_at(0, &mut bytes).ok()?;
    Some(bytes)
}

/// The bytes inside PEM armour for CMS or PKCS7, or the bytes as they are.
fn unarmoured(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !bytes.trim_ascii_start().starts_with(b"-----BEGIN") {
        return Some(Cow::Borrowed(bytes));
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let label = ["CMS", "PKCS7", "PKCS #7 SIGNED DATA"]
        .into_iter()
        .find(|label| text.contains(&format!("-----BEGIN {label}-----")))?;
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let digits: String = body.split_whitespace().collect();
    STANDARD.decode(digits).ok().map(Cow::Owned)
}

fn not_cms() -> Findings {
    let mut findings = Findings::default();
    findings.failed(
        Sub::FormatFailure,
        "CMS_UNREADABLE",
        "The signature is not a CMS signature or is damaged.",
    );
    findings
}

fn unreadable(message: &str) -> Findings {
    let mut findings = Findings::default();
    findings.doubt(Sub::SignedDataNotFound, "CONTENT_UNREADABLE", message);
    findings
}

/// A report with one signature about which nothing more is known.
fn broken(kind: Kind, format: Format, findings: Findings) -> Report {
    let verdict = findings.conclude(None);
    Report { kind, signatures: vec![bare(0, format, verdict)], quirks: Vec::new() }
}

/// A signature of which only the verdict is known.
pub(super) fn bare(index: usize, format: Format, verdict: Verdict) -> Signature {
    Signature {
        index,
        format,
        verdict,
        signer: None,
        domain: None,
        chain: Vec::new(),
        crls: Vec::new(),
        signing_time: None,
        timestamps: Vec::new(),
        best_time: None,
        coverage: Coverage::Partial,
        signed: Vec::new(),
        quirks: Vec::new(),
        field: None,
        counter_signs: None,
    }
}

fn judge_cms(bytes: &[u8], detached: Option<&dyn Source>, trust: &Trust, now: Time) -> Report {
    let format = if detached.is_some() { Format::CmsDetached } else { Format::CmsAttached };
    let Ok(data) = SignedData::parse(bytes) else {
        return broken(Kind::Cms, format, not_cms());
    };
    let mut quirks = data.quirks.clone();
    cms::note_rest(data.rest, "CMS structure", &mut quirks);
    if data.signers.is_empty() {
        // Certificates alone ("certs-only") are not a signature.
        return Report { quirks, ..Report::unsigned(Kind::Cms) };
    }
    let mut document = Findings::default();
    let inner: Option<&[u8]> = data.content.as_deref();
    let mut content = match (detached, &inner) {
        (Some(_), Some(_)) => {
            document.failed(
                Sub::FormatFailure,
                "CONTENT_INSIDE",
                "A detached signature carries content of its own.",
            );
            return broken(Kind::Cms, format, document);
        }
        (Some(source), None) => Content::whole_of(source),
        (None, Some(inner)) => Content::whole_of(inner),
        (None, None) => {
            document.doubt(
                Sub::SignedDataNotFound,
                "CONTENT_MISSING",
                "The signature stands alone; the file that it signs is needed.",
            );
            return broken(Kind::Cms, Format::CmsDetached, document);
        }
    };
    let certificates = signer::certificates(trust, &data, &mut quirks);
    let (material, proofs) = (Material::default(), Proofs::default());
    let context = Context {
        occasion: Occasion { trust, now, material: &material, proofs: &proofs },
        data: &data,
        certificates: &certificates,
        profile: Profile::Plain,
        place: None,
    };
    let signatures = data.signers.iter().enumerate().map(|(index, info)| {
        let mut judged = signer::judge(&context, info, &mut content);
        let verdict = judged.conclude(Findings::default());
        let mut signature = bare(index, format, verdict);
        signature.coverage = Coverage::WholeFile;
        fill(&mut signature, judged);
        signature
    });
    let mut signatures: Vec<_> = signatures.collect();
    for (index, info) in data.signers.iter().enumerate() {
        counter::judge(&context, info, (format, index), &mut signatures);
    }
    Report { kind: Kind::Cms, signatures, quirks }
}

/// Takes over what judging the signer found.
pub(super) fn fill(signature: &mut Signature, judged: signer::Judged) {
    signature.signer = judged.signer;
    signature.domain = judged.domain;
    signature.chain = judged.path.chain.iter().map(|one| one.der.clone()).collect();
    signature.crls = judged.path.crls;
    signature.signing_time = judged.signing_time;
    signature.timestamps = judged.timestamps;
    signature.best_time = judged.best_time;
    signature.quirks.extend(judged.quirks);
}
