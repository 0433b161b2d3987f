//! How far long work has come, on stderr and only at a terminal.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Often enough to see that it moves, rarely enough to cost nothing.
const EVERY: Duration = Duration::from_millis(100);

/// A line that is written over itself.
pub(super) struct Progress {
    total: usize,
    shown: Option<Instant>,
    is_visible: bool,
}

impl Progress {
    /// Work of `total` steps; a single one is not worth a line.
    pub fn of(total: usize) -> Self {
        let is_visible = total > 1 && std::io::stderr().is_terminal();
        Self { total, shown: None, is_visible }
    }

    /// `done` steps are done.
    pub fn show(&mut self, done: usize) {
        if self.is_visible && self.shown.is_none_or(|shown| shown.elapsed() >= EVERY) {
            self.shown = Some(Instant::now());
            let percent = done * 100 / self.total.max(1);
            let _ = write!(std::io::stderr(), "\r{done} of {} ({percent} %)", self.total);
        }
    }

    /// Takes the line away, so that what is printed next stands alone.
    pub fn clear(&mut self) {
        if self.is_visible && self.shown.take().is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
