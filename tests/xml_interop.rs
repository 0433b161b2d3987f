//! XML signatures of other makers: the interoperability vectors of XML-DSig and C14N, and the XAdES
//! samples of DSS. What is valid holds or is refused by a rule with a name; what is bad never holds.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files has failed")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use vanthu::clock::Time;
use vanthu::signature::{Indication, Report, Trust, judge, judge_detached};

/// 2026-11-22T04:00:00Z.
const NOW: i64 = 1_795_320_000;

/// Reasons that leave no doubt that digests and value are right: who signed is not known or not
/// trusted here, or algorithms are of their time.
const HOLDS: [&str; 5] = [
    "ROOT_NOT_TRUSTED",
    "ISSUER_MISSING",
    "KEY_WITHOUT_CERTIFICATE",
    "SHA1",
    "SIGNATURE_ALGORITHM",
];
/// Reasons that say that there is more in the document than what is signed.
const PARTIAL: [&str; 2] = ["CONTENT_NOT_COVERED", "OBJECT_NOT_COVERED"];

fn corpora() -> PathBuf {
    std::env::var_os("VANTHU_CORPORA").map_or_else(|| "../shared/corpora".into(), PathBuf::from)
}

/// Every file of a corpus; none if it is absent, which is an error in CI.
fn files(corpus: &str) -> Vec<PathBuf> {
    let root = corpora().join(corpus);
    if !root.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "corpus {} is absent", root.display());
        println!("corpus {} is absent; see README.md of the corpora", root.display());
        return Vec::new();
    }
    let mut waiting = vec![root];
    let mut files = Vec::new();
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { waiting.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

fn is_kind(path: &Path, kinds: &[&str]) -> bool {
    path.extension().is_some_and(|kind| kinds.iter().any(|known| kind == *known))
}

/// Nothing is trusted, but the certificates that lie beside the vectors are known.
fn trust() -> Trust {
    let paths = ["xmlsec1", "santuario"].into_iter().flat_map(files);
    let mut known = Vec::new();
    for path in paths.filter(|path| is_kind(path, &["der", "crt", "cer", "pem"])) {
        let bytes = std::fs::read(&path).unwrap();
        let der =
            x509_parser::pem::parse_x509_pem(&bytes).map_or(bytes.clone(), |(_, pem)| pem.contents);
        if Trust::new(vec![], vec![der.clone()], vec![]).is_ok() && !known.contains(&der) {
            known.push(der);
        }
    }
    Trust::new(vec![], known, vec![]).unwrap()
}

/// What the first reference outside of the document is about, if it lies beside the file; a page of
/// which there are two editions, in both.
fn outside(path: &Path, text: &str) -> Vec<Vec<u8>> {
    let mut uris = text.split("URI=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let Some(uri) = uris.find(|uri| !uri.is_empty() && !uri.starts_with('#')) else {
        return Vec::new();
    };
    let copies = corpora().join("xmlsec1/external-data");
    let files = match uri {
        "http://www.w3.org/TR/xml-stylesheet" => {
            vec![copies.join("xml-stylesheet-2005"), copies.join("xml-stylesheet-2018")]
        }
        "http://www.w3.org/Signature/2002/04/xml-stylesheet.b64" => {
            vec![copies.join("xml-stylesheet-2005.b64")]
        }
        // One of the two copies of these vectors lost its line ends.
        _ => vec![
            path.parent().unwrap().join(uri),
            corpora().join("xmlsec1/phaos-xmldsig-three").join(uri),
        ],
    };
    let files = files.into_iter().filter(|file| file.is_file());
    files.map(|file| std::fs::read(file).unwrap()).collect()
}

/// A word for the file, and the reasons, signature by signature.
fn sum_up(report: &Report) -> (&'static str, String) {
    let all = |known: &[&[&str]]| {
        let mut reasons = report.signatures.iter().flat_map(|s| s.verdict.reasons());
        reasons.all(|reason| known.concat().contains(&reason.code))
    };
    let word = match report.indication() {
        None => "unsigned",
        Some(Indication::TotalFailed) => "fails",
        _ if all(&[&HOLDS]) => "holds",
        _ if all(&[&HOLDS, &PARTIAL]) => "partial",
        _ => "refused",
    };
    let codes = report.signatures.iter().map(|signature| {
        let mut codes: Vec<&str> = Vec::new();
        for reason in signature.verdict.reasons() {
            if !codes.contains(&reason.code) {
                codes.push(reason.code);
            }
        }
        if codes.is_empty() { "-".to_owned() } else { codes.join(",") }
    });
    (word, codes.collect::<Vec<_>>().join(" "))
}

fn judged(path: &Path, trust: &Trust) -> Report {
    let bytes = std::fs::read(path).unwrap();
    let now = Time::from_seconds(NOW);
    let alone = judge(&bytes, trust, now);
    let contents = outside(path, &String::from_utf8_lossy(&bytes));
    let mut with_content =
        contents.iter().map(|content| judge_detached(&bytes, content, trust, now));
    let holds = |report: &Report| report.indication() != Some(Indication::TotalFailed);
    let first = with_content.next();
    match first {
        Some(first) if holds(&first) => first,
        Some(first) => with_content.find(holds).unwrap_or(first),
        None => alone,
    }
}

/// What is valid must not fail, what is bad must not hold.
fn agrees(maker: &str, ours: &str) -> bool {
    match maker {
        "valid" => matches!(ours, "holds" | "partial" | "refused"),
        "bad" => matches!(ours, "fails" | "partial" | "refused"),
        "?" => true,
        other => panic!("makers do not say {other}"),
    }
}

/// What the name of a vector says.
fn by_name(name: &str) -> &'static str {
    // Templates have no value yet; `legacy` vectors show what a standard does not allow.
    if ["bad", "negative", "template", "-legacy"].iter().any(|word| name.contains(word)) {
        "bad"
    } else if name.starts_with("dss") || name.starts_with("pyhanko") {
        "?"
    } else {
        "valid"
    }
}

/// The table beside this file; `VANTHU_BLESS` writes our columns, and rows for new files, anew.
#[test]
fn every_xml_signature_of_others_is_judged_as_its_maker_says_or_refused_by_name() {
    let corpora_of = ["xmlsec1", "santuario", "dss/dss-xades", "pyhanko/xml"];
    let paths: Vec<PathBuf> = corpora_of.into_iter().flat_map(files).collect();
    if paths.is_empty() {
        return;
    }
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/xml_interop/table.txt");
    let text = std::fs::read_to_string(&table).unwrap();
    let (head, rows): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('#'));
    let said: BTreeMap<&str, [&str; 5]> = rows.iter().map(|row| columns(row)).collect();
    let trust = trust();
    let (mut written, mut wrong) = (Vec::new(), Vec::new());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for path in paths.iter().filter(|path| is_kind(path, &["xml"])) {
        let name = path.strip_prefix(corpora()).unwrap().to_str().unwrap();
        let (ours, codes) = sum_up(&judged(path, &trust));
        if ours == "unsigned" && !said.contains_key(name) {
            continue;
        }
        let row = said.get(name).copied();
        let maker = row.map_or(by_name(name), |[_, maker, ..]| maker);
        let why = row.map_or("-", |[.., why]| why);
        let line = format!("{name} | {maker} | {ours} | {codes} | {why}");
        if row.map(|row| row.join(" | ")) != Some(line.clone()) {
            wrong.push(format!("{row:?}\n    now: {line}"));
        }
        let is_wrong = !agrees(maker, ours);
        if is_wrong && why == "-" {
            wrong.push(format!("{name}: {maker} and {ours}, {codes}"));
        }
        *counts.entry(if is_wrong { "wrong" } else { ours }).or_default() += 1;
        written.push(line);
    }
    println!("{} files: {counts:?}", written.len());
    if std::env::var_os("VANTHU_BLESS").is_some() {
        std::fs::write(&table, format!("{}\n{}\n", head.join("\n"), written.join("\n"))).unwrap();
    }
    wrong.extend((written.len() < rows.len()).then(|| "files are missing".to_owned()));
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

fn columns(row: &str) -> (&str, [&str; 5]) {
    let columns: Vec<&str> = row.split(" | ").collect();
    let columns: [&str; 5] = columns.try_into().expect("five columns");
    (columns[0], columns)
}
