//! Time-stamps over checkpoints: while the authority is out, everything else goes on.

use std::time::Duration;

use super::authority::{Authority, Mood};
use super::country::Country;
use vanthu::clock::Clock as _;
use vanthu::digest::Sha256;
use vanthu::log::{Checkpoint, Event, Origin, ServiceKind};
use vanthu::proto::v1::Urgency;

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
    country.send(1, &["H49"], Urgency::Normal).await;
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
    // A log to which nothing comes is not stamped again.
    let count = stamps.len();
    tokio::time::sleep(Duration::from_secs(4)).await;
    country.wait_for(Event::TimeStamp, count).await;
    country.stop().await;
    country.audit();
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
