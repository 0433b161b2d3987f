//! `vanthu evidence reconcile`: what an agency can prove, against the log or another agency.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::json;
use tonic::Code as Grpc;
use tonic::transport::Channel;

use super::Output;
use super::evidence::{public_key, receipt_file};
use super::exit::{Exit, Failure};
use super::period::Period;
use crate::client;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::evidence::{self, Finding, Gap, Held, Receipt, Side, reconcile};
use crate::limits::PAGE_SIZE_MAX;
use crate::log::{Entry, EntryId, Event, LogPublicKey, verify_consistency};
use crate::proto::v1;
use crate::proto::v1::log_service_client::LogServiceClient;
use crate::proto::v1::trace_request::Term;
use crate::proto::v1::trace_service_client::TraceServiceClient;
use crate::service::part_infos;

/// Holds an agency's own receipts and evidence files against the log, or against those of another
/// agency; exit code 7 if there is a gap.
///
/// Every gap is proven: it names the entry, the consignment, the side that lacks it, and the file that
/// shows it. Against the log, that nothing is found means: every entry that the agency holds stands
/// there, in a log that only grew, and for everything that the log shows of its own acts it holds a
/// receipt. Only an audit shows that the log shows everything.
///
/// Examples:
///   vanthu evidence reconcile receipts/ --key log.vkey --agency H49
///   vanthu evidence reconcile ours/ --key log.vkey --other theirs/ --agency H49 --other-agency G22
#[derive(Debug, clap::Args)]
pub(super) struct ReconcileOptions {
    /// Receipts and evidence files, or folders of them
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Public key of the log (C2SP vkey), or a file that holds it; from a source that you trust
    #[arg(long, required = true, num_args = 1)]
    key: String,
    /// The agency whose files these are
    #[arg(long)]
    agency: String,
    /// Files of another agency, or folders of them; without it, the log is asked
    #[arg(long, num_args = 1.., requires = "other_agency")]
    other: Vec<PathBuf>,
    /// That agency
    #[arg(long)]
    other_agency: Option<String>,
    #[command(flatten)]
    period: Period,
    /// Folder for receipts that the log gave and the agency lacked
    #[arg(long)]
    save: Option<PathBuf>,
    /// The gateway, as https://HOST:PORT
    #[arg(long, env = "VANTHU_SERVER", default_value = "https://localhost:7443")]
    server: String,
    /// CA of the gateway's certificate, PEM
    #[arg(long, env = "VANTHU_CA", default_value = "certs/dev/tls/ca.pem")]
    ca: PathBuf,
    /// Certificate of the agency's system, PEM
    #[arg(long, env = "VANTHU_CERT", required_unless_present = "other")]
    cert: Option<PathBuf>,
}

pub(super) async fn run(options: ReconcileOptions, output: Output) -> Result<Exit, Failure> {
    let key = public_key(&options.key)?;
    let agency = code(&options.agency)?;
    let mut held = Vec::new();
    for path in &options.files {
        read(path, &key, Side::Own, &mut held)?;
    }
    let own = held.len();
    let findings = match &options.other_agency {
        Some(other) if !options.other.is_empty() => {
            let other = code(other)?;
            for path in &options.other {
                read(path, &key, Side::Other, &mut held)?;
            }
            reconcile(&held, &|side, entry| {
                let (this, that) =
                    if side == Side::Own { (&agency, &other) } else { (&other, &agency) };
                concerns(this, that, entry)
            })
        }
        _ => Desk::open(&options, key, agency).await?.reconcile(held).await?,
    };
    print(&findings, own, output);
    Ok(if findings.is_empty() { Exit::Ok } else { Exit::VerificationFailed })
}

fn code(text: &str) -> Result<Code, Failure> {
    Code::parse(text).ok_or_else(|| Failure::other(format!("{text}: not an agency code")))
}

/// Whether `this` agency should have proof of an entry that `that` one holds: it passed between
/// the two. What passed to a third one is nobody's business, except the acceptance before it.
fn concerns(this: &Code, that: &Code, entry: &Entry) -> bool {
    let is = |one: &Option<Code>, code: &Code| one.as_ref() == Some(code);
    (is(&entry.from, this) && is(&entry.to, that)) || (is(&entry.from, that) && is(&entry.to, this))
}

/// Whether the agency did what the entry says, and so was given a receipt for it.
fn is_own_act(agency: &Code, entry: &Entry) -> bool {
    let actor = match entry.event {
        Event::SubmissionAcceptance => &entry.from,
        Event::ContentHandover | Event::ConsignmentRejection | Event::StatusReport => &entry.to,
        _ => return false,
    };
    actor.as_ref() == Some(agency)
}

/// Reads and verifies a receipt, an evidence file, or all of those in a folder.
fn read(path: &Path, key: &LogPublicKey, side: Side, held: &mut Vec<Held>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::file(path, error);
    if path.is_dir() {
        let mut inside: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            inside.push(entry.map_err(failed)?.path());
        }
        inside.sort();
        let is_proof = |path: &PathBuf| {
            path.extension().is_some_and(|ending| ending == "tlog-proof" || ending == "zip")
        };
        return inside
            .iter()
            .filter(|it| is_proof(it))
            .try_for_each(|it| read(it, key, side, held));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    let source = path.display().to_string();
    let broken = |error: String| {
        Failure::new(Exit::VerificationFailed, format!("{source} proves nothing: {error}"))
            .with_hint("a file that does not verify is no evidence for either side; remove it")
    };
    if bytes.starts_with(b"c2sp.org/") {
        let receipt = Receipt::read(&bytes).and_then(|receipt| receipt.verify(key));
        let proven = receipt.map_err(|error| broken(error.to_string()))?;
        held.push(Held { proven, source, side });
        return Ok(());
    }
    let verified = evidence::verify(&bytes, std::slice::from_ref(key), &part_infos);
    let verified = verified.map_err(|error| broken(error.to_string()))?;
    held.extend(verified.entries.iter().map(|proven| Held {
        proven: proven.clone(),
        source: source.clone(),
        side,
    }));
    Ok(())
}

/// A conversation with the gateway.
struct Desk<'a> {
    options: &'a ReconcileOptions,
    key: LogPublicKey,
    agency: Code,
    log: LogServiceClient<Channel>,
    trace: TraceServiceClient<Channel>,
}

impl<'a> Desk<'a> {
    async fn open(
        options: &'a ReconcileOptions,
        key: LogPublicKey,
        agency: Code,
    ) -> Result<Self, Failure> {
        let cert = options.cert.clone().ok_or_else(|| Failure::other("--cert is missing"))?;
        let (server, ca) = (options.server.clone(), options.ca.clone());
        let channel = client::Options { server, ca, cert, key: None }.connect().await?;
        let (log, trace) =
            (LogServiceClient::new(channel.clone()), TraceServiceClient::new(channel));
        Ok(Self { options, key, agency, log, trace })
    }

    async fn reconcile(mut self, mut held: Vec<Held>) -> Result<Vec<Finding>, Failure> {
        let mut findings = Vec::new();
        let own: Vec<Held> = held.clone();
        self.check_growth(&own, &mut findings).await?;
        let known: BTreeSet<EntryId> = own.iter().map(|held| held.proven.id()).collect();
        let mut asked = known.clone();
        for id in &known {
            held.extend(self.held_by_log(*id).await?);
        }
        for id in self.own_acts().await? {
            if asked.insert(id) {
                held.extend(self.held_by_log(id).await?);
            }
        }
        let agency = self.agency.clone();
        findings.extend(reconcile(&held, &|side, entry| match side {
            Side::Own => is_own_act(&agency, entry),
            // Whatever was proven once must stand in the log for ever.
            Side::Other => true,
        }));
        findings.sort_by_key(|finding| finding.entry);
        Ok(findings)
    }

    /// Every checkpoint that the agency holds must be the beginning of the log that is shown now.
    async fn check_growth(
        &mut self,
        own: &[Held],
        findings: &mut Vec<Finding>,
    ) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        for held in own {
            let old = held.proven.checkpoint();
            if !seen.insert((old.origin.epoch, old.size)) {
                continue;
            }
            let request = v1::GetCheckpointRequest { epoch: old.origin.epoch };
            let new = match self.log.get_checkpoint(request).await {
                Ok(answer) => answer.into_inner(),
                // No such epoch: then its entries are missing, too, and are named one by one.
                Err(status) if status.code() == Grpc::NotFound => continue,
                Err(status) => return Err(status.into()),
            };
            let signed = self.key.open(&new.checkpoint).map_err(Failure::other)?;
            let request = v1::GetConsistencyProofRequest {
                epoch: old.origin.epoch,
                old_size: old.size,
                new_size: signed.size,
            };
            let grew = if old.size > signed.size {
                false
            } else {
                let proof = self.log.get_consistency_proof(request).await?.into_inner().proof;
                let proof: Option<Vec<Sha256>> =
                    proof.iter().map(|hash| Sha256::from_slice(hash)).collect();
                proof.is_some_and(|proof| {
                    verify_consistency(old.size, &old.root, signed.size, &signed.root, &proof)
                        .is_ok()
                })
            };
            if !grew {
                let name = format!("log-{}-{}.checkpoint", signed.origin.epoch, signed.size);
                let shown = self.keep(&name, &new.checkpoint)?;
                let mut finding = Finding::about(Gap::CheckpointDiffers, held, &[held]);
                finding.proofs.push(shown);
                findings.push(finding);
            }
        }
        Ok(())
    }

    /// What the log proves at a place; `None` if it shows nothing there.
    async fn held_by_log(&mut self, id: EntryId) -> Result<Option<Held>, Failure> {
        let entry_id = Some(v1::EntryId { epoch: id.epoch, index: id.index });
        let answer =
            match self.log.get_receipt(v1::GetReceiptRequest { entry_id, cosigned: false }).await {
                Ok(answer) => answer.into_inner(),
                // The agency proves that it is a party of what stands there: to be told that it is none,
                // or that nothing stands there, is the same.
                Err(status) if matches!(status.code(), Grpc::NotFound | Grpc::PermissionDenied) => {
                    return Ok(None);
                }
                Err(status) => return Err(status.into()),
            };
        let file = receipt_file(&answer.receipt.unwrap_or_default())?;
        let receipt = Receipt::read(file.as_bytes()).and_then(|receipt| receipt.verify(&self.key));
        let proven = receipt.map_err(|error| {
            Failure::new(
                Exit::VerificationFailed,
                format!("the gateway's receipt of {id} does not hold: {error}"),
            )
        })?;
        if proven.id() != id {
            return Err(Failure::other(format!("the gateway answered {} for {id}", proven.id())));
        }
        let name = format!("log-{}-{}.tlog-proof", id.epoch, id.index);
        let source = self.keep(&name, file.as_bytes())?;
        Ok(Some(Held { proven, source, side: Side::Other }))
    }

    /// Saves what the log gave, if it is to be saved; where it lies.
    fn keep(&self, name: &str, bytes: &[u8]) -> Result<String, Failure> {
        let Some(folder) = &self.options.save else { return Ok(format!("the log's {name}")) };
        let path = folder.join(name);
        std::fs::create_dir_all(folder).map_err(|error| Failure::file(folder, error))?;
        std::fs::write(&path, bytes).map_err(|error| Failure::file(&path, error))?;
        Ok(path.display().to_string())
    }

    /// Entries that the log shows of what the agency itself did in the period.
    async fn own_acts(&mut self) -> Result<Vec<EntryId>, Failure> {
        let mut request = v1::SearchRequest {
            agency: self.agency.to_string(),
            since: self.options.period.since()?,
            until: self.options.period.until()?,
            admission: v1::Admission::Accepted.into(),
            page_size: i32::try_from(PAGE_SIZE_MAX).unwrap_or(0),
            ..v1::SearchRequest::default()
        };
        let mut acts = Vec::new();
        loop {
            let page = match self.trace.search(request.clone()).await {
                Ok(page) => page.into_inner(),
                Err(status) if status.code() == Grpc::NotFound => return Ok(acts),
                Err(status) => return Err(status.into()),
            };
            for document in &page.documents {
                let entry = Entry::from_leaf(&document.leaf).ok();
                let Some(id) = entry.and_then(|entry| entry.consignment) else { continue };
                let term = Term::ConsignmentId(id.to_string());
                for traced in super::trace::timeline_of(&mut self.trace, term).await? {
                    let Ok(entry) = Entry::from_leaf(&traced.leaf) else { continue };
                    if let Some(id) = traced.entry_id.filter(|_| is_own_act(&self.agency, &entry)) {
                        acts.push(EntryId { epoch: id.epoch, index: id.index });
                    }
                }
            }
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return Ok(acts);
            }
        }
    }
}

fn print(findings: &[Finding], own: usize, output: Output) {
    if output == Output::Json {
        let findings: Vec<_> = findings.iter().map(finding_json).collect();
        println!("{}", json!({ "proofs": own, "findings": findings }));
        return;
    }
    for finding in findings {
        let what = match finding.gap {
            Gap::EntryDiffers => "two different entries are proven for this place",
            Gap::CheckpointDiffers => "the log was not only added to since this was proven",
            Gap::EnvelopeDiffers => "the consignment has two envelopes",
            Gap::Lacks(Side::Own) => "you hold no proof of it",
            Gap::Lacks(Side::Other) => "the other side lacks it",
        };
        let consignment = finding.consignment.map(|id| format!(" of {id}")).unwrap_or_default();
        println!("{} {}{consignment}: {what}", finding.gap.code(), finding.entry);
        for proof in &finding.proofs {
            println!("    proof: {proof}");
        }
    }
    println!("{own} proofs held against the other side, {} gaps", findings.len());
}

fn finding_json(finding: &Finding) -> serde_json::Value {
    json!({
        "code": finding.gap.code(),
        "entry_id": finding.entry.to_string(),
        "consignment_id": finding.consignment.map(|id| id.to_string()),
        "lacking": match finding.gap {
            Gap::Lacks(Side::Own) => Some("own"),
            Gap::Lacks(Side::Other) => Some("other"),
            _ => None,
        },
        "proofs": finding.proofs,
    })
}
