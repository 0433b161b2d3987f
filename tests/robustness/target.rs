//! The readers of outside bytes, each as a name, the files it reads, and one call.

use std::io::Write as _;
use std::path::PathBuf;

use vanthu::clock::Date;
use vanthu::signature::{Trust, judge, judge_detached};
use vanthu::workshop::sign;
use vanthu::{config, courier, evidence, log, service};

use super::seeds::{Country, Seeds};

/// What the calls work with.
pub struct Bench {
    pub country: Country,
    pub seeds: Seeds,
    trust: Trust,
    /// Without lists: what the document brings along is asked.
    without_lists: Trust,
    today: Date,
    /// A file for what reads files.
    file: PathBuf,
}

impl Bench {
    pub fn new(country: Country, seeds: Seeds, file: PathBuf) -> Self {
        let material = country.pki.trust("gov").unwrap();
        let new = |crls| Trust::new(material.anchors.clone(), material.intermediates.clone(), crls);
        let (trust, without_lists) = (new(material.crls.clone()).unwrap(), new(vec![]).unwrap());
        let today = country.now.date_in_vietnam();
        Self { country, seeds, trust, without_lists, today, file }
    }
}

/// A reader.
pub struct Target {
    pub name: &'static str,
    pub seeds: fn(&Seeds) -> &[Vec<u8>],
    pub read: fn(&Bench, &[u8]),
}

/// All of them. Nothing is asked of what they say; that is the matter of other tests.
pub const TARGETS: [Target; 16] = [
    Target { name: "document", seeds: |s| &s.documents, read: document },
    Target { name: "message", seeds: |s| &s.messages, read: document },
    Target { name: "detached message", seeds: |s| &s.messages, read: detached },
    Target { name: "message in a PDF", seeds: |s| &s.messages, read: message_in_pdf },
    Target { name: "token in a PDF", seeds: |s| &s.tokens, read: token_in_pdf },
    Target { name: "evidence record", seeds: |s| &s.records, read: record },
    Target { name: "certificate", seeds: |s| &s.certificates, read: certificate },
    Target { name: "CRL", seeds: |s| &s.crls, read: crl },
    Target { name: "OCSP response", seeds: |s| &s.responses, read: response },
    Target { name: "envelope", seeds: |s| &s.envelopes, read: envelope },
    Target { name: "log entry", seeds: |s| &s.entries, read: entry },
    Target { name: "checkpoint", seeds: |s| &s.checkpoints, read: checkpoint },
    Target { name: "receipt", seeds: |s| &s.receipts, read: receipt },
    Target { name: "evidence", seeds: |s| &s.evidence, read: evidence_file },
    Target { name: "directory", seeds: |s| &s.directories, read: directory },
    Target { name: "portal", seeds: |s| &s.portal, read: portal },
];

fn document(bench: &Bench, bytes: &[u8]) {
    judge(&bytes, &bench.trust, bench.country.now);
}

fn detached(bench: &Bench, bytes: &[u8]) {
    judge_detached(bytes, &&b"content"[..], &bench.trust, bench.country.now);
}

/// The value of the last signature replaced by this one; what does not fit into its room is cut.
fn graft(pdf: &[u8], value: &[u8]) -> Vec<u8> {
    let mark = b"/Contents <";
    let mut pdf = pdf.to_vec();
    let at = pdf.windows(mark.len()).rposition(|window| window == mark).expect("it is signed");
    let digits = value.iter().flat_map(|byte| format!("{byte:02x}").into_bytes());
    let digits = digits.chain(std::iter::repeat(b'0'));
    let room = pdf.iter_mut().skip(at + mark.len()).take_while(|byte| **byte != b'>');
    for (byte, digit) in room.zip(digits) {
        *byte = digit;
    }
    pdf
}

fn message_in_pdf(bench: &Bench, bytes: &[u8]) {
    document(bench, &graft(&bench.country.signed, bytes));
}

fn token_in_pdf(bench: &Bench, bytes: &[u8]) {
    document(bench, &graft(&bench.country.stamped, bytes));
}

/// In a container, beside the file that it is about.
fn record(bench: &Bench, bytes: &[u8]) {
    let mut container = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let kind = &b"application/vnd.etsi.asic-s+zip"[..];
    let name = "META-INF/evidencerecord.ers";
    for (name, content) in [("mimetype", kind), ("a.txt", b"content"), (name, bytes)] {
        container.start_file(name, options).expect("a new name");
        container.write_all(content).expect("memory takes it");
    }
    document(bench, &container.finish().expect("memory takes it").into_inner());
}

fn certificate(bench: &Bench, bytes: &[u8]) {
    let read = Trust::new(vec![bytes.to_vec()], vec![], vec![]);
    // One that can be read takes part in the building of paths.
    if let Ok(trust) = read {
        judge(&bench.country.signed, &trust, bench.country.now);
    }
}

fn crl(bench: &Bench, bytes: &[u8]) {
    let material = bench.country.pki.trust("gov").expect("the domain exists");
    let read = Trust::new(material.anchors, material.intermediates, vec![bytes.to_vec()]);
    if let Ok(trust) = read {
        judge(&bench.country.signed, &trust, bench.country.now);
    }
}

fn response(bench: &Bench, bytes: &[u8]) {
    let stored = sign::security_store(&bench.country.signed, &[], &[], &[bytes.to_vec()]);
    let stored = stored.expect("the document can be extended");
    judge(&stored, &bench.without_lists, bench.country.now);
}

fn envelope(bench: &Bench, bytes: &[u8]) {
    let _parts = service::part_listing(bytes);
    let _read = service::read_envelope(&bytes.to_vec().into(), bench.today);
}

fn entry(_: &Bench, bytes: &[u8]) {
    if let Ok(entry) = log::Entry::from_leaf(bytes) {
        assert_eq!(entry.to_leaf(), bytes, "an entry has one spelling");
    }
}

fn checkpoint(bench: &Bench, bytes: &[u8]) {
    let _claimed = log::Checkpoint::claimed(bytes);
    let _opened = bench.country.key.public().open(bytes);
}

fn receipt(bench: &Bench, bytes: &[u8]) {
    if let Ok(receipt) = evidence::Receipt::read(bytes) {
        let _proven = receipt.verify(&bench.country.key.public());
    }
}

fn evidence_file(bench: &Bench, bytes: &[u8]) {
    let keys = [bench.country.key.public()];
    let _verified = evidence::verify(bytes, &keys, &service::part_infos);
}

fn directory(bench: &Bench, bytes: &[u8]) {
    std::fs::write(&bench.file, bytes).expect("the folder can be written");
    let _read = config::read_directory(&bench.file);
}

fn portal(_: &Bench, bytes: &[u8]) {
    let _answer = courier::portal::read_answer(http::StatusCode::OK, bytes);
    let states = courier::portal::States::default();
    if let Ok(draft) = courier::portal::Draft::parse(bytes, "H49.151-20261123-0001", &states) {
        let _ready = draft.ready(None);
    }
}
