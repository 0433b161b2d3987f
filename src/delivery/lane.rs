//! Whose turn it is among the lanes of a mailbox, and how many places of a watcher's window each may
//! take.
//!
//! Urgency comes first, and no lane starves another: in every round a lane has its turns
//! ([`LANE_TURNS`]) as long as it has something to hand out, and some places of the window are its
//! own ([`LANE_PLACES`]), so that neither a flood above nor clerks who do not answer below keep its
//! items back. What is set aside comes when nothing else waits.

use crate::limits::{ASIDE_PLACES, LANE_PLACES, LANE_TURNS, LEASED_ITEMS_MAX};

/// The four lanes by urgency, and behind them what is set aside.
pub const LANES: usize = 5;
/// The lane of what is set aside.
pub const ASIDE: usize = 4;

/// What one watcher holds of each lane, and the turns of the present round.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window {
    held: [usize; LANES],
    turns: [u32; LANES],
}

impl Window {
    /// Chooses the lane that hands out the next item, of those that have one, in a window of `max`
    /// places; `None` if none may. The place is taken.
    pub fn take(&mut self, ready: [bool; LANES], max: usize) -> Option<usize> {
        let lane = self.choose(ready, max)?;
        self.turns[lane] += 1;
        self.held[lane] += 1;
        Some(lane)
    }

    fn choose(&mut self, ready: [bool; LANES], max: usize) -> Option<usize> {
        if !ready[..ASIDE].contains(&true) {
            return (ready[ASIDE] && self.has_place(ASIDE, max)).then_some(ASIDE);
        }
        let open: [bool; ASIDE] =
            std::array::from_fn(|lane| ready[lane] && self.has_place(lane, max));
        let first = |turns: [u32; LANES]| {
            (0..ASIDE).find(|lane| open[*lane] && turns[*lane] < LANE_TURNS[*lane])
        };
        if first(self.turns).is_none() {
            self.turns = [0; LANES];
        }
        first(self.turns)
    }

    /// Whether a lane may hold one more: in a place of its own, or in one that all share.
    fn has_place(&self, lane: usize, max: usize) -> bool {
        let own =
            |lane: usize| LANE_PLACES.get(lane).map_or(0, |places| places * max / LEASED_ITEMS_MAX);
        if self.count() >= max {
            return false;
        }
        if lane == ASIDE && self.held[lane] >= ASIDE_PLACES {
            return false;
        }
        let shared = max - (0..LANES).map(own).sum::<usize>();
        let taken: usize = (0..LANES).map(|lane| self.held[lane].saturating_sub(own(lane))).sum();
        self.held[lane] < own(lane) || taken < shared
    }

    /// A place of this lane is free again.
    pub fn free(&mut self, lane: usize) {
        self.held[lane] = self.held[lane].saturating_sub(1);
    }

    /// How many items the watcher holds.
    pub fn count(&self) -> usize {
        self.held.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// Hand-outs in a round in which every lane has something.
    const ROUND: u32 = LANE_TURNS[0] + LANE_TURNS[1] + LANE_TURNS[2] + LANE_TURNS[3];

    /// Numbers that look random, the same in each run (Knuth, TAOCP 3.3.4).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, end: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 33) % end
        }
    }

    /// Runs floods of one lane or of all through a window whose items are answered in order, at once or
    /// by slow clerks; every item must be handed out within `bound` hand-outs, of its lane and of how
    /// many wait there before it. Gives how many were handed out.
    fn run(seed: u64, slow: bool, bound: fn(usize, u64) -> u64) -> u64 {
        let (mut dice, mut window) = (Dice(seed), Window::default());
        let mut waiting: [VecDeque<u64>; ASIDE] = Default::default();
        let (mut held, mut handed_out) = (VecDeque::new(), 0);
        for _ in 0..4_000 {
            let lane = usize::try_from(dice.below(4)).expect("small");
            for _ in 0..dice.below(3) * dice.below(3) {
                let due = handed_out + bound(lane, waiting[lane].len() as u64);
                waiting[lane].push_back(due);
            }
            let ready = std::array::from_fn(|lane| lane < ASIDE && !waiting[lane].is_empty());
            if let Some(lane) = window.take(ready, LEASED_ITEMS_MAX) {
                let due = waiting[lane].pop_front().expect("what is ready waits");
                handed_out += 1;
                assert!(handed_out <= due, "seed {seed}: lane {lane} starved");
                held.push_back(lane);
            }
            let answers = if slow { usize::from(dice.below(4) == 0) * 3 } else { held.len() };
            held.drain(..answers.min(held.len())).for_each(|lane| window.free(lane));
        }
        handed_out
    }

    #[test]
    fn every_item_is_handed_out_within_a_stated_number_of_hand_outs() {
        // As many whole rounds as its lane needs for those before it, and the present one.
        let in_rounds = |lane: usize, before: u64| {
            (before / u64::from(LANE_TURNS[lane]) + 2) * u64::from(ROUND)
        };
        // Behind clerks who fill the window: as many windows as its lane's own places need, too.
        let in_windows = |lane: usize, before: u64| {
            let windows = before / LANE_PLACES[lane] as u64 + 2;
            (before / u64::from(LANE_TURNS[lane]) + 2) * u64::from(ROUND)
                + windows * LEASED_ITEMS_MAX as u64
        };
        for seed in 0..200 {
            assert!(run(seed, false, in_rounds) > 3_000);
            assert!(run(seed, true, in_windows) > 1_000);
        }
    }

    #[test]
    fn a_flash_item_passes_everything_else_though_nobody_answers() {
        for lower in 1..ASIDE {
            let mut window = Window::default();
            let flood = std::array::from_fn(|lane| lane == lower);
            while window.take(flood, LEASED_ITEMS_MAX).is_some() {}
            let both = std::array::from_fn(|lane| lane == lower || lane == 0);
            for _ in 0..LANE_PLACES[0] {
                assert_eq!(window.take(both, LEASED_ITEMS_MAX), Some(0), "over lane {lower}");
            }
            assert_eq!(window.take(both, LEASED_ITEMS_MAX), None);
        }
    }

    #[test]
    fn a_flood_of_flash_items_leaves_every_lane_its_places() {
        let mut window = Window::default();
        let flash = [true, false, false, false, false];
        while window.take(flash, LEASED_ITEMS_MAX).is_some() {}
        for (lane, places) in LANE_PLACES.into_iter().enumerate().skip(1) {
            let ready = std::array::from_fn(|one| one == lane);
            let taken = std::iter::from_fn(|| window.take(ready, LEASED_ITEMS_MAX)).count();
            assert_eq!(taken, places);
        }
        assert_eq!(window.count(), LEASED_ITEMS_MAX);
    }

    #[test]
    fn what_is_set_aside_waits_for_all_others_and_never_fills_the_window() {
        let mut window = Window::default();
        let all = [false, false, false, true, true];
        assert_eq!(window.take(all, LEASED_ITEMS_MAX), Some(3));
        let aside = [false, false, false, false, true];
        let taken = std::iter::from_fn(|| window.take(aside, LEASED_ITEMS_MAX)).count();
        assert_eq!(taken, ASIDE_PLACES);
        assert_eq!(window.take(all, LEASED_ITEMS_MAX), Some(3));
    }

    #[test]
    fn a_small_window_serves_whoever_comes() {
        for lane in 0..LANES {
            let mut window = Window::default();
            let ready = std::array::from_fn(|one| one == lane);
            assert_eq!(window.take(ready, 1), Some(lane));
            assert_eq!(window.take([true; LANES], 1), None);
        }
    }
}
