//! A run: records in ascending order in a file that is never changed, with what is needed to find
//! one of them by reading one page.
//!
//! ```text
//! pages     4,096 bytes each: 255 records of 16 bytes (the last page is filled up with zeros),
//!           12 zero bytes, CRC-32 of all before it
//! fences    the first record of each page
//! filter    the words of the filter
//! trailer   CRC-32 of fences and filter
//! ```
//! All numbers are big-endian. The sums find bad disks; who edits a file on purpose can at most
//! hide what is then found missing against the log, or offer strangers, who are looked at.

use super::filter::Filter;
use crate::gateway::ports::StoreError;
use crate::limits::INDEX_SYNC_EVERY;
use crate::store::kv::Files;

/// Folder of all runs.
pub(super) const ROOT: &str = "index";
const PAGE_SIZE: usize = 4_096;
const RECORDS_PER_PAGE: usize = 255;
pub(super) const RECORD_SIZE: usize = 16;
/// Pages that a merge reads or writes at once.
const PAGES_AT_ONCE: usize = 16;
const SUM_SIZE: usize = 4;

/// That the entry at `place` is to be found under `hash`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    /// Of the term.
    pub hash: u64,
    /// Epoch and index of the entry, so that numbers are in the order of the log.
    pub place: u64,
}

impl Record {
    pub fn to_bytes(self) -> [u8; RECORD_SIZE] {
        let number = (u128::from(self.hash) << u64::BITS) | u128::from(self.place);
        number.to_be_bytes()
    }

    fn from_bytes(bytes: [u8; RECORD_SIZE]) -> Self {
        let halves = |range| u64::from_be_bytes(range);
        let [h0, h1, h2, h3, h4, h5, h6, h7, p0, p1, p2, p3, p4, p5, p6, p7] = bytes;
        Self {
            hash: halves([h0, h1, h2, h3, h4, h5, h6, h7]),
            place: halves([p0, p1, p2, p3, p4, p5, p6, p7]),
        }
    }
}

fn records(bytes: &[u8]) -> impl Iterator<Item = Record> {
    let (whole, _) = bytes.as_chunks::<RECORD_SIZE>();
    whole.iter().copied().map(Record::from_bytes)
}

/// Folder of a run.
pub(super) fn folder(number: u64) -> String {
    format!("{ROOT}/{number:010}")
}

fn path(number: u64) -> String {
    format!("{}/run", folder(number))
}

/// A run that is complete.
#[derive(Debug)]
pub(super) struct Run {
    pub number: u64,
    pub count: u64,
    fences: Vec<Record>,
    filter: Filter,
}

impl Run {
    /// Opens the run with this number, of which `count` records are expected.
    pub fn open(files: &dyn Files, number: u64, count: u64) -> Result<Self, StoreError> {
        let pages = count.div_ceil(RECORDS_PER_PAGE as u64);
        let size = usize::try_from(pages).map_err(|_| damage(number))? * RECORD_SIZE;
        let from = pages * PAGE_SIZE as u64;
        // A size of the filter from another count fails its check.
        let bytes = files.read(&path(number), from, usize::MAX)?.ok_or_else(|| damage(number))?;
        let read = || {
            let (summary, sum) = bytes.split_last_chunk::<SUM_SIZE>()?;
            let whole = crc32fast::hash(summary) == u32::from_be_bytes(*sum);
            let (fences, filter) = summary.split_at_checked(size).filter(|_| whole)?;
            let filter = Filter::from_bytes(count, filter)?;
            Some(Self { number, count, fences: records(fences).collect(), filter })
        };
        read().ok_or_else(|| damage(number))
    }

    /// Adds to `found` up to `max` records with the hash of `first`, from `first` on, in order.
    pub fn find(
        &self,
        files: &dyn Files,
        first: Record,
        max: usize,
        found: &mut Vec<Record>,
    ) -> Result<(), StoreError> {
        if !self.filter.may_have(first.hash) {
            return Ok(());
        }
        let enough = found.len().saturating_add(max);
        let after = self.fences.partition_point(|fence| *fence <= first);
        for page in after.saturating_sub(1)..self.fences.len() {
            for record in self.pages(files, page, 1)? {
                if record.hash > first.hash || found.len() == enough {
                    return Ok(());
                }
                if record >= first {
                    found.push(record);
                }
            }
        }
        Ok(())
    }

    /// The records of some pages, fewer at the end; none behind it.
    pub fn pages(
        &self,
        files: &dyn Files,
        first: usize,
        max: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let count = self.fences.len().saturating_sub(first).min(max);
        if count == 0 {
            return Ok(Vec::new());
        }
        let offset = (first * PAGE_SIZE) as u64;
        let bytes = files.read(&path(self.number), offset, count * PAGE_SIZE)?;
        let bytes = bytes.filter(|bytes| bytes.len() == count * PAGE_SIZE);
        let bytes = bytes.ok_or_else(|| damage(self.number))?;
        let mut all = Vec::with_capacity(count * RECORDS_PER_PAGE);
        for (page, bytes) in (first..).zip(bytes.chunks_exact(PAGE_SIZE)) {
            let (page_bytes, sum) =
                bytes.split_last_chunk::<SUM_SIZE>().ok_or_else(|| damage(self.number))?;
            if crc32fast::hash(page_bytes) != u32::from_be_bytes(*sum) {
                return Err(damage(self.number));
            }
            let before = (page * RECORDS_PER_PAGE) as u64;
            let here = usize::try_from(self.count.saturating_sub(before)).unwrap_or(usize::MAX);
            all.extend(records(page_bytes).take(here.min(RECORDS_PER_PAGE)));
        }
        Ok(all)
    }

    /// The records of the next pages, of which `next` is the first; none at the end.
    pub fn next_pages(
        &self,
        files: &dyn Files,
        next: &mut usize,
    ) -> Result<Vec<Record>, StoreError> {
        let records = self.pages(files, *next, PAGES_AT_ONCE)?;
        *next += PAGES_AT_ONCE;
        Ok(records)
    }
}

fn damage(number: u64) -> StoreError {
    StoreError::Damaged(format!("run {number} of the index cannot be read"))
}

/// A run in the making.
#[derive(Debug)]
pub(super) struct Draft {
    pub number: u64,
    expected: u64,
    count: u64,
    page: Vec<u8>,
    unwritten: Vec<u8>,
    unsynced: usize,
    fences: Vec<Record>,
    filter: Filter,
}

impl Draft {
    /// Begins a run of exactly `expected` records.
    pub fn begin(files: &dyn Files, number: u64, expected: u64) -> Result<Self, StoreError> {
        files.remove(&folder(number))?;
        Ok(Self {
            number,
            expected,
            count: 0,
            page: Vec::with_capacity(PAGE_SIZE),
            unwritten: Vec::with_capacity(PAGES_AT_ONCE * PAGE_SIZE),
            unsynced: 0,
            fences: Vec::new(),
            filter: Filter::new(expected),
        })
    }

    /// Adds a record that is not smaller than the one before.
    pub fn push(&mut self, files: &dyn Files, record: Record) -> Result<(), StoreError> {
        if self.page.is_empty() {
            self.fences.push(record);
        }
        self.page.extend_from_slice(&record.to_bytes());
        self.filter.add(record.hash);
        self.count += 1;
        if self.page.len() == RECORDS_PER_PAGE * RECORD_SIZE {
            self.end_page(files)?;
        }
        Ok(())
    }

    fn end_page(&mut self, files: &dyn Files) -> Result<(), StoreError> {
        self.page.resize(PAGE_SIZE - SUM_SIZE, 0);
        let sum = crc32fast::hash(&self.page);
        self.unwritten.append(&mut self.page);
        self.unwritten.extend_from_slice(&sum.to_be_bytes());
        if self.unwritten.len() >= PAGES_AT_ONCE * PAGE_SIZE {
            self.write(files)?;
        }
        // Little by little: one sync of a large run would hold up whoever waits for the writer.
        if self.unsynced >= INDEX_SYNC_EVERY {
            files.sync(&folder(self.number))?;
            self.unsynced = 0;
        }
        Ok(())
    }

    fn write(&mut self, files: &dyn Files) -> Result<(), StoreError> {
        files.append(&path(self.number), &self.unwritten)?;
        self.unsynced += self.unwritten.len();
        self.unwritten.clear();
        Ok(())
    }

    /// Completes the run; durable on return.
    ///
    /// # Panics
    /// If it has another number of records than was expected.
    pub fn finish(mut self, files: &dyn Files) -> Result<Run, StoreError> {
        assert_eq!(self.count, self.expected, "a run has the records of its sources");
        if !self.page.is_empty() {
            self.end_page(files)?;
        }
        let mut summary: Vec<u8> = self.fences.iter().flat_map(|fence| fence.to_bytes()).collect();
        summary.extend(self.filter.to_bytes());
        let sum = crc32fast::hash(&summary);
        self.unwritten.extend(summary);
        self.unwritten.extend(sum.to_be_bytes());
        self.write(files)?;
        files.sync(&folder(self.number))?;
        let Self { number, count, fences, filter, .. } = self;
        Ok(Run { number, count, fences, filter })
    }
}
