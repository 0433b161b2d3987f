//! Every rule finds the breach that it is for, and lets pass what only looks like one.

use crate::page::{Page, mark_test_files};
use crate::rules;

const LIB: &str = "// ground: words\npub mod clock;\npub mod limits;\n\n// rooms: pure\npub mod log;\n\
                   pub mod audit;\n\n// plant\npub mod store;\n";

fn pages(files: &[(&str, &str)]) -> Vec<Page> {
    let lib = [("src/lib.rs", LIB)];
    let pages = lib.iter().chain(files).map(|(path, text)| Page::new(path, text));
    mark_test_files(pages.collect())
}

/// Holds the rule against one file: `broken` is found once, each of `sound` is not.
fn check(rule: fn(&[Page]) -> Vec<String>, path: &str, broken: &[&str], sound: &[&str]) {
    for text in broken {
        let found = rule(&pages(&[(path, text)]));
        assert_eq!(found.len(), 1, "{text:?} breaks the rule once: {found:?}");
        assert!(found[0].starts_with(path), "{found:?}");
    }
    for text in sound {
        let found = rule(&pages(&[(path, text)]));
        assert!(found.is_empty(), "{text:?} is sound: {found:?}");
    }
}

#[test]
fn order_sees_every_way_to_name_a_lower_module() {
    check(
        rules::order,
        "src/log/tree.rs",
        &[
            "use crate::audit::Report;",
            "use crate::{limits::A, audit::{Report as It}};",
            "fn f() { crate::store::open() }",
            "use super::super::audit::Report;",
            "#[cfg(not(test))]\nuse crate::audit::Report;",
            "const Q: char = '\"'; use crate::audit::Report; const R: char = '\"';",
            "/* \" */ use crate::store; // \"",
        ],
        &[
            "use crate::limits::A;",
            "use crate::log::Tree;",
            "//! See [`crate::audit::Report`].\n/// crate::store\nfn f() {}",
            "const TEXT: &str = \"crate::audit::Report\";",
            "const TEXT: &str = r#\"\" crate::audit::Report\"#;",
            "#[cfg(test)]\nuse crate::{audit::Report, store};\nfn f() {}",
            "#[cfg(test)]\nmod tests {\n    use crate::store::open;\n    fn f() { { } }\n}\n",
            "use super::audit::Inner;",
        ],
    );
    let stranger = rules::order(&pages(&[("src/utils.rs", "")]));
    assert_eq!(stranger, ["src/utils.rs: utils is not in lib.rs"]);
}

#[test]
fn order_follows_a_test_module_into_its_file() {
    let door = ("src/log/mod.rs", "#[cfg(test)]\nmod forgeries;\nmod tree;");
    let tests = ("src/log/forgeries.rs", "use crate::store::open;");
    assert!(rules::order(&pages(&[door, tests])).is_empty());
    assert_eq!(rules::order(&pages(&[tests])).len(), 1);
    let named = ("src/log/tree.rs", "#[cfg(test)]\n#[path = \"forgeries.rs\"]\nmod tests;");
    assert!(rules::order(&pages(&[named, tests])).is_empty());
}

#[test]
fn purity_sees_machines_in_a_room() {
    let broken = [
        "use tokio::sync::mpsc;",
        "fn f() -> tonic::Status { g() }",
        "use prost::Message as _;",
        "fn f(db: &sled::Db) {}",
        "use std::{fmt, fs};",
        "use std::net::IpAddr;",
        "fn f() { std::thread::yield_now() }",
        "fn f(t: SystemTime) {}",
        "fn f() { g(Instant::now()) }",
        "use serde::Deserialize;",
        "#[derive(Debug, Serialize)]\nstruct A;",
    ];
    let sound = [
        "use std::fmt;",
        "fn f(prost: u8) -> u8 { prost }",
        "// std::fs\nfn f() {}",
        "#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n",
    ];
    check(rules::purity, "src/log/tree.rs", &broken, &sound);
    let elsewhere = rules::purity(&pages(&[("src/store/disk.rs", "use std::fs;")]));
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

#[test]
fn clock_sees_who_asks_for_the_time() {
    let broken = ["fn f() { SystemTime::now() }", "fn f() { jiff::Timestamp::now() }"];
    check(rules::clock, "src/store/disk.rs", &broken, &["fn f() { Instant::now() }"]);
    assert!(rules::clock(&pages(&[("src/clock.rs", "use std::time::SystemTime;")])).is_empty());
}

#[test]
fn sled_sees_a_second_file_that_names_it() {
    let broken = ["use sled::Db;", "fn f(db: &sled::Db) {}", "use sled;"];
    let sound = ["use crate::store::sled;\nfn f() { sled::open() }", "pub mod sled;"];
    check(rules::sled, "src/store/kv.rs", &broken, &sound);
    assert!(rules::sled(&pages(&[("src/store/sled.rs", "use sled::Db;")])).is_empty());
}

#[test]
fn sizes_see_long_functions_and_files() {
    let lines = |count: usize| "    g();\n".repeat(count);
    let long = format!("fn f(a: [u8; 4]) {{\n{}}}\n", lines(69));
    let longest = format!("fn f(a: [u8; 4]) {{\n{}}}\n", lines(68));
    check(rules::sizes, "src/log/tree.rs", &[&long, &"\n".repeat(601)], &[&longest]);
    let declared = format!("trait T {{\n    fn f(&self);\n{}}}\n", lines(80));
    check(rules::sizes, "src/log/tree.rs", &[], &[&declared, &"\n".repeat(600)]);
}

#[test]
fn escapes_see_what_is_allowed_postponed_or_ignored() {
    let broken = [
        "#[allow(dead_code)]\nfn f() {}",
        "#![allow(unused)]",
        "#[cfg_attr(test, allow(unused))]\nfn f() {}",
        "fn f() { todo!() }",
        "fn f() { unimplemented!() }",
        "fn f() { dbg!(1); }",
        "#[test]\n#[ignore = \"slow\"]\nfn f() {}",
        "#[cfg(test)]\nmod tests {\n    #[ignore]\n    fn f() {}\n}\n",
    ];
    let sound = [
        "#[expect(dead_code, reason = \"soon\")]\nfn f() {}",
        "fn f() { disallow(1) }",
        "const TEXT: &str = \"todo!\"; // todo!",
    ];
    check(rules::escapes, "src/log/tree.rs", &broken, &sound);
}

#[test]
fn top_level_sees_a_stray_folder() {
    let names = ["src", "tests", "README.md", ".ci", "target", "docs", "benches"];
    let found = rules::top_level(names.iter().map(|name| (*name).to_owned()), "/target\n*.pyc\n");
    assert_eq!(found, ["docs stands at the top", "benches stands at the top"]);
}
