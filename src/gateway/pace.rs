//! How often each system may do something: a stock that is used up and fills again in time (the generic
//! cell rate algorithm, ITU-T I.371). One time is remembered for each system of the directory.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use super::lock;
use crate::clock::Time;
use crate::directory::SystemId;

/// A stock for each system.
#[derive(Debug)]
pub struct Pace {
    /// One more after each.
    interval: Duration,
    /// The whole stock.
    at_once: u32,
    used_up_to: Mutex<HashMap<SystemId, Time>>,
}

impl Pace {
    /// A stock of `at_once`, which grows by one in each `interval`.
    pub fn new(interval: Duration, at_once: u32) -> Self {
        Self { interval, at_once, used_up_to: Mutex::default() }
    }

    /// Takes the next place of a system; gives how long it must wait for it.
    ///
    /// # Errors
    /// How long it would have to wait, if that is longer than `patience`; nothing is taken then.
    pub fn take(
        &self,
        system: &SystemId,
        now: Time,
        patience: Duration,
    ) -> Result<Duration, Duration> {
        let mut used_up_to = lock(&self.used_up_to);
        let stock = self.interval * self.at_once;
        let before = used_up_to.get(system).copied().unwrap_or(now).max(now);
        let wait = before.since(now).saturating_sub(stock);
        if wait > patience {
            return Err(wait);
        }
        used_up_to.insert(system.clone(), before.after(self.interval));
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_fast_uses_up_a_stock_and_then_waits() {
        let (interval, at_once, patience) = (Duration::from_secs(1), 600, Duration::from_secs(30));
        let pace = Pace::new(interval, at_once);
        let (one, other) =
            (SystemId::parse("one").expect("id"), SystemId::parse("other").expect("id"));
        let now = Time::from_seconds(1_000_000);
        for call in 0..=at_once {
            assert_eq!(pace.take(&one, now, patience), Ok(Duration::ZERO), "call {call}");
        }
        let mut waits = 0;
        let refused = loop {
            match pace.take(&one, now, patience) {
                Ok(wait) => {
                    waits += 1;
                    assert_eq!(wait, interval * waits);
                }
                Err(wait) => break wait,
            }
        };
        assert_eq!((interval * waits, refused), (patience, patience + interval));
        assert_eq!(pace.take(&other, now, patience), Ok(Duration::ZERO), "each for itself");
        assert_eq!(pace.take(&one, now.after(interval), patience), Ok(patience));
        let rested = now.after(interval * (at_once + waits + 1));
        assert_eq!(pace.take(&one, rested, patience), Ok(Duration::ZERO));
    }
}
