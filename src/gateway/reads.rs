//! What auditors ask is recorded before it is answered: who may see everything is seen by all who
//! audit.
//!
//! One entry stands for a query, however many pages it has: the token of a page names the commitment
//! to the query that it goes on with. An auditor who asks fast is slowed down to one entry in
//! [`READ_INTERVAL`](crate::limits::READ_INTERVAL), after a stock of [`READS_AT_ONCE`](crate::limits::READS_AT_ONCE), so that nobody can flood the log by reading.

use super::answering::{note_text, salted};
use super::command::Command;
use super::peer::Peer;
use super::ports::Piece;
use super::recording::{Fact, Recording};
use super::{Error, Fault, Gateway};
use crate::digest::Sha256;
use crate::directory::{Code, Role};
use crate::document::ConsignmentId;
use crate::limits::READ_WAIT_MAX;
use crate::log::Actor;

/// What kind of thing an auditor asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// What happened to documents.
    Trace,
    /// Entries, one after the other.
    Entries,
    /// Evidence of a consignment.
    Evidence,
    /// Registers and figures.
    Statistics,
}

impl Asked {
    /// Its word in the log.
    pub fn word(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Entries => "ENTRIES",
            Self::Evidence => "EVIDENCE",
            Self::Statistics => "STATISTICS",
        }
    }
}

/// What an auditor asks. The log names consignment and agencies if exactly one was asked for, and
/// commits to the text.
#[derive(Debug, Clone)]
pub struct Query {
    /// What kind of thing.
    pub asked: Asked,
    /// All that was asked, in words; the same for every page of an answer.
    pub text: String,
    /// The one consignment.
    pub consignment: Option<ConsignmentId>,
    /// The one sender.
    pub from: Option<Code>,
    /// The one recipient.
    pub to: Option<Code>,
}

/// An auditor's read, as it is recorded.
#[derive(Debug, Clone)]
pub(super) struct Read {
    pub(super) actor: Actor,
    pub(super) query: Query,
    pub(super) note: Sha256,
}

impl Gateway {
    /// Records what an auditor asks, and gives the commitment to it; others' reads are of their own
    /// documents and are not recorded.
    ///
    /// # Errors
    /// [`Fault::Busy`] for who asks too fast. Another fault says that the log cannot be written: whether
    /// the question is answered then is the caller's to decide.
    pub async fn record_read(&self, peer: &Peer, query: &Query) -> Result<Option<Sha256>, Error> {
        if peer.role != Role::Auditor {
            return Ok(None);
        }
        self.room()?;
        let wait = self.readers.take(&peer.system, self.clock.now(), READ_WAIT_MAX);
        let wait = wait.map_err(|_| Fault::Busy)?;
        tokio::time::sleep(wait).await;
        let text = salted(&text_of(peer, query), "query")?.unwrap_or_default();
        let note = Sha256::of(&text);
        let certificate = self.shared(peer.certificate, &peer.der)?;
        let pieces = certificate.into_iter().chain([Piece::Bytes(note, text.into())]);
        let contents = self.keep_pieces(pieces.collect()).await?;
        let read = Read { actor: peer.actor(), query: query.clone(), note };
        let facts = vec![Fact::Asked(Box::new(read))];
        let recording = Recording { facts, contents, ..Recording::default() };
        self.sequencer.write(Command::Record(recording)).await?;
        Ok(Some(note))
    }

    /// Whether the commitment is to this query of this peer.
    ///
    /// # Errors
    /// The store's.
    pub fn is_recorded(&self, peer: &Peer, query: &Query, note: &Sha256) -> Result<bool, Error> {
        let Some(place) = self.store.place(note, None)? else { return Ok(false) };
        let Ok(size) = usize::try_from(place.size()) else { return Ok(false) };
        if size > crate::limits::NOTE_SIZE_MAX * 2 {
            return Ok(false);
        }
        let mut bytes = vec![0; size];
        let source = self.contents.read(note, place)?;
        source.read_at(0, &mut bytes).map_err(|error| Fault::Content(error.to_string()))?;
        Ok(note_text(&bytes) == Some(text_of(peer, query).as_str()))
    }
}

fn text_of(peer: &Peer, query: &Query) -> String {
    format!("{} {} {}", peer.system, query.asked.word(), query.text)
}
