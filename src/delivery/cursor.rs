//! Where a watcher stands in its mailbox.

use std::fmt;

use crate::document::Urgency;
use crate::log::EntryId;

/// The last position seen in each urgency lane and among the notices. Opaque to clients; each event
/// carries the cursor that resumes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    lanes: [EntryId; 4],
    notices: EntryId,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { lanes: [EntryId::ZERO; 4], notices: EntryId::ZERO }
    }
}

impl Cursor {
    /// The cursor in `text`; an empty text is the beginning.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let mut ids = text.split(',').map(EntryId::parse);
        let mut next = || ids.next().flatten();
        let cursor = Self { lanes: [next()?, next()?, next()?, next()?], notices: next()? };
        ids.next().is_none().then_some(cursor)
    }

    /// Whether an item at this place was seen.
    pub fn has_seen(&self, urgency: Urgency, position: EntryId) -> bool {
        position <= self.items(urgency)
    }

    /// The last item seen in a lane.
    pub fn items(&self, urgency: Urgency) -> EntryId {
        self.lanes[usize::from(urgency.lane())]
    }

    /// The last notice seen.
    pub fn notices(&self) -> EntryId {
        self.notices
    }

    /// Notes that an item was seen.
    pub fn see(&mut self, urgency: Urgency, position: EntryId) {
        let lane = &mut self.lanes[usize::from(urgency.lane())];
        *lane = position.max(*lane);
    }

    /// Notes that a notice was seen.
    pub fn see_notice(&mut self, entry: EntryId) {
        self.notices = entry.max(self.notices);
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for lane in &self.lanes {
            write!(f, "{lane},")?;
        }
        write!(f, "{}", self.notices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_only_moves_forward() {
        let mut cursor = Cursor::default();
        assert_eq!(Cursor::parse(""), Some(cursor));
        cursor.see(Urgency::Normal, EntryId { epoch: 1, index: 7 });
        cursor.see(Urgency::Normal, EntryId { epoch: 1, index: 3 });
        cursor.see_notice(EntryId { epoch: 2, index: 0 });
        assert_eq!(cursor.to_string(), "0/0,0/0,0/0,1/7,2/0");
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        assert!(cursor.has_seen(Urgency::Normal, EntryId { epoch: 1, index: 7 }));
        assert!(!cursor.has_seen(Urgency::Flash, EntryId { epoch: 1, index: 1 }));
        for wrong in ["1/1", "0/0,0/0,0/0,1/7,2/0,0/0", "0/0,0/0,0/0,x,2/0", "00/0,0/0,0/0,1/7,2/0"]
        {
            assert_eq!(Cursor::parse(wrong), None, "{wrong}");
        }
    }
}
