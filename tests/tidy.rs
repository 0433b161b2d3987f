//! Reads the source and holds it against the shape that the house gave itself: floors, pure rooms,
//! small files, no escapes. Each rule is a function from pages to breaches; `seeded` proves that
//! each can fail.

#[path = "tidy/page.rs"]
mod page;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/seeded.rs"]
mod seeded;

use std::fs;
use std::path::Path;

use page::{Page, read_below};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn source() -> Vec<Page> {
    read_below(root(), "src")
}

/// Source, build script and tests.
fn everything() -> Vec<Page> {
    let mut pages = source();
    pages.extend(read_below(root(), "proto"));
    pages.extend(read_below(root(), "tests"));
    pages
}

fn holds(breaches: Vec<String>) {
    assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), breaches.join("\n"));
}

#[test]
fn a_module_uses_only_modules_above_it() {
    holds(rules::order(&source()));
}

#[test]
fn rooms_are_pure() {
    holds(rules::purity(&source()));
}

#[test]
fn only_one_file_reads_a_clock() {
    holds(rules::clock(&source()));
}

#[test]
fn only_one_file_names_sled() {
    holds(rules::sled(&source()));
}

#[test]
fn functions_and_files_are_small() {
    holds(rules::sizes(&source()));
}

#[test]
fn nothing_is_allowed_postponed_or_ignored() {
    holds(rules::escapes(&everything()));
}

#[test]
fn the_top_level_holds_what_the_design_names() {
    let names = fs::read_dir(root()).expect("the root is there").map(|entry| {
        let entry = entry.expect("the root can be listed");
        entry.file_name().into_string().expect("a name in UTF-8")
    });
    let ignored = fs::read_to_string(root().join(".gitignore")).expect(".gitignore is there");
    holds(rules::top_level(names, &ignored));
}
