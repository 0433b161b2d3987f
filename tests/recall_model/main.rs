//! Recall, update and replacement against everything that may happen meanwhile: every state that sender,
//! recipient, successor, gateway and timers can reach together is visited, every step from it is tried, and
//! each is judged by the invariants in `judge.rs` and by the independent audit.
//!
//! The decisions are those of the delivery room; `world.rs` only writes what they allow, as the hall does.
//! Without one of the rules the same search must find a counter-example: `cargo test --test recall_model --
//! --nocapture` prints it.

mod judge;
mod relayed;
mod world;

use std::collections::{HashMap, VecDeque};

use judge::{INVARIANTS, judge};
use world::{Action, Outcome, Rule, World};

/// What a search saw.
struct Explored {
    states: usize,
    steps: usize,
    refused: usize,
    longest: usize,
    /// The shortest way to a broken invariant, and which one.
    broken: Option<(Vec<Action>, String)>,
}

fn explore(without: Option<Rule>) -> Explored {
    let start = World::new(without);
    let mut seen = HashMap::from([(start.state(), ())]);
    let mut queue = VecDeque::from([(start, Vec::new())]);
    let mut explored = Explored { states: 1, steps: 0, refused: 0, longest: 0, broken: None };
    while let Some((world, path)) = queue.pop_front() {
        explored.longest = explored.longest.max(path.len());
        for action in Action::ALL {
            let (next, outcome) = world.after(action);
            explored.steps += 1;
            let way: Vec<Action> = path.iter().copied().chain([action]).collect();
            if let Err(message) = judge(&world, action, &next, &outcome) {
                explored.broken = Some((way, message));
                return explored;
            }
            if matches!(outcome, Outcome::Refused) {
                explored.refused += 1;
            } else if seen.insert(next.state(), ()).is_none() {
                explored.states += 1;
                queue.push_back((next, way));
            }
        }
    }
    explored
}

#[test]
fn whatever_happens_in_whatever_order_every_invariant_holds() {
    let explored = explore(None);
    let Explored { states, steps, refused, longest, broken } = explored;
    println!(
        "{states} states, {steps} steps of which {refused} are refused, at most {longest} deep"
    );
    for invariant in INVARIANTS {
        println!("  {invariant}");
    }
    assert_eq!(broken, None);
    assert!(states > 500, "the search hardly finds anything: {states} states");
}

#[test]
fn without_any_one_rule_there_is_a_counter_example() {
    for rule in Rule::ALL {
        let explored = explore(Some(rule));
        let (way, message) =
            explored.broken.unwrap_or_else(|| panic!("nobody misses the rule {rule:?}"));
        println!("without {rule:?}: {message}");
        println!("  {way:?}");
    }
}

#[test]
fn whatever_happens_behind_a_neighbour_both_gateways_end_with_the_same() {
    let explored = relayed::explore(None);
    let relayed::Explored { states, steps, quiet, broken } = explored;
    println!("{states} states of two gateways, {quiet} of them quiet, {steps} steps");
    for invariant in relayed::INVARIANTS {
        println!("  {invariant}");
    }
    assert_eq!(broken, None);
    assert!(states > 150 && quiet > 20, "the search hardly finds anything: {states}, {quiet}");
}

#[test]
fn behind_a_neighbour_too_no_rule_can_be_missed() {
    use relayed::Rule::{MailboxDecides, OrdersFollow, RedirectionsAreTold};
    for rule in [OrdersFollow, MailboxDecides, RedirectionsAreTold] {
        let explored = relayed::explore(Some(rule));
        let (way, message) =
            explored.broken.unwrap_or_else(|| panic!("nobody misses the rule {rule:?}"));
        println!("without {rule:?}: {message}");
        println!("  {way:?}");
    }
}
