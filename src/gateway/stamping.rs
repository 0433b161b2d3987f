//! Time-stamps over checkpoints, and what is recorded of the services around the gateway.

use super::ports::Piece;
use super::recording::{Fact, Recording};
use super::{Error, Fault, Gateway};
use crate::clock::Time;
use crate::digest::Sha256;
use crate::log::{Service, ServiceKind, SignedHead};
use crate::signature::{Indication, Timestamp, judge_token};

/// A checkpoint to be time-stamped.
#[derive(Debug, Clone)]
pub struct ToStamp {
    /// What it says.
    pub head: SignedHead,
    /// Its text, over which the token goes (log/FORMAT.md §2, `timestamp`).
    pub text: Vec<u8>,
}

/// Why a token was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// The token does not hold; it is as if there were none.
    #[error("the token does not hold: {code}: {message}")]
    Token {
        /// The judge's code.
        code: &'static str,
        /// Its words.
        message: String,
    },
    /// The gateway could not record it.
    #[error(transparent)]
    Gateway(#[from] Error),
}

impl Gateway {
    /// The latest checkpoint; `None` while the log is empty.
    ///
    /// # Errors
    /// The store's.
    pub fn to_stamp(&self) -> Result<Option<ToStamp>, Fault> {
        let Some(note) = self.reading.latest()? else { return Ok(None) };
        let signed = self.reading.open(&note)?;
        let head = SignedHead { epoch: signed.origin.epoch, size: signed.size, root: signed.root };
        Ok(Some(ToStamp { head, text: signed.text().into_bytes() }))
    }

    /// Verifies a token in full and records it, the end of an outage before it and the comparison of
    /// clocks after it. `asked_at` is when the service was asked. Gives how many entries that made.
    ///
    /// # Errors
    /// [`StampError`].
    pub async fn record_stamp(
        &self,
        stamped: &ToStamp,
        service: &Service,
        token: Vec<u8>,
        asked_at: Time,
    ) -> Result<u64, StampError> {
        let answered_at = self.now();
        let surroundings = self.surroundings();
        let judged = judge_token(&token, &stamped.text, &surroundings.trust, answered_at);
        let time = held(&judged)?;
        let digest = Sha256::of(&token);
        let kept = self.keep_pieces(vec![Piece::Bytes(digest, token.into())]).await?;
        let out_since = self.store.outage(service).map_err(Error::from)?;
        let mut facts: Vec<Fact> =
            out_since.map(|since| Fact::Repair(service.clone(), since)).into_iter().collect();
        facts.push(Fact::Stamped { covers: stamped.head, token: digest, service: service.clone() });
        if let Some(clock) = Service::new(ServiceKind::Clock, service.name()) {
            // The token was made somewhere between question and answer.
            let between = asked_at.millis().midpoint(answered_at.millis());
            facts.push(Fact::Clock(clock, time.millis() - between));
        }
        let count = facts.len() as u64;
        self.record(Recording { facts, swept: Vec::new(), contents: kept }).await?;
        Ok(count)
    }

    /// Records that a service has not answered since, unless it is known to be out.
    ///
    /// # Errors
    /// The writer's.
    pub async fn record_outage(&self, service: &Service, since: Time) -> Result<(), Error> {
        if self.store.outage(service)?.is_some() {
            return Ok(());
        }
        let facts = vec![Fact::Outage(service.clone(), since)];
        self.record(Recording { facts, ..Recording::default() }).await
    }

    /// Records that a service answers again, if it was out.
    ///
    /// # Errors
    /// The writer's.
    pub async fn record_repair(&self, service: &Service) -> Result<(), Error> {
        let Some(since) = self.store.outage(service)? else { return Ok(()) };
        let facts = vec![Fact::Repair(service.clone(), since)];
        self.record(Recording { facts, ..Recording::default() }).await
    }
}

/// The time of a token that holds.
fn held(judged: &Timestamp) -> Result<Time, StampError> {
    if let (Indication::TotalPassed, Some(time)) = (judged.verdict.indication(), judged.time) {
        return Ok(time);
    }
    let reason = judged.verdict.reasons().first();
    Err(StampError::Token {
        code: reason.map_or("UNDECIDED", |reason| reason.code),
        message: reason.map(|reason| reason.message.clone()).unwrap_or_default(),
    })
}
