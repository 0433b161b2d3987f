//! D1 and D2: XML that says one thing to who checks it and another to who reads it.

use vanthu::clock::Time;
use vanthu::workshop::identity::Identity;

use crate::people::People;
use crate::xml_signer::{
    DSIG, Draft, ECDSA, ENVELOPED, EXCLUSIVE, base64, reference, reference_with, with_algorithm,
};
use crate::{Case, Expected, PASSED, doubted, failed};

const ORDER: &str = "urn:vanthu:order";
pub const BODY: &str = "<Item>Paper</Item><Sum>100</Sum>";
const VALUE: &str = "<ds:SignatureValue Id=\"v1\">";
const EVIL: &str = "<Item>Gold</Item><Sum>9999</Sum>";

/// An order with something at its end; as it stands here it is canonical.
pub fn order(id: &str, body: &str, end: &str) -> String {
    format!("<Order xmlns=\"{ORDER}\" Id=\"{id}\">{body}{end}</Order>")
}

pub fn signed_order(people: &People) -> Draft<'_> {
    order_by(&people.officer, people.now)
}

/// The order signed by somebody at some time.
pub fn order_by(identity: &Identity, at: Time) -> Draft<'_> {
    let canonical = order("o1", BODY, "");
    let transforms = [ENVELOPED, EXCLUSIVE];
    let reference = reference("#o1", "", &transforms, canonical.as_bytes());
    let mut draft = Draft::new(identity, at, vec![reference]);
    draft.octets = canonical.into_bytes();
    draft
}

pub fn cases(people: &People) -> Vec<Case> {
    let mut cases = controls(people);
    cases.extend(wrapped(people));
    cases.extend(ambiguous(people));
    cases.extend(properties(people));
    cases.extend(transforms(people));
    cases.extend(programs(people));
    cases.extend(keys(people));
    cases.extend(bombs());
    cases
}

fn case(row: &'static str, name: &'static str, xml: &str, expected: Expected) -> Case {
    Case::new(row, name, xml.as_bytes().to_vec(), expected)
}

/// An enveloped signature over `URI=""`.
pub fn enveloped(people: &People) -> String {
    let canonical = order("o1", BODY, "");
    let reference = reference("", "", &[ENVELOPED, EXCLUSIVE], canonical.as_bytes());
    let draft = Draft::new(&people.officer, people.now, vec![reference]);
    order("o1", BODY, &draft.sign())
}

/// The same with a time-stamp.
pub fn stamped(people: &People) -> String {
    let mut draft = signed_order(people);
    draft.tsa = Some(&people.tsa);
    order("o1", BODY, &draft.sign())
}

fn enveloping(people: &People) -> String {
    let order = order("o1", BODY, "");
    let inner = format!("<ds:Object Id=\"data\">{order}</ds:Object>");
    let canonical = format!("<ds:Object xmlns:ds=\"{DSIG}\" Id=\"data\">{order}</ds:Object>");
    let reference = reference("#data", "", &[EXCLUSIVE], canonical.as_bytes());
    let mut draft = Draft::new(&people.officer, people.now, vec![reference]);
    draft.objects = inner;
    draft.sign()
}

fn controls(people: &People) -> Vec<Case> {
    let by_id = order("o1", BODY, &signed_order(people).sign());
    let mut plain = signed_order(people);
    plain.is_xades = false;
    let plain = order("o1", BODY, &plain.sign());
    let spelled = enveloped(people).replace("<Item>", "<Item >").replace(
        &format!("<Order xmlns=\"{ORDER}\" Id=\"o1\">"),
        &format!("<Order\n Id='o1' xmlns='{ORDER}'>"),
    );
    let commented = enveloped(people).replace("<Sum>", "<!-- nothing --><Sum>");
    let filter = format!(
        "<ds:Transform Algorithm=\"http://www.w3.org/2002/06/xmldsig-filter2\"><f:XPath \
         xmlns:f=\"http://www.w3.org/2002/06/xmldsig-filter2\" Filter=\"subtract\">here()/ancestor::ds:Signature[1]\
         </f:XPath></ds:Transform>{}",
        with_algorithm("Transform", EXCLUSIVE)
    );
    let canonical = order("o1", BODY, "");
    // The filter's own declaration is visibly used and stays where it is.
    let filtered = reference_with("#xpointer(/)", "", &filter, canonical.as_bytes());
    let filtered = Draft::new(&people.officer, people.now, vec![filtered]).sign();
    vec![
        case("D1", "enveloped.xml", &enveloped(people), PASSED),
        case("D1", "enveloped-by-id.xml", &by_id, PASSED),
        case("D1", "enveloping.xml", &enveloping(people), PASSED),
        case("D1", "time-stamped.xml", &stamped(people), PASSED),
        case("D1", "plain.xml", &plain, Expected::Passed("certificate is not protected")),
        case("D2", "other-spelling.xml", &spelled, PASSED),
        case("D2", "unsigned-comment.xml", &commented, PASSED),
        case("D2", "filter-of-the-fixed-form.xml", &order("o1", BODY, &filtered), PASSED),
        case("D2", "not-signed.xml", &order("o1", BODY, ""), Expected::Unsigned),
    ]
}

/// XSW 1–8 (Somorovsky et al. 2012): the signed element moves, another one takes its place.
fn wrapped(people: &People) -> Vec<Case> {
    let draft = signed_order(people);
    let signature = draft.sign();
    let original = order("o1", BODY, "");
    let original_signed = order("o1", BODY, &signature);
    let with_object = |inner: &str| {
        let object = format!("<ds:Object>{inner}</ds:Object></ds:Signature>");
        signature.replace("</ds:Signature>", &object)
    };
    let extension = |inner: &str| format!("<Extensions>{inner}</Extensions>");
    let evil = |end: &str| order("evil", EVIL, end);
    let in_key_info = signature.replace("<ds:KeyInfo>", &format!("<ds:KeyInfo>{original}"));
    let uncovered = |at: usize| doubted("CONTENT_NOT_COVERED", at);
    let wrapper = format!("<Orders>{}{original_signed}</Orders>", evil(""));
    vec![
        case("D1", "xsw1-original-in-object.xml", &evil(&with_object(&original)), uncovered(0)),
        case(
            "D1",
            "xsw2-original-beside.xml",
            &evil(&format!("{original}{signature}")),
            uncovered(0),
        ),
        case("D1", "xsw3-evil-first.xml", &wrapper, uncovered(0)),
        case("D1", "xsw4-original-inside.xml", &evil(&original_signed), uncovered(0)),
        case(
            "D1",
            "xsw5-signature-moved.xml",
            &evil(&format!("{signature}{original}")),
            uncovered(0),
        ),
        case("D1", "xsw6-original-in-key.xml", &evil(&in_key_info), uncovered(0)),
        case("D1", "xsw7-extensions.xml", &evil(&extension(&original_signed)), uncovered(0)),
        case(
            "D1",
            "xsw8-same-identifier.xml",
            &order("o1", EVIL, &with_object(&original)),
            failed("ID_DOUBLED", None)
                .at(&order("o1", EVIL, &with_object(&original)), "<ds:Reference"),
        ),
    ]
}

/// What is signed cannot be told, or is gone, or stands beside more.
fn ambiguous(people: &People) -> Vec<Case> {
    let xml = enveloped(people);
    let by_id = order("o1", BODY, &signed_order(people).sign());
    let beside = |text: &str| by_id.replace("<Item>", &format!("{text}<Item>"));
    let twice = beside("<Note Id=\"o1\"></Note>");
    let gone = by_id.replace(" Id=\"o1\"", " Id=\"o2\"");
    let styled = format!("<?xml-stylesheet href=\"evil.xsl\"?>{by_id}");
    let info = between(&xml, "<ds:SignedInfo>", "</ds:SignedInfo>");
    let two = xml.replace(VALUE, &format!("{info}{VALUE}"));
    let object = enveloping(people).replace(
        "</ds:Signature>",
        &format!("<ds:Object>{}</ds:Object></ds:Signature>", order("o2", EVIL, "")),
    );
    let altered = xml.replace("Paper", "Gold");
    let value = between(&xml, VALUE, "</ds:SignatureValue>");
    let swapped = flip_base64(&value, VALUE);
    let valued = xml.replace(&value, &swapped);
    let empty = xml.replace(&value, &format!("{VALUE}</ds:SignatureValue>"));
    vec![
        case(
            "D1",
            "identifier-twice.xml",
            &twice,
            failed("ID_DOUBLED", None).at(&twice, "<ds:Reference"),
        ),
        case(
            "D1",
            "signed-element-gone.xml",
            &gone,
            doubted("REFERENCE_TARGET_MISSING", None).at(&gone, "<ds:Reference"),
        ),
        case("D1", "letters-only.xml", &letters(people), doubted("CONTENT_NOT_COVERED", 0)),
        case("D1", "style-sheet-added.xml", &styled, doubted("CONTENT_NOT_COVERED", 0)),
        case(
            "D1",
            "object-added.xml",
            &object,
            doubted("OBJECT_NOT_COVERED", None).at(&object, "<ds:Object><Order"),
        ),
        case(
            "D1",
            "content-altered.xml",
            &altered,
            failed("DIGEST_DIFFERS", None).at(&altered, "<ds:Reference"),
        ),
        case(
            "D2",
            "two-signed-infos.xml",
            &two,
            failed("SIGNED_INFO_COUNT", None).at(&two, "<ds:Signature "),
        ),
        case("D2", "value-altered.xml", &valued, failed("SIGNATURE_VALUE", None)),
        case(
            "D2",
            "value-empty.xml",
            &empty,
            failed("SIGNATURE_VALUE_UNREADABLE", None).at(&empty, "<ds:SignatureValue"),
        ),
    ]
}

/// Signed as base64: the letters are signed, but not in which element they stand.
fn letters(people: &People) -> String {
    let base64 = "http://www.w3.org/2000/09/xmldsig#base64";
    let reference = reference("", "", &[ENVELOPED, base64], b"i\xb7\x1d");
    let mut draft = Draft::new(&people.officer, people.now, vec![reference]);
    draft.is_xades = false;
    // Nothing in the signature may add letters of its own.
    order("o1", "<Approved>abcd</Approved>", &draft.sign())
}

/// The properties of XAdES, forged.
fn properties(people: &People) -> Vec<Case> {
    let xml = enveloped(people);
    let object = between(&xml, "<ds:Object>", "</ds:Object>");
    let doubled = xml.replace(&object, &format!("{object}{}", object.replace("\"xp1\"", "\"xq\"")));
    let faked = xml
        .replace("<xades:SignedProperties Id=\"xp1\">", "<xades:SignedProperties Id=\"xq\">")
        .replace("</ds:Signature>", "<ds:Object></ds:Object></ds:Signature>");
    let foreign = xml.replace("Target=\"#s1\"", "Target=\"#s2\"");
    let signer = people.laboratory.issue("Signer");
    let double = people.laboratory.certify_again("Somebody else", &signer);
    let canonical = order("o1", BODY, "");
    let whole = reference("", "", &[ENVELOPED, EXCLUSIVE], canonical.as_bytes());
    let mut named = Draft::new(&signer, people.now, vec![whole]);
    let control = order("o1", BODY, &named.sign());
    named.key_info = Draft::new(&double, people.now, Vec::new()).key_info;
    let substituted = order("o1", BODY, &named.sign());
    vec![
        case(
            "D1",
            "properties-twice.xml",
            &doubled,
            failed("PROPERTIES_DOUBLED", None).at_second(&doubled, "<xades:QualifyingProperties"),
        ),
        case(
            "D1",
            "properties-not-signed.xml",
            &faked,
            doubted("REFERENCE_TARGET_MISSING", None).at_second(&faked, "<ds:Reference"),
        ),
        case(
            "D1",
            "properties-of-another.xml",
            &foreign,
            doubted("PROPERTIES_TARGET", None).at(&foreign, "<xades:QualifyingProperties"),
        ),
        case("D2", "laboratory.xml", &control, PASSED),
        case(
            "D2",
            "certificate-substituted.xml",
            &substituted,
            doubted("SIGNING_CERTIFICATE_DIFFERS", None),
        ),
    ]
}

/// Transforms and pointers that are not on the list.
fn transforms(people: &People) -> Vec<Case> {
    let canonical = order("o1", BODY, "");
    let with = |uri: &str, transforms: &str| {
        let reference = reference_with(uri, "", transforms, canonical.as_bytes());
        let draft = Draft::new(&people.officer, people.now, vec![reference]);
        order("o1", BODY, &draft.sign())
    };
    let both = [ENVELOPED, EXCLUSIVE].map(|uri| with_algorithm("Transform", uri)).concat();
    let doubt = |xml: &str, code| doubted(code, None).at(xml, "<ds:Reference");
    let make = |name, uri: &str, transforms: &str, code| {
        let xml = with(uri, transforms);
        let expected = doubt(&xml, code);
        case("D2", name, &xml, expected)
    };
    let xslt = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\">\
                <xsl:stylesheet xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\" version=\"1.0\">\
                </xsl:stylesheet></ds:Transform>";
    let xpath = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>\
                 not(self::*[count(//*) &gt; count(//@*)])</ds:XPath></ds:Transform>";
    let unknown = with_algorithm("Transform", "urn:vanthu:unknown");
    vec![
        make("xslt.xml", "", xslt, "XSLT_FORBIDDEN"),
        make("xpath.xml", "", xpath, "XPATH_FORBIDDEN"),
        make("transform-unknown.xml", "", &unknown, "TRANSFORM_UNKNOWN"),
        make(
            "transforms-without-end.xml",
            "",
            &with_algorithm("Transform", EXCLUSIVE).repeat(9),
            "TRANSFORMS_TOO_MANY",
        ),
        make("pointer.xml", "#xpointer(//Order)", &both, "XPOINTER_FORBIDDEN"),
        make("address-of-a-network.xml", "http://169.254.169.254/key", "", "EXTERNAL_REFERENCE"),
        make("address-of-a-file.xml", "file:///etc/passwd", "", "EXTERNAL_REFERENCE"),
    ]
}

/// Text that is more than text, and algorithms that are none.
fn programs(people: &People) -> Vec<Case> {
    let xml = enveloped(people);
    let inside = |start: &str, text: &str| xml.replacen(start, &format!("{start}{text}"), 1);
    let digest = inside("<ds:DigestValue>", "<!-- -->");
    let value = inside(VALUE, "<!-- -->");
    let certificate = inside("<ds:X509Certificate>", "<?x?>");
    let changed = |change: &dyn Fn(&mut Draft<'_>)| {
        let canonical = order("o1", BODY, "");
        let whole = reference("", "", &[ENVELOPED, EXCLUSIVE], canonical.as_bytes());
        let mut draft = Draft::new(&people.officer, people.now, vec![whole]);
        change(&mut draft);
        order("o1", BODY, &draft.sign())
    };
    let hmac = changed(&|draft| draft.method = "http://www.w3.org/2000/09/xmldsig#hmac-sha1");
    let truncated = hmac.replace(
        "hmac-sha1\"></ds:SignatureMethod>",
        "hmac-sha1\"><ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>",
    );
    let unknown = changed(&|draft| draft.method = "urn:vanthu:unknown");
    let canonical = changed(&|draft| draft.canonicalization = "urn:vanthu:unknown");
    let nothing = changed(&|draft| {
        draft.references.clear();
        draft.is_xades = false;
    });
    let md5 = changed(&|draft| {
        for reference in &mut draft.references {
            let digest = "http://www.w3.org/2001/04/xmlenc#sha256";
            *reference = reference.replace(digest, "http://www.w3.org/2001/04/xmldsig-more#md5");
        }
    });
    let with = |name, xml: &str, expected: Expected| case("D2", name, xml, expected);
    vec![
        with(
            "comment-in-digest.xml",
            &digest,
            failed("VALUE_NOT_TEXT", None).at(&digest, "<ds:Reference"),
        ),
        with(
            "comment-in-value.xml",
            &value,
            failed("VALUE_NOT_TEXT", None).at(&value, "<ds:SignatureValue"),
        ),
        with(
            "instruction-in-certificate.xml",
            &certificate,
            failed("VALUE_NOT_TEXT", None).at(&certificate, "<ds:X509Certificate"),
        ),
        with("hmac.xml", &hmac, doubted("HMAC_FORBIDDEN", None).at(&hmac, "<ds:SignedInfo")),
        with(
            "hmac-of-eight-bits.xml",
            &truncated,
            doubted("HMAC_FORBIDDEN", None).at(&truncated, "<ds:SignedInfo"),
        ),
        with(
            "method-unknown.xml",
            &unknown,
            doubted("ALGORITHM_NOT_JUDGED", None).at(&unknown, "<ds:SignedInfo"),
        ),
        with("form-unknown.xml", &canonical, doubted("CANONICALIZATION_UNKNOWN", None)),
        with(
            "nothing-signed.xml",
            &nothing,
            failed("REFERENCES_MISSING", None).at(&nothing, "<ds:SignedInfo"),
        ),
        with("md5.xml", &md5, doubted("DIGEST_NOT_JUDGED", None).at(&md5, "<ds:Reference")),
    ]
}

/// Keys that nobody vouches for.
fn keys(people: &People) -> Vec<Case> {
    let whole = || {
        let canonical = order("o1", BODY, "");
        vec![reference("", "", &[ENVELOPED, EXCLUSIVE], canonical.as_bytes())]
    };
    let stranger = Draft::new(&people.stranger, people.now, whole());
    let point = point(people.stranger.leaf());
    let mut bare = Draft::new(&people.stranger, people.now, whole());
    bare.is_xades = false;
    bare.key_info = format!(
        "<ds:KeyValue><d:ECKeyValue xmlns:d=\"http://www.w3.org/2009/xmldsig11#\"><d:NamedCurve \
         URI=\"urn:oid:1.2.840.10045.3.1.7\"></d:NamedCurve><d:PublicKey>{}</d:PublicKey>\
         </d:ECKeyValue></ds:KeyValue>",
        base64(&point)
    );
    let mut both = Draft::new(&people.officer, people.now, whole());
    both.key_info.push_str(&bare.key_info);
    let mut named = Draft::new(&people.stranger, people.now, whole());
    named.is_xades = false;
    named.key_info = "<ds:KeyName>The Minister</ds:KeyName>".to_owned();
    let revoked = Draft::new(&people.revoked, people.now, whole());
    let with = |name, draft: &Draft<'_>, code| {
        case("D2", name, &order("o1", BODY, &draft.sign()), doubted(code, None))
    };
    assert_eq!(both.method, ECDSA);
    vec![
        with("certificate-of-a-stranger.xml", &stranger, "ROOT_NOT_TRUSTED"),
        with("key-without-certificate.xml", &bare, "KEY_WITHOUT_CERTIFICATE"),
        with("key-beside-certificate.xml", &both, "KEY_VALUE_DIFFERS"),
        with("key-by-name.xml", &named, "SIGNER_CERTIFICATE_MISSING"),
        with("revoked.xml", &revoked, "REVOKED"),
    ]
}

/// The point of a P-256 certificate.
fn point(certificate: &[u8]) -> Vec<u8> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).unwrap();
    parsed.public_key().subject_public_key.data.to_vec()
}

/// Documents that are large only once they are read.
fn bombs() -> Vec<Case> {
    let signature = format!("<ds:Signature xmlns:ds=\"{DSIG}\"></ds:Signature>");
    let entities = format!(
        "<!DOCTYPE o [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>\
         <o>&b;{signature}</o>"
    );
    let list = format!("<!DOCTYPE o [<!ATTLIST o Id ID #IMPLIED>]>\n<o>{signature}</o>");
    let deep = format!("{}{signature}{}", "<o>".repeat(100_000), "</o>".repeat(100_000));
    let names: String = (0..100_000).map(|n| format!(" a{n}=\"\"")).collect();
    let wide = format!("<o{names}>{signature}</o>");
    let spaces: String = (0..100).map(|n| format!(" xmlns:n{n}=\"urn:{n}\"")).collect();
    let scopes = format!("{}{signature}{}", format!("<o{spaces}>").repeat(200), "</o>".repeat(200));
    let cut = format!("<o>{signature}");
    let wrong = format!("<o>{signature}</p>");
    let bomb = |name, xml: &str, expected| case("D2", name, xml, expected);
    vec![
        bomb("entities.xml", &entities, doubted("DTD_FORBIDDEN", 0)),
        bomb("attribute-list.xml", &list, doubted("DTD_FORBIDDEN", 0)),
        bomb("depth.xml", &deep, doubted("XML_BUDGET", None)),
        bomb("attributes.xml", &wide, doubted("XML_BUDGET", None)),
        bomb("namespaces.xml", &scopes, doubted("XML_BUDGET", None)),
        bomb("cut.xml", &cut, failed("XML_MALFORMED", 0)),
        bomb("malformed.xml", &wrong, failed("XML_MALFORMED", None).at(&wrong, "</p>")),
    ]
}

/// From a start to an end tag.
fn between(xml: &str, start: &str, end: &str) -> String {
    let from = xml.find(start).unwrap();
    let to = from + xml[from..].find(end).unwrap() + end.len();
    xml[from..to].to_owned()
}

/// The element with its first digit changed.
fn flip_base64(element: &str, start: &str) -> String {
    let digit = element[start.len()..].chars().next().unwrap();
    let other = if digit == 'A' { 'B' } else { 'A' };
    format!("{start}{other}{}", &element[start.len() + 1..])
}
