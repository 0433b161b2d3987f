//! C5, C6 and D1: time-stamps of XAdES that are over something else, and counter-signatures that
//! confirm another signature.
//!
//! The signer was revoked yesterday: without a time-stamp that holds, nothing saves the signature.

use vanthu::clock::Time;
use vanthu::workshop::identity::Identity;

use crate::people::People;
use crate::xml::{BODY, order, order_by};
use crate::xml_signer::{DSIG, Draft, EXCLUSIVE, Signed, XADES, base64, reference};
use crate::{Case, Expected, PASSED, doubted, failed};

const COUNTERSIGNED: &str = "http://uri.etsi.org/01903#CountersignedSignature";

/// Days before or after the time at which everything is judged.
pub fn day(people: &People, days: i64) -> Time {
    Time::from_seconds(people.now.seconds() + days * 86_400)
}

pub fn cases(people: &People) -> Vec<Case> {
    let mut cases = archived(people);
    cases.extend(with_references(people));
    cases.extend(confirmed(people));
    cases.extend(not_confirmed(people));
    cases
}

fn signed(people: &People) -> Signed {
    order_by(&people.revoked, day(people, -10)).make()
}

fn case(row: &'static str, name: &'static str, signature: &Signed, expected: Expected) -> Case {
    let xml = order("o1", BODY, &signature.write());
    Case::new(row, name, xml.into_bytes(), expected)
}

fn revoked() -> Expected {
    doubted("REVOKED", None)
}

/// References to validation data, which nobody follows here.
fn references(signed: &mut Signed) {
    for name in ["CompleteCertificateRefs", "CompleteRevocationRefs"] {
        let element = format!("<xades:{name} xmlns:xades=\"{XADES}\"></xades:{name}>");
        signed.unsigned.push(element);
    }
}

/// An authority that ended four days ago stamped the value; its list of that time lies beside.
pub fn by_old_authority(people: &People, archived: i64) -> Signed {
    let mut signed = signed(people);
    signed.stamp(&people.old_tsa, day(people, -9));
    let list = base64(&people.laboratory.crl((2026, 11, 15), (2026, 11, 18)));
    signed.unsigned.push(format!(
        "<xades:RevocationValues xmlns:xades=\"{XADES}\"><xades:CRLValues>\
         <xades:EncapsulatedCRLValue>{list}</xades:EncapsulatedCRLValue></xades:CRLValues>\
         </xades:RevocationValues>"
    ));
    signed.archive(&people.tsa, day(people, archived));
    signed
}

fn archived(people: &People) -> Vec<Case> {
    let at = day(people, -5);
    let with = |change: &dyn Fn(&mut Signed)| {
        let mut signed = signed(people);
        change(&mut signed);
        signed
    };
    let name = "141:ArchiveTimeStamp";
    let over = |octets: &[u8]| with(&|one| one.push_stamp(name, octets, &people.tsa, at));
    let honest = with(&|one| one.archive(&people.tsa, at));
    let mut twice = honest.clone();
    twice.archive(&people.tsa, day(people, -4));
    let old_edition = with(&|one| {
        one.push_stamp("ArchiveTimeStamp", &one.archived(), &people.tsa, at);
    });
    let octets = signed(people).archived();
    let mut turned = octets.clone();
    turned.rotate_left(order("o1", BODY, "").len());
    let inserted = with(&|one| {
        one.archive(&people.tsa, at);
        references(one);
        one.unsigned.rotate_left(1);
    });
    let removed = with(&|one| {
        references(one);
        one.archive(&people.tsa, at);
        one.unsigned.remove(0);
    });
    let copied = with(&|one| one.unsigned.push(honest.unsigned[0].clone()));
    let by_officer = with(&|one| one.archive(&people.officer, at));
    let listing = with(&|one| {
        one.archive(&people.tsa, at);
        let include =
            format!("<xades:Include xmlns:xades=\"{XADES}\" URI=\"#v1\"></xades:Include>");
        let mark = "<ds:CanonicalizationMethod";
        one.unsigned[0] = one.unsigned[0].replace(mark, &format!("{include}{mark}"));
    });
    let mut enveloping = words(&people.revoked, day(people, -10), "1").make();
    enveloping.archive(&people.tsa, at);
    let mut disordered = order_by(&people.officer, day(people, -10)).make();
    disordered.stamp(&people.tsa, day(people, -3));
    disordered.archive(&people.tsa, at);
    vec![
        case("C5", "xades-unproven.xml", &signed(people), revoked()),
        case("C5", "xades-archived.xml", &honest, PASSED),
        case("C5", "xades-archived-twice.xml", &twice, PASSED),
        case("C5", "xades-archived-edition-1.3.2.xml", &old_edition, PASSED),
        Case::new("C5", "xades-archived-enveloping.xml", enveloping.write().into_bytes(), PASSED),
        case("C5", "xades-archived-old-authority.xml", &by_old_authority(people, -6), PASSED),
        case("C5", "xades-archive-of-other-data.xml", &over(b"other"), revoked()),
        case("C5", "xades-archive-out-of-order.xml", &over(&turned), revoked()),
        case("C5", "xades-archive-cut.xml", &over(&octets[..octets.len() - 1]), revoked()),
        case("C5", "xades-archive-of-another.xml", &copied, revoked()),
        case("C6", "xades-archive-property-inserted.xml", &inserted, revoked()),
        case("C6", "xades-archive-property-removed.xml", &removed, revoked()),
        case("C5", "xades-archive-of-an-officer.xml", &by_officer, revoked()),
        case("C5", "xades-archive-with-a-list.xml", &listing, revoked()),
        case(
            "C5",
            "xades-archive-older-than-its-content.xml",
            &disordered,
            doubted("TIMESTAMP_ORDER", None),
        ),
    ]
}

/// Time-stamps over the references to validation data.
fn with_references(people: &People) -> Vec<Case> {
    let at = day(people, -5);
    let mut base = signed(people);
    base.stamp(&people.tsa, day(people, -6));
    references(&mut base);
    // A time-stamp on the value that proves nothing must not hide whether the others do.
    let mut open = signed(people);
    open.push_stamp("SignatureTimeStamp", b"other", &people.tsa, day(people, -6));
    references(&mut open);
    let covered = |one: &Signed| format!("{}{}", one.value, one.unsigned.concat());
    let stamped = |base: &Signed, name: &str, octets: &str| {
        let mut signed = base.clone();
        signed.push_stamp(name, octets.as_bytes(), &people.tsa, at);
        signed
    };
    let both = covered(&open);
    let turned = format!("{}{}", open.unsigned.concat(), open.value);
    let without = format!("{}{}", open.value, open.unsigned[1..].concat());
    let alone = open.unsigned[1..].concat();
    let (old, new) = ("SigAndRefsTimeStamp", "141:SigAndRefsTimeStampV2");
    let mut moved = stamped(&open, old, &both);
    moved.unsigned.swap(1, 2);
    vec![
        case("C5", "xades-references.xml", &stamped(&open, old, &both), Expected::Passed("")),
        case("C5", "xades-references-v2.xml", &stamped(&open, new, &both), PASSED),
        case("C5", "xades-references-out-of-order.xml", &stamped(&open, old, &turned), revoked()),
        case("C5", "xades-references-incomplete.xml", &stamped(&open, new, &without), revoked()),
        case("C5", "xades-references-moved.xml", &moved, revoked()),
        case(
            "C5",
            "xades-references-alone.xml",
            &stamped(&base, "RefsOnlyTimeStamp", &base.unsigned[1..].concat()),
            PASSED,
        ),
        case(
            "C5",
            "xades-references-alone-say-nothing-of-the-signature.xml",
            &stamped(&open, "RefsOnlyTimeStamp", &alone),
            revoked(),
        ),
        case(
            "C5",
            "xades-references-alone-of-other-data.xml",
            &stamped(&base, "141:RefsOnlyTimeStampV2", "other"),
            Expected::Passed("a time-stamp on the references proves nothing: HASH_FAILURE"),
        ),
    ]
}

/// Confirms the value of a signature.
fn counter<'a>(identity: &'a Identity, at: Time, uri: &str, value: &str) -> Draft<'a> {
    let reference = reference(uri, COUNTERSIGNED, &[EXCLUSIVE], value.as_bytes());
    let mut draft = Draft::new(identity, at, vec![reference]);
    draft.octets = value.as_bytes().to_vec();
    draft.id = "2";
    draft
}

fn officers(people: &People) -> Signed {
    order_by(&people.officer, people.now).make()
}

/// An order of the officer, confirmed with the seal.
pub fn counter_signed(people: &People) -> String {
    let mut signed = officers(people);
    let counter = counter(&people.seal, people.now, "#v1", &signed.value);
    signed.push_counter(&counter.sign());
    order("o1", BODY, &signed.write())
}

fn confirmed(people: &People) -> Vec<Case> {
    let nested = {
        let mut signed = officers(people);
        let mut middle = counter(&people.seal, people.now, "#v1", &signed.value).make();
        let mut last = counter(&people.officer, people.now, "#v2", &middle.value);
        last.id = "3";
        middle.push_counter(&last.sign());
        signed.push_counter(&middle.write());
        signed
    };
    // Revoked since, but the archive time-stamp is older.
    let by_revoked = |is_covered: bool| {
        let mut signed = officers(people);
        let counter = counter(&people.revoked, day(people, -10), "#v1", &signed.value).sign();
        let at = day(people, -5);
        if !is_covered {
            signed.archive(&people.tsa, at);
        }
        signed.push_counter(&counter);
        if is_covered {
            signed.archive(&people.tsa, at);
        }
        signed
    };
    let xml = counter_signed(people);
    vec![
        Case::new("D1", "counter-signed.xml", xml.into_bytes(), PASSED),
        case("D1", "counter-signed-twice.xml", &nested, PASSED),
        case("D1", "counter-signed-archived.xml", &by_revoked(true), PASSED),
        case("D1", "counter-signed-after-the-archive.xml", &by_revoked(false), revoked()),
    ]
}

/// A signature about words in an object of its own.
fn words<'a>(identity: &'a Identity, at: Time, id: &'a str) -> Draft<'a> {
    let object = |space: &str| format!("<ds:Object{space} Id=\"d{id}\">Approved</ds:Object>");
    let canonical = object(&format!(" xmlns:ds=\"{DSIG}\""));
    let reference = reference(&format!("#d{id}"), "", &[EXCLUSIVE], canonical.as_bytes());
    let mut draft = Draft::new(identity, at, vec![reference]);
    draft.octets = canonical.into_bytes();
    draft.id = id;
    draft.objects = object("");
    draft
}

fn not_confirmed(people: &People) -> Vec<Case> {
    let with = |name, counter: &str, expected: fn(&str) -> Expected| {
        let mut signed = officers(people);
        signed.push_counter(counter);
        let xml = order("o1", BODY, &signed.write());
        let expected = expected(&xml);
        Case::new("D1", name, xml.into_bytes(), expected)
    };
    const COUNTER: &str = "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" Id=\"s2\"";
    let of_another = |xml: &str| doubted("COUNTER_SIGNATURE_OF_ANOTHER", None).at(xml, COUNTER);
    let own_words = words(&people.seal, people.now, "2").sign();
    // Honest where it was made.
    let other = officers(people);
    let foreign = counter(&people.seal, people.now, "#v1", &other.value).sign();
    // Two signatures, and what confirms the second stands in the first.
    let mut first = words(&people.officer, people.now, "1").make();
    let third = words(&people.officer, people.now, "3").make();
    first.push_counter(&counter(&people.seal, people.now, "#v3", &third.value).sign());
    let beside = format!(
        "<a:XAdESSignatures xmlns:a=\"http://uri.etsi.org/02918/v1.2.1#\">{}{}\
         </a:XAdESSignatures>",
        first.write(),
        third.write()
    );
    let mut own = officers(people);
    let itself = own.value.replace("v1", "v2");
    own.push_counter(&counter(&people.stranger, people.now, "#v1", &own.value).sign());
    let mut altered = officers(people);
    let honest = counter(&people.seal, people.now, "#v1", &altered.value).sign();
    let other_value = counter(&people.seal, people.now, "#v1", "").make().value;
    let digits = |value: &str| value.split(['>', '<']).nth(2).unwrap().to_owned();
    let made = honest.split("Id=\"v2\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    altered.push_counter(&honest.replace(&made, &digits(&other_value)));
    let object = "<ds:Object><Note>1000</Note></ds:Object></ds:Signature>";
    let mut added = officers(people);
    let confirming = counter(&people.seal, people.now, "#v1", &added.value).sign();
    added.push_counter(&confirming.replace("</ds:Signature>", object));
    let mut loose = officers(people);
    loose.unsigned.push(counter(&people.seal, people.now, "#v1", &loose.value).sign());
    let added_xml = order("o1", BODY, &added.write());
    let another = of_another(&beside);
    let itself = counter(&people.seal, people.now, "#v2", &itself).sign();
    vec![
        Case::new("D1", "counter-signature-of-another.xml", beside.into_bytes(), another),
        with("counter-signature-of-itself.xml", &itself, |xml| {
            failed("DIGEST_DIFFERS", None).place(second(xml, COUNTER, "<ds:Reference"))
        }),
        with("counter-signature-moved.xml", &foreign, |xml| {
            failed("DIGEST_DIFFERS", None).place(second(xml, COUNTER, "<ds:Reference"))
        }),
        with("counter-signature-of-its-own-words.xml", &own_words, |xml| {
            doubted("COUNTER_SIGNATURE_OF_ANOTHER", None).at(xml, COUNTER)
        }),
        case("D1", "counter-signature-of-a-stranger.xml", &own, doubted("ROOT_NOT_TRUSTED", None)),
        case("D1", "counter-signature-altered.xml", &altered, failed("SIGNATURE_VALUE", None)),
        Case::new(
            "D1",
            "counter-signature-with-more.xml",
            added_xml.clone().into_bytes(),
            doubted("OBJECT_NOT_COVERED", None).at(&added_xml, "<ds:Object><Note"),
        ),
        case(
            "D1",
            "signature-among-properties.xml",
            &loose,
            Expected::Passed("a signature among the properties of another one was not judged"),
        ),
    ]
}

/// The place of `mark` behind `begin`.
fn second(xml: &str, begin: &str, mark: &str) -> Option<usize> {
    let from = xml.find(begin)?;
    xml[from..].find(mark).map(|at| from + at)
}
