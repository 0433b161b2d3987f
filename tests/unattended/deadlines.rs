//! What is recorded of the way to the recipient, and of what a recipient does not do in time.

use std::time::Duration;

use super::country::{Country, QUIET};
use vanthu::clock::{Clock as _, Time};
use vanthu::log::{Entry, Event};
use vanthu::proto::v1::{Transport, Urgency};

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(1);

fn recipients(entries: &[Entry]) -> Vec<String> {
    entries.iter().filter_map(|entry| entry.to.as_ref()).map(ToString::to_string).collect()
}

/// Moves the clock to `time`.
fn move_to(country: &Country, time: Time) {
    country.clock.advance(time.since(country.clock.now()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_recipient_does_not_do_in_time_is_recorded_once() {
    let mut country = Country::found("").await;
    let (sent, at) = country.send(1, &["H49", "H49.11"], Urgency::Normal).await;
    country.watch("province", "H49").await;
    let notified = country.wait_for(Event::ConsignmentNotification, 1).await;
    assert_eq!(recipients(&notified), ["H49"]);
    assert_eq!(notified[0].actor.system.as_str(), "gateway");

    // Exactly at the deadline everything is still in time.
    move_to(&country, at.after(24 * HOUR));
    tokio::time::sleep(QUIET).await;
    country.wait_for(Event::ConsignmentNotificationFailure, 0).await;
    country.clock.advance(MOMENT);
    let failed = country.wait_for(Event::ConsignmentNotificationFailure, 1).await;
    assert_eq!(recipients(&failed), ["H49.11"], "the other had its notice");
    assert_eq!(
        (failed[0].since, failed[0].reason.as_deref()),
        (Some(at.after(24 * HOUR)), Some("EXPIRED"))
    );
    assert_eq!(failed[0].time, at.after(24 * HOUR + MOMENT));

    // A late notice is still one, and erases nothing.
    country.watch("province", "H49.11").await;
    country.wait_for(Event::ConsignmentNotification, 2).await;
    let state = country.delivery(&sent, "H49.11").await;
    assert!(state.notification_entry.is_some() && state.notification_failure_entry.is_some());

    // One answers exactly at the deadline, the other after its failure.
    move_to(&country, at.after(36 * HOUR));
    country.acknowledge("province", "H49", &sent).await;
    country.clock.advance(MOMENT);
    let failed = country.wait_for(Event::ContentHandoverFailure, 1).await;
    assert_eq!(
        (recipients(&failed), failed[0].since),
        (vec!["H49.11".to_owned()], Some(at.after(36 * HOUR)))
    );
    country.clock.advance(HOUR);
    country.acknowledge("province", "H49.11", &sent).await;
    let state = country.delivery(&sent, "H49.11").await;
    assert_eq!(state.transport(), Transport::HandedOver);
    assert!(state.handover_failure_entry.is_some());

    let told = country.told(6).await;
    let told: Vec<(&str, &str)> = told.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let expected = [
        ("ConsignmentNotification", "H49"),
        ("ConsignmentNotificationFailure", "H49.11"),
        ("ConsignmentNotification", "H49.11"),
        ("ContentHandover", "H49"),
        ("ContentHandoverFailure", "H49.11"),
        ("ContentHandover", "H49.11"),
    ];
    assert_eq!(told, expected);
    country.stop().await;
    country.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_between_writes_exactly_one() {
    let mut country = Country::found("[deadlines.urgent]\nnotification_minutes = 60\n").await;
    let (_, at) = country.send(1, &["H49"], Urgency::Urgent).await;
    country.send(2, &["H49.11"], Urgency::Normal).await;
    country.stop().await;
    move_to(&country, at.after(25 * HOUR));
    // Twice: what was recorded before the stop is not recorded after it.
    for _ in 0..2 {
        country.start().await;
        let failed = country.wait_for(Event::ConsignmentNotificationFailure, 2).await;
        let first = failed.iter().filter_map(|entry| entry.since).min();
        assert_eq!(first.map(|since| since.since(at)), Some(HOUR));
        tokio::time::sleep(QUIET).await;
        country.wait_for(Event::ConsignmentNotificationFailure, 2).await;
        country.stop().await;
    }
    // The projections are made anew, the places of the deadlines with them.
    country.rebuild();
    country.start().await;
    let (_, _) = country.send(3, &["H49"], Urgency::Normal).await;
    tokio::time::sleep(QUIET).await;
    country.wait_for(Event::ConsignmentNotificationFailure, 2).await;
    country.stop().await;
    country.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_recipient_reads_is_recorded_once_and_counts_as_notice() {
    let mut country = Country::found("").await;
    let (sent, at) = country.send(1, &["H49", "H49.11"], Urgency::Flash).await;
    for _ in 0..3 {
        country.fetch("province", "H49", &sent).await;
    }
    // The sender reads what is its own: that is no access.
    country.fetch("commune", "H49.151", &sent).await;
    let read = country.wait_for(Event::ContentAccessTracking, 1).await;
    assert_eq!(
        (recipients(&read), read[0].actor.system.as_str()),
        (vec!["H49".to_owned()], "province")
    );
    country.acknowledge("province", "H49.11", &sent).await;
    move_to(&country, at.after(37 * HOUR));
    let failed = country.wait_for(Event::ContentHandoverFailure, 1).await;
    assert_eq!(recipients(&failed), ["H49"]);
    country.wait_for(Event::ConsignmentNotificationFailure, 0).await;
    country.fetch("province", "H49", &sent).await;
    country.fetch("province", "H49.11", &sent).await;
    let read = country.wait_for(Event::ContentAccessTracking, 2).await;
    assert_eq!(recipients(&read), ["H49", "H49.11"]);
    country.stop().await;
    country.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn office_hours_are_counted_where_they_are_asked_for() {
    // A week without a working hour in its first two days, whatever today is.
    let calendar = "hours 00:00-24:00\nweek mon tue wed thu fri sat sun\n";
    let more = "[deadlines]\ncalendar = \"calendar.txt\"\n[deadlines.flash]\n\
                notification_minutes = 30\nworking_time = true\n";
    let mut country = Country::prepared();
    let today = country.clock.now().date_in_vietnam();
    let next = today.tomorrow().expect("a day");
    let days = format!("{calendar}off {today} x\noff {next} x\n");
    std::fs::write(country.file("calendar.txt"), days).expect("written");
    country.configure(more);
    country.start().await;
    let (_, at) = country.send(1, &["H49"], Urgency::Flash).await;
    let opens = at.date_in_vietnam().tomorrow().and_then(|day| day.tomorrow()).expect("a day");
    let end = Time::begin_in_vietnam(opens).expect("a time").after(HOUR / 2);
    move_to(&country, end);
    tokio::time::sleep(QUIET).await;
    country.wait_for(Event::ConsignmentNotificationFailure, 0).await;
    country.clock.advance(MOMENT);
    let failed = country.wait_for(Event::ConsignmentNotificationFailure, 1).await;
    assert_eq!(failed[0].since, Some(end));
    country.stop().await;
    country.audit();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_neighbour_that_does_not_answer_in_time_fails_once() {
    use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
    let mut country = Country::prepared();
    // Nobody listens there.
    let key = PrivatePkcs8KeyDer::from_pem_file(country.file("witness.key")).expect("a key");
    let key = vanthu::log::LogKey::from_pkcs8("nation.example", key.secret_pkcs8_der());
    let vkey = key.expect("a key").public();
    country.configure(&format!(
        "[[neighbour]]\nname = \"nation.example\"\naddress = \"https://127.0.0.1:9\"\nvkey = \"{vkey}\"\n"
    ));
    let directory = std::fs::read_to_string(country.file("directory.toml")).expect("a directory");
    let behind = "[[system]]\nid = \"nation\"\nidentities = [\"urn:vanthu:system:gateway-nation\"]\n\
                  role = \"gateway\"\ngateway = \"nation.example\"\n\
                  [[agency]]\ncode = \"H01\"\nname = \"Hà Nội\"\nlevel = 1\nkind = \"state\"\n\
                  valid_from = \"2020-07-22\"\nhost = \"nation\"\n";
    std::fs::write(country.file("directory.toml"), format!("{directory}\n{behind}"))
        .expect("written");
    country.start().await;
    let (sent, at) = country.send(1, &["H01", "H49"], Urgency::Normal).await;
    move_to(&country, at.after(12 * HOUR));
    tokio::time::sleep(QUIET).await;
    country.wait_for(Event::RelayFailure, 0).await;
    country.clock.advance(MOMENT);
    let failed = country.wait_for(Event::RelayFailure, 1).await;
    assert_eq!(recipients(&failed), ["H01"]);
    let service = failed[0].service.as_ref().map(ToString::to_string);
    assert_eq!(service.as_deref(), Some("gateway nation.example"));
    assert_eq!(failed[0].since, Some(at.after(12 * HOUR)));
    // It still waits, and what is known of others' recipients is not failed for it.
    move_to(&country, at.after(48 * HOUR));
    let state = country.delivery(&sent, "H01").await;
    assert_eq!(state.transport(), Transport::Relaying);
    assert!(state.relay_failure_entry.is_some());
    let failed = country.wait_for(Event::ContentHandoverFailure, 1).await;
    assert_eq!(recipients(&failed), ["H49"]);
    country.wait_for(Event::RelayFailure, 1).await;
    country.stop().await;
    country.audit();
}
