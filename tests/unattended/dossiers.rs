//! What the gateway writes about a dossier when a time has come, each once, whatever happens meanwhile.

use std::time::Duration;

use super::country::{Country, QUIET};
use vanthu::calendar::{Calendar, Counting};
use vanthu::clock::{Clock as _, Time};
use vanthu::log::Event;
use vanthu::proto::v1;
use vanthu::proto::v1::DossierStep as Step;
use vanthu::proto::v1::dossier_service_client::DossierServiceClient;

const CODE: &str = "H49.151-20261126-0002";
const MOMENT: Duration = Duration::from_millis(1);
const REMINDER: Duration = Duration::from_secs(72 * 3600);

fn move_to(country: &Country, time: Time) {
    country.clock.advance(time.since(country.clock.now()));
}

/// Records a step; the fields that it needs come with `more`.
async fn record(
    country: &Country,
    (system, agency): (&str, &str),
    step: Step,
    more: v1::RecordStepRequest,
) -> v1::Dossier {
    let request = v1::RecordStepRequest {
        request_id: uuid::Uuid::new_v4().to_string(),
        agency: agency.into(),
        dossier_code: CODE.into(),
        step: step.into(),
        ..more
    };
    let mut client = DossierServiceClient::new(country.channel(system).await);
    let response = client.record_step(request).await.expect("recorded").into_inner();
    response.dossier.expect("a dossier")
}

async fn shown(country: &Country) -> v1::GetDossierResponse {
    let mut client = DossierServiceClient::new(country.channel("commune").await);
    let request = v1::GetDossierRequest { dossier_code: CODE.into() };
    client.get_dossier(request).await.expect("shown").into_inner()
}

/// The steps in the log, once there are so many.
async fn steps(country: &Country, count: usize) -> Vec<(String, Option<Time>)> {
    let entries = country.wait_for(Event::DossierStep, count).await;
    let step = |entry: vanthu::log::Entry| (entry.reason.unwrap_or_default(), entry.since);
    entries.into_iter().map(step).collect()
}

fn days(count: u32) -> std::num::NonZeroU32 {
    std::num::NonZeroU32::new(count).expect("not 0")
}

const COMMUNE: (&str, &str) = ("commune", "H49.151");
const DEPARTMENT: (&str, &str) = ("province", "H49.11");

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_consents_and_a_date_is_reminded_of_and_passes() {
    let calendar = Calendar::vietnam();
    let mut country = Country::found("").await;
    let begin = country.clock.now();
    let due = calendar.due(begin, days(20), Counting::default()).expect("a date");
    let reception = v1::RecordStepRequest {
        procedure_code: "1.004227".into(),
        due_time: Some(vanthu::proto::timestamp(due)),
        ..Default::default()
    };
    record(&country, COMMUNE, Step::Reception, reception).await;
    let to = |code: &str| v1::RecordStepRequest { to: code.into(), ..Default::default() };
    record(&country, COMMUNE, Step::Handover, to("H49.11")).await;
    let ask = |code: &str| v1::RecordStepRequest { consent_working_days: 15, ..to(code) };
    record(&country, DEPARTMENT, Step::OpinionRequest, ask("G22")).await;
    let asked = record(&country, DEPARTMENT, Step::OpinionRequest, ask("H49")).await;
    let consent = calendar.due(begin, days(15), Counting::default()).expect("a date");
    let until: Vec<_> = asked.opinions.iter().map(|opinion| opinion.due_time).collect();
    assert_eq!(until, [Some(vanthu::proto::timestamp(consent)); 2]);
    record(&country, ("province", "H49"), Step::Opinion, Default::default()).await;

    // Exactly at its end an opinion is still in time; a moment later its silence is consent.
    move_to(&country, consent);
    tokio::time::sleep(QUIET).await;
    assert_eq!(steps(&country, 5).await.len(), 5);
    country.clock.advance(MOMENT);
    let told = steps(&country, 6).await;
    assert_eq!(told[5], ("DEEMED_CONSENT".into(), Some(consent)));
    assert!(shown(&country).await.dossier.expect("one").opinions.is_empty());

    move_to(&country, due.before(REMINDER).max(country.clock.now()).after(MOMENT));
    assert_eq!(steps(&country, 7).await[6].0, "REMINDER");
    country.stop().await;
    country.rebuild();
    move_to(&country, due.after(MOMENT));
    country.start().await;
    assert_eq!(steps(&country, 8).await[7], ("OVERDUE".into(), Some(due)));
    country.stop().await;
    country.start().await;
    tokio::time::sleep(QUIET).await;
    steps(&country, 8).await;

    let found = shown(&country).await;
    assert!(found.dossier.expect("one").late);
    let clock = found.clock.expect("a clock");
    let worked: Vec<&str> = clock.worked.iter().map(|one| one.agency.as_str()).collect();
    assert_eq!(worked, ["H49.151", "H49.11"]);
    let used = |place: usize| clock.worked[place].working.map(|span| span.seconds);
    let whole = calendar.between(begin, country.clock.now()).as_secs();
    assert_eq!(used(0), Some(0));
    assert_eq!(used(1), i64::try_from(whole).ok());
    assert_eq!(clock.remaining.map(|span| span.seconds), Some(0));
    country.stop().await;
    country.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_stands_still_while_the_citizen_is_asked() {
    let calendar = Calendar::vietnam();
    let mut country = Country::found("").await;
    let begin = country.clock.now();
    let due = calendar.due(begin, days(5), Counting::default()).expect("a date");
    let reception = v1::RecordStepRequest {
        procedure_code: "1.004227".into(),
        due_time: Some(vanthu::proto::timestamp(due)),
        ..Default::default()
    };
    record(&country, COMMUNE, Step::Reception, reception).await;
    let words = || v1::RecordStepRequest { note: "bản đồ".into(), ..Default::default() };
    record(&country, COMMUNE, Step::SupplementRequest, words()).await;
    // Nothing is reminded of, and no date passes.
    let resumed = calendar.due(begin, days(9), Counting::default()).expect("a date");
    move_to(&country, resumed);
    tokio::time::sleep(QUIET).await;
    assert_eq!(steps(&country, 2).await.len(), 2);
    let stood = calendar.between(begin, resumed);
    let state = record(&country, COMMUNE, Step::Supplement, Default::default()).await;
    let moved = calendar.after(due, stood);
    assert_eq!(state.due_time, Some(vanthu::proto::timestamp(moved)));
    let clock = shown(&country).await.clock.expect("a clock");
    assert_eq!(clock.suspended.map(|span| span.seconds), i64::try_from(stood.as_secs()).ok());
    assert!(!state.late && state.supplements == 1);
    // Asked for more than once, it counts as late.
    let state = record(&country, COMMUNE, Step::SupplementRequest, words()).await;
    assert!(state.late);
    country.stop().await;
    country.audit();
}
