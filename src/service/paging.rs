//! Pages: sizes within limits, tokens that only this gateway makes sense of.

use crate::delivery::Cursor;
use crate::directory::Code;
use crate::document::Urgency;
use crate::limits::PAGE_SIZE_MAX;
use crate::log::EntryId;
use crate::refusal::{Reason, Refusal};

/// Items in a page if the caller does not say.
const PAGE_SIZE: usize = 100;

/// The size of a page: 0 is the default, too large is clamped, negative is wrong (AIP-158).
pub(super) fn size(asked: i32) -> Result<usize, Refusal> {
    let asked = usize::try_from(asked)
        .map_err(|_| Refusal::of_field(Reason::FieldMalformed, "page_size"))?;
    Ok(if asked == 0 { PAGE_SIZE } else { asked.min(PAGE_SIZE_MAX) })
}

fn malformed(field: &str) -> Refusal {
    Refusal::of_field(Reason::PageTokenMalformed, field)
}

/// A token that names an entry.
pub(super) fn entry(token: &str) -> Result<EntryId, Refusal> {
    match token {
        "" => Ok(EntryId::ZERO),
        token => EntryId::parse(token).ok_or_else(|| malformed("page_token")),
    }
}

/// A token that names an agency.
pub(super) fn code(token: &str) -> Result<Option<Code>, Refusal> {
    match token {
        "" => Ok(None),
        token => Code::parse(token).map(Some).ok_or_else(|| malformed("page_token")),
    }
}

/// A token that names a place in a mailbox: lane and position.
pub(super) fn place(token: &str) -> Result<Option<(Urgency, EntryId)>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let place = || {
        let (lane, id) = token.split_once(':')?;
        Some((Urgency::of_lane(lane.parse().ok()?)?, EntryId::parse(id)?))
    };
    place().map(Some).ok_or_else(|| malformed("page_token"))
}

/// The token of a place in a mailbox.
pub(super) fn place_token(urgency: Urgency, position: EntryId) -> String {
    format!("{}:{position}", urgency.lane())
}

/// A watcher's cursor.
pub(super) fn cursor(text: &str) -> Result<Cursor, Refusal> {
    Cursor::parse(text).ok_or_else(|| malformed("cursor"))
}
