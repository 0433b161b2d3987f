//! What auditors ask is recorded before it is answered: who may see everything is seen by all who
//! audit.
//!
//! One entry stands for a query, however many pages it has: the token of a page names the commitment
//! to the query that it goes on with. An auditor who asks fast is slowed down to one entry in
//! [`READ_INTERVAL`], after a stock of [`READS_AT_ONCE`], so that nobody can flood the log by reading.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use super::answering::{note_text, salted};
use super::command::Command;
use super::peer::Peer;
use super::ports::Piece;
use super::recording::{Fact, Recording};
use super::{Error, Fault, Gateway};
use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::{Code, Role, SystemId};
use crate::document::ConsignmentId;
use crate::limits::{READ_INTERVAL, READ_WAIT_MAX, READS_AT_ONCE};
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

/// How fast each auditor reads: the time until which its stock of entries is used up (the generic
/// cell rate algorithm, ITU-T I.371).
#[derive(Debug, Default)]
pub(super) struct Readers(Mutex<HashMap<SystemId, Time>>);

impl Readers {
    /// Takes the next place of a reader; gives how long it must wait for it, `None` if too long.
    fn reserve(&self, system: &SystemId, now: Time) -> Option<Duration> {
        let mut used_up_to = self.0.lock().expect("no panic while reserving");
        let stock = READ_INTERVAL * READS_AT_ONCE;
        let before = used_up_to.get(system).copied().unwrap_or(now).max(now);
        let wait = before.since(now).saturating_sub(stock);
        if wait > READ_WAIT_MAX {
            return None;
        }
        used_up_to.insert(system.clone(), before.after(READ_INTERVAL));
        Some(wait)
    }
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
        let wait = self.readers.reserve(&peer.system, self.clock.now()).ok_or(Fault::Busy)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_fast_uses_up_a_stock_and_then_waits() {
        let readers = Readers::default();
        let (one, other) =
            (SystemId::parse("one").expect("id"), SystemId::parse("other").expect("id"));
        let now = Time::from_seconds(1_000_000);
        for read in 0..=READS_AT_ONCE {
            assert_eq!(readers.reserve(&one, now), Some(Duration::ZERO), "read {read}");
        }
        let mut waits = 0;
        while let Some(wait) = readers.reserve(&one, now) {
            waits += 1;
            assert_eq!(wait, READ_INTERVAL * waits);
        }
        assert_eq!(READ_INTERVAL * waits, READ_WAIT_MAX);
        assert_eq!(readers.reserve(&other, now), Some(Duration::ZERO), "each for itself");
        assert_eq!(readers.reserve(&one, now.after(READ_INTERVAL)), Some(READ_WAIT_MAX));
        let rested = now.after(READ_INTERVAL * (READS_AT_ONCE + waits + 1));
        assert_eq!(readers.reserve(&one, rested), Some(Duration::ZERO));
    }
}
