//! The CMS samples of DSS against what its tests say: the table `cades.txt`.

use std::path::Path;

use vanthu::clock::Time;
use vanthu::signature::{Report, Trust, judge, judge_detached};

use crate::{CHAIN, NOW, corpora, files, sum_up};

const FOLDER: &str = "dss/dss-cades/validation";

/// Every time-stamp with the first thing against it, beside that its maker is not trusted here.
pub fn stamps(report: &Report) -> String {
    let stamps = report.signatures.iter().flat_map(|signature| &signature.timestamps);
    let words = stamps.map(|stamp| {
        let codes = stamp.verdict.reasons().iter().map(|reason| reason.code);
        let first = codes.filter(|code| !CHAIN.contains(code)).take(1).collect::<String>();
        format!("{}:{}", stamp.kind, if first.is_empty() { "-" } else { &first })
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_cades_sample_is_judged_as_its_makers_say() {
    if files("dss").is_none() {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signature_corpora/cades.txt");
    let table = std::fs::read_to_string(&path).unwrap();
    let (head, rows): (Vec<&str>, Vec<&str>) =
        table.lines().partition(|line| line.starts_with('#'));
    let trust = Trust::new(vec![], vec![], vec![]).unwrap();
    let now = Time::from_seconds(NOW);
    let folder = corpora().join(FOLDER);
    let (mut written, mut wrong, mut listed) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let columns: Vec<&str> = row.split(" | ").map(str::trim).collect();
        let [name, content, expected, .., why] = columns[..] else { panic!("columns: {row}") };
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let report = match content {
            "-" => judge(&bytes, &trust, now),
            beside => {
                let content = std::fs::read(folder.join(beside)).unwrap();
                judge_detached(&bytes, &content, &trust, now)
            }
        };
        let (ours, codes) = sum_up(&report);
        let stamps = stamps(&report);
        let line = format!("{name} | {content} | {expected} | {ours} | {codes} | {stamps} | {why}");
        if line != row {
            wrong.push(format!("{row}\n    now: {line}"));
        }
        let agrees = expected == "?" || expected == ours;
        if agrees != (why == "-") {
            wrong.push(format!("{name}: {expected} and {ours}, explained by “{why}”"));
        }
        listed.push(folder.join(name));
        written.push(line);
    }
    if std::env::var_os("VANTHU_BLESS").is_some() {
        std::fs::write(&path, format!("{}\n{}\n", head.join("\n"), written.join("\n"))).unwrap();
    }
    let kinds = ["p7m", "p7s", "pkcs7", "cades", "sig"];
    let samples = files("dss").into_iter().flatten().filter(|path| {
        let kind = path.extension().and_then(|kind| kind.to_str());
        path.starts_with(&folder) && kind.is_some_and(|kind| kinds.contains(&kind))
    });
    wrong.extend(
        samples.filter(|path| !listed.contains(path)).map(|p| format!("{} is new", p.display())),
    );
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
