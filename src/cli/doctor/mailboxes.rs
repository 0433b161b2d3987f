//! Mailboxes in which something waits, the longest wait first.

use std::cmp::Reverse;
use std::path::Path;

use serde_json::json;

use crate::cli::trace::time;
use crate::cli::{Exit, Failure, Output};
use crate::client;
use crate::limits::POISON_ATTEMPTS;
use crate::proto::control;
use crate::proto::control::control_service_client::ControlServiceClient;

/// Mailboxes that a person is shown; JSON has all.
const SHOWN: usize = 20;

/// Asks the gateway that runs on `data`.
pub(super) async fn run(data: &Path, output: Output) -> Result<Exit, Failure> {
    let mut client = ControlServiceClient::new(client::connect_to_control(data).await?);
    let mut all = Vec::new();
    let mut after = String::new();
    loop {
        let request = control::ListBacklogsRequest { after };
        let page = client.list_backlogs(request).await?.into_inner().backlogs;
        let Some(last) = page.last() else { break };
        after = last.agency.clone();
        all.extend(page);
    }
    all.sort_by_key(|one| one.since.map(|since| (since.seconds, since.nanos)));
    if output == Output::Json {
        all.iter().for_each(print_json);
        return Ok(Exit::Ok);
    }
    if all.is_empty() {
        println!("nothing waits");
    }
    for one in all.iter().take(SHOWN) {
        let seen = match (one.watchers, one.last_look) {
            (0, None) => "nobody has looked since the start".to_owned(),
            (0, Some(last)) => format!("last look {}", time(last)),
            (watchers, _) => format!("{watchers} watching"),
        };
        println!(
            "{}: {} {} waits since {}, handed out {} times{}; {seen}",
            one.agency,
            one.urgency,
            one.consignment_id,
            one.since.map(time).unwrap_or_default(),
            one.attempts,
            if one.attempts >= POISON_ATTEMPTS { ", set aside" } else { "" },
        );
    }
    if all.len() > SHOWN {
        eprintln!("vanthu: {} more mailboxes; --output json has all", all.len() - SHOWN);
    }
    let unanswered = all.iter().max_by_key(|one| one.attempts).filter(|one| one.attempts > 1);
    if let Some(one) = unanswered {
        eprintln!(
            "vanthu: hint: the system of {} takes {} and does not answer: see its own traces",
            one.agency, one.consignment_id
        );
    }
    let asleep = all.iter().filter(|one| one.watchers == 0);
    if let Some(one) = asleep.max_by_key(|one| Reverse(one.last_look.map(|last| last.seconds))) {
        eprintln!(
            "vanthu: hint: nobody watches {}; its system must run Watch or ListItems",
            one.agency
        );
    }
    Ok(Exit::Ok)
}

fn print_json(one: &control::Backlog) {
    let value = json!({
        "agency": one.agency,
        "consignment_id": one.consignment_id,
        "entry_id": one.entry,
        "urgency": one.urgency,
        "since": one.since.map(time),
        "attempts": one.attempts,
        "set_aside": one.attempts >= POISON_ATTEMPTS,
        "watchers": one.watchers,
        "last_look": one.last_look.map(time),
    });
    println!("{value}");
}
