//! `vanthu evidence`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::Output;
use super::exit::{Exit, Failure};
use super::quorum;
use crate::client;
use crate::clock::{Clock as _, SystemClock};
use crate::digest::Sha256;
use crate::evidence::{self, Receipt, Verified};
use crate::log::{EntryId, LogPublicKey, Policy};
use crate::proto::v1;
use crate::proto::v1::evidence_service_client::EvidenceServiceClient;
use crate::service::part_infos;
use crate::signature::{self, Signer, Trust, judge_token};

/// What `vanthu evidence` does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Saves the evidence of a consignment
    Get(GetOptions),
    /// Verifies an evidence file or a receipt, offline, with public keys only
    Verify(VerifyOptions),
    /// Holds an agency's own receipts against the log, or against those of another agency
    Reconcile(Box<super::reconcile::ReconcileOptions>),
}

/// Saves the evidence of a consignment.
#[derive(Debug, clap::Args)]
pub(super) struct GetOptions {
    #[command(flatten)]
    client: client::Options,
    /// The consignment
    consignment: String,
    /// Only this recipient's part of the story
    #[arg(long, default_value = "")]
    recipient: String,
    /// Put the parts in, too
    #[arg(long)]
    parts: bool,
    /// File to write
    #[arg(long, short)]
    out: PathBuf,
}

/// Exit code 7 if the file does not hold.
///
/// Examples:
///   vanthu evidence verify letter.evidence.zip --key log.vkey
///   vanthu evidence verify entry.receipt --key log.vkey --witness a.vkey b.vkey c.vkey --quorum 2
#[derive(Debug, clap::Args)]
pub(super) struct VerifyOptions {
    /// Evidence file or receipt
    file: PathBuf,
    /// Public key of the log (C2SP vkey), or a file that holds it; from a source that you trust
    #[arg(long, required = true, num_args = 1..)]
    key: Vec<String>,
    /// Folder of trust domains, with which time-stamps and seals in the file are judged
    #[arg(long, env = "VANTHU_TRUST")]
    trust: Option<PathBuf>,
    /// Write what is proven as a page for people
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    #[command(flatten)]
    quorum: quorum::Options,
}

pub(super) async fn run(command: Command, output: Output) -> Result<Exit, Failure> {
    let options = match command {
        Command::Get(options) => options,
        Command::Reconcile(options) => return super::reconcile::run(*options, output).await,
        Command::Verify(_) => unreachable!("verifying has run without a runtime"),
    };
    let mut client = EvidenceServiceClient::new(options.client.connect().await?);
    let request = v1::GetEvidenceRequest {
        consignment_id: options.consignment,
        recipient: options.recipient,
        include_parts: options.parts,
    };
    let mut chunks = client.get_evidence(request).await?.into_inner();
    let failed = |error| Failure::file(&options.out, error);
    let mut bytes = Vec::new();
    while let Some(message) = chunks.message().await? {
        bytes.extend_from_slice(&message.chunk);
    }
    let mut file = std::fs::File::create(&options.out).map_err(failed)?;
    file.write_all(&bytes).map_err(failed)?;
    match output {
        Output::Json => {
            println!(
                "{}",
                json!({ "file": options.out.display().to_string(), "size": bytes.len() })
            );
        }
        Output::Text => println!("{} ({} bytes)", options.out.display(), bytes.len()),
    }
    Ok(Exit::Ok)
}

pub(super) fn verify(options: &VerifyOptions, output: Output) -> Result<Exit, Failure> {
    let keys: Result<Vec<_>, _> = options.key.iter().map(|key| public_key(key)).collect();
    let keys = keys?;
    let bytes =
        std::fs::read(&options.file).map_err(|error| Failure::file(&options.file, error))?;
    if bytes.starts_with(b"c2sp.org/") {
        return verify_receipt(&bytes, &keys, options.quorum.policy()?.as_ref(), output);
    }
    let verified = evidence::verify(&bytes, &keys, &part_infos).map_err(|broken| {
        Failure::new(Exit::VerificationFailed, format!("the evidence does not hold: {broken}"))
    })?;
    if let Some(path) = &options.page {
        std::fs::write(path, verified.page()).map_err(|error| Failure::file(path, error))?;
    }
    let confirmations = confirmations(options, &verified)?;
    let mut witnessed = Vec::new();
    if let Some(policy) = options.quorum.policy()? {
        for (checkpoint, note) in &verified.checkpoints {
            let judged = quorum::judge(&policy, &verified.key, checkpoint, note)?;
            witnessed.extend_from_slice(judged.by());
        }
    }
    if output == Output::Json {
        let statements: Vec<_> = verified
            .statements
            .iter()
            .map(|statement| {
                json!({
                    "entry_id": statement.entry.to_string(),
                    "recipient": statement.recipient.as_ref().map(|code| code.as_str()),
                    "en": statement.english,
                    "vi": statement.vietnamese,
                })
            })
            .collect();
        let value = json!({
            "file": options.file.display().to_string(),
            "valid": true,
            "consignment_id": verified.consignment.to_string(),
            "log": verified.key.to_string(),
            "statements": statements,
            "confirmations": confirmations.iter().map(Confirmation::json).collect::<Vec<_>>(),
            "witnesses": witnessed.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "checks": verified.checks,
            "absent": verified.absent,
        });
        println!("{value}");
        return Ok(Exit::Ok);
    }
    println!("{}: holds", options.file.display());
    for (name, cosigned) in &witnessed {
        println!("  ok   witnessed by {name} at {}", cosigned.at());
    }
    for check in &verified.checks {
        println!("  ok   {check}");
    }
    for absent in &verified.absent {
        println!("  note {absent}");
    }
    for confirmation in &confirmations {
        let Confirmation { what, time, by, indication } = confirmation;
        println!("  {indication} {what}, {time}, {by}");
    }
    println!("proven:");
    for statement in &verified.statements {
        println!("  {}", statement.english);
    }
    Ok(Exit::Ok)
}

/// Somebody else whose signature stands in the file.
struct Confirmation {
    what: String,
    time: String,
    by: String,
    indication: String,
}

impl Confirmation {
    fn json(&self) -> serde_json::Value {
        let Self { what, time, by, indication } = self;
        json!({ "what": what, "time": time, "by": by, "indication": indication })
    }
}

/// Judges time-stamps and seals with the anchors of the caller; without any, nobody is known.
fn confirmations(
    options: &VerifyOptions,
    verified: &Verified,
) -> Result<Vec<Confirmation>, Failure> {
    let trust = match &options.trust {
        Some(folder) => crate::config::read_trust(folder)?,
        None => Trust::new(Vec::new(), Vec::new(), Vec::new()).map_err(Failure::other)?,
    };
    let now = SystemClock.now();
    let name = |signer: Option<&Signer>| signer.map(|one| one.subject.clone()).unwrap_or_default();
    let mut confirmations = Vec::new();
    for stamp in &verified.stamps {
        let judged = judge_token(&stamp.token, &stamp.text, &trust, now);
        confirmations.push(Confirmation {
            what: format!("time-stamp over {} entries of epoch {}", stamp.size, stamp.epoch),
            time: stamp.time.map(|time| time.to_string()).unwrap_or_default(),
            by: name(judged.authority.as_ref()),
            indication: judged.verdict.indication().to_string(),
        });
    }
    for sealed in &verified.sealed {
        let report = signature::judge(&sealed.xml, &trust, now);
        for one in &report.signatures {
            confirmations.push(Confirmation {
                what: format!("seal on the XML of entry {}", sealed.entry),
                time: one.signing_time.map(|time| time.to_string()).unwrap_or_default(),
                by: name(one.signer.as_ref()),
                indication: one.verdict.indication().to_string(),
            });
        }
    }
    Ok(confirmations)
}

fn verify_receipt(
    bytes: &[u8],
    keys: &[LogPublicKey],
    policy: Option<&Policy>,
    output: Output,
) -> Result<Exit, Failure> {
    let failed = |error: evidence::ReceiptError| {
        Failure::new(Exit::VerificationFailed, format!("the receipt does not hold: {error}"))
    };
    let receipt = Receipt::read(bytes).map_err(failed)?;
    let mut last = None;
    for key in keys {
        match receipt.verify(key) {
            Ok(proven) => {
                let id = proven.id().to_string();
                let note = &receipt.checkpoint;
                let judge = |policy| quorum::judge(policy, key, proven.checkpoint(), note);
                let witnessed = policy.map(judge).transpose()?;
                match output {
                    Output::Json => println!("{}", super::trace::entry_json(&id, &proven)),
                    Output::Text => {
                        println!("holds: entry {id}: {}", super::trace::timeline(&proven));
                        for (name, cosigned) in
                            witnessed.iter().flat_map(|witnessed| witnessed.by())
                        {
                            println!("  witnessed by {name} at {}", cosigned.at());
                        }
                    }
                }
                return Ok(Exit::Ok);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(|| Failure::other("no key"), failed))
}

/// A key given as text or as a file.
pub(super) fn public_key(key: &str) -> Result<LogPublicKey, Failure> {
    let text = match LogPublicKey::parse(key) {
        Some(key) => return Ok(key),
        None => std::fs::read_to_string(key)
            .map_err(|error| Failure::file(std::path::Path::new(key), error))?,
    };
    LogPublicKey::parse(&text).ok_or_else(|| {
        Failure::new(Exit::Configuration, format!("{key}: not a public log key"))
            .with_hint("a key looks like gateway.example+1a2b3c4d+AbCd…")
    })
}

/// Keeps receipts, so that they can be held against the log later.
#[derive(Debug, clap::Args)]
pub(super) struct Keeping {
    /// Folder in which receipts are kept
    #[arg(long, env = "VANTHU_RECEIPTS")]
    receipts: Option<PathBuf>,
}

impl Keeping {
    /// Keeps a receipt under the name of its entry.
    pub(super) fn keep(&self, receipt: Option<&v1::Receipt>) -> Result<(), Failure> {
        let Some((folder, receipt)) = self.receipts.as_ref().zip(receipt) else { return Ok(()) };
        let id = receipt.entry_id.unwrap_or_default();
        let path = folder.join(format!("{}-{}.tlog-proof", id.epoch, id.index));
        std::fs::create_dir_all(folder).map_err(|error| Failure::file(folder, error))?;
        let file = receipt_file(receipt)?;
        std::fs::write(&path, file).map_err(|error| Failure::file(&path, error))
    }
}

/// The file form of a receipt off the wire.
pub(super) fn receipt_file(wire: &v1::Receipt) -> Result<String, Failure> {
    let malformed = || Failure::other("the gateway sent a malformed receipt");
    let id = wire.entry_id.ok_or_else(malformed)?;
    let path: Option<Vec<Sha256>> =
        wire.inclusion_path.iter().map(|hash| Sha256::from_slice(hash)).collect();
    let receipt = Receipt {
        leaf: wire.leaf.to_vec(),
        id: EntryId { epoch: id.epoch, index: id.index },
        path: path.ok_or_else(malformed)?,
        checkpoint: wire.checkpoint.to_vec(),
    };
    Ok(receipt.to_file())
}
