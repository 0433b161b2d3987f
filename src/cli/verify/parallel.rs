//! Many files at once, on all processors, with their results in order.

use std::sync::{Condvar, Mutex, PoisonError};

/// Results that may wait for a slower one before them, for each worker.
const WAITING_MAX: usize = 64;

struct State<R> {
    /// The next item to take.
    next: usize,
    /// The next result to hand over.
    due: usize,
    done: std::collections::BTreeMap<usize, R>,
    /// Somebody ended before its time; nobody waits for its part.
    is_broken: bool,
}

/// Hands the result of `work` for each of `items` to `take`, in their order. No more than a bounded
/// number of results exists at a time.
pub(super) fn ordered<T: Sync, R: Send>(
    items: &[T],
    workers: usize,
    work: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(usize, R),
) {
    let workers = workers.clamp(1, items.len().max(1));
    let window = workers.saturating_mul(WAITING_MAX);
    let state = Mutex::new(State {
        next: 0,
        due: 0,
        done: std::collections::BTreeMap::new(),
        is_broken: false,
    });
    let changed = Condvar::new();
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let guard = Ended { state: &state, changed: &changed, is_done: false };
                loop {
                    let mut held = lock();
                    while held.next < items.len() && held.next >= held.due.saturating_add(window) {
                        held = changed.wait(held).unwrap_or_else(PoisonError::into_inner);
                    }
                    let index = held.next;
                    held.next = index.saturating_add(1);
                    drop(held);
                    let Some(item) = items.get(index) else { break };
                    let result = work(item);
                    lock().done.insert(index, result);
                    changed.notify_all();
                }
                guard.finish();
            });
        }
        let guard = Ended { state: &state, changed: &changed, is_done: false };
        for index in 0..items.len() {
            let mut held = lock();
            let result = loop {
                if let Some(result) = held.done.remove(&index) {
                    break Some(result);
                }
                if held.is_broken {
                    break None;
                }
                held = changed.wait(held).unwrap_or_else(PoisonError::into_inner);
            };
            held.due = index + 1;
            drop(held);
            changed.notify_all();
            // The scope passes the panic of the worker on.
            let Some(result) = result else { return };
            take(index, result);
        }
        guard.finish();
    });
}

/// Says so when a worker or the taker unwinds, so that nobody waits for it.
struct Ended<'a, R> {
    state: &'a Mutex<State<R>>,
    changed: &'a Condvar,
    is_done: bool,
}

impl<R> Ended<'_, R> {
    fn finish(mut self) {
        self.is_done = true;
    }
}

impl<R> Drop for Ended<'_, R> {
    fn drop(&mut self) {
        if !self.is_done {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.is_broken = true;
            state.next = usize::MAX;
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn results_come_in_order_and_none_is_lost() {
        let items: Vec<usize> = (0..5_000).collect();
        for workers in [0, 1, 3, 16] {
            let mut seen = Vec::new();
            let slow = |item: &usize| {
                if item.is_multiple_of(97) {
                    std::thread::yield_now();
                }
                item * 2
            };
            ordered(&items, workers, slow, |index, result| seen.push((index, result)));
            assert!(seen.iter().copied().eq((0..5_000).map(|index| (index, index * 2))));
        }
        ordered(&[] as &[u8], 4, |_| (), |_, ()| panic!("nothing to take"));
    }

    #[test]
    fn a_slow_file_holds_back_a_bounded_number() {
        let items: Vec<usize> = (0..10_000).collect();
        let ahead = AtomicUsize::new(0);
        let gate = Mutex::new(());
        let held = gate.lock().unwrap();
        std::thread::scope(|scope| {
            let (items, ahead, gate) = (&items, &ahead, &gate);
            scope.spawn(move || {
                let work = |item: &usize| {
                    if *item == 0 {
                        drop(gate.lock().unwrap_or_else(PoisonError::into_inner));
                    }
                    ahead.fetch_add(1, Ordering::SeqCst);
                };
                ordered(items, 2, work, |_, ()| {});
            });
            while ahead.load(Ordering::SeqCst) < 2 * WAITING_MAX - 1 {
                std::thread::yield_now();
            }
            for _ in 0..100 {
                std::thread::yield_now();
                assert!(ahead.load(Ordering::SeqCst) < 2 * WAITING_MAX);
            }
            drop(held);
        });
        assert_eq!(ahead.load(Ordering::SeqCst), items.len());
    }
}
