//! The report is well-formed, complete and the same each time.

use roxmltree::{Document, Node};

use super::*;
use crate::signature::{self, Domain, Trust};
use crate::workshop::page;
use crate::workshop::pki::DevPki;
use crate::workshop::profile::Profile;
use crate::workshop::sign::{self, Options};

const ETSI: &str = "http://uri.etsi.org/19102/v1.4.1#";

fn now() -> Time {
    "2026-11-22T03:45:18.000Z".parse().unwrap()
}

fn found<'a>(report: &'a Document<'_>, name: &str) -> Vec<Node<'a, 'a>> {
    report.descendants().filter(|node| node.has_tag_name((ETSI, name))).collect()
}

/// A stamped letter with a name that needs escaping, by someone who is trusted or not.
fn report(is_trusted: bool) -> String {
    let country = DevPki::generate(&Profile::built_in().with_p256_keys(), now()).unwrap();
    let tsa = country.signer("tsa").unwrap();
    let options = Options { tsa: Some(&tsa), ..Options::new("seal <&>", now()) };
    let seal = country.seal("H49").unwrap();
    let signed = sign::pdf(&page::pdf("Quyết định", &["Điều 1"], 0), &seal, &options).unwrap();
    let gov = country.trust("gov").unwrap();
    let (anchors, intermediates, crls) = (gov.anchors, gov.intermediates, gov.crls);
    let anchors = if is_trusted { anchors } else { Vec::new() };
    let domain = Domain { name: "gov".into(), anchors, intermediates, crls, ..Domain::default() };
    let trust = Trust::of(vec![domain]).unwrap();
    let write = || {
        let mut report = ValidationReport::new(now());
        let found = signature::judge(&signed, &trust, now());
        report.add("a & b.pdf", &Sha256::of(&signed), &found);
        report.add("no--thing.txt", &Sha256::of(b""), &signature::judge(&&b""[..], &trust, now()));
        report.finish()
    };
    let text = write();
    assert_eq!(text, write(), "the same bytes each time");
    text
}

#[test]
fn a_passing_signature_is_reported_with_its_chain() {
    let text = report(true);
    let report = Document::parse(&text).unwrap();
    assert!(report.root_element().has_tag_name((ETSI, "ValidationReport")));
    assert_eq!(found(&report, "SignatureValidationReport").len(), 1);
    let main = found(&report, "MainIndication");
    assert_eq!(main[0].text(), Some("urn:etsi:019102:mainindication:total-passed"));
    let identifier = found(&report, "DAIdentifier")[0].text().unwrap();
    assert!(identifier.starts_with("a & b.pdf, 0, "), "{identifier}");
    assert_eq!(found(&report, "SignatureTimeStamp").len(), 1);
    // Signer, sub-authority, root; the stamping authority brings none of its own here.
    assert_eq!(found(&report, "ValidationObject").len(), 3);
    assert!(text.contains("<v:TrustDomain>gov</v:TrustDomain>"), "{text}");
    // Every reference leads somewhere.
    let ids: Vec<_> = report.descendants().filter_map(|node| node.attribute("id")).collect();
    let mut references = report.descendants().filter_map(|node| node.attribute("VOReference"));
    assert!(references.all(|reference| ids.contains(&reference)));
}

#[test]
fn a_missing_anchor_is_said_in_two_languages() {
    let text = report(false);
    let report = Document::parse(&text).unwrap();
    let sub = found(&report, "SubIndication");
    let expected = "urn:etsi:019102:subindication:NO_CERTIFICATE_CHAIN_FOUND";
    assert_eq!(sub[0].text(), Some(expected));
    let reason = report.descendants().find(|node| node.attribute("code").is_some()).unwrap();
    assert_eq!(reason.attribute("code"), Some("ISSUER_MISSING"));
    let languages: Vec<_> = reason.children().filter_map(|text| text.attributes().next()).collect();
    assert!(languages.iter().map(|attribute| attribute.value()).eq(["en", "vi"]));
    let vietnamese = reason.children().nth(1).and_then(|text| text.text()).unwrap();
    assert!(vietnamese.starts_with("Thiếu chứng thư của “"), "{vietnamese}");
}

#[test]
fn nothing_from_a_file_breaks_the_report() {
    let text = escaped("\0\u{b}<a href=\"x\">&amp;\r\n\u{ffff}");
    let document = format!("<a b=\"{text}\">{text}</a>");
    let document = Document::parse(&document).unwrap();
    let expected = "\u{fffd}\u{fffd}<a href=\"x\">&amp;\r\n\u{fffd}";
    assert_eq!(document.root_element().text(), Some(expected));
    assert_eq!(document.root_element().attribute("b"), Some(expected));
}
