//! `vanthu store`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

use super::Output;
use super::exit::{Exit, Failure};
use crate::client;
use crate::clock::{Clock as _, SystemClock};
use crate::gateway::ports::StoreError;
use crate::gateway::{Page, page};
use crate::limits::SCAN_PAGE;
use crate::log::{Entry, EntryId, Event};
use crate::proto::control;
use crate::proto::control::control_service_client::ControlServiceClient;
use crate::store::backup::{self, Backup};
use crate::store::check::{self, Checked};
use crate::store::content::ContentStore;
use crate::store::sled;

/// How often a backup is begun again because bodies that it needs were erased meanwhile.
const ATTEMPTS_MAX: usize = 3;
/// Cache while working on a stopped store, in bytes.
const CACHE: u64 = 256 * 1024 * 1024;

/// What `vanthu store` does; see README.md beside the store.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Reads everything in the data folder of a stopped gateway, or in a backup, and names what is
    /// wrong; exit code 9 if anything is
    Check {
        /// Data folder or backup
        #[arg(long)]
        data: PathBuf,
    },
    /// Derives every mailbox, state and index anew from the entries and the content
    Rebuild {
        /// Data folder of a stopped gateway
        #[arg(long)]
        data: PathBuf,
    },
    /// Copies the store of a gateway, running or stopped, and checks the copy; again into the same
    /// folder, it copies what is new
    Backup {
        /// Folder of the backup
        folder: PathBuf,
        /// Data folder
        #[arg(long)]
        data: PathBuf,
    },
    /// Makes a store from a backup
    Restore {
        /// Folder of the backup
        folder: PathBuf,
        /// Data folder: absent, empty, or with nothing but the head.signed of the lost store
        #[arg(long)]
        data: PathBuf,
    },
    /// Erases the bodies of a consignment, because somebody who may has ordered it; receipts and
    /// evidence stay valid
    Erase {
        /// The consignment
        consignment: String,
        /// The order, in words; kept outside the log
        #[arg(long)]
        order: String,
        /// Data folder of the running gateway
        #[arg(long)]
        data: PathBuf,
    },
    /// Forbids to erase the bodies of a consignment
    Hold(HoldOptions),
    /// Ends a hold
    Release(HoldOptions),
    /// Erases what the retention rules of the configuration say, now
    Retain {
        /// Only counts
        #[arg(long)]
        dry_run: bool,
        /// Data folder of the running gateway
        #[arg(long)]
        data: PathBuf,
    },
}

/// A hold.
#[derive(Debug, clap::Args)]
pub(super) struct HoldOptions {
    /// The consignment
    consignment: String,
    /// Why: a word such as INSPECTION
    #[arg(long)]
    reason: String,
    /// More, in words; kept outside the log
    #[arg(long, default_value = "")]
    note: String,
    /// Data folder of the running gateway
    #[arg(long)]
    data: PathBuf,
}

pub(super) fn run(command: Command, output: Output) -> Result<Exit, Failure> {
    match command {
        Command::Check { data } => check(&data, output),
        Command::Rebuild { data } => rebuild(&data, output),
        Command::Backup { folder, data } => make_backup(&folder, &data, output),
        Command::Restore { folder, data } => restore(&folder, &data, output),
        Command::Erase { consignment, order, data } => erase(consignment, order, &data, output),
        Command::Hold(options) => hold(options, output),
        Command::Release(options) => release(options, output),
        Command::Retain { dry_run, data } => retain(dry_run, &data, output),
    }
}

fn broken(error: StoreError) -> Failure {
    Failure::new(Exit::LogBroken, error)
}

fn existing(folder: &Path) -> Result<(), Failure> {
    match folder.is_dir() {
        true => Ok(()),
        false => Err(Failure::new(Exit::NotFound, format!("{}: no such folder", folder.display()))),
    }
}

fn check(data: &Path, output: Output) -> Result<Exit, Failure> {
    existing(data)?;
    let checked = match Backup::is_in(data) {
        true => check::copy(data).map_err(broken)?,
        false => {
            let store = sled::open(data, CACHE).map_err(broken)?;
            check::store(&store, &data.join("content")).map_err(broken)?
        }
    };
    match output {
        Output::Json => println!("{}", checked_json(&checked)),
        Output::Text => print_checked(&checked),
    }
    Ok(verdict(&checked))
}

fn verdict(checked: &Checked) -> Exit {
    if checked.findings.is_empty() { Exit::Ok } else { Exit::LogBroken }
}

fn checked_json(checked: &Checked) -> serde_json::Value {
    let findings = checked.findings.iter();
    let findings: Vec<_> = findings
        .map(|finding| json!({ "piece": finding.piece, "problem": finding.problem }))
        .collect();
    let (epoch, size) = checked.end;
    json!({
        "valid": findings.is_empty(),
        "layout": checked.layout,
        "epoch": epoch,
        "size": size,
        "entries": checked.entries,
        "bodies": checked.bodies,
        "bytes": checked.bytes,
        "findings": findings,
    })
}

fn print_checked(checked: &Checked) {
    for finding in &checked.findings {
        println!("{}: {}", finding.piece, finding.problem);
    }
    let (epoch, size) = checked.end;
    let verdict = if checked.findings.is_empty() { "ok" } else { "DAMAGED" };
    println!(
        "{verdict}: the log ends at {epoch}/{size}; {} entries, {} pieces of content ({} MiB), {} findings",
        checked.entries,
        checked.bodies,
        checked.bytes >> 20,
        checked.findings.len(),
    );
}

fn rebuild(data: &Path, output: Output) -> Result<Exit, Failure> {
    existing(data)?;
    sled::rebuild(data, CACHE, &data.join("content")).map_err(broken)?;
    let store = sled::open(data, CACHE).map_err(broken)?;
    let head = crate::gateway::ports::LogStore::head(&store).map_err(broken)?;
    let (epoch, size) = (head.epoch, head.size);
    match output {
        Output::Json => println!("{}", json!({ "epoch": epoch, "size": size, "rebuilt": true })),
        Output::Text => println!("rebuilt: the log ends at {epoch}/{size}"),
    }
    Ok(Exit::Ok)
}

fn make_backup(folder: &Path, data: &Path, output: Output) -> Result<Exit, Failure> {
    existing(data)?;
    let mut backup = Backup::open(folder).map_err(broken)?;
    let before = backup.end();
    let (mut bytes, mut attempts, mut last) = (0, 0, None);
    let (end, checked) = loop {
        let (end, copied) = copy(&backup, data)?;
        backup.complete(end, SystemClock.now()).map_err(broken)?;
        let checked = settle(&backup, folder, data)?;
        bytes += copied;
        attempts += 1;
        // What is missing was erased while it was looked for, as the log says by now, or it is lost.
        let stands_still = last.replace(end) == Some(end);
        if checked.missing.is_empty() || stands_still || attempts == ATTEMPTS_MAX {
            break (end, checked);
        }
    };
    let since = before.map(|end| end.to_string());
    match output {
        Output::Json => {
            let mut value = checked_json(&checked);
            value["since"] = json!(since);
            value["copied_bytes"] = json!(bytes);
            println!("{value}");
        }
        Output::Text => {
            let since = since.map(|end| format!(" since {end}")).unwrap_or_default();
            println!("copied the log up to {end}{since} and {} MiB of content", bytes >> 20);
            print_checked(&checked);
        }
    }
    Ok(verdict(&checked))
}

/// Has the bodies of a backup agree with its log, and checks all of it.
fn settle(backup: &Backup, folder: &Path, data: &Path) -> Result<check::Checked, Failure> {
    let checked = check::copy(folder).map_err(broken)?;
    let mut changed = false;
    if !checked.survivors.is_empty() {
        // Copied before they were erased, now or in an earlier backup.
        ContentStore::erase_in(&backup.content(), &checked.survivors).map_err(broken)?;
        changed = true;
    }
    if !checked.missing.is_empty() {
        // Erased here by an earlier backup, and needed by what came into the log since.
        let (from, to) = (data.join("content"), backup.content());
        let mended = backup::mend_bodies(&from, &to, &checked.missing).map_err(broken)?;
        changed |= mended > 0;
    }
    if changed { check::copy(folder).map_err(broken) } else { Ok(checked) }
}

/// Copies the log, then the bodies: those of every entry copied are there by then, but for those
/// that were erased meanwhile. Then the log must say so, and is copied once more.
fn copy(backup: &Backup, data: &Path) -> Result<(EntryId, u64), Failure> {
    let runtime = Runtime::new().map_err(Failure::other)?;
    let contents = (data.join("content"), backup.content());
    let mut bytes = 0;
    let mut copy_bodies = || -> Result<(), StoreError> {
        bytes += backup::copy_bodies(&contents.0, &contents.1)?;
        Ok(())
    };
    let end = match runtime.block_on(client::connect_to_control(data)) {
        Ok(channel) => {
            let mut log = RunningLog { runtime: &runtime, channel };
            let mut read = |from| log.page(from);
            loop {
                let end = backup.copy_log(&mut read).map_err(|Stopped(failure)| failure)?;
                copy_bodies().map_err(broken)?;
                if !erased_since(end, &mut read).map_err(|Stopped(failure)| failure)? {
                    break end;
                }
            }
        }
        Err(_) => {
            let store = sled::open(data, CACHE).map_err(broken)?;
            let end = backup.copy_log(|from| page(&store, from, SCAN_PAGE)).map_err(broken)?;
            copy_bodies().map_err(broken)?;
            end
        }
    };
    Ok((end, bytes))
}

/// Whether an entry behind `end` says that bodies were erased.
fn erased_since<E>(
    end: EntryId,
    read: &mut impl FnMut(EntryId) -> Result<Page, E>,
) -> Result<bool, E> {
    let mut next = end;
    loop {
        let page = read(next)?;
        let erasure = |leaf: &Vec<u8>| {
            Entry::from_leaf(leaf).is_ok_and(|entry| entry.event == Event::Erasure)
        };
        if page.leaves.iter().any(erasure) {
            return Ok(true);
        }
        next.index += page.leaves.len() as u64;
        match page.leaves.is_empty() {
            true if next.epoch >= page.head.epoch => return Ok(false),
            true => next = EntryId { epoch: next.epoch + 1, index: 0 },
            false => {}
        }
    }
}

/// The log of a running gateway.
struct RunningLog<'a> {
    runtime: &'a Runtime,
    channel: Channel,
}

struct Stopped(Failure);

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self(broken(error))
    }
}

impl RunningLog<'_> {
    fn page(&mut self, from: EntryId) -> Result<Page, Stopped> {
        let mut client = ControlServiceClient::new(self.channel.clone())
            .max_decoding_message_size(client::message_size_max());
        let request = control::ReadLogRequest { epoch: from.epoch, index: from.index };
        let answer = self.runtime.block_on(client.read_log(request));
        let answer = answer.map_err(|status| Stopped(status.into()))?.into_inner();
        Ok(Page {
            leaves: answer.leaves,
            checkpoints: answer.checkpoints,
            head: EntryId { epoch: answer.head_epoch, index: answer.head_size },
        })
    }
}

fn restore(folder: &Path, data: &Path, output: Output) -> Result<Exit, Failure> {
    existing(folder)?;
    let backup = Backup::open(folder).map_err(broken)?;
    let restored = backup::restore(&backup, data, CACHE).map_err(broken)?;
    let end = restored.end;
    match output {
        Output::Json => {
            let signed = restored.signed.map(|signed| signed.to_string());
            println!("{}", json!({ "epoch": end.epoch, "size": end.index, "signed": signed }));
        }
        Output::Text => println!("restored: the log ends at {end}"),
    }
    match restored.signed {
        Some(signed) if signed == end => {}
        Some(signed) => {
            eprintln!("vanthu: warning: the log was signed up to {signed}; this backup is older");
            eprintln!("vanthu: hint: restore a newer one; serve says how to go on without it");
        }
        None => {
            eprintln!("vanthu: warning: nothing says up to where the log was signed");
            eprintln!(
                "vanthu: hint: put the head.signed of the lost store there, or see serve --help"
            );
        }
    }
    Ok(Exit::Ok)
}

/// Asks the gateway that runs on `data`.
fn ask<T>(
    data: &Path,
    call: impl AsyncFnOnce(&mut ControlServiceClient<Channel>) -> Result<T, tonic::Status>,
) -> Result<T, Failure> {
    existing(data)?;
    let runtime = Runtime::new().map_err(Failure::other)?;
    runtime.block_on(async {
        let channel = client::connect_to_control(data).await?;
        Ok(call(&mut ControlServiceClient::new(channel)).await?)
    })
}

fn erase(
    consignment_id: String,
    order: String,
    data: &Path,
    output: Output,
) -> Result<Exit, Failure> {
    let request = control::EraseRequest { consignment_id, order };
    let answer = ask(data, async |client| client.erase(request).await)?.into_inner();
    let control::EraseResponse { entry, bytes } = answer;
    match output {
        Output::Json => println!("{}", json!({ "entry": entry, "bytes": bytes })),
        Output::Text => println!("erased {bytes} bytes, as entry {entry} says"),
    }
    Ok(Exit::Ok)
}

fn hold(options: HoldOptions, output: Output) -> Result<Exit, Failure> {
    let HoldOptions { consignment: consignment_id, reason, note, data } = options;
    let request = control::HoldRequest { consignment_id, reason, note };
    let answer = ask(&data, async |client| client.hold(request).await)?.into_inner();
    print_entry("held", &answer.entry, output);
    Ok(Exit::Ok)
}

fn release(options: HoldOptions, output: Output) -> Result<Exit, Failure> {
    let HoldOptions { consignment: consignment_id, reason, note, data } = options;
    let request = control::ReleaseRequest { consignment_id, reason, note };
    let answer = ask(&data, async |client| client.release(request).await)?.into_inner();
    print_entry("released", &answer.entry, output);
    Ok(Exit::Ok)
}

fn print_entry(done: &str, entry: &str, output: Output) {
    match output {
        Output::Json => println!("{}", json!({ "entry": entry })),
        Output::Text => println!("{done}, as entry {entry} says"),
    }
}

fn retain(dry_run: bool, data: &Path, output: Output) -> Result<Exit, Failure> {
    let request = control::RetainRequest { dry_run };
    let answer = ask(data, async |client| client.retain(request).await)?.into_inner();
    let control::RetainResponse { consignments, bytes, held, waiting } = answer;
    match output {
        Output::Json => println!(
            "{}",
            json!({
                "consignments": consignments,
                "bytes": bytes,
                "held": held,
                "waiting": waiting,
                "dry_run": dry_run,
            })
        ),
        Output::Text => println!(
            "{} the bodies of {consignments} consignments, {bytes} bytes; {held} more are held, {waiting} wait in a mailbox",
            if dry_run { "would erase" } else { "erased" },
        ),
    }
    Ok(Exit::Ok)
}
