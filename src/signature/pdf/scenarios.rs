//! Signed documents and what happens to them, from outside in.

use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

use crate::signature::asn1::{encode, tag};
use crate::signature::cms::oid;
use crate::signature::testing::{Authority, NOW, time};
use crate::signature::{Coverage, Indication, Report, SubIndication as Sub, Trust, judge};

/// Room for the signature value, in bytes.
const ROOM: usize = 2_000;

struct Country {
    officer: Authority,
    seal: Authority,
    trust: Trust,
}

fn country() -> Country {
    let root = Authority::root("Root");
    let middle = root.issue("Middle", |p| {
        p.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    });
    let officer = middle.issue("Nguyễn Văn A", |_| {});
    let seal = middle.issue("UBND tỉnh", |_| {});
    let der = |authority: &Authority| vec![authority.certificate.der().to_vec()];
    let crls = vec![root.crl(&[]), middle.crl(&[])];
    let trust = Trust::new(der(&root), der(&middle), crls).unwrap();
    Country { officer, seal, trust }
}

/// A detached CMS with the three attributes that PAdES demands.
fn cms(signer: &Authority, content: &[u8]) -> Vec<u8> {
    let algorithm = |oid: &[u8]| encode(tag::SEQUENCE, &[&encode(6, &[oid])]);
    let sha256 = algorithm(&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01]);
    let ecdsa = algorithm(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]);
    let attribute = |oid: &[u8], value: &[u8]| {
        encode(tag::SEQUENCE, &[&encode(6, &[oid]), &encode(tag::SET, &[value])])
    };
    let octets = |bytes: &[u8]| encode(tag::OCTET_STRING, &[digest(&SHA256, bytes).as_ref()]);
    let der = signer.certificate.der();
    let reference = encode(tag::SEQUENCE, &[&octets(der)]);
    let references = encode(tag::SEQUENCE, &[&encode(tag::SEQUENCE, &[&reference])]);
    let mut attributes = [
        attribute(oid::CONTENT_TYPE, &encode(6, &[oid::DATA])),
        attribute(oid::MESSAGE_DIGEST, &octets(content)),
        attribute(oid::SIGNING_CERTIFICATE_V2, &references),
    ];
    attributes.sort();
    let attributes = attributes.concat();
    let random = SystemRandom::new();
    let pkcs8 = signer.key.serialize_der();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &random).unwrap();
    let value = key.sign(&random, &encode(tag::SET, &[&attributes])).unwrap();
    let info = [
        encode(tag::INTEGER, &[&[1]]),
        signer.issuer_and_serial(),
        sha256.clone(),
        encode(tag::CONTEXT_0, &[&attributes]),
        ecdsa,
        encode(tag::OCTET_STRING, &[value.as_ref()]),
    ]
    .concat();
    let data = [
        encode(tag::INTEGER, &[&[3]]),
        encode(tag::SET, &[&sha256]),
        encode(tag::SEQUENCE, &[&encode(6, &[oid::DATA])]),
        encode(tag::CONTEXT_0, &[der]),
        encode(tag::SET, &[&encode(tag::SEQUENCE, &[&info])]),
    ]
    .concat();
    let inner = encode(tag::CONTEXT_0, &[&encode(tag::SEQUENCE, &[&data])]);
    encode(tag::SEQUENCE, &[&encode(6, &[oid::SIGNED_DATA]), &inner])
}

/// Appends a revision with these objects.
fn update(pdf: &[u8], objects: &[(u32, String)]) -> Vec<u8> {
    let text = String::from_utf8_lossy(pdf).into_owned();
    let previous =
        text.rfind("startxref\n").map(|at| text[at + 10..].lines().next().unwrap().to_owned());
    let mut out = pdf.to_vec();
    let mut table = String::from("xref\n");
    for (number, body) in objects {
        table += &format!("{number} 1\n{:010} 00000 n \n", out.len());
        out.extend(format!("{number} 0 obj\n{body}\nendobj\n").bytes());
    }
    let start = out.len();
    let previous = previous.map_or(String::new(), |at| format!("/Prev {at}"));
    let trailer = format!("trailer\n<</Size 99/Root 1 0 R/Info 9 0 R{previous}>>\n");
    out.extend(format!("{table}{trailer}startxref\n{start}\n%%EOF\n").bytes());
    out
}

fn blank() -> Vec<u8> {
    let page = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R>>";
    let objects = [
        (1, "<</Type/Catalog/Pages 2 0 R>>".to_owned()),
        (2, "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned()),
        (3, page.to_owned()),
        (4, "<</Length 12>>\nstream\nBT (100) ET \nendstream".to_owned()),
        (9, "<</Title(a)>>".to_owned()),
    ];
    update(b"%PDF-1.7\n", &objects)
}

/// The objects of a revision that signs with field `first` after the fields in `before`.
fn signature_objects(before: &[u32], first: u32, extra: &str) -> Vec<(u32, String)> {
    let fields: String = before.iter().chain([&first]).map(|n| format!("{n} 0 R ")).collect();
    let value = first + 1;
    let place = "0".repeat(ROOM * 2);
    vec![
        (1, format!("<</Type/Catalog/Pages 2 0 R/AcroForm<</SigFlags 3/Fields[{fields}]>>>>")),
        (
            3,
            format!(
                "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Annots[{fields}]>>"
            ),
        ),
        (
            first,
            format!(
                "<</Type/Annot/Subtype/Widget/FT/Sig/T(s{first})/V {value} 0 R/Rect[0 0 0 0]/P 3 0 R>>"
            ),
        ),
        (
            value,
            format!(
                "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached{extra}\
                 /ByteRange[0 ########## ########## ##########]/Contents<{place}>>>"
            ),
        ),
    ]
}

/// Fills in the byte range and the signature value of the last signature dictionary.
fn seal(mut pdf: Vec<u8>, signer: &Authority) -> Vec<u8> {
    let find = |pdf: &[u8], what: &[u8]| pdf.windows(what.len()).rposition(|w| w == what).unwrap();
    let range = find(&pdf, b"/ByteRange[");
    let from = find(&pdf, b"/Contents<") + 9;
    let to = from + ROOM * 2 + 2;
    let text = format!("/ByteRange[0 {from:<10} {to:<10} {:<10}]", pdf.len() - to);
    pdf[range..range + text.len()].copy_from_slice(text.as_bytes());
    let value = cms(signer, &[&pdf[..from], &pdf[to..]].concat());
    let digits = crate::digest::hex(&value);
    pdf[from + 1..from + 1 + digits.len()].copy_from_slice(digits.as_bytes());
    pdf
}

fn signed(country: &Country) -> Vec<u8> {
    seal(update(&blank(), &signature_objects(&[], 20, "")), &country.officer)
}

fn signed_twice(country: &Country) -> Vec<u8> {
    let first = signed(country);
    seal(update(&first, &signature_objects(&[20], 30, "")), &country.seal)
}

fn run(country: &Country, pdf: &[u8]) -> Report {
    judge(&pdf, &country.trust, time(NOW))
}

#[track_caller]
fn expect(country: &Country, pdf: &[u8], expected: (Indication, Option<Sub>), code: &str) {
    let report = run(country, pdf);
    let verdict = &report.signatures[0].verdict;
    assert_eq!((verdict.indication(), verdict.sub_indication()), expected, "{verdict:?}");
    let first = verdict.reasons().first().map_or("", |reason| reason.code);
    assert_eq!(first, code);
}

const PASSED: (Indication, Option<Sub>) = (Indication::TotalPassed, None);
const FORGED: (Indication, Option<Sub>) = (Indication::TotalFailed, Some(Sub::FormatFailure));
const DOUBTED: (Indication, Option<Sub>) =
    (Indication::Indeterminate, Some(Sub::SigConstraintsFailure));

#[test]
fn an_officer_and_then_the_seal_both_pass() {
    let country = country();
    let pdf = signed_twice(&country);
    let report = run(&country, &pdf);
    assert_eq!(report.indication(), Some(Indication::TotalPassed), "{report:?}");
    let names: Vec<_> = report
        .signatures
        .iter()
        .map(|s| s.signer.as_ref().unwrap().common_name.clone().unwrap())
        .collect();
    assert_eq!(names, ["Nguyễn Văn A", "UBND tỉnh"]);
    assert!(matches!(report.signatures[0].coverage, Coverage::Revision { .. }));
    assert_eq!(report.signatures[1].coverage, Coverage::WholeFile);
    assert_eq!((report.signatures[0].chain.len(), report.signatures[0].crls.len()), (3, 2));
}

#[test]
fn a_large_file_is_judged_like_a_small_one() {
    let country = country();
    let filling = "x".repeat(9 * 1024 * 1024);
    let body = format!("<</Length {}>>\nstream\n{filling}\nendstream", filling.len());
    let large = update(&blank(), &[(8, body)]);
    let first = seal(update(&large, &signature_objects(&[], 20, "")), &country.officer);
    let pdf = seal(update(&first, &signature_objects(&[20], 30, "")), &country.seal);
    assert_eq!(run(&country, &pdf).indication(), Some(Indication::TotalPassed));
}

#[test]
fn remarks_and_security_stores_may_follow() {
    let country = country();
    let pdf = signed(&country);
    let store = "<</Type/Catalog/Pages 2 0 R/DSS 40 0 R\
                 /AcroForm<</SigFlags 3/Fields[20 0 R ]>>>>";
    let stored = update(&pdf, &[(1, store.to_owned()), (40, "<</Certs[41 0 R]>>".to_owned())]);
    expect(&country, &stored, PASSED, "");
    let remarked = update(&stored, &[(9, "<</Title(b)>>".to_owned())]);
    expect(&country, &remarked, PASSED, "");
}

#[test]
fn changed_content_is_named_with_its_place() {
    let country = country();
    let pdf = signed(&country);
    let content = "<</Length 12>>\nstream\nBT (999) ET \nendstream".to_owned();
    let changed = update(&pdf, &[(4, content)]);
    expect(&country, &changed, DOUBTED, "CONTENT_CHANGED");
    let report = run(&country, &changed);
    assert_eq!(report.signatures[0].verdict.reasons()[0].offset, Some(pdf.len() as u64));
    let pages = update(&pdf, &[(2, "<</Type/Pages/Kids[3 0 R 3 0 R]/Count 2>>".to_owned())]);
    expect(&country, &pages, DOUBTED, "CONTENT_CHANGED");
    let page =
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Annots[20 0 R 50 0 R]>>";
    let note = "<</Type/Annot/Subtype/FreeText/Rect[0 0 9 9]>>";
    let noted = update(&pdf, &[(3, page.to_owned()), (50, note.to_owned())]);
    expect(&country, &noted, DOUBTED, "ANNOTATION_ADDED");
    let widget = "<</Subtype/Widget/FT/Sig/T(x)/Rect[0 0 99 99]/AP<</N 4 0 R>>>>";
    let drawn = update(&pdf, &[(3, page.to_owned()), (50, widget.to_owned())]);
    expect(&country, &drawn, DOUBTED, "ANNOTATION_ADDED");
    // The same widget in the form: a field that is not signed.
    let root = "<</Type/Catalog/Pages 2 0 R/AcroForm<</SigFlags 3/Fields[20 0 R 50 0 R]>>>>";
    let listed = update(&drawn, &[(1, root.to_owned())]);
    expect(&country, &listed, DOUBTED, "UNSIGNED_FIELD_DRAWS");
    // A widget that borrows the officer's signature but draws something of its own.
    let borrowed = widget.replace("/T(x)", "/V 21 0 R");
    let drawn = update(&pdf, &[(3, page.to_owned()), (50, borrowed)]);
    expect(&country, &drawn, DOUBTED, "ANNOTATION_ADDED");
}

#[test]
fn later_changes_to_what_cannot_be_read_are_not_ruled_out() {
    let country = country();
    let odd =
        update(&blank(), &[(4, "<</Length 12/Odd odd>>\nstream\nBT (100) ET \nendstream".into())]);
    let first = seal(update(&odd, &signature_objects(&[], 20, "")), &country.officer);
    expect(&country, &first, PASSED, "");
    let later = update(&first, &[(9, "<</Title(b)>>".to_owned())]);
    expect(&country, &later, DOUBTED, "NOT_COMPARABLE");
}

#[test]
fn a_certification_without_changes_forbids_the_next_signature() {
    let country = country();
    let extra = "/Reference[<</TransformMethod/DocMDP/TransformParams<</P 1>>>>]";
    let first = seal(update(&blank(), &signature_objects(&[], 20, extra)), &country.officer);
    expect(&country, &first, PASSED, "");
    let second = seal(update(&first, &signature_objects(&[20], 30, "")), &country.seal);
    let report = run(&country, &second);
    let found: Vec<_> = report.signatures.iter().map(|s| s.verdict.sub_indication()).collect();
    assert_eq!(found, [Some(Sub::SigConstraintsFailure), None]);
}

#[test]
fn bytes_after_the_signature_that_are_no_revision_are_forgery() {
    let country = country();
    let pdf = signed(&country);
    let with = |tail: &str| [&pdf[..], tail.as_bytes()].concat();
    let body = "4 0 obj\n<</Length 3>>\nstream\nabc\nendstream\nendobj\n";
    expect(&country, &with(body), FORGED, "UNPARSED_BYTES");
    expect(&country, &with(&format!("{body}startxref\n5\n%%EOF\n")), FORGED, "STRUCTURE_BROKEN");
    expect(&country, &with("junk\n%%EOF\n"), FORGED, "UNPARSED_BYTES");
    expect(&country, &with("\n"), PASSED, "");
    // An object that the new section lists inside a comment, where a plain walk sees nothing.
    let at = pdf.len() + 2;
    let hidden = with("% 4 0 obj<</A 1>>endobj\n");
    let start = hidden.len();
    let tail = format!(
        "xref\n4 1\n{at:010} 00000 n \ntrailer\n<</Root 1 0 R/Prev {}>>\nstartxref\n{start}\n%%EOF\n",
        String::from_utf8_lossy(&pdf).rsplit("startxref\n").next().unwrap().lines().next().unwrap()
    );
    let hidden = [hidden, tail.into_bytes()].concat();
    expect(&country, &hidden, FORGED, "HIDDEN_OBJECT");
}

#[test]
fn a_gap_wider_than_the_signature_value_is_forgery() {
    let country = country();
    let objects = signature_objects(&[], 20, "");
    let mut pdf = seal(update(&blank(), &objects), &country.officer);
    let text = String::from_utf8_lossy(&pdf).into_owned();
    let at = text.rfind("/ByteRange[").unwrap() + 11;
    let inner = &text[at..at + text[at..].find(']').unwrap()];
    let mut numbers: Vec<usize> = inner.split_whitespace().map(|n| n.parse().unwrap()).collect();
    numbers[2] += 10;
    numbers[3] -= 10;
    let moved = format!("0 {:<10} {:<10} {:<10}", numbers[1], numbers[2], numbers[3]);
    pdf[at..at + moved.len()].copy_from_slice(moved.as_bytes());
    expect(&country, &pdf, FORGED, "BYTE_RANGE_GAP");
}

#[test]
fn every_changed_byte_and_every_cut_is_noticed() {
    let country = country();
    let pdf = signed_twice(&country);
    let text = String::from_utf8_lossy(&pdf).into_owned();
    let gaps: Vec<usize> = text.match_indices("/Contents<").map(|(at, _)| at + 9).collect();
    for at in (9..pdf.len()).step_by(5) {
        // Inside a signature value there is padding; what stands there is not signed.
        if gaps.iter().any(|&gap| (gap..gap + ROOM * 2 + 2).contains(&at)) {
            continue;
        }
        let mut changed = pdf.clone();
        changed[at] ^= 1;
        let report = run(&country, &changed);
        assert_ne!(report.indication(), Some(Indication::TotalPassed), "byte {at}");
    }
    let first_end = signed(&country).len();
    for size in (0..pdf.len()).step_by(11) {
        let report = run(&country, &pdf[..size]);
        let passed = report.indication() == Some(Indication::TotalPassed);
        assert!(!passed || size >= first_end && size <= first_end + 8, "cut at {size}");
    }
}
