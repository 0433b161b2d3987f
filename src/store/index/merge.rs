//! Several sorted sources made one, a few records at a time.

use std::sync::Arc;

use super::run::{Draft, Record, Run};
use crate::gateway::ports::StoreError;
use crate::store::kv::Files;

/// Where sorted records come from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Memory(Arc<Vec<Record>>),
    Run(Arc<Run>),
}

impl Source {
    fn count(&self) -> u64 {
        match self {
            Self::Memory(records) => records.len() as u64,
            Self::Run(run) => run.count,
        }
    }
}

/// A place in a source.
#[derive(Debug)]
struct Cursor {
    source: Source,
    /// The next page of a run.
    page: usize,
    /// Records that were read, of a run.
    read: Vec<Record>,
    /// The next record: of `read`, or of a source in memory.
    next: usize,
}

impl Cursor {
    fn new(source: Source) -> Self {
        Self { source, page: 0, read: Vec::new(), next: 0 }
    }

    /// The next record, which stays the next.
    fn peek(&mut self, files: &dyn Files) -> Result<Option<Record>, StoreError> {
        match &self.source {
            Source::Memory(records) => Ok(records.get(self.next).copied()),
            Source::Run(run) => {
                if self.next == self.read.len() {
                    self.read = run.next_pages(files, &mut self.page)?;
                    self.next = 0;
                }
                Ok(self.read.get(self.next).copied())
            }
        }
    }
}

/// The records of all sources, in order.
#[derive(Debug)]
pub(super) struct Sorted {
    cursors: Vec<Cursor>,
}

impl Sorted {
    pub fn new(sources: Vec<Source>) -> Self {
        Self { cursors: sources.into_iter().map(Cursor::new).collect() }
    }

    pub fn next(&mut self, files: &dyn Files) -> Result<Option<Record>, StoreError> {
        let mut least: Option<(Record, usize)> = None;
        for (at, cursor) in self.cursors.iter_mut().enumerate() {
            let Some(record) = cursor.peek(files)? else { continue };
            if least.is_none_or(|(before, _)| record < before) {
                least = Some((record, at));
            }
        }
        let Some((record, at)) = least else { return Ok(None) };
        self.cursors[at].next += 1;
        Ok(Some(record))
    }
}

/// A run in the making out of others.
#[derive(Debug)]
pub(super) struct Merge {
    /// Where its run belongs.
    pub level: usize,
    /// How many runs of the level below it replaces.
    pub replaces: usize,
    sorted: Sorted,
    draft: Draft,
}

impl Merge {
    pub fn begin(
        files: &dyn Files,
        number: u64,
        level: usize,
        sources: Vec<Source>,
    ) -> Result<Self, StoreError> {
        let count = sources.iter().map(Source::count).sum();
        let replaces = sources.iter().filter(|source| matches!(source, Source::Run(_))).count();
        let draft = Draft::begin(files, number, count)?;
        Ok(Self { level, replaces, sorted: Sorted::new(sources), draft })
    }

    /// The number of its run.
    pub fn number(&self) -> u64 {
        self.draft.number
    }

    /// Goes on for so many records; says whether that was all.
    pub fn go_on(&mut self, files: &dyn Files, records: usize) -> Result<bool, StoreError> {
        for _ in 0..records {
            match self.sorted.next(files)? {
                Some(record) => self.draft.push(files, record)?,
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    /// The run; durable on return.
    pub fn finish(self, files: &dyn Files) -> Result<Run, StoreError> {
        self.draft.finish(files)
    }
}
