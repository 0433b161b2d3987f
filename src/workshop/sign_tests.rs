//! What a signed file must be, checked with the parsers and verifiers of others where there are any.

use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;
use crate::workshop::shared::{now, pki};
use crate::workshop::{der, page};

fn paper() -> Vec<u8> {
    page::pdf("Quyết định", &["Điều 1. Phê duyệt"], 0)
}

/// The byte ranges of all signatures, in file order.
fn byte_ranges(file: &[u8]) -> Vec<[usize; 4]> {
    let text = String::from_utf8_lossy(file);
    let after = text.split("/ByteRange [").skip(1);
    after
        .map(|rest| {
            let numbers = rest.split(']').next().unwrap().split(' ').map(|n| n.parse().unwrap());
            numbers.collect::<Vec<usize>>().try_into().unwrap()
        })
        .collect()
}

/// The signature in the gap of a range, without the padding.
fn contents(file: &[u8], range: [usize; 4]) -> Vec<u8> {
    let token = &file[range[1]..range[2]];
    assert_eq!((token[0], token[token.len() - 1]), (b'<', b'>'), "the gap is the whole token");
    let digit = |byte: u8| u8::try_from(char::from(byte).to_digit(16).unwrap()).unwrap();
    let bytes: Vec<u8> = (token[1..token.len() - 1].chunks(2))
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect();
    let (_, value) = x509_parser::asn1_rs::Any::from_der(&bytes).unwrap();
    bytes[..4 + value.data.len()].to_vec()
}

/// A child of a DER value, as tag, content and whole.
fn children(content: &[u8]) -> Vec<(u8, &[u8], &[u8])> {
    let mut out = Vec::new();
    let mut rest = content;
    while !rest.is_empty() {
        let (after, value) = x509_parser::asn1_rs::Any::from_der(rest).unwrap();
        out.push((rest[0], value.data, &rest[..rest.len() - after.len()]));
        rest = after;
    }
    out
}

/// Checks the signature of a CMS whose content has `digest`, with ring and x509-parser only.
fn verifies(cms: &[u8], digest: Sha256) -> bool {
    let info = children(children(cms)[0].1);
    let data = children(children(info[1].1)[0].1);
    let certificates = children(data[3].1);
    let signer = children(children(data[4].1)[0].1);
    let sid = children(signer[1].1);
    let issued_by_sid = |der: &&[u8]| {
        let (_, leaf) = X509Certificate::from_der(der).unwrap();
        leaf.raw_serial() == sid[1].1 && leaf.issuer().as_raw() == sid[0].2
    };
    let leaf = certificates.iter().map(|one| one.2).find(issued_by_sid).unwrap();
    let (_, leaf) = X509Certificate::from_der(leaf).unwrap();
    let wanted = der::value(der::OCTET_STRING, &[&digest.0]);
    let digest_matches =
        children(signer[3].1).iter().any(|attribute| attribute.2.ends_with(&wanted));
    let signed = der::value(der::SET, &[signer[3].1]);
    let key = &leaf.public_key().subject_public_key.data;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
    digest_matches && key.verify(&signed, signer[5].1).is_ok()
}

fn covered(file: &[u8], range: [usize; 4]) -> Sha256 {
    Sha256::of_parts(&[&file[..range[1]], &file[range[2]..range[2] + range[3]]])
}

fn signed_twice() -> Vec<u8> {
    let officer = Options { reason: "Ký ban hành", ..Options::new("officer", now()) };
    let once = pdf(&paper(), &pki().officer("H49.151").unwrap(), &officer).unwrap();
    let seal = Options {
        sub_filter: SubFilter::Pkcs7,
        appearance: Some(Appearance { rectangle: [350, 780, 540, 830], lines: &["Số: 12/QĐ"] }),
        ..Options::new("seal", now())
    };
    let twice = pdf(&once, &pki().seal("H49.151").unwrap(), &seal).unwrap();
    assert!(twice.starts_with(&once), "no byte of the first signature's file changes");
    twice
}

#[test]
fn the_byte_range_leaves_out_the_contents_and_nothing_else() {
    let file = signed_twice();
    let ranges = byte_ranges(&file);
    assert_eq!(ranges.len(), 2);
    assert_eq!(ranges[1][2] + ranges[1][3], file.len(), "the last signature covers the file");
    for range in ranges {
        assert_eq!(range[0], 0);
        assert!(verifies(&contents(&file, range), covered(&file, range)));
    }
}

#[test]
fn a_changed_byte_breaks_the_signature() {
    let mut file = signed_twice();
    file[20] ^= 1;
    for range in byte_ranges(&file) {
        assert!(!verifies(&contents(&file, range), covered(&file, range)));
    }
}

#[test]
fn a_detached_signature_holds_for_its_content_only() {
    let cms = detached(b"van ban", &pki().seal("H49").unwrap(), now()).unwrap();
    assert!(verifies(&cms, Sha256::of(b"van ban")));
    assert!(!verifies(&cms, Sha256::of(b"Van ban")));
    let mut forged = cms.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert!(!verifies(&forged, Sha256::of(b"van ban")));
}

#[test]
fn the_whole_cms_is_der_with_sorted_attributes() {
    let cms = detached(b"x", &pki().seal("H49").unwrap(), now()).unwrap();
    let data = children(children(children(children(&cms)[0].1)[1].1)[0].1);
    let signer = children(children(data[4].1)[0].1);
    let attributes: Vec<&[u8]> = children(signer[3].1).iter().map(|one| one.2).collect();
    assert_eq!(attributes.len(), 4);
    assert!(attributes.is_sorted());
}

#[test]
fn only_the_older_form_signs_the_time() {
    let time_attribute = der::oid(&[1, 2, 840, 113_549, 1, 9, 5]);
    let file = signed_twice();
    let has_time = byte_ranges(&file).into_iter().map(|range| {
        let cms = contents(&file, range);
        cms.windows(time_attribute.len()).any(|window| window == time_attribute)
    });
    assert!(has_time.eq([false, true]));
}

#[test]
fn a_leaf_only_signature_leaves_the_authority_out() {
    let seal = pki().seal("H49").unwrap();
    let long = detached(b"x", &seal, now()).unwrap();
    let short = detached(b"x", &seal.leaf_only(), now()).unwrap();
    // The lengths of outer values may shrink by a byte each.
    assert!(long.len() - short.len() >= seal.chain_der[1].len());
    assert!(verifies(&short, Sha256::of(b"x")));
}

#[test]
fn an_elliptic_curve_key_and_a_time_stamp_fit_in() {
    let system = pki().system("commune").unwrap();
    let tsa = pki().signer("tsa").unwrap();
    let options = Options { tsa: Some(&tsa), ..Options::new("S", now()) };
    let file = pdf(&paper(), &system, &options).unwrap();
    let cms = contents(&file, byte_ranges(&file)[0]);
    let token = der::oid(&[1, 2, 840, 113_549, 1, 9, 16, 2, 14]);
    assert!(cms.windows(token.len()).any(|window| window == token));
}

#[test]
fn a_field_name_is_used_once() {
    let seal = pki().seal("H49").unwrap();
    let once = pdf(&paper(), &seal, &Options::new("seal", now())).unwrap();
    assert!(matches!(pdf(&once, &seal, &Options::new("seal", now())), Err(Error::Pdf(_))));
    assert!(pdf(&once, &seal, &Options::new("Dấu", now())).is_ok());
}
