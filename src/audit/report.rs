//! What an audit found.

use std::fmt;

use crate::digest::Sha256;
use crate::limits::AUDIT_FINDINGS_MAX;
use crate::log::EntryId;

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident $code:literal;)*) => {
        /// A rule of `log/FORMAT.md` that was broken. The code is stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Rule {
            $($(#[$doc])* $name,)*
        }

        impl Rule {
            /// Every rule there is.
            pub const ALL: &'static [Rule] = &[$(Rule::$name,)*];

            /// Its stable code.
            pub fn code(self) -> &'static str {
                match self { $(Rule::$name => $code,)* }
            }
        }
    };
}

rules! {
    /// The bytes are not an entry (§1).
    EntryForm "entry-form";
    /// A field is missing, is one that the event does not have, or has a value of another event (§2).
    EntryFields "entry-fields";
    /// The gateway acted where a system must, or the reverse (§2).
    EntryActor "entry-actor";
    /// The entry's time lies before that of an earlier one (§7.2).
    TimeBackwards "time-backwards";
    /// A consignment was accepted before (§7.3).
    ConsignmentTwice "consignment-twice";
    /// A request key was accepted before (§7.3).
    RequestTwice "request-twice";
    /// Not exactly the promised recipients follow an acceptance (§7.4).
    PromiseBroken "promise-broken";
    /// A checkpoint divides an acceptance from its consignments (§5).
    PromiseDivided "promise-divided";
    /// A recipient does not stand after the one before it (§7.4).
    RecipientOrder "recipient-order";
    /// A ContentConsignment that no acceptance promised (§7.4).
    ConsignmentUnpromised "consignment-unpromised";
    /// Sender, envelope or urgency are not those of the acceptance (§2).
    PartiesDiffer "parties-differ";
    /// An entry about a recipient who was sent nothing (§7.5).
    AnswerOrphaned "answer-orphaned";
    /// An erasure, hold or release of a consignment that was not accepted (§7.5).
    KeepingOrphaned "keeping-orphaned";
    /// Bodies were erased while a hold lasted (§7.12).
    ErasureHeld "erasure-held";
    /// Bodies were erased before (§7.12).
    ErasureTwice "erasure-twice";
    /// A hold of what was erased or held for the same reason, or a release of no hold (§7.12).
    HoldOrder "hold-order";
    /// A second answer (§7.6).
    AnswerTwice "answer-twice";
    /// A second notice, access or failure of a recipient (§7.6).
    EventTwice "event-twice";
    /// A failure that what stands before it denies, or whose time had not ended (§7.9).
    FailureUntrue "failure-untrue";
    /// A neighbour's word about a recipient that is not behind it, or another's about one that is (§7.13).
    NeighbourWrong "neighbour-wrong";
    /// A redirection of what was not there to be redirected (§7.14).
    RedirectionWrong "redirection-wrong";
    /// An order before another was answered, or an answer to none (§7.15).
    OrderSequence "order-sequence";
    /// A step that its dossier's state does not allow, or with fields of another step (§7.16).
    DossierStep "dossier-step";
    /// A step of a dossier by an agency that may not take it (§7.16).
    DossierParty "dossier-party";
    /// The gateway's word about a dossier's time that is not so (§7.17).
    DossierTime "dossier-time";
    /// A time-stamp over what is not a checkpoint before it (§7.10).
    StampCovers "stamp-covers";
    /// An outage within an outage, or a repair of none (§7.11).
    OutageOrder "outage-order";
    /// A time since when that lies after the entry's (§7.11).
    SinceLater "since-later";
    /// An epoch does not begin with its opening, or an opening stands elsewhere (§6).
    EpochOpening "epoch-opening";
    /// The opening does not commit to the end of the epoch before (§6).
    EpochChain "epoch-chain";
    /// Not a checkpoint note (§5).
    CheckpointForm "checkpoint-form";
    /// A checkpoint of another log or of another epoch (§5).
    CheckpointOrigin "checkpoint-origin";
    /// Not signed with the key of the log (§5).
    CheckpointKey "checkpoint-key";
    /// The signature does not verify (§5).
    CheckpointSignature "checkpoint-signature";
    /// The signed root is not that of the entries (§7.8).
    CheckpointRoot "checkpoint-root";
    /// Two signed checkpoints have the same size and different roots: the log was forked (§7.8).
    CheckpointFork "checkpoint-fork";
    /// A checkpoint was handed in after its size had passed, and cannot be checked any more.
    CheckpointLate "checkpoint-late";
    /// A checkpoint covers more entries than there are (§7.8).
    EntriesMissing "entries-missing";
    /// No checkpoint covers the last entries (§7.8).
    EntriesUnsigned "entries-unsigned";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The entry to look at; `None` before the first one.
    pub entry: Option<EntryId>,
    /// The rule.
    pub rule: Rule,
    /// What was found, for people.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry {
            Some(entry) => write!(f, "entry {entry}: {}: {}", self.rule, self.message),
            None => write!(f, "{}: {}", self.rule, self.message),
        }
    }
}

/// Where an epoch ends, as far as a checkpoint with a valid signature says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The epoch.
    pub epoch: u32,
    /// Entries covered.
    pub size: u64,
    /// The signed root.
    pub root: Sha256,
}

/// How much of what was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// `SubmissionAcceptance` entries.
    pub acceptances: u64,
    /// `SubmissionRejection` entries.
    pub rejections: u64,
    /// `ContentConsignment` entries.
    pub consignments: u64,
    /// `ContentHandover` entries.
    pub handovers: u64,
    /// `ConsignmentRejection` entries.
    pub refusals: u64,
    /// `status` entries.
    pub reports: u64,
    /// `ConsignmentNotificationFailure` and `ContentHandoverFailure` entries.
    pub failures: u64,
    /// `timestamp` entries.
    pub stamps: u64,
    /// Checkpoints whose signature, size and root were checked and right.
    pub checkpoints: u64,
}

/// The result of an audit. The log is sound if there is no finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Entries read.
    pub entries: u64,
    /// Epochs read.
    pub epochs: u32,
    /// How much of what was read.
    pub counts: Counts,
    /// Entries about a consignment that was accepted before this audit began: who was promised what,
    /// and who answered before, only an audit from the beginning can say.
    pub unjudged: u64,
    /// The last checkpoint of each epoch.
    pub heads: Vec<Head>,
    /// What is wrong, in the order in which it was found; at most
    /// [`AUDIT_FINDINGS_MAX`](crate::limits::AUDIT_FINDINGS_MAX).
    pub findings: Vec<Finding>,
    /// Findings beyond that number.
    pub findings_omitted: u64,
}

/// Findings, as many as are kept.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) kept: Vec<Finding>,
    pub(super) omitted: u64,
}

impl Findings {
    pub(super) fn add(&mut self, entry: Option<EntryId>, rule: Rule, message: impl Into<String>) {
        if self.kept.len() < AUDIT_FINDINGS_MAX {
            self.kept.push(Finding { entry, rule, message: message.into() });
        } else {
            self.omitted += 1;
        }
    }
}
