//! Responses made here and by others, and what they are refused for.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

use super::*;
use crate::signature::asn1::encode;
use crate::signature::crypto_policy::CryptoPolicy;
use crate::signature::evidence::{Material, Packing, Proofs};
use crate::signature::past::{Made, Occasion, settle};
use crate::signature::path::{self, Purpose};
use crate::signature::testing::{Authority, DAY, NOW, time, timestamping, with_unsigned};
use crate::signature::{SubIndication as Sub, judge, judge_detached};
use crate::workshop::page;
use crate::workshop::sign::{self, Options};

const GOOD: &[u8] = &[0x80, 0];
const UNKNOWN: &[u8] = &[0x82, 0];

fn moment(seconds: i64) -> Vec<u8> {
    let digits: String = time(seconds).to_string().chars().filter(char::is_ascii_digit).collect();
    encode(tag::GENERALIZED_TIME, &[&digits.as_bytes()[..14], b"Z"])
}

fn now() -> Strength<'static> {
    Strength { policy: CryptoPolicy::built_in(), now: time(NOW), made: Made::default() }
}

fn revoked(at: i64) -> Vec<u8> {
    encode(tag::CONTEXT_1, &[&moment(at)])
}

/// What a response says, in hours from now, and by whom.
struct Draft<'a> {
    responder: &'a Authority,
    issuer: &'a Authority,
    subject: &'a Authority,
    status: &'a [u8],
    this_update: i64,
    next_update: Option<i64>,
}

impl Draft<'_> {
    fn basic(&self) -> Vec<u8> {
        let hours = |hours: i64| moment(NOW + hours * 3600);
        let read = |one: &Authority| Certificate::from_der(one.certificate.der()).unwrap();
        let (subject, issuer) = (read(self.subject), read(self.issuer));
        let sha256 = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
        let sha256 = encode(tag::SEQUENCE, &[&encode(tag::OBJECT_IDENTIFIER, &[&sha256])]);
        let hashed = |bytes: &[u8]| {
            encode(tag::OCTET_STRING, &[digest::digest(&digest::SHA256, bytes).as_ref()])
        };
        let (name, key) =
            (hashed(issuer_raw(&subject).unwrap()), hashed(key_bits(&issuer).unwrap()));
        let serial = encode(tag::INTEGER, &[&subject.serial]);
        let id = encode(tag::SEQUENCE, &[&sha256, &name, &key, &serial]);
        let next = self.next_update.map(|at| encode(tag::CONTEXT_0, &[&hours(at)]));
        let this = hours(self.this_update);
        let single = encode(tag::SEQUENCE, &[&id, self.status, &this, &next.unwrap_or_default()]);
        let (_, own) =
            x509_parser::parse_x509_certificate(self.responder.certificate.der()).unwrap();
        let data = [
            encode(tag::CONTEXT_1, &[own.subject().as_raw()]),
            this,
            encode(tag::SEQUENCE, &[&single]),
        ]
        .concat();
        let data = encode(tag::SEQUENCE, &[&data]);
        let random = SystemRandom::new();
        let pkcs8 = self.responder.key.serialize_der();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8, &random).unwrap();
        let value = key.sign(&random, &data).unwrap();
        let ecdsa = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
        let ecdsa = encode(tag::SEQUENCE, &[&encode(tag::OBJECT_IDENTIFIER, &[&ecdsa])]);
        let value = encode(tag::BIT_STRING, &[&[0], value.as_ref()]);
        let list = encode(tag::SEQUENCE, &[self.responder.certificate.der()]);
        encode(tag::SEQUENCE, &[&data, &ecdsa, &value, &encode(tag::CONTEXT_0, &[&list])])
    }

    fn der(&self) -> Vec<u8> {
        let kind = encode(tag::OBJECT_IDENTIFIER, &[BASIC]);
        let octets = encode(tag::OCTET_STRING, &[&self.basic()]);
        let bytes = encode(tag::SEQUENCE, &[&kind, &octets]);
        let wrapper = encode(tag::CONTEXT_0, &[&bytes]);
        encode(tag::SEQUENCE, &[&encode(ENUMERATED, &[&[0]]), &wrapper])
    }
}

fn responder(params: &mut rcgen::CertificateParams, is_exempt: bool) {
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::OcspSigning];
    if is_exempt {
        let no_check = &[1, 3, 6, 1, 5, 5, 7, 48, 1, 5];
        let extension = rcgen::CustomExtension::from_oid_content(no_check, vec![5, 0]);
        params.custom_extensions.push(extension);
    }
}

/// The only source of revocation data is a response in the document's security store.
#[test]
fn a_response_in_the_document_counts_if_its_signer_may_answer_now() {
    let root = Authority::root("Root");
    let signer = root.issue("Signer", |_| {});
    let other = root.issue("Other", |_| {});
    let stranger = Authority::root("Root");
    let exempt = root.issue("Exempt", |p| responder(p, true));
    let checked = root.issue("Checked", |p| responder(p, false));
    let foreign = stranger.issue("Foreign", |p| responder(p, true));
    let trust = Trust::new(vec![root.certificate.der().to_vec()], vec![], vec![]).unwrap();
    let options = Options::new("seal", time(NOW - DAY));
    let paper = page::pdf("Quyết định", &["Điều 1"], 0);
    let signed = sign::pdf(&paper, &signer.identity(), &options).unwrap();
    let draft = |responder, status, this_update, next_update| {
        let (issuer, subject) = (&root, &signer);
        Draft { responder, issuer, subject, status, this_update, next_update }
    };
    let gone = revoked(NOW - DAY);
    let late = Some((Sub::TryLater, "CRL_MISSING"));
    for (name, draft, expected, why) in [
        ("the authority", draft(&root, GOOD, -1, Some(1)), None, ""),
        ("an appointed responder", draft(&exempt, GOOD, -1, Some(1)), None, ""),
        ("an hour old", draft(&root, GOOD, -1, None), None, ""),
        ("two days old", draft(&root, GOOD, -48, None), late, "ran out"),
        ("not the newest", draft(&root, GOOD, -9, Some(-1)), late, "ran out"),
        ("from the future", draft(&root, GOOD, 2, Some(3)), late, "made later"),
        ("unknown", draft(&root, UNKNOWN, -1, Some(1)), late, "does not know"),
        ("revoked", draft(&root, &gone, -1, Some(1)), Some((Sub::RevokedNoPoe, "REVOKED")), ""),
        ("a signer", draft(&other, GOOD, -1, Some(1)), late, "may not answer"),
        ("the signer itself", draft(&signer, GOOD, -1, Some(1)), late, "may not answer"),
        ("of another authority", draft(&foreign, GOOD, -1, Some(1)), late, "may not answer"),
        ("of another key", draft(&stranger, GOOD, -1, Some(1)), late, "signature"),
        ("status of the responder", draft(&checked, GOOD, -1, Some(1)), late, "“Checked” was"),
        (
            "about another",
            Draft { subject: &other, ..draft(&root, GOOD, -1, Some(1)) },
            late,
            "none is at hand",
        ),
        (
            "about another authority's",
            Draft { issuer: &stranger, ..draft(&root, GOOD, -1, Some(1)) },
            late,
            "none is at hand",
        ),
    ] {
        let stored = sign::security_store(&signed, &[], &[], &[draft.der()]).unwrap();
        let report = judge(&stored, &trust, time(NOW));
        let verdict = &report.signatures[0].verdict;
        let first = verdict.reasons().first();
        let found = verdict.sub_indication().zip(first.map(|reason| reason.code));
        assert_eq!(found, expected, "{name}: {verdict:?}");
        assert!(first.is_none_or(|first| first.message.contains(why)), "{name}: {first:?}");
        assert_eq!(report.signatures[0].passed().is_some(), expected.is_none(), "{name}");
    }
}

/// revocation-values of CAdES, and the revocation data of SignedData itself.
#[test]
fn a_response_in_the_signature_counts_like_one_in_the_document() {
    let root = Authority::root("Root");
    let signer = root.issue("Signer", |_| {});
    let trust = Trust::new(vec![root.certificate.der().to_vec()], vec![], vec![]).unwrap();
    let cms = sign::detached(b"x", &signer.identity(), time(NOW - DAY)).unwrap();
    let draft = |status| Draft {
        responder: &root,
        issuer: &root,
        subject: &signer,
        status,
        this_update: -1,
        next_update: Some(1),
    };
    let values = |tag_of_list: u8, item: &[u8]| {
        let list = encode(tag_of_list, &[&encode(tag::SEQUENCE, &[item])]);
        with_unsigned(&cms, &[(cms::oid::REVOCATION_VALUES, encode(tag::SEQUENCE, &[&list]))])
    };
    let gone = revoked(NOW - DAY);
    for (name, cms, expected) in [
        ("nothing", cms.clone(), Some(Sub::TryLater)),
        ("a response", values(tag::CONTEXT_1, &draft(GOOD).basic()), None),
        ("unknown", values(tag::CONTEXT_1, &draft(UNKNOWN).basic()), Some(Sub::TryLater)),
        ("revoked", values(tag::CONTEXT_1, &draft(&gone).basic()), Some(Sub::RevokedNoPoe)),
        ("a list", values(tag::CONTEXT_0, &root.crl(&[])), None),
        (
            "a list of another",
            values(tag::CONTEXT_0, &Authority::root("Root").crl(&[])),
            Some(Sub::TryLater),
        ),
        ("nonsense", values(tag::CONTEXT_1, &[0x30, 1, 7]), Some(Sub::TryLater)),
    ] {
        let report = judge_detached(&cms, b"x", &trust, time(NOW));
        assert_eq!(report.signatures[0].verdict.sub_indication(), expected, "{name}");
        assert_eq!(report.signatures[0].passed().is_some(), expected.is_none(), "{name}");
    }
}

#[test]
fn a_revocation_in_a_response_counts_from_its_day_on() {
    let root = Authority::root("Root");
    let signer = root.issue("Signer", |_| {});
    let clock = Authority::root("Clock");
    let tsa = clock.issue("TSA", |params| timestamping(params, true)).identity();
    let anchors = [&root, &clock].map(|one| one.certificate.der().to_vec()).to_vec();
    let trust = Trust::new(anchors, vec![], vec![clock.crl(&[])]).unwrap();
    let options = Options { tsa: Some(&tsa), ..Options::new("seal", time(NOW - 10 * DAY)) };
    let paper = page::pdf("Quyết định", &["Điều 1"], 0);
    let signed = sign::pdf(&paper, &signer.identity(), &options).unwrap();
    for (day, expected) in [(5, None), (15, Some(Sub::RevokedNoPoe))] {
        let status = revoked(NOW - day * DAY);
        let (responder, issuer, subject, status) = (&root, &root, &signer, &status[..]);
        let (this_update, next_update) = (-1, Some(1));
        let draft = Draft { responder, issuer, subject, status, this_update, next_update };
        let stored = sign::security_store(&signed, &[], &[], &[draft.der()]).unwrap();
        let report = judge(&stored, &trust, time(NOW));
        assert_eq!(report.signatures[0].verdict.sub_indication(), expected, "{day} days ago");
        assert_eq!(report.signatures[0].passed().is_some(), expected.is_none());
    }
}

#[test]
fn a_response_is_refused_at_every_truncation_and_never_verified_when_changed() {
    let root = Authority::root("Root");
    let signer = root.issue("Signer", |_| {});
    let trust = Trust::new(vec![], vec![], vec![]).unwrap();
    let draft = Draft {
        responder: &root,
        issuer: &root,
        subject: &signer,
        status: GOOD,
        this_update: -1,
        next_update: Some(1),
    };
    let basic = draft.basic();
    let read = |one: &Authority| Certificate::from_der(one.certificate.der()).unwrap();
    let (subject, issuer) = (read(&signer), read(&root));
    let judged = |der: &[u8]| {
        let response = Response::from_basic(der).ok()?;
        response
            .answer(now(), &trust, &subject, &issuer, &[])
            .ok()
            .map(|(answer, _)| answer.until())
    };
    assert!(judged(&basic).is_some());
    for size in 0..basic.len() {
        assert!(judged(&basic[..size]).is_none(), "cut at {size}");
    }
    // Behind the signed data and its signature stand certificates, which are only candidates.
    let signed = basic.len() - root.certificate.der().len() - 8;
    for at in 0..signed {
        let mut changed = basic.clone();
        changed[at] ^= 1;
        assert!(judged(&changed).is_none(), "byte {at}");
    }
}

fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("VANTHU_CORPORA")
        .map_or_else(|| PathBuf::from("../shared/corpora"), PathBuf::from);
    let folder = root.join("pyhanko-certvalidator").join(name);
    if !folder.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "{} is absent", folder.display());
        return None;
    }
    Some(folder)
}

fn response(folder: &std::path::Path, name: &str) -> Response {
    let text = std::fs::read_to_string(folder.join(format!("{name}.ors"))).unwrap();
    let der = STANDARD.decode(text.split_whitespace().collect::<String>()).unwrap();
    for size in (0..der.len()).step_by(7) {
        assert!(Response::from_der(&der[..size]).is_err(), "{name} cut at {size}");
    }
    Response::from_der(&der).unwrap()
}

fn certificate(folder: &std::path::Path, name: &str) -> Certificate {
    let pem = std::fs::read(folder.join(format!("{name}.pem"))).unwrap();
    Certificate::from_der(&x509_parser::pem::parse_x509_pem(&pem).unwrap().1.contents).unwrap()
}

/// `D`: the responder is appointed; `ND`: the authority answers itself.
#[test]
fn openssl_responses_are_judged_by_their_names() {
    let Some(folder) = folder("openssl-ocsp") else { return };
    let trust = Trust::new(vec![], vec![], vec![]).unwrap();
    let judge_at = |at: Time, response_name: &str, case: &str, issuer: &str| {
        let subject = if case.ends_with('2') { "ICA" } else { "EE" };
        let subject = certificate(&folder, &format!("{case}_Cert_{subject}"));
        let issuer = certificate(&folder, issuer);
        let found = response(&folder, response_name);
        let strength = Strength { now: at, ..now() };
        found.answer(strength, &trust, &subject, &issuer, &[]).map(|(answer, _)| answer.status)
    };
    let judge = |name: &str, case: &str, issuer: &str| judge_at(time(NOW), name, case, issuer);
    let then = "2012-10-11T00:00:00.000Z".parse().unwrap();
    // Everything here is signed with SHA-1: what is right but for that ends as too weak.
    let weak =
        "SHA-1 is accepted until 31/12/2019 only, and nothing proves that it was used before";
    let weak = Err(Unusable::Weak(weak.to_owned()));
    for case in ["D1", "D2", "D3", "ND1", "ND2", "ND3"] {
        let authority = if case.ends_with('1') { "Issuer_ICA" } else { "Issuer_Root" };
        let issuer = format!("{case}_{authority}");
        assert_eq!(judge(case, case, &issuer), weak, "{case}");
        assert_eq!(judge_at(then, case, case, &issuer), Ok(Status::Good), "{case} in its time");
        let broken = |kind: &str| judge(&format!("{kind}_{case}"), case, &issuer);
        assert_eq!(broken("ISOP"), Err(Unusable::Signature), "signature of {case}");
        assert_eq!(broken("WRID"), Err(Unusable::Responder), "responder of {case}");
        for (kind, what) in [("WINH", "name hash"), ("WIKH", "key hash")] {
            assert_eq!(broken(kind), Err(Unusable::OtherCertificate), "{what} of {case}");
        }
        // The issuer's certificate with another key, or another subject.
        let other = |kind: &str| judge(case, case, &format!("{kind}_{case}_{authority}"));
        assert_eq!(other("WKIC"), Err(Unusable::OtherCertificate), "issuer key of {case}");
        if case.starts_with('D') {
            let wrong = |kind: &str| judge(&format!("{kind}_{case}"), case, &issuer);
            assert_eq!(wrong("WKDOSC"), Err(Unusable::Responder), "responder key of {case}");
            assert_eq!(wrong("ISDOSC"), Err(Unusable::Responder), "appointment of {case}");
        }
    }
}

/// A real signature of 2018 with adbe-revocationInfoArchival: the response is by a responder whom the
/// authority appointed.
#[test]
fn a_response_in_a_real_signed_attribute_counts() {
    let Some(folder) = folder("../dss/dss-pades/validation") else { return };
    let pdf = std::fs::read(folder.join("adbe_ocsp_signed.pdf")).unwrap();
    let text = String::from_utf8_lossy(&pdf);
    // A page has /Contents, too.
    let (_, rest) = text.split_once("/Contents<3082").unwrap();
    let digits = format!("3082{}", rest.split('>').next().unwrap());
    let digits = digits.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap();
    let value: Vec<u8> = digits
        .chunks(2)
        .map(|pair| u8::try_from(digit(pair[0]) << 4 | digit(pair[1])).unwrap())
        .collect();
    let data = cms::SignedData::parse(&value).unwrap();
    let certificates = data.certificates.iter().map(|der| Certificate::from_der(der).unwrap());
    let mut certificates: Vec<_> = certificates.collect();
    certificates.retain(|certificate| certificate.constraints.is_authority);
    let trust = Trust::new(vec![certificates[0].der.to_vec()], vec![], vec![]).unwrap();
    let sub = |now: &str| {
        let report = judge(&pdf, &trust, now.parse().unwrap());
        let verdict = &report.signatures[0].verdict;
        (verdict.sub_indication(), verdict.reasons().first().map(|reason| reason.message.clone()))
    };
    assert_eq!(sub("2018-11-13T16:00:00.000Z").0, None);
    let (late, why) = sub("2018-11-14T16:00:00.000Z");
    assert_eq!(late, Some(Sub::TryLater));
    assert!(why.as_deref().is_some_and(|why| why.contains("ran out on")), "{why:?}");
}

/// Made for pyHanko's tests of sliding time: Alice was revoked on 1 December 2020, and so was another
/// certificate of her authority. A response speaks for ten minutes, a list of the root for ten days.
#[test]
fn pyhanko_time_slides_as_its_data_say() {
    let Some(folder) = folder("ades/time-slide") else { return };
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let trust = Trust::new(vec![read("certs/root.crt")], vec![], vec![]).unwrap();
    let read_certificate = |name: &str| trust.certificate(&read(name)).unwrap();
    let alice = read_certificate("certs/alice.crt");
    let moment = |text: &str| format!("2020-{text}:00.000Z").parse::<Time>().unwrap();
    let judged = |authority: &str, now: &str, made: Option<&str>, known: &[&str]| {
        let mut material = Material::default();
        for name in known {
            let packing = if name.ends_with("ors") { Packing::Response } else { Packing::List };
            let (who, ending) = name.split_once(' ').unwrap();
            let (day, kind) = ending.split_once('.').unwrap();
            material.add(packing, &read(&format!("{who}-2020-{day}.{kind}")), None);
        }
        let candidates = [read_certificate(authority)];
        let now = moment(now);
        let mut path = path::judge(&trust, now, Purpose::Document, &alice, &candidates);
        let proofs = Proofs::default();
        let occasion = Occasion { trust: &trust, now, material: &material, proofs: &proofs };
        let made = Made { by: made.map(moment), ..Made::default() };
        settle(occasion, Purpose::Document, made, &mut path);
        assert_eq!(path.holds.is_some(), path.findings.is_empty());
        path.findings.worst()
    };
    let (gone, late) = (Some(Sub::RevokedNoPoe), Some(Sub::TryLater));
    let october = &["alice 10-01.ors", "root 10-01.crl"];
    let november = &["alice 11-29.ors", "root 11-29.crl"];
    let december = &["alice 12-10.ors", "root 12-10.crl"];
    let good = "certs/interm.crt";
    for (authority, now, made, known, expected) in [
        (good, "10-01T00:05", None, &october[..], None),
        (good, "10-01T00:15", None, october, late),
        (good, "10-01T00:05", None, &october[..1], late),
        (good, "10-01T00:05", None, &october[1..], late),
        (good, "11-29T00:05", None, november, None),
        (good, "11-29T00:05", None, october, late),
        (good, "11-29T00:05", None, december, late),
        (good, "12-10T00:05", None, december, gone),
        (good, "12-10T00:05", None, &["alice 11-29.ors", december[0], december[1]], gone),
        (good, "12-10T00:05", Some("11-29T00:00"), december, None),
        (good, "12-10T00:05", Some("11-29T00:00"), &[november[0], december[1]], None),
        (good, "12-10T00:05", Some("11-29T00:11"), &[november[0], december[1]], late),
        (good, "12-10T00:05", Some("12-05T00:00"), december, gone),
        // Its authority was revoked, and nothing proves that Alice's response is older than that.
        ("certs/interm-revoked.crt", "12-10T00:05", None, december, Some(Sub::RevokedNoPoe)),
        ("certs/interm-revoked.crt", "12-10T00:05", Some("11-29T00:00"), december, late),
    ] {
        let found = judged(authority, now, made, known);
        assert_eq!(found, expected, "{authority} {now} {made:?} {known:?}");
    }
}
