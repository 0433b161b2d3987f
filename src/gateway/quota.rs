//! How much of the disk each system may fill in a day: what it has staged and what was kept of its
//! documents. Refused before anything travels.
//!
//! The day's sum is kept in a small file for each system and written a moment after it has changed: a
//! crash forgives a second's worth. It bounds who floods; it is no evidence of anything.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::lock;
use super::ports::{Notebook, StoreError};
use crate::clock::{Date, Time};
use crate::directory::SystemId;
use crate::limits::QUOTA_PER_DAY;
use crate::refusal::{Reason, Refusal};

/// Bytes that systems may fill in a day.
#[derive(Debug, Clone)]
pub struct Allowances {
    /// Those that are not named.
    pub usual: u64,
    /// Those that are.
    pub named: HashMap<SystemId, u64>,
}

impl Default for Allowances {
    fn default() -> Self {
        Self { usual: QUOTA_PER_DAY, named: HashMap::new() }
    }
}

/// What each system has used today.
#[derive(Default)]
pub struct Quotas {
    allowances: Allowances,
    book: Option<Arc<dyn Notebook>>,
    used: Arc<Mutex<HashMap<SystemId, Used>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Used {
    day: Date,
    /// Of documents that were accepted on that day.
    kept: u64,
    /// Of uploads under way, whatever the day: bytes that are still to come.
    coming: u64,
    /// `kept` as it stands in the book.
    noted: u64,
}

impl Used {
    fn on(day: Date) -> Self {
        Self { day, kept: 0, coming: 0, noted: 0 }
    }
}

/// Room for the rest of an upload; what has not come when it is dropped is free again.
#[derive(Debug)]
pub struct Reserved {
    used: Arc<Mutex<HashMap<SystemId, Used>>>,
    system: SystemId,
    coming: u64,
}

impl Quotas {
    /// Goes on with the sums in `book`. A file that cannot be read counts as none.
    ///
    /// # Errors
    /// The book's.
    pub fn open(allowances: Allowances, book: Arc<dyn Notebook>) -> Result<Self, StoreError> {
        let mut used = HashMap::new();
        for (name, bytes) in book.load()? {
            let read = || {
                let (day, kept) = std::str::from_utf8(&bytes).ok()?.trim_end().split_once(' ')?;
                let (day, kept) = (day.parse::<Date>().ok()?, kept.parse().ok()?);
                Some((SystemId::parse(&name)?, Used { kept, noted: kept, ..Used::on(day) }))
            };
            used.extend(read());
        }
        Ok(Self { allowances, book: Some(book), used: Arc::new(Mutex::new(used)) })
    }

    /// Whether a system that has `staged` bytes may add `size` today.
    ///
    /// # Errors
    /// [`Reason::QuotaExceeded`].
    pub fn check(
        &self,
        system: &SystemId,
        now: Time,
        staged: u64,
        size: u64,
    ) -> Result<(), Refusal> {
        let day = now.date_in_vietnam();
        let used = lock(&self.used).get(system).copied();
        self.fits(system, used.unwrap_or(Used::on(day)), day, staged, size)
    }

    /// The same, and keeps the room while the bytes come.
    ///
    /// # Errors
    /// [`Reason::QuotaExceeded`].
    pub fn reserve(
        &self,
        system: &SystemId,
        now: Time,
        staged: u64,
        size: u64,
    ) -> Result<Reserved, Refusal> {
        let day = now.date_in_vietnam();
        let mut all = lock(&self.used);
        let used = all.entry(system.clone()).or_insert(Used::on(day));
        self.fits(system, *used, day, staged, size)?;
        used.coming = used.coming.saturating_add(size);
        Ok(Reserved { used: self.used.clone(), system: system.clone(), coming: size })
    }

    fn fits(
        &self,
        system: &SystemId,
        used: Used,
        day: Date,
        staged: u64,
        size: u64,
    ) -> Result<(), Refusal> {
        let limit = self.allowances.named.get(system).copied().unwrap_or(self.allowances.usual);
        let kept = if used.day == day { used.kept } else { 0 };
        let sum = kept.saturating_add(staged).saturating_add(used.coming);
        if sum.saturating_add(size) <= limit {
            return Ok(());
        }
        let refusal = Refusal::of_field(Reason::QuotaExceeded, "parts").with("limit", limit);
        Err(refusal.with("used", sum).with("size", size).with("day", day))
    }

    /// So many bytes of a system's document were accepted.
    pub fn kept(&self, system: &SystemId, now: Time, size: u64) {
        let day = now.date_in_vietnam();
        let mut all = lock(&self.used);
        let used = all.entry(system.clone()).or_insert(Used::on(day));
        if used.day != day {
            *used = Used { coming: used.coming, ..Used::on(day) };
        }
        used.kept = used.kept.saturating_add(size);
    }

    /// Writes the sums that have changed. Blocks.
    ///
    /// # Errors
    /// The book's.
    pub fn note(&self) -> Result<(), StoreError> {
        let Some(book) = &self.book else { return Ok(()) };
        let changed: Vec<_> = lock(&self.used)
            .iter()
            .filter(|(_, used)| used.kept != used.noted)
            .map(|(system, used)| (system.clone(), *used))
            .collect();
        for (system, Used { day, kept, .. }) in changed {
            book.keep(system.as_str(), format!("{day} {kept}\n").as_bytes())?;
            if let Some(used) = lock(&self.used).get_mut(&system).filter(|used| used.day == day) {
                used.noted = kept;
            }
        }
        Ok(())
    }
}

impl Reserved {
    /// So many bytes have come: they are among the staged ones now.
    pub fn came(&mut self, size: u64) {
        let came = size.min(self.coming);
        self.coming -= came;
        if let Some(used) = lock(&self.used).get_mut(&self.system) {
            used.coming = used.coming.saturating_sub(came);
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.came(self.coming);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Book(Mutex<HashMap<String, Vec<u8>>>);

    impl Notebook for Book {
        fn load(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
            Ok(lock(&self.0).clone().into_iter().collect())
        }

        fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
            lock(&self.0).insert(name.to_owned(), bytes.to_vec());
            Ok(())
        }
    }

    fn id(text: &str) -> SystemId {
        SystemId::parse(text).expect("an id")
    }

    #[test]
    fn a_day_has_one_sum_of_what_is_kept_staged_and_coming() {
        let named = [(id("one"), 100)].into();
        let quotas = Quotas { allowances: Allowances { usual: 1, named }, ..Quotas::default() };
        // 17:00 UTC is midnight in Vietnam.
        let evening: Time = "2026-11-27T16:59:59.000Z".parse().expect("a time");
        let morning = evening.after(std::time::Duration::from_secs(1));
        quotas.kept(&id("one"), evening, 40);
        let mut coming = quotas.reserve(&id("one"), evening, 10, 30).expect("fits");
        assert_eq!(quotas.check(&id("one"), evening, 10, 20), Ok(()));
        let refused = quotas.check(&id("one"), evening, 10, 21).expect_err("one too many");
        assert_eq!((refused.reason, refused.field.as_str()), (Reason::QuotaExceeded, "parts"));
        let values = ["limit", "used", "size", "day"].map(|name| refused.value(name));
        assert_eq!(values, [Some("100"), Some("80"), Some("21"), Some("2026-11-27")]);
        coming.came(30);
        assert_eq!(quotas.check(&id("one"), evening, 40, 20), Ok(()), "now it is staged");
        assert_eq!(quotas.check(&id("one"), morning, 40, 60), Ok(()), "another day");
        assert!(quotas.check(&id("other"), evening, 0, 2).is_err(), "the usual allowance");
        let lost = quotas.reserve(&id("one"), morning, 40, 60).expect("fits");
        assert!(quotas.check(&id("one"), morning, 40, 1).is_err());
        drop(lost);
        assert_eq!(
            quotas.check(&id("one"), morning, 40, 60),
            Ok(()),
            "a cut upload leaves no trace"
        );
    }

    #[test]
    fn a_restart_goes_on_with_the_sum_of_the_day() {
        let book = Arc::new(Book::default());
        let allowances = || Allowances { usual: 100, named: HashMap::new() };
        let now: Time = "2026-11-27T08:00:00.000Z".parse().expect("a time");
        let quotas = Quotas::open(allowances(), book.clone()).expect("opens");
        quotas.kept(&id("one"), now, 60);
        quotas.note().expect("writes");
        lock(&book.0).insert("broken".into(), b"?".to_vec());
        let again = Quotas::open(allowances(), book).expect("opens");
        assert!(again.check(&id("one"), now, 0, 41).is_err());
        assert_eq!(again.check(&id("one"), now, 0, 40), Ok(()));
    }
}
