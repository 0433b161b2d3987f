//! Bodies: kept durably and found again, uploads resumed after anything, and the index derived
//! again from what lies in the volumes.

#[path = "store_contract/ledger.rs"]
#[expect(dead_code, reason = "shared with the contract, which uses all of it")]
mod ledger;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use vanthu::clock::{Clock as _, SystemClock, Time};
use vanthu::digest::Sha256;
use vanthu::directory::SystemId;
use vanthu::document::Urgency;
use vanthu::gateway::ports::{Contents, LogStore, Piece, Place, Staged, Upload, UploadError};
use vanthu::limits::{STAGED_MAX, UPLOAD_AGE_MAX, VOLUME_BLOB_SIZE_MAX};
use vanthu::store::content::ContentStore;
use vanthu::store::sled::{self, SledMedium};
use vanthu::store::{Medium, Pair, Table, Write};

use ledger::{Extras, Ledger, accepted, consigned, handed_over, later, start};

fn system() -> SystemId {
    SystemId::parse("province").expect("an id")
}

fn now() -> Time {
    SystemClock.now()
}

/// Bytes that are not the same anywhere.
fn body(seed: u64, size: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(usize::try_from(size).expect("small")).collect()
}

struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("content")
    }

    fn open(&self) -> ContentStore {
        ContentStore::open(&self.root(), now()).expect("opens")
    }

    fn upload_path(&self, digest: &Sha256, state: &str) -> PathBuf {
        self.root().join("uploads/province").join(format!("{digest}.{state}"))
    }
}

fn keep(store: &ContentStore, pieces: Vec<Piece>) -> Result<Vec<(Sha256, Place)>, String> {
    let kept = store.keep(pieces).blocking_recv().expect("answers");
    store.settle().expect("settles");
    kept
}

fn piece(bytes: &[u8]) -> Piece {
    Piece::Bytes(Sha256::of(bytes), Bytes::copy_from_slice(bytes))
}

fn read(store: &ContentStore, digest: &Sha256, place: Place) -> Vec<u8> {
    let source = store.read(digest, place).expect("is there");
    let mut bytes = vec![0; usize::try_from(source.size()).expect("small")];
    source.read_at(0, &mut bytes).expect("reads");
    assert!(source.read_at(source.size(), &mut [0]).is_err(), "nothing beyond the end");
    bytes
}

/// How many bytes have arrived; `None` if the upload is complete and can be read.
fn staged(store: &ContentStore, digest: &Sha256, size: u64) -> Result<Option<u64>, UploadError> {
    match store.staged(&system(), digest, size)? {
        Staged::Arriving(arrived) => Ok(Some(arrived)),
        Staged::Complete(source) => {
            assert_eq!(source.size(), size);
            Ok(None)
        }
    }
}

fn upload_all(store: &ContentStore, bytes: &[u8]) -> Sha256 {
    let digest = Sha256::of(bytes);
    let mut upload = begin(store, &digest, bytes.len() as u64, 0).expect("opens");
    for chunk in bytes.chunks(100_000) {
        upload.append(chunk).expect("takes");
    }
    upload.finish().expect("complete");
    digest
}

fn begin(
    store: &ContentStore,
    digest: &Sha256,
    size: u64,
    offset: u64,
) -> Result<Box<dyn Upload>, UploadError> {
    store.upload(&system(), digest, size, offset)
}

#[test]
fn pieces_are_answered_in_order_and_survive_reopening() {
    let folder = Folder::new();
    let store = folder.open();
    let bodies: Vec<Vec<u8>> = (0..20).map(|seed| body(seed, seed * 5_000)).collect();
    let kept = keep(&store, bodies.iter().map(|bytes| piece(bytes)).collect()).expect("kept");
    let digests: Vec<Sha256> = bodies.iter().map(|bytes| Sha256::of(bytes)).collect();
    assert_eq!(kept.iter().map(|(digest, _)| *digest).collect::<Vec<_>>(), digests);
    drop(store);
    let store = folder.open();
    let more = keep(&store, vec![piece(b"more")]).expect("kept");
    for ((digest, place), bytes) in kept.iter().zip(&bodies) {
        assert_eq!(&read(&store, digest, *place), bytes);
        assert!(store.read(&Sha256::of(b"other"), *place).is_err(), "the frame names another body");
    }
    assert_eq!(read(&store, &more[0].0, more[0].1), b"more");
}

#[test]
fn the_same_body_is_written_once_while_it_is_remembered() {
    let folder = Folder::new();
    let store = folder.open();
    let bytes = body(1, 50_000);
    let twice = keep(&store, vec![piece(&bytes), piece(&bytes)]).expect("kept");
    let again = keep(&store, vec![piece(&bytes)]).expect("kept");
    assert_eq!((twice[0], twice[0]), (twice[1], again[0]));
}

#[test]
fn many_callers_share_a_sync_and_all_get_their_own_answer() {
    let folder = Folder::new();
    let store = folder.open();
    std::thread::scope(|scope| {
        for caller in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..20 {
                    let bytes = body(caller * 1000 + round, 3_000);
                    let kept = keep(store, vec![piece(&bytes)]).expect("kept");
                    assert_eq!(read(store, &kept[0].0, kept[0].1), bytes);
                }
            });
        }
    });
    let mut found = 0;
    ContentStore::scan(&folder.root(), |_, _| found += 1).expect("reads");
    assert_eq!(found, 160);
}

#[test]
fn a_small_upload_goes_into_a_volume_and_a_large_one_keeps_its_file() {
    let folder = Folder::new();
    let store = folder.open();
    for (size, in_volume) in
        [(0, true), (1, true), (VOLUME_BLOB_SIZE_MAX, true), (VOLUME_BLOB_SIZE_MAX + 1, false)]
    {
        let bytes = body(size, size);
        let digest = upload_all(&store, &bytes);
        assert_eq!(staged(&store, &digest, size), Ok(None));
        assert_eq!(staged(&store, &digest, size + 1), Err(UploadError::TooLong(size + 1)));
        let kept = keep(&store, vec![Piece::Staged(system(), digest)]).expect("kept");
        assert_eq!(matches!(kept[0].1, Place::Volume { .. }), in_volume);
        assert_eq!(read(&store, &digest, kept[0].1), bytes);
        assert_eq!(staged(&store, &digest, size), Ok(None), "no commit refers to it yet");
        store.discard(&system(), &[digest]);
        assert_eq!(staged(&store, &digest, size), Ok(Some(0)), "the upload is used up");
        assert_eq!(read(&store, &digest, kept[0].1), bytes);
        let again = keep(&store, vec![Piece::Staged(system(), digest)]);
        assert_eq!(again, Ok(kept), "a second document with the same part");
    }
    let large = piece(&body(9, VOLUME_BLOB_SIZE_MAX + 9));
    let kept = keep(&store, vec![large]).expect("kept");
    assert_eq!(kept[0].1, Place::File { size: VOLUME_BLOB_SIZE_MAX + 9 });
}

#[test]
fn a_large_upload_whose_commit_failed_is_kept_again_after_a_restart() {
    let folder = Folder::new();
    let bytes = body(3, VOLUME_BLOB_SIZE_MAX + 1);
    let mut places = Vec::new();
    let digest = upload_all(&folder.open(), &bytes);
    for _ in 0..2 {
        let store = folder.open();
        assert_eq!(staged(&store, &digest, VOLUME_BLOB_SIZE_MAX + 1), Ok(None));
        places.push(keep(&store, vec![Piece::Staged(system(), digest)]).expect("kept"));
    }
    assert_eq!(places[0], places[1]);
}

#[test]
fn an_upload_whose_process_ended_before_the_check_is_completed_where_it_stands() {
    let folder = Folder::new();
    let bytes = body(4, 10_000);
    let (digest, size) = (Sha256::of(&bytes), 10_000);
    begin(&folder.open(), &digest, size, 0).expect("opens").append(&bytes).expect("takes");
    let store = folder.open();
    assert_eq!(staged(&store, &digest, size), Ok(Some(size)), "all there, but not checked");
    begin(&store, &digest, size, size).expect("opens").finish().expect("completes");
    assert_eq!(staged(&store, &digest, size), Ok(None));
}

#[test]
fn a_missing_upload_fails_its_own_request_only() {
    let folder = Folder::new();
    let store = folder.open();
    let absent = Piece::Staged(system(), Sha256::of(b"absent"));
    assert!(keep(&store, vec![piece(b"beside"), absent]).is_err());
    assert!(keep(&store, vec![piece(b"after")]).is_ok());
}

#[test]
fn an_upload_resumes_after_a_disconnect_and_after_a_crash() {
    let folder = Folder::new();
    let bytes = body(5, 700_000);
    let (digest, size) = (Sha256::of(&bytes), 700_000);
    let store = folder.open();
    let mut upload = begin(&store, &digest, size, 0).expect("opens");
    upload.append(&bytes[..300_000]).expect("takes");
    assert_eq!(upload.arrived(), 300_000);
    assert_eq!(upload.finish(), Err(UploadError::Offset(300_000)));
    drop(store);

    let store = folder.open();
    assert_eq!(staged(&store, &digest, size), Ok(Some(300_000)));
    assert_eq!(begin(&store, &digest, size, 0).err(), Some(UploadError::Offset(300_000)));
    let mut upload = begin(&store, &digest, size, 300_000).expect("resumes");
    upload.append(&bytes[300_000..]).expect("takes");
    assert_eq!(upload.append(b"x"), Err(UploadError::TooLong(size)));
    upload.finish().expect("complete");
    assert_eq!(staged(&store, &digest, size), Ok(None));
    begin(&store, &digest, size, size).expect("opens").finish().expect("complete already");
}

#[test]
fn wrong_bytes_are_thrown_away_even_if_a_crash_spoiled_them() {
    let folder = Folder::new();
    let bytes = body(6, 10_000);
    let digest = Sha256::of(&bytes);
    let store = folder.open();
    let mut upload = begin(&store, &digest, 10_000, 0).expect("opens");
    upload.append(&bytes[..5_000]).expect("takes");
    drop(upload);
    // A power cut may leave the length of a file without its bytes.
    fs::write(folder.upload_path(&digest, "part"), vec![0; 5_000]).expect("writes");
    let mut upload = begin(&store, &digest, 10_000, 5_000).expect("resumes");
    upload.append(&bytes[5_000..]).expect("takes");
    let spoiled = Sha256::of_parts(&[&[0; 5_000], &bytes[5_000..]]);
    assert_eq!(upload.finish(), Err(UploadError::Digest(spoiled)));
    assert_eq!(staged(&store, &digest, 10_000), Ok(Some(0)));
    assert!(!folder.upload_path(&digest, "part").exists());
}

#[test]
fn a_client_that_comes_back_takes_its_upload_over() {
    let folder = Folder::new();
    let store = folder.open();
    let bytes = body(7, 1_000);
    let digest = Sha256::of(&bytes);
    let mut old = begin(&store, &digest, 1_000, 0).expect("opens");
    old.append(&bytes[..400]).expect("takes");
    let mut new = begin(&store, &digest, 1_000, 400).expect("takes over");
    assert!(matches!(old.append(&bytes[400..]), Err(UploadError::Medium(_))));
    new.append(&bytes[400..]).expect("takes");
    assert!(matches!(old.finish(), Err(UploadError::Medium(_))));
    new.finish().expect("complete");
}

#[test]
fn a_system_has_a_bounded_number_of_uploads_and_stale_ones_go() {
    let folder = Folder::new();
    let store = folder.open();
    let digest = |number: usize| Sha256::of(&number.to_be_bytes());
    for number in 0..STAGED_MAX {
        drop(begin(&store, &digest(number), 10, 0).expect("opens"));
    }
    let refused = begin(&store, &digest(STAGED_MAX), 10, 0).err();
    assert_eq!(refused, Some(UploadError::TooMany(STAGED_MAX)));
    begin(&store, &digest(0), 10, 0).expect("those begun go on");
    drop(store);
    let soon = now().after(UPLOAD_AGE_MAX - Duration::from_secs(60));
    drop(ContentStore::open(&folder.root(), soon).expect("opens"));
    assert!(folder.upload_path(&digest(0), "part").exists());
    let late = now().after(UPLOAD_AGE_MAX + Duration::from_secs(60));
    let store = ContentStore::open(&folder.root(), late).expect("opens");
    assert!(!folder.upload_path(&digest(0), "part").exists());
    begin(&store, &digest(STAGED_MAX), 10, 0).expect("there is room again");
}

#[test]
fn rebuilding_gives_the_projections_byte_for_byte() {
    let folder = Folder::new();
    let log = folder.folder.path().join("log");
    let contents = folder.open();
    let store = sled::open(&log, 1 << 20).expect("opens");
    let term = store.lead("leader", start(), later(60)).expect("leads");
    let mut ledger = Ledger::load(&store, term).expect("loads");
    for number in 0..400u128 {
        let large = VOLUME_BLOB_SIZE_MAX + 1;
        let size = if number == 7 { large } else { 100 + number as u64 };
        let bytes = Bytes::from(body(number as u64, size));
        let kept = keep(&contents, vec![Piece::Bytes(Sha256::of(&bytes), bytes)]).expect("kept");
        let extras = Extras { contents: kept, ..Extras::default() };
        let lane = Urgency::of_lane((number % 4) as u8).expect("a lane");
        let entries = [accepted(number, lane), consigned(number, "H49.11", lane)];
        ledger.commit_with(&store, &entries, extras).expect("commits");
        if number % 3 == 0 {
            ledger.commit(&store, &[handed_over(number, "H49.11")]).expect("commits");
        }
        if number == 150 || number == 300 {
            ledger.open_epoch(&store).expect("opens");
        }
    }
    let (live, leaves) = (dump(&store), ledger::audit(&store).expect("reads"));
    for tag in b"dinpsw" {
        let count = live.iter().filter(|(key, _)| key.first() == Some(tag)).count();
        assert!(count > 100, "only {count} records under {:?}", char::from(*tag));
    }
    drop(store);
    for round in 1..3 {
        spoil(&log);
        assert_ne!(dump(&sled::open(&log, 1 << 20).expect("opens")), live);
        sled::rebuild(&log, 1 << 20, &folder.root()).expect("rebuilds");
        let store = sled::open(&log, 1 << 20).expect("opens");
        assert_eq!(dump(&store), live);
        assert_eq!(ledger::audit(&store).expect("reads"), leaves);
        let name = fs::read_to_string(log.join("CURRENT")).expect("reads");
        assert_eq!(name, format!("epoch-00003.{round}\n"));
    }
}

/// Removes, changes and adds projections behind the store's back.
fn spoil(log: &Path) {
    let medium = SledMedium::new(log, 1 << 20).expect("opens");
    let kv = medium.open(&medium.current().expect("reads").expect("named")).expect("opens");
    let waiting = kv.scan(b"w", b"x", 10).expect("reads");
    let mut writes: Vec<Write> =
        waiting.into_iter().map(|(key, _)| Write { key, value: None }).collect();
    let (key, _) = kv.scan(b"s", b"t", 1).expect("reads").remove(0);
    writes.push(Write { key, value: Some(b"spoiled".to_vec()) });
    writes.push(Write { key: b"p stray".to_vec(), value: Some(Vec::new()) });
    kv.apply(writes).expect("writes");
}

fn dump<M: Medium>(store: &Table<M>) -> Vec<Pair> {
    let mut all = Vec::new();
    let taken = store.projections(|page| {
        all.extend(page);
        Ok(())
    });
    taken.expect("reads");
    all
}
