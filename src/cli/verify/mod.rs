//! `vanthu verify`.

mod inputs;
mod parallel;
mod text;

use std::fs::File;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Value, json};

use super::Output;
use super::exit::{Exit, Failure};
use super::progress::Progress;
use crate::clock::{Clock as _, SystemClock, Time};
use crate::config::read_trust;
use crate::digest::{Hasher, Sha256};
use crate::gateway::{ValidationReport, describe};
use crate::limits::HASH_WINDOW_SIZE;
use crate::signature::{self, Indication, Report, Role, Trust, note_in_vietnamese};
use crate::source::{Source, Unreadable};

/// Verifies the signatures in files, folders and patterns: PDF, CMS, XML, ASiC, Office.
///
/// Exit code 7 if a signature is wrong, else 1 if a file cannot be read, else 8 if one is undecided.
///
/// Examples:
///   vanthu verify letter.pdf --trust certs/dev/trust
///   vanthu verify letter.p7s --detached letter.pdf --trust certs/dev/trust
///   vanthu verify archive/2018 'inbox/**/*.pdf' --at 2026-11-22T03:45:18.000Z --output json
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Files, folders with all below them, or patterns with *, ** and ?
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
    /// A report in another form: xml is in the manner of ETSI TS 119 102-2
    #[arg(long, value_enum, conflicts_with = "output")]
    report: Option<ReportForm>,
    /// The language of what is printed for people
    #[arg(long, value_enum, default_value_t = Language::En)]
    lang: Language,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReportForm {
    Xml,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// English
    En,
    /// Vietnamese
    Vi,
}

/// What judging one file gave.
struct Judged {
    report: Report,
    /// As it is printed, unless a report is made of all files.
    text: String,
    /// Of the file, if a report names it.
    digest: Option<Sha256>,
}

/// How many files ended in which way.
#[derive(Debug, Default)]
struct Count {
    passed: usize,
    undecided: usize,
    failed: usize,
    unsigned: usize,
    unreadable: usize,
}

pub(super) fn run(options: &Options, output: Output) -> Result<Exit, Failure> {
    let trust = read_trust(&options.trust)?;
    let at = match &options.at {
        None => SystemClock.now(),
        Some(text) => text.parse::<Time>().map_err(Failure::other)?,
    };
    let files = inputs::files(&options.files)?;
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut progress = Progress::of(files.len());
    let mut count = Count::default();
    let mut whole = options.report.map(|ReportForm::Xml| ValidationReport::new(at));
    let judge = |path: &PathBuf| judge(options, output, &trust, at, path);
    parallel::ordered(&files, workers, judge, |index, judged| {
        match judged {
            Err(failure) => {
                progress.clear();
                eprintln!("vanthu: error: {failure}");
                count.unreadable += 1;
            }
            Ok(Judged { report, text, digest }) => {
                count.add(report.indication());
                match (&mut whole, digest, files.get(index)) {
                    (Some(whole), Some(digest), Some(path)) => {
                        whole.add(&path.display().to_string(), &digest, &report);
                    }
                    _ => {
                        progress.clear();
                        print!("{text}");
                    }
                }
            }
        }
        progress.show(index + 1);
    });
    drop(progress);
    if let Some(whole) = whole {
        print!("{}", whole.finish());
    }
    if files.len() != 1 {
        eprintln!("{}", count.summary(options.lang));
    }
    Ok(count.exit())
}

impl Count {
    fn add(&mut self, indication: Option<Indication>) {
        *match indication {
            Some(Indication::TotalPassed) => &mut self.passed,
            Some(Indication::Indeterminate) => &mut self.undecided,
            Some(Indication::TotalFailed) => &mut self.failed,
            None => &mut self.unsigned,
        } += 1;
    }

    fn summary(&self, language: Language) -> String {
        let Self { passed, undecided, failed, unsigned, unreadable } = self;
        let all = passed + undecided + failed + unsigned + unreadable;
        match language {
            Language::En => format!(
                "{all} files: {passed} TOTAL-PASSED, {undecided} INDETERMINATE, {failed} \
                 TOTAL-FAILED, {unsigned} UNSIGNED, {unreadable} unreadable"
            ),
            Language::Vi => format!(
                "{all} tệp: {passed} hợp lệ, {undecided} chưa xác định, {failed} không hợp lệ, \
                 {unsigned} không có chữ ký, {unreadable} không đọc được"
            ),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self { failed: 1.., .. } => Exit::VerificationFailed,
            Self { unreadable: 1.., .. } => Exit::Other,
            Self { undecided: 1.., .. } => Exit::VerificationUndecided,
            _ => Exit::Ok,
        }
    }
}

fn judge(
    options: &Options,
    output: Output,
    trust: &Trust,
    at: Time,
    path: &Path,
) -> Result<Judged, Failure> {
    let source = FileSource::open(path)?;
    let report = match &options.detached {
        None => signature::judge(&source, trust, at),
        Some(content) => {
            let bytes = std::fs::read(path).map_err(|error| Failure::file(path, error))?;
            signature::judge_detached(&bytes, &FileSource::open(content)?, trust, at)
        }
    };
    let digest = options.report.map(|_| source.digest());
    let digest = digest.transpose().map_err(|_| Failure::file(path, "cannot be read"))?;
    let text = match (digest, output) {
        (Some(_), _) => String::new(),
        (None, Output::Json) => format!("{}\n", json(path, &report)),
        (None, Output::Text) => match options.lang {
            Language::En => text::english(path, &report),
            Language::Vi => text::vietnamese(path, &report),
        },
    };
    Ok(Judged { report, text, digest })
}

fn json(path: &Path, report: &Report) -> Value {
    let legal = legal(report);
    json!({
        "file": path.display().to_string(),
        "signatures": report.signatures.iter().map(describe).collect::<Vec<_>>(),
        "indication": report.word(),
        "legal_value": legal.value.to_string(),
        "legal_reason": legal.sentence,
        "legal_reason_vi": note_in_vietnamese(&legal.sentence),
        "quirks": report.quirks,
    })
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

    fn digest(&self) -> Result<Sha256, Unreadable> {
        let mut hasher = Hasher::default();
        let mut window = vec![0; HASH_WINDOW_SIZE];
        let mut offset = 0;
        while offset < self.size {
            let left = usize::try_from(self.size - offset).unwrap_or(usize::MAX);
            let window = window.split_at_mut(left.min(HASH_WINDOW_SIZE)).0;
            self.read_at(offset, window)?;
            hasher.update(window);
            offset += window.len() as u64;
        }
        Ok(hasher.finish())
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
