//! `vanthu verify`.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Output;
use super::exit::{Exit, Failure};
use crate::clock::{Clock as _, SystemClock, Time};
use crate::config::read_trust;
use crate::gateway::describe;
use crate::signature::{self, Indication, Report, Role};
use crate::source::{Source, Unreadable};

/// Verifies PDF and CMS signatures. Exit code 7 if a signature is wrong, 8 if one is undecided.
///
/// Examples:
///   vanthu verify letter.pdf --trust certs/dev/trust
///   vanthu verify letter.p7s --detached letter.pdf --trust certs/dev/trust
///   vanthu verify *.pdf --trust certs/dev/trust --at 2026-11-22T03:45:18.000Z --output json
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Files to verify
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Folder of trust domains, each with anchors, intermediates and crls
    #[arg(long, env = "VANTHU_TRUST", default_value = "certs/dev/trust")]
    trust: PathBuf,
    /// The content of a detached signature
    #[arg(long)]
    detached: Option<PathBuf>,
    /// Time of validation instead of now, as 2026-11-22T03:45:18.000Z
    #[arg(long)]
    at: Option<String>,
}

pub(super) fn run(options: &Options, output: Output) -> Result<Exit, Failure> {
    let trust = read_trust(&options.trust)?;
    let at = match &options.at {
        None => SystemClock.now(),
        Some(text) => text.parse::<Time>().map_err(Failure::other)?,
    };
    let mut worst = Exit::Ok;
    for path in &options.files {
        let report = match &options.detached {
            None => signature::judge(&FileSource::open(path)?, &trust, at),
            Some(content) => {
                let bytes = std::fs::read(path).map_err(|error| Failure::file(path, error))?;
                signature::judge_detached(&bytes, &FileSource::open(content)?, &trust, at)
            }
        };
        print(path, &report, output);
        worst = match (worst, report.indication()) {
            (_, Some(Indication::TotalFailed)) => Exit::VerificationFailed,
            (Exit::Ok, Some(Indication::Indeterminate)) => Exit::VerificationUndecided,
            (worst, _) => worst,
        };
    }
    Ok(worst)
}

fn print(path: &Path, report: &Report, output: Output) {
    let indication = report.word();
    let legal = legal(report);
    if output == Output::Json {
        let signatures: Vec<Value> = report.signatures.iter().map(describe).collect();
        let value = json!({
            "file": path.display().to_string(),
            "signatures": signatures,
            "indication": indication,
            "legal_value": legal.value.to_string(),
            "quirks": report.quirks,
        });
        println!("{value}");
        return;
    }
    println!("{}: {indication} ({})", path.display(), legal.value);
    for signature in &report.signatures {
        let signer = signature.signer.as_ref();
        let signer = signer.map_or("unknown signer", |signer| signer.subject.as_str());
        let verdict = &signature.verdict;
        let sub = verdict.sub_indication().map(|sub| format!("/{sub}")).unwrap_or_default();
        println!("  {}: {}{sub}, {signer}", signature.format, verdict.indication());
        for reason in verdict.reasons() {
            let place = reason.offset.map(|at| format!(" (byte {at})")).unwrap_or_default();
            println!("    {}: {}{place}", reason.code, reason.message);
        }
        for stamp in &signature.timestamps {
            let time = stamp.time.map_or_else(String::new, |time| time.in_vietnam());
            println!(
                "    time-stamp on the {}: {}, {time}",
                stamp.kind,
                stamp.verdict.indication()
            );
        }
        if let Some(time) = signature.best_time {
            println!("    proven to exist by {}", time.in_vietnam());
        }
        for quirk in &signature.quirks {
            println!("    note: {quirk}");
        }
    }
}

/// Without a directory, a certificate that names an organisation by its code counts as a seal.
fn legal(report: &Report) -> signature::LegalJudgement {
    signature::legal_value(report, signature::DocumentForm::Original, |signature| match &signature
        .signer
    {
        None => Role::Unknown,
        Some(signer) if signer.organization_identifier.is_some() => Role::AgencySeal,
        Some(_) => Role::Person,
    })
}

/// A file, read through small windows.
pub(super) struct FileSource {
    file: File,
    size: u64,
}

impl FileSource {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::file(path, error);
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        Ok(Self { file, size })
    }
}

impl Source for FileSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        self.file.read_exact_at(into, offset).map_err(|_| Unreadable)
    }
}
