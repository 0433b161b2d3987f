//! A gateway as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cli::Failure;
use crate::proto::v1;
use crate::proto::v1::log_service_client::LogServiceClient;
use crate::workshop::pki::DevPki;

/// A child process that serves; ended when dropped.
pub(super) struct Gateway {
    child: Child,
    address: SocketAddr,
}

impl Gateway {
    /// Starts this very program with `arguments` and a configuration for free ports.
    pub(super) fn start(pki: &Path, arguments: &[&str]) -> Result<Self, Failure> {
        let config = pki.join("bench.toml");
        let text = std::fs::read_to_string(pki.join("vanthu.toml")).map_err(Failure::other)?;
        let text = text.replace(":7443", ":0").replace(":7480", ":0");
        std::fs::write(&config, text).map_err(|error| Failure::file(&config, error))?;
        let program = std::env::current_exe().map_err(Failure::other)?;
        let mut child = Command::new(program)
            .args(arguments)
            .arg(&config)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Failure::other)?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line).map_err(Failure::other)?;
        }
        let address = line.split(' ').nth(1).and_then(|address| address.trim().parse().ok());
        let address = address.ok_or_else(|| Failure::other("the gateway did not start"))?;
        Ok(Self { child, address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The most memory it ever had resident, in bytes.
    pub(super) fn peak_memory(&self) -> u64 {
        peak_memory(&format!("/proc/{}/status", self.child.id()))
    }

    /// The memory that it has resident now, in bytes.
    pub(super) fn memory(&self) -> u64 {
        status_bytes(&format!("/proc/{}/status", self.child.id()), "VmRSS:")
    }

    /// Processor time that it has used.
    pub(super) fn cpu_time(&self) -> Duration {
        cpu_time(&format!("/proc/{}/stat", self.child.id()))
    }

    /// Has it read its configuration's files again.
    pub(super) fn hang_up(&self) -> Result<(), Failure> {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-HUP", &id]).status().map_err(Failure::other)?;
        if status.success() { Ok(()) } else { Err(Failure::other("kill -HUP failed")) }
    }

    /// How many batches the log was written in: one checkpoint each.
    pub(super) async fn batches(&self, pki: &DevPki) -> Result<usize, Failure> {
        let channel = super::load::connect(pki, "auditor", self.address).await?;
        let mut client = LogServiceClient::new(channel)
            .max_decoding_message_size(crate::client::message_size_max());
        let request = v1::ReadEntriesRequest { from: None, max_entries: 0 };
        let mut messages = client.read_entries(request).await?.into_inner();
        let mut batches = 0;
        while let Some(message) = messages.message().await? {
            batches += message.checkpoints.len();
        }
        Ok(batches)
    }

    /// Ends it and waits.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        self.child.kill().map_err(Failure::other)?;
        self.child.wait().map_err(Failure::other)?;
        Ok(())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Already ended in the ordinary case.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Processor time that this process has used.
pub(super) fn own_cpu_time() -> Duration {
    cpu_time("/proc/self/stat")
}

/// User and system time of a stat file of procfs (fields 14 and 15, hundredths of a second whatever
/// the kernel's own tick is); zero where there is none.
fn cpu_time(stat: &str) -> Duration {
    let text = std::fs::read_to_string(stat).unwrap_or_default();
    // The second field is a name in brackets and may hold blanks.
    let fields = text.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// `VmHWM` of a status file of procfs, in bytes; 0 where there is none.
pub(in crate::cli) fn peak_memory(status: &str) -> u64 {
    status_bytes(status, "VmHWM:")
}

/// What this process has resident.
pub(super) fn resident_memory() -> u64 {
    status_bytes("/proc/self/status", "VmRSS:")
}

/// A line of a status file of procfs, in bytes.
fn status_bytes(status: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// What a folder takes on the disk.
pub(super) fn folder_bytes(folder: &Path) -> Result<u64, Failure> {
    use std::os::unix::fs::MetadataExt as _;
    let failed = |error| Failure::file(folder, error);
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            bytes += folder_bytes(&entry.path())?;
        } else if kind.is_file() {
            bytes += entry.metadata().map_err(failed)?.blocks() * 512;
        }
    }
    Ok(bytes)
}
