//! The writer: keeps bodies, commits batches, opens epochs, moves the guard, and says what it
//! acknowledges, one line each: `acked <epoch> <size> <root> <body digest or -> .`

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use vanthu::clock::{Clock as _, SystemClock};
use vanthu::digest::{Sha256, hex};
use vanthu::directory::SystemId;
use vanthu::document::Urgency;
use vanthu::gateway::ports::{Contents, HeadGuard, LogStore, Piece, Place};
use vanthu::limits::VOLUME_BLOB_SIZE_MAX;
use vanthu::store::Table;
use vanthu::store::content::ContentStore;
use vanthu::store::guard::FileGuard;
use vanthu::store::sled::{Durability, SledMedium, SledStore};

use crate::ledger::{Extras, Ledger, accepted, consigned, handed_over, later, start};

pub const FOLDER: &str = "VANTHU_POWER_CUT_DIR";
pub const FLUSH_ONLY: &str = "VANTHU_POWER_CUT_FLUSH_ONLY";
/// The log of one epoch alone. On ext4 any `fsync` commits the journal for all files, so that syncs
/// of bodies, guard and epoch files hide a sync that the log forgets.
pub const LOG_ONLY: &str = "VANTHU_POWER_CUT_LOG_ONLY";

/// Records of a run of the index: few, so that runs are written and merged all the time.
pub const RUN_RECORDS: usize = 50;
/// So many that none is written.
const NO_RUNS: usize = usize::MAX;

/// Opens the three parts in a folder.
pub fn open(
    folder: &Path,
    durability: Durability,
    run_records: usize,
) -> Result<(SledStore, ContentStore, FileGuard), Box<dyn std::error::Error>> {
    let medium = SledMedium::new(&folder.join("log"), 16 << 20)?.with_durability(durability);
    let contents = ContentStore::open(&folder.join("content"), SystemClock.now())?;
    let store = Table::open_with_runs_of(medium, run_records)?;
    Ok((store, contents, FileGuard::open(folder)?))
}

/// Works until the power goes.
pub fn run(folder: &Path) -> ExitCode {
    let cut = work(folder).expect_err("the writer never ends by itself");
    eprintln!("power_cut: the writer stops: {cut}");
    ExitCode::FAILURE
}

fn work(folder: &Path) -> Result<std::convert::Infallible, Box<dyn std::error::Error>> {
    let flush_only = std::env::var_os(FLUSH_ONLY).is_some();
    let durability = if flush_only { Durability::FlushOnly } else { Durability::Synced };
    let log_only = std::env::var_os(LOG_ONLY).is_some();
    let run_records = if log_only { NO_RUNS } else { RUN_RECORDS };
    let (store, contents, guard) = open(folder, durability, run_records)?;
    let term = store.lead("writer", start(), later(60))?;
    let mut ledger = Ledger::load(&store, term)?;
    for round in 1u64.. {
        let size = ledger.tree.size();
        let kept = match round % 3 {
            0 if !log_only && round % 40 != 0 => Some(keep(&contents, ledger.epoch, size, round)?),
            _ => None,
        };
        if round.is_multiple_of(40) && !log_only {
            ledger.open_epoch(&store)?;
        } else {
            let first = u128::from(ledger.epoch) << 64 | u128::from(size);
            let mut entries =
                vec![accepted(first, Urgency::Normal), consigned(first, "H49.11", Urgency::Normal)];
            entries.extend((0..round * 7 % 60).map(|_| handed_over(first, "H49.11")));
            let extras = Extras { contents: kept.into_iter().collect(), ..Extras::default() };
            ledger.commit_with(&store, &entries, extras)?;
        }
        if !log_only {
            guard.keep(&store.head()?.checkpoint)?;
        }
        let body = kept.map_or_else(|| "-".into(), |(digest, _)| digest.to_hex());
        let root = hex(&ledger.tree.root().0);
        let mut out = std::io::stdout().lock();
        writeln!(out, "acked {} {} {root} {body} .", ledger.epoch, ledger.tree.size())?;
        out.flush()?;
    }
    unreachable!("there are enough numbers")
}

/// Keeps a body; now and then a large one that was uploaded.
fn keep(
    contents: &ContentStore,
    epoch: u32,
    size: u64,
    round: u64,
) -> Result<(Sha256, Place), Box<dyn std::error::Error>> {
    let large = round.is_multiple_of(30);
    let length = if large { VOLUME_BLOB_SIZE_MAX + 1 } else { 20_000 };
    let mut bytes = vec![round.to_le_bytes()[0]; usize::try_from(length)?];
    bytes[..8].copy_from_slice(&size.to_be_bytes());
    bytes[8..12].copy_from_slice(&epoch.to_be_bytes());
    let digest = Sha256::of(&bytes);
    let piece = if large {
        let system = SystemId::parse("province").ok_or("not an id")?;
        let mut upload = contents.upload(&system, &digest, length, 0)?;
        upload.append(&bytes)?;
        upload.finish()?;
        Piece::Staged(system, digest)
    } else {
        Piece::Bytes(digest, bytes.into())
    };
    let kept = contents.keep(vec![piece]).blocking_recv()??;
    contents.settle()?;
    kept.first().copied().ok_or_else(|| "nothing was kept".into())
}
