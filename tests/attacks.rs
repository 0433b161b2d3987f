//! Attacks on signatures, made here from documents that the workshop signed, each with the verdict
//! and the code that it must get, and unattacked siblings that must pass.
//!
//! Rows as in the list of attacks: P PDF, C CMS, K keys and values, D XML, Z containers. Attacks on
//! paths (X) are not among them. With `VANTHU_ATTACKS` set to a folder, every file is written there.

#![expect(clippy::unwrap_used, reason = "a test that cannot make its files has failed")]

#[path = "attacks/archive.rs"]
mod archive;
#[path = "attacks/counter.rs"]
mod counter;
#[path = "attacks/curves.rs"]
mod curves;
#[path = "attacks/damage.rs"]
mod damage;
#[path = "attacks/der.rs"]
mod der;
#[path = "attacks/encrypted.rs"]
mod encrypted;
#[path = "attacks/formats.rs"]
mod formats;
#[path = "attacks/keys.rs"]
mod keys;
#[path = "attacks/message.rs"]
mod message;
#[path = "attacks/office.rs"]
mod office;
#[path = "attacks/package.rs"]
mod package;
#[path = "attacks/paper.rs"]
mod paper;
#[path = "attacks/people.rs"]
mod people;
#[path = "attacks/pss.rs"]
mod pss;
#[path = "attacks/records.rs"]
mod records;
#[path = "attacks/revisions.rs"]
mod revisions;
#[path = "attacks/sheet.rs"]
mod sheet;
#[path = "attacks/structure.rs"]
mod structure;
#[path = "attacks/vault.rs"]
mod vault;
#[path = "attacks/zip.rs"]
mod zip;
#[path = "attacks/xml.rs"]
mod xml;
#[path = "attacks/xml_properties.rs"]
mod xml_properties;
#[path = "attacks/xml_signer.rs"]
mod xml_signer;

use std::time::{Duration, Instant};

use people::People;
use vanthu::signature::{
    Coverage, DocumentForm, Format, Indication, Kind, LegalValue, Report, Role, Rule, Signature,
    TimestampKind, judge, judge_detached, legal_value,
};

/// One file and what must be said about it.
pub struct Case {
    row: &'static str,
    name: &'static str,
    bytes: Vec<u8>,
    /// What a detached signature is over.
    content: Option<Vec<u8>>,
    expected: Expected,
}

/// What must be said.
pub enum Expected {
    /// It is TOTAL-PASSED, with this among the remarks (nothing if empty).
    Passed(&'static str),
    /// It has no signature.
    Unsigned,
    /// The worst signature says this first.
    Refused(Indication, &'static str, Option<usize>),
}

/// The structure is forged or the value is wrong.
pub fn failed(code: &'static str, offset: impl Into<Option<usize>>) -> Expected {
    Expected::Refused(Indication::TotalFailed, code, offset.into())
}

/// Readable, but not allowed or not known.
pub fn doubted(code: &'static str, offset: impl Into<Option<usize>>) -> Expected {
    Expected::Refused(Indication::Indeterminate, code, offset.into())
}

impl Expected {
    /// The same, at the first place of `mark` in the file.
    fn at(self, text: &str, mark: &str) -> Self {
        self.place(text.find(mark))
    }

    /// The same, at its second place.
    fn at_second(self, text: &str, mark: &str) -> Self {
        self.place(text.match_indices(mark).nth(1).map(|(at, _)| at))
    }

    fn place(self, offset: Option<usize>) -> Self {
        assert!(offset.is_some(), "the mark is there");
        match self {
            Self::Refused(indication, code, _) => Self::Refused(indication, code, offset),
            other => other,
        }
    }
}

/// Nothing is wrong.
pub const PASSED: Expected = Expected::Passed("");

impl Case {
    /// A file that is judged for itself.
    pub fn new(row: &'static str, name: &'static str, bytes: Vec<u8>, expected: Expected) -> Self {
        Self { row, name, bytes, content: None, expected }
    }

    /// A detached CMS over `content`.
    pub fn over(
        row: &'static str,
        name: &'static str,
        bytes: Vec<u8>,
        content: &[u8],
        expected: Expected,
    ) -> Self {
        Self { row, name, bytes, content: Some(content.to_vec()), expected }
    }

    fn run(&self, people: &People) -> Report {
        match &self.content {
            Some(content) => judge_detached(&self.bytes, content, &people.trust, people.now),
            None => judge(&self.bytes, &people.trust, people.now),
        }
    }

    fn is_attack(&self) -> bool {
        matches!(self.expected, Expected::Refused(..))
    }
}

const ROWS: [&str; 22] = [
    "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "P10", "P11", "C1", "C2", "C3", "C4",
    "C5", "C6", "K1", "K2", "D1", "D2", "Z1",
];
/// Nothing here is large enough to need longer, even unoptimised.
const TIME_MAX: Duration = Duration::from_secs(20);

/// Indication, decisive code and offset of the worst signature.
fn worst(report: &Report) -> (Option<Indication>, &'static str, Option<u64>) {
    let worst = report.indication();
    let mut found = report.signatures.iter();
    let found = found.find(|signature| Some(signature.verdict.indication()) == worst);
    let reason = found.and_then(|signature| signature.verdict.reasons().first());
    (worst, reason.map_or("", |reason| reason.code), reason.and_then(|reason| reason.offset))
}

fn agrees(case: &Case, report: &Report) -> bool {
    let found = worst(report);
    match case.expected {
        Expected::Refused(indication, code, offset) => {
            let offset = offset.map(|offset| u64::try_from(offset).unwrap());
            found == (Some(indication), code, offset)
        }
        Expected::Unsigned => found.0.is_none(),
        Expected::Passed(remark) => {
            let of_signatures = report.signatures.iter().flat_map(|s| &s.quirks);
            let mut remarks = report.quirks.iter().chain(of_signatures);
            found.0 == Some(Indication::TotalPassed)
                && (remark.is_empty() || remarks.any(|found| found.contains(remark)))
        }
    }
}

#[test]
fn every_attack_is_named_and_every_control_passes() {
    let people = People::new();
    let mut cases = structure::cases(&people);
    cases.extend(revisions::cases(&people));
    cases.extend(message::cases(&people));
    cases.extend(keys::cases(&people));
    cases.extend(encrypted::cases(&people));
    cases.extend(formats::cases(&people));
    cases.extend(archive::cases(&people));
    cases.extend(counter::cases(&people));
    cases.extend(pss::cases(&people));
    cases.extend(curves::cases(&people));
    cases.extend(package::cases(&people));
    cases.extend(records::cases(&people));
    cases.extend(xml::cases(&people));
    cases.extend(xml_properties::cases(&people));
    cases.extend(office::cases(&people));
    let mut wrong = Vec::new();
    for case in &cases {
        let begin = Instant::now();
        let report = case.run(&people);
        let took = begin.elapsed();
        let (indication, code, offset) = worst(&report);
        let verdict = indication.map_or("unsigned".to_owned(), |found| found.to_string());
        let place = offset.map_or(String::new(), |offset| format!("@{offset}"));
        let Case { row, name, .. } = case;
        let line = format!("{row:<4} {name:<44} {verdict:<14} {code}{place}");
        println!("{line}");
        if !agrees(case, &report) || took > TIME_MAX {
            wrong.push(format!("{line} [{took:?}]\n{report:#?}"));
        }
        if let Some(folder) = std::env::var_os("VANTHU_ATTACKS") {
            let path = std::path::Path::new(&folder).join(format!("{row}-{name}"));
            std::fs::write(path, &case.bytes).unwrap();
        }
    }
    let attacks = cases.iter().filter(|case| case.is_attack()).count();
    println!("{attacks} attacks, {} controls, {} wrong", cases.len() - attacks, wrong.len());
    for row in ROWS {
        assert!(
            cases.iter().any(|case| case.row == row && case.is_attack()),
            "no attack for {row}"
        );
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_officer_and_then_the_seal_are_both_named() {
    let people = People::new();
    let pdf = paper::signed_twice(&people);
    let report = judge(&pdf, &people.trust, people.now);
    assert_eq!(report.indication(), Some(Indication::TotalPassed), "{report:?}");
    let names: Vec<_> = report.signatures.iter().map(|s| s.field.as_deref()).collect();
    assert_eq!(names, [Some("officer"), Some("seal")]);
    let [officer, seal] = &report.signatures[..] else { panic!("two signatures") };
    let end = u64::try_from(paper::first(&pdf, "startxref")).unwrap();
    assert!(matches!(officer.coverage, Coverage::Revision { end: found } if found > end));
    assert_eq!(seal.coverage, Coverage::WholeFile);
    assert_eq!((officer.chain.len(), officer.crls.len()), (3, 2));
    assert_eq!(&officer.signer.as_ref().unwrap().der[..], people.officer.leaf());
}

/// No byte outside of the padding of a signature value may change unnoticed.
#[test]
fn every_changed_byte_and_every_cut_is_noticed() {
    let people = People::new();
    let pdf = paper::signed_twice(&people);
    let first_end = pdf.windows(6).position(|window| window == b"%%EOF\n").unwrap();
    let first_end = first_end + 6 + paper::first(&pdf[first_end + 6..], "%%EOF\n") + 6;
    let gaps = [paper::contents(&pdf[..first_end]), paper::contents(&pdf)];
    for at in (9..pdf.len()).step_by(5) {
        if gaps.iter().any(|gap| gap.contains(&at)) {
            continue;
        }
        let mut changed = pdf.clone();
        changed[at] ^= 1;
        let report = judge(&changed, &people.trust, people.now);
        assert_ne!(report.indication(), Some(Indication::TotalPassed), "byte {at}");
    }
    for size in (0..pdf.len()).step_by(11) {
        let report = judge(&pdf[..size].to_vec(), &people.trust, people.now);
        let passed = report.indication() == Some(Indication::TotalPassed);
        assert!(!passed || size >= first_end && size <= first_end + 8, "cut at {size}");
    }
}

#[test]
fn an_xml_signature_names_its_element_and_is_dated_by_its_time_stamp() {
    let people = People::new();
    let report = judge(&xml::stamped(&people).into_bytes(), &people.trust, people.now);
    assert_eq!(report.kind, Kind::Xml);
    let [signature] = &report.signatures[..] else { panic!("one signature") };
    assert!(signature.passed().is_some(), "{signature:?}");
    assert_eq!((signature.format, signature.coverage), (Format::Xades, Coverage::WholeFile));
    assert_eq!(signature.signed[0], "the element Order (#o1) at byte 0");
    assert_eq!(&signature.signer.as_ref().unwrap().der[..], people.officer.leaf());
    assert_eq!(signature.signing_time, Some(people.now));
    assert_eq!((signature.timestamps.len(), signature.best_time), (1, Some(people.now)));
}

/// The stamping authority's certificate ran out; only what an archive time-stamp covered before then
/// counts still.
#[test]
fn an_archive_time_stamp_keeps_older_ones_alive() {
    let people = People::new();
    let dated = |archived: i64| {
        let xml = xml_properties::by_old_authority(&people, archived).write();
        let report =
            judge(&xml::order("o1", xml::BODY, &xml).into_bytes(), &people.trust, people.now);
        let [signature] = &report.signatures[..] else { panic!("one signature") };
        assert!(signature.passed().is_some(), "{signature:?}");
        let kinds: Vec<_> = signature.timestamps.iter().map(|stamp| stamp.kind).collect();
        assert_eq!(kinds, [TimestampKind::Signature, TimestampKind::Archive]);
        signature.best_time
    };
    assert_eq!(dated(-6), Some(xml_properties::day(&people, -9)));
    assert_eq!(dated(-3), Some(xml_properties::day(&people, -3)), "too late for the older one");
}

#[test]
fn a_counter_signature_is_a_verdict_of_its_own_and_no_signature_on_the_document() {
    let people = People::new();
    let xml = xml_properties::counter_signed(&people);
    let report = judge(&xml.into_bytes(), &people.trust, people.now);
    let [officer, seal] = &report.signatures[..] else { panic!("two signatures") };
    assert_eq!((officer.counter_signs, seal.counter_signs), (None, Some(0)));
    assert_eq!((officer.coverage, seal.coverage), (Coverage::WholeFile, Coverage::Partial));
    assert_eq!(&seal.signer.as_ref().unwrap().der[..], people.seal.leaf());
    assert!(officer.passed().is_some() && seal.passed().is_some(), "{report:?}");
    let role = |signature: &Signature| match signature.counter_signs {
        None => Role::Person,
        Some(_) => Role::AgencySeal,
    };
    let legal = legal_value(&report, DocumentForm::Original, role);
    assert_eq!((legal.value, legal.rule), (LegalValue::InformationOnly, Rule::SignatureMissing));
}

/// Nothing but KeyInfo, which is never trusted, may change unnoticed.
#[test]
fn every_changed_byte_and_every_cut_of_signed_xml_is_noticed() {
    let people = People::new();
    // Nobody refers to the value by its identifier here.
    let xml = xml::enveloped(&people).replace(" Id=\"v1\"", "");
    let keys = xml.find("<ds:KeyInfo>").unwrap()..xml.find("</ds:KeyInfo>").unwrap();
    for at in (0..xml.len()).filter(|at| !keys.contains(at)) {
        let mut changed = xml.clone().into_bytes();
        changed[at] ^= 1;
        let report = judge(&changed, &people.trust, people.now);
        assert_ne!(report.indication(), Some(Indication::TotalPassed), "byte {at}");
    }
    for size in 0..xml.len() {
        let report = judge(&xml.as_bytes()[..size].to_vec(), &people.trust, people.now);
        assert_ne!(report.indication(), Some(Indication::TotalPassed), "cut at {size}");
    }
}
