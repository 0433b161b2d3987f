//! Packages that are changed or cut off anywhere.

use std::time::Instant;

use vanthu::signature::{Indication, judge};

use crate::people::People;
use crate::{Case, TIME_MAX, office, package};

/// No byte of a package that says anything about its contents may change unnoticed.
#[test]
fn every_changed_byte_and_every_cut_of_a_package_is_noticed() {
    let people = People::new();
    for archive in package::stored(&people) {
        let passes = |bytes: &Vec<u8>| {
            let report = judge(bytes, &people.trust, people.now);
            report.indication() == Some(Indication::TotalPassed)
        };
        assert!(passes(&archive));
        for at in (0..archive.len()).step_by(3) {
            let mut changed = archive.clone();
            changed[at] ^= 1;
            assert!(!passes(&changed) || package::is_idle(&archive, at), "byte {at}");
        }
        for size in (0..archive.len()).step_by(7) {
            assert!(!passes(&archive[..size].to_vec()), "cut at {size}");
        }
    }
}

/// Numbers that look random and are the same in every run (Steele, Lea and Flood 2014).
fn split_mix(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Packages that are cut off, and packages with a few other bytes. `VANTHU_DAMAGES` sets how many
/// there are of each.
#[test]
fn no_damaged_package_panics_or_hangs() {
    const SMALL: usize = 64 * 1024;
    let people = People::new();
    let count = std::env::var("VANTHU_DAMAGES").map_or(30, |text| text.parse().unwrap());
    let mut seed = 1;
    let mut below = |limit: usize| {
        usize::try_from(split_mix(&mut seed) % u64::try_from(limit).unwrap()).unwrap()
    };
    let mut cases = package::cases(&people);
    cases.extend(office::cases(&people));
    for Case { name, bytes, .. } in cases.iter().filter(|case| case.bytes.len() < SMALL) {
        for _ in 0..count {
            let mut changed = bytes.clone();
            for _ in 0..=below(4) {
                let at = below(bytes.len());
                changed[at] ^= 1 << below(8);
            }
            for damaged in [changed, bytes[..below(bytes.len())].to_vec()] {
                let begin = Instant::now();
                judge(&damaged, &people.trust, people.now);
                assert!(begin.elapsed() < TIME_MAX, "{name}: {damaged:02x?}");
            }
        }
    }
}
