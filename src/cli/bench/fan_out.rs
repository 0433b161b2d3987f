//! One document to very many mailboxes: how long its commit takes, and what it costs on the disk.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;

use super::letter::Letter;
use super::nation::{self, PROVINCE};
use super::process::{folder_bytes, peak_memory};
use super::site::Site;
use crate::cli::{Exit, Failure, Output};
use crate::config::Config;
use crate::log::Checkpoint;

/// Documents sent to all mailboxes, one after the other.
const DOCUMENTS: usize = 10;
/// Bytes of each.
const BODY_SIZE: usize = 1024 * 1024;
/// Systems that host the mailboxes: the provinces.
const HOSTS: usize = 34;

/// What a document took.
struct Took {
    time: Duration,
    /// Checkpoints that were signed for its entries.
    batches: usize,
}

/// Sends documents of 1 MiB to `mailboxes` each and measures.
pub(super) async fn run(folder: &Path, mailboxes: usize, output: Output) -> Result<Exit, Failure> {
    let pki = folder.join("pki");
    nation::make(&pki, mailboxes, HOSTS)?;
    let config = Config::read(&pki.join("vanthu.toml"))?;
    let site = Site::open(&config).await?;
    let (mut all, mut single) = (Vec::new(), Vec::new());
    let content = || folder_bytes(&config.data.join("content"));
    let log = || Ok::<_, Failure>(folder_bytes(&config.data)?.saturating_sub(content()?));
    let (content_before, log_before) = (content()?, log()?);
    for number in 0..DOCUMENTS {
        all.push(send(&site, letter(number, vec![], vec![PROVINCE.to_owned()])).await?);
    }
    let (content_after, log_after) = (content()?, log()?);
    for number in DOCUMENTS..2 * DOCUMENTS {
        let one = letter(number, vec!["H49.11".to_owned()], vec![]);
        single.push(send(&site, one).await?);
    }
    let waiting = waiting(&site, mailboxes)?;
    drop(site);
    let (p50, max) = times(&mut all);
    let (p50_of_one, _) = times(&mut single);
    let bodies = (DOCUMENTS * BODY_SIZE) as f64;
    let per_mailbox = (log_after - log_before) as f64 / (DOCUMENTS * mailboxes) as f64;
    let value = json!({
        "mailboxes": mailboxes,
        "documents": DOCUMENTS,
        "body_bytes": BODY_SIZE,
        "batches_per_document": all.iter().map(|took| took.batches).max(),
        "commit_ms": { "p50": p50, "max": max },
        "commit_ms_of_one_recipient": { "p50": p50_of_one },
        "us_per_mailbox": p50 * 1e3 / mailboxes as f64,
        "content_bytes_to_body_bytes": (content_after - content_before) as f64 / bodies,
        "log_bytes_per_mailbox": per_mailbox,
        "mailboxes_in_which_every_document_waits": waiting,
        "peak_memory_bytes": peak_memory("/proc/self/status"),
    });
    print(&value, output);
    Ok(Exit::Ok)
}

fn letter(number: usize, recipients: Vec<String>, below: Vec<String>) -> Letter {
    // No two documents share a body, and no page of one compresses.
    let body: Vec<u8> = (0..BODY_SIZE as u64)
        .map(|at| ((at + number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect();
    Letter { body: Bytes::from(body), recipients, below, ..Letter::to("", number.to_string()) }
}

async fn send(site: &Site, letter: Letter) -> Result<Took, Failure> {
    let since = Instant::now();
    let first = site.send(&letter).await?;
    let time = since.elapsed();
    let (store, end) = (site.gateway().store(), site.size()?);
    let (mut size, mut batches) = (first.index + 1, 0);
    while size <= end {
        let note = store.checkpoint(first.epoch, size).map_err(Failure::other)?;
        let signed = note.and_then(|note| Checkpoint::claimed(&note));
        let signed = signed.ok_or_else(|| Failure::other("entries without a checkpoint"))?;
        batches += 1;
        size = signed.size + 1;
    }
    Ok(Took { time, batches })
}

/// Mailboxes in which all documents wait.
fn waiting(site: &Site, mailboxes: usize) -> Result<usize, Failure> {
    let mut full = 0;
    for number in 0..mailboxes {
        let code = crate::directory::Code::parse(&nation::commune(number)).expect("a code");
        let items = site.gateway().store().waiting(&code, None, DOCUMENTS + 1);
        full += usize::from(items.map_err(Failure::other)?.len() == DOCUMENTS);
    }
    Ok(full)
}

/// Median and maximum in milliseconds.
fn times(all: &mut [Took]) -> (f64, f64) {
    all.sort_by_key(|took| took.time);
    let at = |index: usize| all.get(index).map_or(0.0, |took| took.time.as_secs_f64() * 1e3);
    (at(all.len() / 2), at(all.len().saturating_sub(1)))
}

fn print(value: &serde_json::Value, output: Output) {
    if output == Output::Json {
        println!("{value}");
        return;
    }
    let figure = |name: &str| value.pointer(name).and_then(|it| it.as_f64()).unwrap_or(f64::NAN);
    println!("{} documents of 1 MiB, each to {} mailboxes", DOCUMENTS, figure("/mailboxes"));
    println!("  batches per document      {:>10}", figure("/batches_per_document"));
    println!(
        "  durable receipt, ms       p50 {:.1}  max {:.1}  ({:.2} us per mailbox; one recipient {:.1} ms)",
        figure("/commit_ms/p50"),
        figure("/commit_ms/max"),
        figure("/us_per_mailbox"),
        figure("/commit_ms_of_one_recipient/p50")
    );
    let ratio = figure("/content_bytes_to_body_bytes");
    println!("  content on disk to bodies {ratio:>10.3}");
    println!("  log on disk per mailbox   {:>10.0} bytes", figure("/log_bytes_per_mailbox"));
    let waiting = figure("/mailboxes_in_which_every_document_waits");
    println!("  mailboxes that have all   {waiting:>10}");
    let mib = figure("/peak_memory_bytes") / f64::from(1u32 << 20);
    println!("  peak memory               {mib:>10.0} MiB");
}
