//! `vanthu verify` and `vanthu trust` from outside: the program itself, on files that the workshop made.

#![expect(clippy::unwrap_used, reason = "a test that cannot make its files has failed")]

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use vanthu::clock::Time;
use vanthu::workshop::page;
use vanthu::workshop::pki::DevPki;
use vanthu::workshop::profile::Profile;
use vanthu::workshop::sign::{self, Options};

const AT: &str = "2026-11-22T03:45:18.000Z";

/// A PKI in `pki`, and in `in` a letter that holds, one that was changed, one that is not signed and
/// one whose signer is not known to `pki`.
struct Room(tempfile::TempDir);

impl Room {
    fn new() -> Self {
        let room = Self(tempfile::tempdir().unwrap());
        let now: Time = AT.parse().unwrap();
        let profile = Profile::built_in().with_p256_keys();
        let country = DevPki::generate(&profile, now).unwrap();
        country.write(&room.path("pki")).unwrap();
        let abroad = DevPki::generate(&profile, now).unwrap();
        let letter = page::pdf("Công văn", &["Kính gửi"], 0);
        let signed = |country: &DevPki| {
            let seal = country.seal("H49").unwrap();
            sign::pdf(&letter, &seal, &Options::new("seal", now)).unwrap()
        };
        let good = signed(&country);
        let mut changed = good.clone();
        changed[20] ^= 1;
        std::fs::create_dir_all(room.path("in/2018")).unwrap();
        for (name, bytes) in [
            ("in/b.pdf", &good),
            ("in/2018/changed.pdf", &changed),
            ("in/a.pdf", &letter),
            ("in/c.pdf", &signed(&abroad)),
        ] {
            std::fs::write(room.path(name), bytes).unwrap();
        }
        room
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn verify(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vanthu"));
        command.arg("verify").args(["--trust", "pki/trust", "--at", AT]).args(arguments);
        command.current_dir(self.0.path());
        command
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_folder_is_verified_in_the_order_of_names_with_a_count() {
    let room = Room::new();
    let output = room.verify(&["in", "--output", "json"]);
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let found: Vec<(String, String)> = text(&output.stdout)
        .lines()
        .map(|line| {
            let value: Value = serde_json::from_str(line).unwrap();
            let word = |name: &str| value[name].as_str().unwrap().to_owned();
            (word("file"), word("indication"))
        })
        .collect();
    let expected = [
        ("in/2018/changed.pdf", "TOTAL-FAILED"),
        ("in/a.pdf", "UNSIGNED"),
        ("in/b.pdf", "TOTAL-PASSED"),
        ("in/c.pdf", "INDETERMINATE"),
    ];
    assert_eq!(found, expected.map(|(file, word)| (file.to_owned(), word.to_owned())));
    let summary =
        "4 files: 1 TOTAL-PASSED, 1 INDETERMINATE, 1 TOTAL-FAILED, 1 UNSIGNED, 0 unreadable\n";
    assert_eq!(text(&output.stderr), summary);
    assert_eq!(room.verify(&["in", "--output", "json"]).stdout, output.stdout);
}

#[test]
fn the_exit_code_tells_the_worst() {
    let room = Room::new();
    for (files, code) in [
        (&["in/b.pdf"][..], 0),
        (&["in/a.pdf"], 0),
        (&["in/c.pdf"], 8),
        (&["in/c.pdf", "absent.pdf"], 1),
        (&["in/2018/changed.pdf", "absent.pdf"], 7),
        (&["in/?.pdf"], 8),
        (&["in/**/ch*.pdf"], 7),
        (&["in/*.xml"], 6),
    ] {
        let output = room.verify(files);
        assert_eq!(output.status.code(), Some(code), "{files:?} {output:?}");
    }
}

#[test]
fn a_clerk_reads_vietnamese_and_machines_get_both() {
    let room = Room::new();
    let output = room.verify(&["in/c.pdf", "--lang", "vi"]);
    let said = text(&output.stdout);
    assert!(
        said.starts_with("in/c.pdf: chưa xác định (chưa xác định được giá trị pháp lý)"),
        "{said}"
    );
    assert!(said.contains("không được ký bằng khóa của"), "{said}");
    let output = room.verify(&["in/c.pdf", "in/b.pdf", "--output", "json"]);
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let reason = &lines[0]["signatures"][0]["reasons"][0];
    assert_eq!(reason["code"], "ISSUER_KEY_DIFFERS");
    assert!(reason["message"].as_str().unwrap().contains("was not made with the key"));
    assert!(reason["message_vi"].as_str().unwrap().contains("không được ký bằng khóa"));
    assert_eq!(lines[1]["signatures"][0]["trust_domain"], "gov");
}

#[test]
fn the_xml_report_on_all_files_is_one_document_and_the_same_each_time() {
    let room = Room::new();
    let output = room.verify(&["in", "--report", "xml"]);
    assert_eq!(output.status.code(), Some(7));
    let report = text(&output.stdout);
    let document = roxmltree::Document::parse(&report).unwrap();
    let named =
        |name: &str| document.descendants().filter(|node| node.tag_name().name() == name).count();
    assert_eq!((named("SignatureValidationReport"), named("MainIndication")), (3, 3));
    assert_eq!(room.verify(&["in", "--report", "xml"]).stdout, output.stdout);
    let again = room.verify(&["in", "--report", "xml", "--output", "json"]);
    assert_eq!(again.status.code(), Some(2), "two forms at once: {again:?}");
}

#[test]
fn a_reader_that_goes_away_ends_the_program_silently() {
    let room = Room::new();
    // More than a pipe holds.
    let long = "x".repeat(200);
    std::fs::create_dir_all(room.path("many")).unwrap();
    for index in 0..2_000 {
        std::fs::write(room.path(&format!("many/{long}{index}")), b"").unwrap();
    }
    let mut child =
        room.command(&["many"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn trust_is_shown_and_a_stranger_is_not_taken_for_official() {
    let room = Room::new();
    let trust = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vanthu"));
        command.arg("trust").args(arguments).current_dir(room.0.path()).output().unwrap()
    };
    let shown = trust(&["show", "--trust", "pki/trust", "--output", "json"]);
    let domains: Vec<Value> =
        text(&shown.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(domains.len(), 2);
    assert_eq!(
        (&domains[0]["domain"], &domains[0]["algorithms"]),
        (&"gov".into(), &"Vietnam".into())
    );
    let root = "pki/trust/gov/anchors/gov-root.pem";
    let refused = trust(&["import", root, "--trust", "other"]);
    assert_eq!(refused.status.code(), Some(7), "{refused:?}");
    assert!(!room.path("other").exists());
    let taken = trust(&["import", root, "--trust", "other", "--unpinned", "--domain", "test"]);
    assert_eq!(taken.status.code(), Some(0), "{taken:?}");
    assert!(text(&taken.stderr).contains("NOT an official certificate"));
    assert!(Path::new(text(&taken.stdout).trim()).starts_with("other/test/anchors"));
    assert_eq!(room.verify(&["in/b.pdf", "--trust", "other"]).status.code(), Some(2), "twice");
}
