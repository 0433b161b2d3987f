//! Power cuts: a writer works on a file system of its own, the file system is shut down without
//! writing back what it holds (`EXT4_IOC_SHUTDOWN`), mounted again, and everything that was
//! acknowledged must be there.
//!
//! Not a libtest: the same program is the writer when `VANTHU_POWER_CUT_DIR` is set. Needs root,
//! loop devices, ext4 and python3 (which issues the ioctl; unsafe code is forbidden here). Where
//! they are missing it says so and passes, but fails if `CI` is set.
//!
//! - `VANTHU_POWER_CUT_ROUNDS`: how many cuts, 12 if not set.
//! - `VANTHU_POWER_CUT_SEED`: repeats the delays of an earlier run.

mod disk;
#[path = "../store_contract/ledger.rs"]
#[expect(dead_code, reason = "shared with the contract, which uses all of it")]
mod ledger;
mod verify;
mod writer;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use vanthu::clock::{Clock as _, SystemClock};
use vanthu::store::sled::Durability;

use disk::Disk;

/// Rounds on one file system before it is made anew.
const ROUNDS_PER_DISK: u64 = 4;
/// Rounds without the durability rule; one of them must lose something.
const CONTROL_ROUNDS: u64 = 4;

fn main() -> ExitCode {
    if let Some(folder) = std::env::var_os(writer::FOLDER) {
        return writer::run(Path::new(&folder));
    }
    let mut arguments = std::env::args().skip(1);
    let skipped = arguments.any(|word| {
        word == "--list" || (!word.starts_with('-') && !"power_cut".contains(word.as_str()))
    });
    if skipped {
        return ExitCode::SUCCESS;
    }
    if let Err(why) = Disk::new().map(drop) {
        eprintln!("power_cut: not run: {why}");
        let required = std::env::var_os("CI").is_some();
        return if required { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    match cuts() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("power_cut: error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn cuts() -> Result<(), String> {
    let rounds = number("VANTHU_POWER_CUT_ROUNDS").unwrap_or(12);
    let seed = number("VANTHU_POWER_CUT_SEED");
    let mut random = seed.unwrap_or_else(|| SystemClock.now().millis().unsigned_abs());
    println!("power_cut: seed {random}, {rounds} rounds");
    let (mut done, mut acknowledged) = (0, 0);
    while done < rounds {
        let disk = Disk::new()?;
        for round in 0..ROUNDS_PER_DISK.min(rounds - done) {
            let cut = cut(&disk, Durability::Synced, round % 2 == 1, &mut random)?;
            acknowledged += cut.acknowledged.len();
            verify::check(disk.folder(), &cut)
                .map_err(|lost| format!("round {}: {lost}", done + 1))?;
            done += 1;
        }
    }
    println!("power_cut: {done} cuts, {acknowledged} acknowledged batches, nothing lost");
    for round in 1..=CONTROL_ROUNDS {
        let disk = Disk::new()?;
        let cut = cut(&disk, Durability::FlushOnly, true, &mut random)?;
        if let Err(lost) = verify::check(disk.folder(), &cut) {
            println!("power_cut: control round {round}, without fdatasync: {lost}");
            return Ok(());
        }
    }
    Err("without fdatasync nothing was lost either: the cuts cut nothing".into())
}

/// What a writer had acknowledged when the power went.
pub struct Cut {
    /// Its lines, in order.
    pub acknowledged: Vec<String>,
    /// It wrote the log alone, neither bodies nor guard nor epochs.
    pub log_only: bool,
}

/// Lets a writer work for a while, and cuts the power.
fn cut(
    disk: &Disk,
    durability: Durability,
    log_only: bool,
    random: &mut u64,
) -> Result<Cut, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut writer = Command::new(program);
    writer.env(writer::FOLDER, disk.folder()).stdout(Stdio::piped()).stderr(Stdio::null());
    if durability == Durability::FlushOnly {
        writer.env(writer::FLUSH_ONLY, "1");
    }
    if log_only {
        writer.env(writer::LOG_ONLY, "1");
    }
    let mut writer = writer.spawn().map_err(|error| error.to_string())?;
    let output = writer.stdout.take().ok_or("the writer has no output")?;
    let reader = std::thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).collect::<Vec<_>>()
    });
    *random =
        random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    std::thread::sleep(Duration::from_millis(400 + (*random >> 33) % 1_000));
    let shut = disk.shut_down();
    let _ = writer.kill();
    writer.wait().map_err(|error| error.to_string())?;
    let lines = reader.join().map_err(|_| "the reader panicked")?;
    shut?;
    disk.remount()?;
    // A line that the kill tore off acknowledges nothing.
    let acknowledged: Vec<String> = lines.into_iter().filter(|line| line.ends_with(" .")).collect();
    if acknowledged.is_empty() {
        return Err("the writer acknowledged nothing".into());
    }
    Ok(Cut { acknowledged, log_only })
}
