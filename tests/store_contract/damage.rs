//! What a store on disk refuses to open: anything that a commit could not have left.

use std::fs;
use std::path::Path;

use vanthu::document::Urgency;
use vanthu::gateway::ports::{LogStore as _, Registry as _, StoreError};
use vanthu::store::sled::{self, SledMedium};
use vanthu::store::{Medium, Table, Write};

use crate::CACHE_BYTES;
use crate::ledger::{Ledger, accepted, at, envelope, handed_over, later, request, start};

/// A store with a closed epoch of 300 entries and 5 entries in the open one.
fn prepare(root: &Path) {
    let store = sled::open(root, CACHE_BYTES).expect("opens");
    let term = store.lead("leader", start(), later(60)).expect("leads");
    let mut ledger = Ledger::load(&store, term).expect("loads");
    let entries: Vec<_> = (0..300).map(|number| handed_over(number, "H49")).collect();
    ledger.commit(&store, &entries).expect("commits");
    ledger.open_epoch(&store).expect("opens");
    for number in 0..2 {
        let entries = [accepted(number, Urgency::Normal), handed_over(number, "H49")];
        ledger.commit(&store, &entries).expect("commits");
    }
}

/// Changes the first record that the open epoch has at or after a key.
fn change(root: &Path, from: &[u8], with: impl Fn(Vec<u8>, Vec<u8>) -> Write) {
    let medium = SledMedium::new(root, CACHE_BYTES).expect("opens");
    let kv = medium.open(&medium.current().expect("reads").expect("named")).expect("opens");
    let (key, value) = kv.scan(from, b"z", 1).expect("reads").remove(0);
    kv.apply(vec![with(key, value)]).expect("writes");
}

/// A key of the open epoch with one number.
fn key(tag: u8, number: u64) -> Vec<u8> {
    [[tag].as_slice(), &2u32.to_be_bytes(), &number.to_be_bytes()].concat()
}

fn remove(key: Vec<u8>, _: Vec<u8>) -> Write {
    Write { key, value: None }
}

fn flip(key: Vec<u8>, mut value: Vec<u8>) -> Write {
    let last = value.len() - 1;
    value[last] ^= 1;
    Write { key, value: Some(value) }
}

type Harm = fn(&Path);

const HARMS: &[(&str, Harm)] = &[
    ("the head record is gone", |root| change(root, b"H", remove)),
    ("the format record is gone", |root| change(root, b"V", remove)),
    ("the layout is that of version 2", |root| {
        change(root, b"V", |key, _| Write { key, value: Some(vec![8, 2]) });
    }),
    ("the record of the index is unreadable", |root| {
        change(root, b"H", |_, _| Write { key: b"I".to_vec(), value: Some(vec![0xFF]) });
    }),
    ("the last leaf is gone", |root| change(root, &key(b'l', 4), remove)),
    ("the last leaf is another", |root| change(root, &key(b'l', 4), flip)),
    ("there is a leaf too many", |root| {
        change(root, &key(b'l', 4), |_, value| Write { key: key(b'l', 5), value: Some(value) });
    }),
    ("a row is another", |root| change(root, b"r", flip)),
    ("a row is gone", |root| change(root, b"r", remove)),
    ("the last checkpoint is gone", |root| change(root, &key(b'c', 5), remove)),
    ("the last checkpoint is an earlier one", |root| {
        change(root, &key(b'c', 3), |_, value| Write { key: key(b'c', 5), value: Some(value) });
    }),
    ("the closed epoch is forgotten", |root| change(root, b"E", remove)),
    ("the closed epoch has another checkpoint", |root| {
        fs::write(root.join("epochs/00001/checkpoint"), "other").expect("writes");
    }),
    ("the closed epoch has no files", |root| {
        fs::remove_dir_all(root.join("epochs/00001")).expect("removes");
    }),
    ("a page spilled", |root| {
        fs::write(root.join("epoch-00002/blobs/12"), "page").expect("writes");
    }),
    ("nothing says which map counts", |root| {
        fs::remove_file(root.join("CURRENT")).expect("removes");
    }),
    ("what says it is unreadable", |root| {
        fs::write(root.join("CURRENT"), "epoch-2\n").expect("writes");
    }),
];

#[test]
fn a_damaged_store_does_not_open() {
    for (name, harm) in HARMS {
        let folder = tempfile::tempdir().expect("a folder");
        prepare(folder.path());
        sled::open(folder.path(), CACHE_BYTES).map(drop).expect("opens while it is whole");
        harm(folder.path());
        let opened = sled::open(folder.path(), CACHE_BYTES).map(drop);
        assert!(matches!(opened, Err(StoreError::Damaged(_))), "{name}: {opened:?}");
    }
}

#[test]
fn a_damaged_index_is_noticed_and_can_be_made_anew() {
    let harms: [fn(&Path); 3] = [
        |run| fs::remove_file(run).expect("removes"),
        |run| {
            let bytes = fs::read(run).expect("reads");
            fs::write(run, &bytes[..bytes.len() - 1]).expect("writes");
        },
        |run| {
            let mut bytes = fs::read(run).expect("reads");
            let last = bytes.len() - 9;
            bytes[last] ^= 1;
            fs::write(run, bytes).expect("writes");
        },
    ];
    for harm in harms {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let medium = || SledMedium::new(root, CACHE_BYTES).expect("a folder");
        let store = Table::open_with_runs_of(medium(), 2).expect("opens");
        let term = store.lead("leader", start(), later(60)).expect("leads");
        let mut ledger = Ledger::load(&store, term).expect("loads");
        for number in 0..20 {
            ledger.commit(&store, &[accepted(number, Urgency::Normal)]).expect("commits");
        }
        drop(store);
        let runs = fs::read_dir(root.join("index")).expect("reads");
        runs.for_each(|run| harm(&run.expect("reads").path().join("run")));
        let opened = sled::open(root, CACHE_BYTES).map(drop);
        assert!(matches!(opened, Err(StoreError::Damaged(_))), "{opened:?}");
        sled::rebuild(root, CACHE_BYTES, &root.join("content")).expect("rebuilds");
        let store = sled::open(root, CACHE_BYTES).expect("opens");
        for number in 0..20u8 {
            let used = store.request(&request(number.into())).expect("reads");
            assert_eq!(used, Some((envelope(number.into()), at(1, number.into()))));
        }
    }
}

#[test]
fn a_bad_page_of_the_index_is_an_error_and_no_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let medium = SledMedium::new(root, CACHE_BYTES).expect("a folder");
    let store = Table::open_with_runs_of(medium, 2).expect("opens");
    let term = store.lead("leader", start(), later(60)).expect("leads");
    let mut ledger = Ledger::load(&store, term).expect("loads");
    for number in 0..20 {
        ledger.commit(&store, &[accepted(number, Urgency::Normal)]).expect("commits");
    }
    for run in fs::read_dir(root.join("index")).expect("reads") {
        let path = run.expect("reads").path().join("run");
        let mut bytes = fs::read(&path).expect("reads");
        bytes[100] ^= 1;
        fs::write(&path, bytes).expect("writes");
    }
    let found = store.request(&request(0));
    assert!(matches!(found, Err(StoreError::Damaged(_))), "{found:?}");
}

#[test]
fn leftovers_of_interrupted_calls_are_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    prepare(root);
    let leftovers = ["epoch-00003", "epoch-00002.1", "epochs/00002", "epochs/00003"];
    for name in leftovers {
        fs::create_dir_all(root.join(name).join("tile")).expect("creates");
    }
    drop(sled::open(root, CACHE_BYTES).expect("opens"));
    for name in leftovers {
        assert!(!root.join(name).exists(), "{name}");
    }
    assert!(root.join("epochs/00001/tile/entries/000").is_file());
    assert!(root.join("epochs/00001/tile/entries/001.p/44").is_file());
    assert!(root.join("epochs/00001/tile/0/001.p/44").is_file());
    assert!(root.join("epochs/00001/tile/1/000.p/1").is_file());
}

#[test]
fn a_store_is_open_only_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = sled::open(folder.path(), CACHE_BYTES).expect("opens");
    let second = sled::open(folder.path(), CACHE_BYTES).map(drop);
    assert!(matches!(second, Err(StoreError::Medium(_))), "{second:?}");
    drop(store);
    sled::open(folder.path(), CACHE_BYTES).map(drop).expect("opens again");
}
