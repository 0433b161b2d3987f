//! The old PDF formats that bind the document by other means than a detached CMS.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use vanthu::digest::{Sha256, hex};

use crate::der::{integer, null, octets, oid, sequence, sha2};
use crate::keys::{Rsa, encoded};
use crate::message::with_content;
use crate::paper::{Custom, blank, contents, overwrite, seal};
use crate::people::People;
use crate::{Case, Expected, doubted, failed};

const SHA_1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// Bytes of an RSA modulus.
const SIZE: usize = 256;

pub fn cases(people: &People) -> Vec<Case> {
    let mut cases = inner_digests(people);
    cases.extend(bare_values(people));
    cases
}

/// A signature of this format, still without its value.
fn prepared(sub_filter: &str, entries: &str) -> Vec<u8> {
    let custom = Custom { number: 20, entries, ..Custom::default() };
    overwrite(
        &custom.prepare(&blank()),
        "/SubFilter/ETSI.CAdES.detached",
        &format!("/SubFilter/{sub_filter}"),
    )
}

fn sha_1(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec()
}

/// C2: the digest inside of the CMS binds the document, the CMS binds the digest.
fn inner_digests(people: &People) -> Vec<Case> {
    let with = |make: &dyn Fn(&[u8]) -> Vec<u8>| seal(prepared("adbe.pkcs7.sha1", ""), make);
    let case = |name, pdf: Vec<u8>, expected| Case::new("C2", name, pdf, expected);
    let signed = |inner: &[u8]| with_content(people, inner, inner);
    let honest = with(&|bytes| signed(&sha_1(bytes)));
    let other = with(&|_| signed(&sha_1(b"another document")));
    let sha_256 = with(&|bytes| signed(&Sha256::of(bytes).0));
    let whole = with(&|bytes| signed(bytes.get(..40).unwrap()));
    let exchanged = with(&|bytes| with_content(people, &sha_1(bytes), b"another digest"));
    let detached = with(&|bytes| {
        vanthu::workshop::sign::detached(bytes, &people.officer, people.now).unwrap()
    });
    let gap = contents(&honest).start;
    let differs = || failed("INNER_DIGEST_DIFFERS", gap);
    vec![
        // As good as it gets: everything fits, and SHA-1 is not accepted any more.
        case("inner-digest.pdf", honest, doubted("SHA1", None)),
        case("inner-digest-of-other-document.pdf", other, differs()),
        case("inner-digest-of-other-hash.pdf", sha_256, differs()),
        case("inner-text.pdf", whole, differs()),
        case("inner-digest-exchanged.pdf", exchanged, failed("DIGEST_DIFFERS", None)),
        case("inner-digest-absent.pdf", detached, failed("CONTENT_MISSING", gap)),
    ]
}

/// K1 and C3 for values without CMS.
fn bare_values(people: &People) -> Vec<Case> {
    let rsa = Rsa::new(people, 8 * SIZE, 3);
    let certificate = format!("/Cert<{}>", hex(rsa.identity.leaf()));
    let info = |name: &[u8], hash: &[u8]| {
        let name = if name.is_empty() { sha2(1) } else { oid(name) };
        sequence(vec![sequence(vec![name, null()]), octets(hash)]).encode()
    };
    let raise = |filling: usize, info: &[u8]| rsa.raise(&encoded(1, filling, info, SIZE));
    let full = |info: &[u8]| raise(SIZE - 3 - info.len(), info);
    let with = |entries: &str, make: &dyn Fn(&[u8]) -> Vec<u8>| {
        seal(prepared("adbe.x509.rsa_sha1", entries), make)
    };
    let sha_256 = |bytes: &[u8]| octets(&full(&info(b"", &Sha256::of(bytes).0))).encode();
    let sha_1 = |bytes: &[u8]| octets(&full(&info(SHA_1, &sha_1(bytes)))).encode();
    let short = |bytes: &[u8]| octets(&raise(8, &info(b"", &Sha256::of(bytes).0))).encode();
    let number = |_: &[u8]| integer(&[7]).encode();
    let array = format!("/Cert[<{}>]", hex(rsa.identity.leaf()));
    let elliptic = format!("/Cert<{}>", hex(people.officer.leaf()));
    let honest = with(&certificate, &sha_256);
    let gap = contents(&honest).start;
    let remark = || Expected::Passed("certificate is not protected");
    let unknown = seal(prepared("adbe.pkcs7.foreign", ""), |_| vec![0x30, 0]);
    let value = || failed("SIGNATURE_VALUE", None);
    let absent = || doubted("SIGNER_CERTIFICATE_MISSING", None);
    vec![
        Case::new("K1", "bare-rsa-sha-256.pdf", honest, remark()),
        Case::new("K1", "bare-rsa-certificates-listed.pdf", with(&array, &sha_256), remark()),
        Case::new(
            "K2",
            "bare-rsa-sha-1.pdf",
            with(&certificate, &sha_1),
            doubted("SIGNATURE_ALGORITHM", None),
        ),
        Case::new(
            "K1",
            "bare-rsa-other-document.pdf",
            with(&certificate, &|_| sha_256(b"other")),
            value(),
        ),
        Case::new("K1", "bare-rsa-short-padding.pdf", with(&certificate, &short), value()),
        Case::new(
            "K1",
            "bare-rsa-number.pdf",
            with(&certificate, &number),
            failed("VALUE_UNREADABLE", gap),
        ),
        Case::new("C3", "bare-rsa-without-certificate.pdf", with("", &sha_256), absent()),
        Case::new(
            "C3",
            "bare-rsa-unreadable-certificate.pdf",
            with("/Cert<3000>", &sha_256),
            doubted("SIGNER_CERTIFICATE_UNREADABLE", None),
        ),
        Case::new(
            "C4",
            "bare-rsa-elliptic-key.pdf",
            with(&elliptic, &sha_256),
            doubted("ALGORITHM_NOT_JUDGED", None),
        ),
        Case::new("C4", "sub-filter-unknown.pdf", unknown, doubted("FORMAT_NOT_JUDGED", None)),
    ]
}
