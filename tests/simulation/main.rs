//! The hall in a seeded simulation: a gateway with its real sequencer over media that fail, persist
//! although they fail, or crash at random writes, a clock that jumps both ways, answers that get
//! lost, and requests that come late, twice, or many at once. After each restart and now and then
//! the independent audit reads the whole log, and what was ever acknowledged is held against it.
//!
//! A seed fixes the steps. Requests of one burst reach the writer in an order of their own.
//! `VANTHU_SIMULATION_SEED` and `VANTHU_SIMULATION_STEPS` run one other than those here.

#[path = "../store_contract/faulty.rs"]
#[expect(dead_code, reason = "the contract of the store counts and names writes")]
mod faulty;
mod judge;
#[path = "../robustness/random.rs"]
#[expect(dead_code, reason = "mutations of files need more")]
mod random;
mod steps;
mod world;

use steps::Simulation;

/// Seeds of the ordinary run, with the steps of each.
const SEEDS: [u64; 6] = [1, 2, 3, 20_261_127, 0x5eed, 0xdead_beef];
const STEPS: usize = 2_000;
/// Those of the first documents of a log: content, entries and guard.
const FIRST_WRITES: usize = 12;

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_whatever_happens() {
    quiet_about_injected_crashes();
    let seeds = match setting("VANTHU_SIMULATION_SEED") {
        Some(seed) => vec![seed],
        None => SEEDS.to_vec(),
    };
    let steps = setting("VANTHU_SIMULATION_STEPS").map_or(STEPS, |steps| steps as usize);
    let papers = world::Papers::make();
    let mut all = 0;
    for seed in seeds {
        eprintln!("seed {seed}, {steps} steps");
        let told = Simulation::new(seed, &papers).run(steps);
        eprintln!("seed {seed}: {told}");
        assert!(told.restarts > steps / 200, "the simulation hardly disturbs: {told}");
        assert!(told.epochs > 2 && told.accepted > steps / 4, "it hardly does anything: {told}");
        all += steps;
    }
    eprintln!("{all} steps");
}

/// A new log is no less safe than an old one, whatever goes wrong at whichever of its first writes.
#[test]
fn a_log_survives_every_fault_at_its_first_writes() {
    quiet_about_injected_crashes();
    let papers = world::Papers::make();
    let mut kinds = std::collections::BTreeSet::new();
    for fault in faulty::FAULTS {
        for write in 1..=FIRST_WRITES {
            kinds.extend(Simulation::new(1, &papers).begin_with(fault, write));
        }
    }
    assert!(kinds.contains("head"), "the guard is among the writes: {kinds:?}");
}

/// The same simulation on a medium that says it wrote and did not: this must not pass.
#[test]
fn a_medium_that_forgets_one_batch_is_caught() {
    let papers = world::Papers::make();
    for seed in SEEDS {
        let mut simulation = Simulation::new(seed, &papers);
        simulation.forget();
        let run = std::panic::AssertUnwindSafe(|| simulation.run(STEPS / 10));
        assert!(std::panic::catch_unwind(run).is_err(), "seed {seed}: nobody noticed");
    }
}

/// A crash is a panic of the thread that writes; only others are worth printing.
fn quiet_about_injected_crashes() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload().downcast_ref::<&str>() != Some(&"injected") {
            usual(panic);
        }
    }));
}
