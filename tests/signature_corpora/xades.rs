//! The time-stamps and counter-signatures of DSS's XAdES samples: the table `xades.txt`.

use std::path::Path;

use vanthu::clock::Time;
use vanthu::signature::{Trust, judge};

use crate::cades::stamps;
use crate::{CHAIN, NOW, corpora, files};

const FOLDER: &str = "dss/dss-xades";

/// Every counter-signature with the signature that it confirms and the first thing against it.
fn counters(report: &vanthu::signature::Report) -> String {
    let words = report.signatures.iter().filter_map(|signature| {
        let over = signature.counter_signs?;
        let mut codes = signature.verdict.reasons().iter().map(|reason| reason.code);
        let first = codes.find(|code| !CHAIN.contains(code)).unwrap_or("-");
        Some(format!("{over}:{first}"))
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_time_stamp_and_counter_signature_of_xades_samples_is_judged_as_its_name_says() {
    let Some(paths) = files("dss") else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signature_corpora/xades.txt");
    let table = std::fs::read_to_string(&path).unwrap();
    let (head, rows): (Vec<&str>, Vec<&str>) =
        table.lines().partition(|line| line.starts_with('#'));
    let trust = Trust::new(vec![], vec![], vec![]).unwrap();
    let folder = corpora().join(FOLDER);
    let (mut written, mut wrong) = (Vec::new(), Vec::new());
    for file in paths.iter().filter(|path| path.starts_with(&folder)) {
        if file.extension().is_none_or(|kind| kind != "xml" && kind != "ddoc") {
            continue;
        }
        let report = judge(&std::fs::read(file).unwrap(), &trust, Time::from_seconds(NOW));
        let (stamps, counters) = (stamps(&report), counters(&report));
        if stamps.is_empty() && counters.is_empty() {
            continue;
        }
        let name = file.strip_prefix(&folder).unwrap().display().to_string();
        let row = rows.iter().find(|row| row.starts_with(&format!("{name} | ")));
        let columns: Vec<&str> = row.map_or(Vec::new(), |row| row.split(" | ").collect());
        let expected = columns.get(1).copied().unwrap_or("?");
        let why = columns.last().copied().unwrap_or("-");
        let line = format!("{name} | {expected} | {stamps} | {counters} | {why}");
        if row != Some(&line.as_str()) {
            wrong.push(format!("{row:?}\n    now: {line}"));
        }
        let all = format!("{stamps} {counters}");
        let holds = all.split_whitespace().all(|word| word.ends_with(":-"));
        let agrees = match expected {
            "holds" => holds,
            "differs" => !holds,
            "?" => true,
            other => panic!("samples are not {other}"),
        };
        if agrees != (why == "-") {
            wrong.push(format!("{name}: {expected}, explained by “{why}”"));
        }
        written.push(line);
    }
    if std::env::var_os("VANTHU_BLESS").is_some() {
        std::fs::write(&path, format!("{}\n{}\n", head.join("\n"), written.join("\n"))).unwrap();
    }
    wrong.extend((written.len() != rows.len()).then(|| "files are missing or new".to_owned()));
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
