//! `vanthu log`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Subcommand;
use serde_json::json;

use super::Output;
use super::bench::peak_memory;
use super::evidence::{public_key, receipt_file};
use super::exit::{Exit, Failure};
use crate::audit::{Auditor, Report};
use crate::client;
use crate::gateway::Reading;
use crate::gateway::ports::{LogReader as _, LogStore as _};
use crate::log::{EntryId, LogPublicKey};
use crate::proto::v1;
use crate::proto::v1::log_service_client::LogServiceClient;
use crate::store;

/// Entries read at a time.
const ENTRIES_AT_ONCE: usize = 1_024;
/// Cache for reading a copied log, in bytes.
const CACHE: u64 = 64 * 1024 * 1024;
/// Progress is told after so many entries.
const PROGRESS_EVERY: u64 = 250_000;

/// What `vanthu log` does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Prints the latest signed checkpoint
    Checkpoint {
        #[command(flatten)]
        client: client::Options,
    },
    /// Saves the receipt of an entry
    Prove {
        #[command(flatten)]
        client: client::Options,
        /// The entry, as epoch/index
        entry: String,
        /// File to write; stdout if none
        #[arg(long, short)]
        out: Option<PathBuf>,
    },
    /// Re-derives the whole log from its bytes; exit code 9 if it does not hold
    Audit(AuditOptions),
}

/// Reads every entry, from a stopped gateway's or a copied data folder or from a running gateway.
///
/// Examples:
///   vanthu log audit --key log.vkey --data copy-of-data
///   vanthu log audit --key log.vkey --cert certs/dev/systems/auditor.pem
#[derive(Debug, clap::Args)]
pub(super) struct AuditOptions {
    /// Public key of the log (C2SP vkey), or a file that holds it
    #[arg(long)]
    key: String,
    /// Data folder; not the one of a running gateway
    #[arg(long)]
    data: Option<PathBuf>,
    /// The gateway, as https://HOST:PORT
    #[arg(long, env = "VANTHU_SERVER", default_value = "https://localhost:7443")]
    server: String,
    /// CA of the gateway's certificate, PEM
    #[arg(long, env = "VANTHU_CA", default_value = "certs/dev/tls/ca.pem")]
    ca: PathBuf,
    /// Certificate of an auditor, PEM
    #[arg(long, env = "VANTHU_CERT", required_unless_present = "data")]
    cert: Option<PathBuf>,
}

pub(super) async fn run(command: Command, output: Output) -> Result<Exit, Failure> {
    match command {
        Command::Checkpoint { client } => {
            let mut client = LogServiceClient::new(client.connect().await?);
            let answer = client.get_checkpoint(v1::GetCheckpointRequest { epoch: 0 }).await?;
            let answer = answer.into_inner();
            let note = String::from_utf8_lossy(&answer.checkpoint).into_owned();
            match output {
                Output::Text => print!("{note}"),
                Output::Json => println!(
                    "{}",
                    json!({ "epoch": answer.epoch, "size": answer.size, "checkpoint": note })
                ),
            }
            Ok(Exit::Ok)
        }
        Command::Prove { client, entry, out } => prove(client, &entry, out).await,
        Command::Audit(options) => audit(options, output).await,
    }
}

async fn prove(
    client: client::Options,
    entry: &str,
    out: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let id = EntryId::parse(entry).ok_or_else(|| Failure::other("not an entry as 1/42"))?;
    let mut client = LogServiceClient::new(client.connect().await?);
    let entry_id = Some(v1::EntryId { epoch: id.epoch, index: id.index });
    let answer = client.get_receipt(v1::GetReceiptRequest { entry_id }).await?.into_inner();
    let file = receipt_file(&answer.receipt.unwrap_or_default())?;
    match out {
        Some(path) => {
            std::fs::write(&path, file).map_err(|error| Failure::file(&path, error))?;
            eprintln!("{}", path.display());
        }
        None => print!("{file}"),
    }
    Ok(Exit::Ok)
}

async fn audit(options: AuditOptions, output: Output) -> Result<Exit, Failure> {
    let key = public_key(&options.key)?;
    let since = Instant::now();
    let report = match &options.data {
        Some(data) => audit_folder(data, key)?,
        None => {
            let cert = options.cert.clone().ok_or_else(|| Failure::other("--cert is missing"))?;
            let (server, ca) = (options.server.clone(), options.ca.clone());
            audit_gateway(client::Options { server, ca, cert, key: None }, key).await?
        }
    };
    print(&report, since.elapsed().as_secs_f64(), output);
    Ok(if report.findings.is_empty() { Exit::Ok } else { Exit::LogBroken })
}

/// Audits a data folder.
pub(super) fn audit_folder(data: &Path, key: LogPublicKey) -> Result<Report, Failure> {
    if !data.is_dir() {
        return Err(Failure::new(Exit::NotFound, format!("{}: no such folder", data.display())));
    }
    let broken = |error: crate::gateway::ports::StoreError| Failure::new(Exit::LogBroken, error);
    let store = Arc::new(store::sled::open(data, CACHE).map_err(broken)?);
    let head = store.head().map_err(broken)?;
    let mut auditor = Auditor::new(key.clone());
    let reading = Reading::new(store.clone(), key);
    for epoch in 1..=head.epoch {
        let mut next = EntryId { epoch, index: 0 };
        let mut checkpoint = 1;
        loop {
            let leaves = store.leaves(next, ENTRIES_AT_ONCE).map_err(broken)?;
            if leaves.is_empty() {
                break;
            }
            for leaf in leaves {
                auditor.entry(&leaf);
                next.index += 1;
                if next.index < checkpoint {
                    continue;
                }
                // Every checkpoint that was ever signed here, at the size that it names.
                let Some(note) = reading.checkpoint_at(epoch, next.index).map_err(broken)? else {
                    continue;
                };
                match reading.open(&note) {
                    Ok(signed) if signed.size > next.index => checkpoint = signed.size,
                    _ => {
                        auditor.checkpoint(&note);
                        checkpoint = next.index + 1;
                    }
                }
            }
            progress(next);
        }
        if epoch < head.epoch {
            auditor.next_epoch();
        }
    }
    Ok(auditor.finish())
}

async fn audit_gateway(options: client::Options, key: LogPublicKey) -> Result<Report, Failure> {
    let client = LogServiceClient::new(options.connect().await?);
    let mut client = client.max_decoding_message_size(client::message_size_max());
    let request = v1::ReadEntriesRequest { from: None, max_entries: 0 };
    let mut messages = client.read_entries(request).await?.into_inner();
    let mut auditor = Auditor::new(key);
    let mut epoch = 1;
    while let Some(message) = messages.message().await? {
        let first = message.first.unwrap_or_default();
        while epoch < first.epoch {
            auditor.next_epoch();
            epoch += 1;
        }
        let mut checkpoints = message.checkpoints.iter().peekable();
        let mut size = first.index;
        let mut due = checkpoints.peek().and_then(|note| size_of(note));
        for leaf in &message.leaves {
            auditor.entry(leaf);
            size += 1;
            if due == Some(size) {
                if let Some(note) = checkpoints.next() {
                    auditor.checkpoint(note);
                }
                due = checkpoints.peek().and_then(|note| size_of(note));
            }
        }
        // A note whose size cannot be read is given as it stands: the auditor says what is wrong.
        for note in checkpoints {
            auditor.checkpoint(note);
        }
        progress(EntryId { epoch, index: size });
    }
    Ok(auditor.finish())
}

/// The size that a note claims: its second line.
fn size_of(note: &[u8]) -> Option<u64> {
    std::str::from_utf8(note).ok()?.lines().nth(1)?.parse().ok()
}

fn progress(at: EntryId) {
    if at.index > 0 && at.index.is_multiple_of(PROGRESS_EVERY) {
        eprintln!("audited {at}");
    }
}

fn print(report: &Report, seconds: f64, output: Output) {
    let rate = report.entries as f64 / seconds.max(1e-9);
    let memory = peak_memory("/proc/self/status");
    if output == Output::Json {
        let findings: Vec<_> = report
            .findings
            .iter()
            .map(|finding| {
                json!({
                    "entry_id": finding.entry.map(|id| id.to_string()),
                    "rule": finding.rule.code(),
                    "message": finding.message,
                })
            })
            .collect();
        let value = json!({
            "valid": report.findings.is_empty(),
            "entries": report.entries,
            "epochs": report.epochs,
            "findings": findings,
            "seconds": seconds,
            "entries_per_second": rate,
            "peak_memory_bytes": memory,
        });
        println!("{value}");
        return;
    }
    for finding in &report.findings {
        let at = finding.entry.map(|id| format!("entry {id}: ")).unwrap_or_default();
        println!("{at}{}: {}", finding.rule.code(), finding.message);
    }
    let verdict = if report.findings.is_empty() { "holds" } else { "DOES NOT HOLD" };
    println!(
        "the log {verdict}: {} entries in {} epochs, {} checkpoints, {} findings, {rate:.0} entries/s, peak memory {} MiB",
        report.entries,
        report.epochs,
        report.counts.checkpoints,
        report.findings.len(),
        memory >> 20,
    );
}
