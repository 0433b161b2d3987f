//! Recording what auditors ask, before it is answered.

use tonic::Status;

use super::Door;
use super::status::to_status;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::ConsignmentId;
use crate::gateway::{Asked, Error, Fault, Peer, Query};

/// Between the place in a page token and the commitment to the query that the page goes on with.
const MARK: char = '~';
/// A longer value of a query is named by its digest: the kept text has a limit.
const VALUE_LENGTH_MAX: usize = 100;

/// What the tokens of an answer name, so that its further pages are not recorded again.
pub(super) struct Mark(Option<Sha256>);

impl Mark {
    /// The token with its mark; an empty one stays empty.
    pub(super) fn onto(&self, token: String) -> String {
        match self.0 {
            Some(note) if !token.is_empty() => format!("{token}{MARK}{note}"),
            _ => token,
        }
    }
}

/// A query in words: what is set, in the order of the request's fields.
pub(super) fn query(asked: Asked, call: &str, fields: &[(&str, &str)]) -> Query {
    let mut text = call.to_owned();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        let digest = Sha256::of(value.as_bytes()).to_string();
        let value: &str = if value.chars().count() > VALUE_LENGTH_MAX { &digest } else { value };
        text = format!("{text} {name}={value}");
    }
    let of = |wanted: &str| {
        let value = fields.iter().find(|(name, _)| *name == wanted);
        value.map_or("", |(_, value)| *value)
    };
    Query {
        asked,
        text,
        consignment: ConsignmentId::parse(of("consignment_id")),
        from: Code::parse(of("sender")),
        to: Code::parse(of("recipient")),
    }
}

impl Door {
    /// Records a query unless the token goes on with one that is recorded, and takes the mark off
    /// the token.
    ///
    /// A log that cannot be written is no reason to hide it: then the query is answered all the same,
    /// and the traces of the gateway tell of it. Its next page is a query again.
    pub(super) async fn noted(
        &self,
        peer: &Peer,
        token: &mut String,
        query: &Query,
    ) -> Result<Mark, Status> {
        let marked = token.split_once(MARK);
        let note = marked.and_then(|(_, note)| note.parse::<Sha256>().ok());
        if let Some((place, _)) = marked {
            *token = place.to_owned();
        }
        if let Some(note) = note
            && self.gateway.is_recorded(peer, query, &note).map_err(to_status)?
        {
            return Ok(Mark(Some(note)));
        }
        match self.gateway.record_read(peer, query).await {
            Ok(note) => Ok(Mark(note)),
            Err(error @ (Error::Refused(_) | Error::Fault(Fault::Busy))) => Err(to_status(error)),
            Err(Error::Fault(fault)) => {
                let (system, query) = (&peer.system, query.asked.word());
                tracing::warn!(%fault, %system, query, "an auditor's read could not be recorded");
                Ok(Mark(None))
            }
        }
    }
}
