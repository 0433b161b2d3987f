//! The bytes of one entry as a [`Source`]: read forwards at the cost of inflating once, through a
//! window, whatever its size. Reading backwards begins again, at the cost of the archive's budget.

use std::cell::RefCell;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::anomaly::Anomaly;
use super::archive::{Archive, bomb};
use super::layout::{Entry, Method};
use super::names::shown;
use crate::limits::HASH_WINDOW_SIZE;
use crate::source::{Source, Unreadable};

/// An entry that is being read.
pub(super) struct Opened<'a> {
    archive: &'a Archive<'a>,
    index: usize,
    entry: &'a Entry,
    pass: RefCell<Pass>,
}

/// One pass from the begin.
struct Pass {
    inflate: Option<Decompress>,
    crc: Crc,
    /// Packed bytes that were read from the source.
    taken: u64,
    /// The last of them, and how many of these are used.
    window: Vec<u8>,
    used: usize,
    is_ended: bool,
    /// Unpacked bytes that were given out.
    position: u64,
    is_broken: bool,
}

impl Pass {
    fn new(method: Method) -> Self {
        Self {
            inflate: (method == Method::Deflated).then(|| Decompress::new(false)),
            crc: Crc::new(),
            taken: 0,
            window: Vec::new(),
            used: 0,
            is_ended: false,
            position: 0,
            is_broken: false,
        }
    }
}

impl<'a> Opened<'a> {
    pub(super) fn new(archive: &'a Archive<'a>, index: usize, entry: &'a Entry) -> Self {
        Self { archive, index, entry, pass: RefCell::new(Pass::new(entry.method)) }
    }

    /// Reads to the end, so that everything about the entry is known.
    pub fn exhaust(&self) {
        let mut pass = self.pass.borrow_mut();
        let mut window = vec![0; HASH_WINDOW_SIZE];
        while pass.position < self.entry.size && !pass.is_broken {
            let left = self.entry.size - pass.position;
            let size = usize::try_from(left).unwrap_or(usize::MAX).min(window.len());
            let Some(window) = window.get_mut(..size) else { return };
            if self.fill(&mut pass, window).is_err() {
                return;
            }
        }
        if self.entry.size == 0 {
            let _ = self.fill(&mut pass, &mut []);
        }
    }

    fn fault(&self, pass: &mut Pass, outcome: Anomaly) -> Unreadable {
        pass.is_broken = true;
        self.archive.note(self.index, Err(outcome));
        Unreadable
    }

    fn damaged(&self, code: &'static str, what: &str) -> Anomaly {
        let message = format!("The entry “{}” is damaged: {what}.", shown(&self.entry.name));
        Anomaly::forged(code, message, self.entry.header)
    }

    /// Gives out the next bytes; at the end of the entry everything about it must fit.
    fn fill(&self, pass: &mut Pass, into: &mut [u8]) -> Result<(), Unreadable> {
        let size = u64::try_from(into.len()).map_err(|_| Unreadable)?;
        if pass.is_broken || !self.entry.is_readable() {
            return Err(Unreadable);
        }
        if !self.archive.spend(size) {
            return Err(self.fault(pass, bomb("The archive")));
        }
        match self.entry.method {
            Method::Stored => {
                self.archive.source.read_at(self.entry.data + pass.position, into)?;
            }
            Method::Deflated => self.inflate(pass, into)?,
            Method::Other(_) => return Err(Unreadable),
        }
        pass.crc.update(into);
        pass.position += size;
        if pass.position == self.entry.size {
            self.finish(pass)?;
        }
        Ok(())
    }

    fn inflate(&self, pass: &mut Pass, into: &mut [u8]) -> Result<(), Unreadable> {
        let mut done = 0;
        while done < into.len() {
            let gained = self.step(pass, into.get_mut(done..).unwrap_or_default())?;
            let Some(gained) = gained else {
                let short = self.damaged("ENTRY_SIZE", "it ends earlier than its header says");
                return Err(self.fault(pass, short));
            };
            done += gained;
        }
        Ok(())
    }

    /// Inflates a piece; `None` at the end of the stream or of what is packed.
    fn step(&self, pass: &mut Pass, into: &mut [u8]) -> Result<Option<usize>, Unreadable> {
        if pass.used >= pass.window.len() && pass.taken < self.entry.packed {
            let left = usize::try_from(self.entry.packed - pass.taken).unwrap_or(usize::MAX);
            let size = left.min(HASH_WINDOW_SIZE);
            pass.window.resize(size, 0);
            pass.used = 0;
            self.archive.source.read_at(self.entry.data + pass.taken, &mut pass.window)?;
            pass.taken += u64::try_from(size).map_err(|_| Unreadable)?;
        }
        let Some(stream) = &mut pass.inflate else { return Err(Unreadable) };
        let (before_in, before_out) = (stream.total_in(), stream.total_out());
        let packed = pass.window.get(pass.used..).unwrap_or_default();
        let status = stream.decompress(packed, into, FlushDecompress::None);
        let used = usize::try_from(stream.total_in() - before_in).map_err(|_| Unreadable)?;
        let gained = usize::try_from(stream.total_out() - before_out).map_err(|_| Unreadable)?;
        pass.used += used;
        match status {
            Ok(status) => {
                pass.is_ended |= status == Status::StreamEnd;
                let is_stuck = gained == 0 && (used == 0 || pass.is_ended);
                Ok((!is_stuck).then_some(gained))
            }
            Err(_) => {
                let wrong = self.damaged("ENTRY_DEFLATE", "it cannot be unpacked");
                Err(self.fault(pass, wrong))
            }
        }
    }

    /// Nothing may follow, and the checksum must fit.
    fn finish(&self, pass: &mut Pass) -> Result<(), Unreadable> {
        let entry = self.entry;
        if entry.method == Method::Deflated {
            while let Some(gained) = self.step(pass, &mut [0])? {
                if gained > 0 {
                    let long = self.damaged("ENTRY_SIZE", "it is longer than its header says");
                    return Err(self.fault(pass, long));
                }
            }
            if !pass.is_ended {
                let cut = self.damaged("ENTRY_DEFLATE", "its packed content is cut off");
                return Err(self.fault(pass, cut));
            }
            if pass.used < pass.window.len() || pass.taken < entry.packed {
                let rest = self.damaged("ENTRY_SIZE", "bytes follow its packed content");
                return Err(self.fault(pass, rest));
            }
        }
        if pass.crc.sum() != entry.crc {
            let wrong = self.damaged("ENTRY_CRC", "its checksum does not fit");
            return Err(self.fault(pass, wrong));
        }
        self.archive.note(self.index, Ok(()));
        Ok(())
    }
}

impl Source for Opened<'_> {
    fn size(&self) -> u64 {
        self.entry.size
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let size = u64::try_from(into.len()).map_err(|_| Unreadable)?;
        let end = offset.checked_add(size).ok_or(Unreadable)?;
        if end > self.entry.size {
            return Err(Unreadable);
        }
        let mut pass = self.pass.borrow_mut();
        if offset < pass.position {
            *pass = Pass::new(self.entry.method);
        }
        let mut window = Vec::new();
        while pass.position < offset {
            let left = usize::try_from(offset - pass.position).unwrap_or(usize::MAX);
            window.resize(left.min(HASH_WINDOW_SIZE), 0);
            self.fill(&mut pass, &mut window)?;
        }
        self.fill(&mut pass, into)
    }

    fn in_memory(&self) -> Option<&[u8]> {
        let entry = self.entry;
        if entry.method != Method::Stored || !entry.is_readable() {
            return None;
        }
        let start = usize::try_from(entry.data).ok()?;
        let end = start.checked_add(usize::try_from(entry.size).ok()?)?;
        self.archive.source.in_memory()?.get(start..end)
    }
}
