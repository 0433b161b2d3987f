//! `vanthu sign`: what a small agency needs to sign a file, and what demonstrations show.
//!
//! Nothing is written unless the signed file was judged: the new signature holds, and none that was
//! there before is worth less than it was.

mod keys;
mod show;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::Output;
use super::exit::{Exit, Failure};
use super::verify::FileSource;
use crate::clock::{Clock as _, SystemClock, Time};
use crate::limits::{SIGNED_PDF_SIZE_MAX, TIMESTAMP_WAIT_MAX};
use crate::signature::{self, Indication, Signature, Trust};
use crate::workshop::key::{CheckedKey, Signer};
use crate::workshop::sign::{self, Stamp, SubFilter};
use crate::workshop::tsp::Authority;
use crate::workshop::{Error, disk};

/// What `--help` ends with.
const NOTES: &str = "\
Nothing is written unless the new signature holds and no older one is worth less than before.

Exit codes: 0 signed, 1 the file cannot be signed, 2 usage, 3 key or certificate unusable, 4 the
time-stamping authority cannot be reached, 5 the token does not take the PIN, 6 no such token, key or
certificate on it.

Examples:
  vanthu sign letter.pdf --cert officer.pem --key officer.key --show person --image name.png
  vanthu sign letter.signed.pdf --cert seal.pem --key seal.key --show seal --image seal.png \\
      --timestamp http://tsa.example/ --out letter.sealed.pdf
  vanthu sign data.csv --detached --pkcs11 /usr/lib/softhsm/libsofthsm2.so --pin-file pin.txt";

/// Signs a PDF (PAdES), or any file with a detached CMS (CAdES).
#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Options {
    /// File to sign
    file: PathBuf,
    #[command(flatten)]
    keys: keys::Options,
    /// Write the signed file or the signature here [default: FILE.signed.pdf or FILE.p7s, if new]
    #[arg(long, short)]
    out: Option<PathBuf>,
    /// Sign any file, with a CMS (CAdES) of its own
    #[arg(long)]
    detached: bool,
    /// Form of a PDF signature
    #[arg(long, value_enum, default_value_t = Form::Pades, conflicts_with = "detached")]
    form: Form,
    /// Address of a time-stamping authority (RFC 3161): http, or https with --timestamp-trust
    #[arg(long, value_name = "URL")]
    timestamp: Option<String>,
    /// Certificates (PEM) under which the server of an https authority must have its own
    #[arg(long, value_name = "PEM", requires = "timestamp")]
    timestamp_trust: Option<PathBuf>,
    /// Seconds that the authority may take
    #[arg(long, value_name = "SECONDS", default_value_t = TIMESTAMP_WAIT_MAX.as_secs(),
          value_parser = clap::value_parser!(u64).range(1..=TIMESTAMP_WAIT_MAX.as_secs()))]
    timestamp_wait: u64,
    /// Name of the signature field: an empty one of the PDF, or a new one [default: Signature1, …]
    #[arg(long, conflicts_with = "detached")]
    field: Option<String>,
    /// Why it is signed
    #[arg(long, default_value = "", hide_default_value = true, conflicts_with = "detached")]
    reason: String,
    /// Where it is signed
    #[arg(long, default_value = "", hide_default_value = true, conflicts_with = "detached")]
    location: String,
    #[command(flatten)]
    show: show::Options,
}

/// Form of a PDF signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// ETSI.CAdES.detached
    Pades,
    /// adbe.pkcs7.detached, for old readers
    Adobe,
}

pub(super) fn run(options: &Options, output: Output) -> Result<Exit, Failure> {
    let now = SystemClock.now();
    let out = target(options)?;
    let held = keys::Held::open(&options.keys, now)?;
    let checked = CheckedKey::new(held.key.as_ref(), held.leaf()).map_err(failure)?;
    let by = Signer { chain_der: &held.chain_der, key: &checked };
    let authority = options.timestamp.as_deref().map(|address| authority(options, address));
    let authority = authority.transpose()?;
    let stamp = authority.as_ref().map(|authority| authority as &dyn Stamp);
    let (bytes, signature) = if options.detached {
        detached(options, by, stamp, now)?
    } else {
        pdf(options, by, stamp, now)?
    };
    holds(&signature)?;
    disk::write_file(&out, &bytes).map_err(failure)?;
    print(options, &out, &signature, now, output);
    Ok(Exit::Ok)
}

fn authority(options: &Options, address: &str) -> Result<Authority, Failure> {
    let anchors = options.timestamp_trust.as_deref().map(keys::chain).transpose()?;
    let wait_max = Duration::from_secs(options.timestamp_wait);
    Authority::new(address, &anchors.unwrap_or_default(), wait_max).map_err(failure)
}

/// Where to write; a name that nobody gave takes no file's place.
fn target(options: &Options) -> Result<PathBuf, Failure> {
    if let Some(out) = &options.out {
        return Ok(out.clone());
    }
    let ending = if options.detached { "p7s" } else { "signed.pdf" };
    let mut name = match options.detached {
        true => options.file.file_name().unwrap_or_default().to_owned(),
        false => options.file.file_stem().unwrap_or_default().to_owned(),
    };
    name.push(format!(".{ending}"));
    let out = options.file.with_file_name(name);
    if out.exists() {
        let failure = Failure::file(&out, "there is such a file already");
        return Err(failure.with_hint("say where to write with --out"));
    }
    Ok(out)
}

fn pdf(
    options: &Options,
    by: Signer<'_>,
    stamp: Option<&dyn Stamp>,
    now: Time,
) -> Result<(Vec<u8>, Signature), Failure> {
    let file = read(&options.file, SIGNED_PDF_SIZE_MAX)?;
    let trust = no_trust()?;
    let materials = show::Materials::read(&options.show)?;
    let field = match &options.field {
        Some(name) => name.clone(),
        None => sign::free_field(&file).map_err(failure)?,
    };
    let request = sign::Options {
        sub_filter: match options.form {
            Form::Pades => SubFilter::Cades,
            Form::Adobe => SubFilter::Pkcs7,
        },
        reason: &options.reason,
        location: &options.location,
        drawing: materials.drawing(&options.show, &file, now)?,
        ..sign::Options::new(&field, now)
    };
    let signed = sign::pdf_by(&file, by, stamp, &request).map_err(failure)?;
    // A time-stamp is younger than the moment at which signing began.
    let later = SystemClock.now();
    let mut after = signature::judge(&signed, &trust, later).signatures;
    let before = signature::judge(&file, &trust, later).signatures;
    let made = after.remove(added(&before, &after).ok_or_else(lost)?);
    keeps(&before, &after)?;
    Ok((signed, made))
}

fn detached(
    options: &Options,
    by: Signer<'_>,
    stamp: Option<&dyn Stamp>,
    now: Time,
) -> Result<(Vec<u8>, Signature), Failure> {
    let failed = |cause| Failure::file(&options.file, cause);
    let file = std::fs::File::open(&options.file).map_err(failed)?;
    let digest = by.key.scheme().hash().of_file(file).map_err(failed)?;
    let cms = sign::detached_by(&digest, by, stamp, now).map_err(failure)?;
    let content = FileSource::open(&options.file)?;
    let report = signature::judge_detached(&cms, &content, &no_trust()?, SystemClock.now());
    let made = report.signatures.into_iter().next().ok_or_else(lost)?;
    Ok((cms, made))
}

/// Nobody is trusted: what is judged here is whether signatures hold, not who made them.
fn no_trust() -> Result<Trust, Failure> {
    Trust::new(Vec::new(), Vec::new(), Vec::new()).map_err(Failure::other)
}

/// Which signature came in: without it, the others are those from before. Signatures that cannot be
/// read stand last, whenever they were made.
fn added(before: &[Signature], after: &[Signature]) -> Option<usize> {
    let known = |one: &Signature| (one.format, one.signer.as_ref().map(|by| by.fingerprint()));
    (0..after.len()).rev().find(|skipped| {
        let others = after.iter().enumerate().filter(|(index, _)| index != skipped);
        others.map(|(_, one)| known(one)).eq(before.iter().map(known))
    })
}

/// No older signature may be worth less than before.
fn keeps(before: &[Signature], after: &[Signature]) -> Result<(), Failure> {
    for (old, new) in before.iter().zip(after) {
        let had = |code: &str| old.verdict.reasons().iter().any(|reason| reason.code == code);
        if let Some(worse) = new.verdict.reasons().iter().find(|reason| !had(reason.code)) {
            let failure = Failure::other(format!(
                "the file cannot be signed: signature {} would break: {} ({})",
                old.index + 1,
                worse.message,
                worse.code
            ));
            return Err(failure.with_hint("the document does not allow this change"));
        }
    }
    Ok(())
}

/// The new signature holds as far as one can tell without trusting anyone.
fn holds(signature: &Signature) -> Result<(), Failure> {
    let stamps = signature.timestamps.iter().map(|stamp| &stamp.verdict);
    for verdict in std::iter::once(&signature.verdict).chain(stamps) {
        if verdict.indication() == Indication::TotalFailed {
            let why = verdict.reasons().first().map_or("", |reason| reason.message.as_str());
            let what = format!("the signature that was made does not hold: {why}");
            return Err(Failure::other(what));
        }
    }
    Ok(())
}

fn lost() -> Failure {
    Failure::other("the signature that was made cannot be found again")
}

fn print(options: &Options, out: &Path, signature: &Signature, now: Time, output: Output) {
    let signer = signature.signer.as_ref().map_or("", |signer| signer.subject.as_str());
    let stamped = signature.timestamps.first().and_then(|stamp| stamp.time);
    if output == Output::Json {
        let value = json!({
            "file": options.file.display().to_string(),
            "out": out.display().to_string(),
            "format": signature.format.to_string(),
            "signer": signer,
            "signing_time": now.to_string(),
            "timestamp": stamped.map(|time| time.to_string()),
        });
        println!("{value}");
        return;
    }
    let stamped =
        stamped.map_or_else(String::new, |time| format!(", time-stamp {}", time.in_vietnam()));
    println!("{}: {}, {signer}{stamped}", out.display(), signature.format);
}

/// A whole file that is not larger than it may be.
fn read(path: &Path, size_max: u64) -> Result<Vec<u8>, Failure> {
    let failed = |cause| Failure::file(path, cause);
    let file = std::fs::File::open(path).map_err(failed)?;
    // In one piece: a vector that grows would leave copies of a key behind.
    let size = file.metadata().map_err(failed)?.len().min(size_max);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(size_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size > size_max) {
        return Err(Failure::file(path, format!("it is larger than {size_max} bytes")));
    }
    Ok(bytes)
}

/// How a mistake of the workshop ends the command.
fn failure(error: Error) -> Failure {
    let hint = match &error {
        Error::Pdf("it is encrypted") => "sign the document before it is encrypted",
        Error::Pdf("it is no PDF") => "sign other files with --detached",
        Error::KeyEncrypted => "name its password with --key-password-file, or keep it on a token",
        Error::KeyEncryption => "write it anew with `openssl pkcs8 -topk8`, which uses AES",
        Error::KeyMismatch => "the certificate of the key stands first in its file",
        Error::OutsidePage { .. } => {
            "say where it stands with --place LEFT,BOTTOM,WIDTH,HEIGHT in mm"
        }
        Error::StampTrust => "name its root certificate with --timestamp-trust",
        Error::Pin(_) => "each wrong PIN brings the token closer to being locked",
        _ => "",
    };
    let exit = match &error {
        Error::KeyEncrypted
        | Error::KeyEncryption
        | Error::KeyPassword
        | Error::KeyKind
        | Error::KeyMismatch
        | Error::Key
        | Error::StampTrust
        | Error::Token(_)
        | Error::Unreadable(_) => Exit::Configuration,
        Error::StampConnection(_) => Exit::Connection,
        Error::Pin(_) => Exit::NotPermitted,
        Error::NotOnToken(_) => Exit::NotFound,
        _ => Exit::Other,
    };
    let failure = Failure::new(exit, error);
    if hint.is_empty() { failure } else { failure.with_hint(hint) }
}
