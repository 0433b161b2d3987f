//! Very many open watches on one gateway: what each costs, and whether documents still come at once.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use super::arrival::{Arrivals, watch};
use super::letter::Letter;
use super::load::{connect, percentiles};
use super::nation::{self, commune, host};
use super::process::Gateway;
use crate::cli::{Exit, Failure, Output};
use crate::limits::WATCHES_PER_SYSTEM_MAX;

/// Documents that are timed, one after the other, each to another watched mailbox.
const TIMED: usize = 500;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(10);
/// Idle time after the last watch has begun, so that each has had its sign of life.
const SETTLING: Duration = Duration::from_secs(20);

/// Opens `count` watches, each of a mailbox of its own, over one connection for each system.
pub(super) async fn run(folder: &Path, count: usize, output: Output) -> Result<Exit, Failure> {
    let folder = folder.join("pki");
    let hosts = count.div_ceil(WATCHES_PER_SYSTEM_MAX).max(1);
    let pki = nation::make(&folder, count, hosts)?;
    let gateway = Gateway::start(&folder, &["serve", "--config"])?;
    let sender = connect(&pki, "commune", gateway.address()).await?;
    let arrivals = Arrivals::default();
    let mut watches = JoinSet::new();
    let first = connect(&pki, &host(0), gateway.address()).await?;
    watches.spawn(watch(first.clone(), commune(0), arrivals.clone(), 0));
    let alone = (0..TIMED).map(|number| Letter::to(&commune(0), format!("alone-{number}")));
    let alone = percentiles(arrivals.time(&sender, alone, PAUSE).await?);
    let before = gateway.memory();

    let mut channels = vec![first];
    for number in 1..hosts {
        channels.push(connect(&pki, &host(number), gateway.address()).await?);
    }
    let since = Instant::now();
    for number in 1..count {
        let channel = channels[number % hosts].clone();
        watches.spawn(watch(channel, commune(number), arrivals.clone(), 0));
    }
    while arrivals.watches() < count {
        if let Some(Ok(Err(failure))) = watches.try_join_next() {
            return Err(failure);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let opened = since.elapsed();
    tokio::time::sleep(SETTLING).await;
    let (memory, cpu) = (gateway.memory(), gateway.cpu_time());
    tokio::time::sleep(SETTLING).await;
    let busy = (gateway.cpu_time() - cpu).as_secs_f64() / SETTLING.as_secs_f64();
    let step = (count / TIMED).max(1);
    let letters = (0..TIMED)
        .map(|number| Letter::to(&commune(number * step % count), format!("open-{number}")));
    let all = percentiles(arrivals.time(&sender, letters, PAUSE).await?);
    watches.abort_all();
    gateway.stop()?;

    let open = Open { count, hosts, opened, added: memory.saturating_sub(before), memory, busy };
    print(&open, alone, all, output);
    Ok(Exit::Ok)
}

/// What the open watches cost.
struct Open {
    count: usize,
    hosts: usize,
    opened: Duration,
    /// Memory that they added.
    added: u64,
    memory: u64,
    busy: f64,
}

fn print(open: &Open, alone: [f64; 3], all: [f64; 3], output: Output) {
    let Open { count, hosts, opened, added, memory, busy } = *open;
    let each = added as f64 / count as f64;
    let figures = |[p50, p99, max]: [f64; 3]| json!({ "p50": p50, "p99": p99, "max": max });
    let value = json!({
        "watches": count,
        "connections": hosts,
        "opened_per_second": count as f64 / opened.as_secs_f64(),
        "memory_bytes_per_watch": each,
        "memory_bytes": memory,
        "idle_processors": busy,
        "delivery_ms_one_watch": figures(alone),
        "delivery_ms_all_open": figures(all),
        "p99_ratio": all[1] / alone[1],
    });
    if output == Output::Json {
        println!("{value}");
        return;
    }
    println!("{count} open watches, each of a mailbox of its own, on {hosts} connections");
    println!("  opened                    {:>10.0}/s", count as f64 / opened.as_secs_f64());
    println!(
        "  gateway memory            {:>10.1} KiB per watch, {:.0} MiB in all",
        each / 1024.0,
        memory as f64 / f64::from(1u32 << 20)
    );
    println!("  idle                      {busy:>10.3} processors");
    for (name, [p50, p99, max]) in [("one watch open", alone), ("all open", all)] {
        println!("  delivery, {name:<16} p50 {p50:.2}  p99 {p99:.2}  max {max:.2} ms");
    }
    println!("  p99 ratio                 {:>10.2}", all[1] / alone[1]);
}
