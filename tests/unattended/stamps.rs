//! Time-stamps over checkpoints: while the authority is out, everything else goes on.

use std::time::Duration;

use super::authority::{Authority, Mood};
use super::country::Country;
use vanthu::clock::{Clock as _, SystemClock};
use vanthu::digest::Sha256;
use vanthu::evidence;
use vanthu::log::{Checkpoint, Event, LogPublicKey, Origin, ServiceKind};
use vanthu::proto::v1::Urgency;
use vanthu::service::part_infos;
use vanthu::signature::{Indication, judge, judge_token};

async fn country(mood: Mood) -> (Country, Authority) {
    let mut country = Country::prepared();
    let authority = Authority::open(country.folder(), country.clock.clone(), mood);
    country.configure(&format!(
        "[timestamp]\nurl = \"http://{}/\"\nname = \"tsa.example\"\ninterval_seconds = 1\n\
         wait_seconds = 2\n",
        authority.address
    ));
    country.start().await;
    (country, authority)
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_stamped_and_the_clocks_compared() {
    let (mut country, authority) = country(Mood::Sound).await;
    let (sent, _) = country.send(1, &["H49"], Urgency::Normal).await;
    let stamps = country.wait_for_at_least(Event::TimeStamp, 1).await;
    let entries = country.entries().await;
    let covers = stamps[0].covers.expect("it covers something");
    // What was stamped is the text of the checkpoint, which anybody can write from the entry.
    let origin = Origin { gateway: country.name(), epoch: covers.epoch };
    let text = Checkpoint { origin, size: covers.size, root: covers.root }.text();
    assert!(authority.asked.lock().expect("no panic").contains(&Sha256::of(text.as_bytes())));
    let service = stamps[0].service.clone().expect("a service");
    assert_eq!((service.kind(), service.name()), (ServiceKind::Tsa, "tsa.example"));
    let clock = entries.iter().find(|entry| entry.event == Event::ClockCheck).expect("a check");
    let offset = clock.offset.expect("an offset");
    assert!((-1_000..=0).contains(&offset), "whole seconds of the same clock: {offset} ms");
    assert_eq!(entries.iter().filter(|entry| entry.event == Event::Outage).count(), 0);
    evidence_holds_all_of_it(&country, &sent).await;
    // A log to which nothing comes is not stamped again: the record of this reading is, once.
    let before = country.wait_for_at_least(Event::TimeStamp, 1).await.len();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = country.wait_for_at_least(Event::TimeStamp, before).await.len();
    assert!(after <= before + 1, "{before} time-stamps, then {after}");
    country.stop().await;
    country.audit();
}

/// The evidence holds time-stamps, sealed XML and a page, and judges find them sound.
async fn evidence_holds_all_of_it(country: &Country, consignment: &str) {
    let file = country.evidence(consignment).await;
    let key = std::fs::read_to_string(country.file("log.vkey")).expect("a key");
    let keys = [LogPublicKey::parse(&key).expect("a key")];
    let verified = evidence::verify(&file, &keys, &part_infos).expect("it holds");
    let trust = vanthu::config::read_trust(&country.file("trust")).expect("anchors");
    let now = SystemClock.now();
    assert_eq!(verified.stamps.len(), 1, "{:?}", verified.checks);
    let stamp = &verified.stamps[0];
    let judged = judge_token(&stamp.token, &stamp.text, &trust, now);
    assert_eq!(judged.verdict.indication(), Indication::TotalPassed, "{:?}", judged.verdict);
    assert_eq!(verified.sealed.len(), 2, "an acceptance and a consignment");
    for sealed in &verified.sealed {
        let report = judge(&sealed.xml, &trust, now);
        let verdict = &report.signatures[0].verdict;
        assert_eq!(verdict.indication(), Indication::TotalPassed, "{verdict:?}");
    }
    let strange: Vec<_> = verified.absent.iter().filter(|one| one.contains("page")).collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_is_out_holds_nothing_up_and_is_recorded_until_it_is_repaired() {
    let (mut country, authority) = country(Mood::Out).await;
    for number in 1..=20 {
        country.send(number, &["H49", "H49.11"], Urgency::Normal).await;
    }
    let outage = country.wait_for(Event::Outage, 1).await;
    // Wrong answers are no answers, and an outage is recorded once, restarts included.
    for mood in [Mood::Impostor, Mood::Strange, Mood::Out] {
        authority.is_now(mood);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    country.stop().await;
    country.start().await;
    country.send(21, &["H49"], Urgency::Normal).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    country.wait_for(Event::Outage, 1).await;
    country.wait_for(Event::TimeStamp, 0).await;
    authority.is_now(Mood::Sound);
    let repair = country.wait_for(Event::Repair, 1).await;
    assert_eq!(repair[0].since, outage[0].since);
    let stamps = country.wait_for_at_least(Event::TimeStamp, 1).await;
    let accepted = country.entries().await;
    let accepted = accepted.iter().filter(|entry| entry.event == Event::SubmissionAcceptance);
    assert_eq!(accepted.count(), 21);
    assert!(stamps[0].time >= repair[0].time && stamps[0].time <= country.clock.now());
    country.stop().await;
    country.audit();
}
