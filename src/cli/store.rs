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
use crate::log::EntryId;
use crate::proto::control;
use crate::proto::control::control_service_client::ControlServiceClient;
use crate::service::named_in;
use crate::store::backup::{self, Backup};
use crate::store::check::{self, Checked};
use crate::store::sled;

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
}

pub(super) fn run(command: Command, output: Output) -> Result<Exit, Failure> {
    match command {
        Command::Check { data } => check(&data, output),
        Command::Rebuild { data } => rebuild(&data, output),
        Command::Backup { folder, data } => make_backup(&folder, &data, output),
        Command::Restore { folder, data } => restore(&folder, &data, output),
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
        true => check::backup(data, named_in).map_err(broken)?,
        false => {
            let store = sled::open(data, CACHE).map_err(broken)?;
            check::store(&store, &data.join("content"), named_in).map_err(broken)?
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
    let (end, bytes) = copy(&backup, data)?;
    backup.complete(end, SystemClock.now()).map_err(broken)?;
    let checked = check::backup(folder, named_in).map_err(broken)?;
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

/// Copies the log, then the bodies: those of every entry copied are there by then.
fn copy(backup: &Backup, data: &Path) -> Result<(EntryId, u64), Failure> {
    let runtime = Runtime::new().map_err(Failure::other)?;
    let end = match runtime.block_on(client::connect_to_control(data)) {
        Ok(channel) => {
            let mut log = RunningLog { runtime: &runtime, channel };
            backup.copy_log(|from| log.page(from)).map_err(|Stopped(failure)| failure)?
        }
        Err(_) => {
            let store = sled::open(data, CACHE).map_err(broken)?;
            backup.copy_log(|from| page(&store, from, SCAN_PAGE)).map_err(broken)?
        }
    };
    let bytes = backup::copy_bodies(&data.join("content"), &backup.content()).map_err(broken)?;
    Ok((end, bytes))
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
