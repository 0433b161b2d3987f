//! `vanthu dossier`: steps of dossiers, and the one clock over all agencies.

use clap::Subcommand;
use serde_json::{Value, json};
use tonic::transport::Channel;
use uuid::Uuid;

use super::Output;
use super::evidence::Keeping;
use super::exit::{Exit, Failure};
use super::indicators::ReportOptions;
use super::mailbox::{Desk, print_answer};
use super::trace::{place, time};
use crate::client;
use crate::clock::Time;
use crate::digest::Sha256;
use crate::dossier::Step;
use crate::log::{Entry, Grade};
use crate::proto::v1;
use crate::proto::v1::dossier_service_client::DossierServiceClient;

/// What `vanthu dossier` does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Records a step of a dossier
    ///
    /// Which fields a step has, who may take it and when: src/log/FORMAT.md §2.
    ///
    /// Examples:
    ///   vanthu dossier record H49.151-20261126-0002 RECEPTION --procedure 1.004227 --due 2026-12-03T17:00
    ///   vanthu dossier record H49.151-20261126-0002 HANDOVER --to H49.11
    ///   vanthu dossier record H49.151-20261126-0002 OPINION_REQUEST --to G22 --consent-after 15
    ///   vanthu dossier record H49.151-20261126-0002 SATISFACTION --grade 5 --note "nhanh, lịch sự"
    Record(Box<RecordOptions>),
    /// Shows a dossier, its steps, and the working time that each agency used
    Show(ShowOptions),
    /// Lists the dossiers that an agency has, received or was asked about
    List(ListOptions),
    /// Counts how agencies handled the dossiers that they received: in time, late, open, satisfied
    ///
    /// By procedure, field, level and agency; prints csv and html, too.
    ///
    /// Examples:
    ///   vanthu dossier report --agency H49.151 --from 2026-11-01 --to 2026-11-30
    ///   vanthu dossier report --below H49 --output csv > ho-so.csv
    ///   vanthu dossier report --all --output json
    Report(ReportOptions),
}

/// Records a step.
#[derive(Debug, clap::Args)]
pub(super) struct RecordOptions {
    #[command(flatten)]
    keeping: Keeping,
    #[command(flatten)]
    desk: Desk,
    /// Code of the dossier
    dossier: String,
    /// The step, as the log names it
    #[arg(value_parser = step)]
    step: Step,
    /// The agency that gets the dossier or is asked
    #[arg(long, default_value = "")]
    to: String,
    /// The consignment that carries the result
    #[arg(long, default_value = "")]
    consignment: String,
    /// Words for the other agencies
    #[arg(long, default_value = "")]
    note: String,
    /// Code of the procedure
    #[arg(long, default_value = "")]
    procedure: String,
    /// Commitment to who the applicant is: SHA-256 in 64 digits of a salted text
    #[arg(long)]
    applicant: Option<Sha256>,
    /// Until when: a minute in Vietnam, or a moment with its distance from UTC
    #[arg(long, value_parser = super::calendar::moment)]
    due: Option<Time>,
    /// Working days of silence after which who is asked consents
    #[arg(long, default_value_t = 0)]
    consent_after: u32,
    /// How satisfied the citizen was, from 1, the worst, to 5
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=5))]
    grade: Option<u32>,
    /// UUID of the request, to repeat it; a new one if none is named
    #[arg(long)]
    request: Option<Uuid>,
}

/// Shows a dossier.
#[derive(Debug, clap::Args)]
pub(super) struct ShowOptions {
    #[command(flatten)]
    client: client::Options,
    #[command(flatten)]
    keeping: Keeping,
    /// Code of the dossier
    dossier: String,
}

/// Lists dossiers.
#[derive(Debug, clap::Args)]
pub(super) struct ListOptions {
    #[command(flatten)]
    desk: Desk,
    /// Only those in this state of the portal, 1 to 10
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=10))]
    state: Option<i32>,
    /// Only those that the agency has now
    #[arg(long)]
    held: bool,
    /// Only those that are late
    #[arg(long)]
    late: bool,
}

fn step(word: &str) -> Result<Step, String> {
    Step::from_word(word).ok_or_else(|| {
        let words: Vec<_> = Step::ALL.iter().map(|step| step.word()).collect();
        format!("not one of {}", words.join(" "))
    })
}

pub(super) async fn run(command: Command, output: Output) -> Result<Exit, Failure> {
    match command {
        Command::Record(options) => record(*options, output).await,
        Command::Show(options) => show(options, output).await,
        Command::List(options) => list(options, output).await,
        Command::Report(_) => unreachable!("it has run with a format of its own"),
    }
}

async fn open(options: &client::Options) -> Result<DossierServiceClient<Channel>, Failure> {
    let client = DossierServiceClient::new(options.connect().await?);
    Ok(client.max_decoding_message_size(client::message_size_max()))
}

async fn record(options: RecordOptions, output: Output) -> Result<Exit, Failure> {
    let mut client = open(&options.desk.client).await?;
    let step = format!("DOSSIER_STEP_{}", options.step.word());
    let step = v1::DossierStep::from_str_name(&step).unwrap_or_default();
    let request = v1::RecordStepRequest {
        request_id: options.request.unwrap_or_else(Uuid::new_v4).to_string(),
        agency: options.desk.agency,
        dossier_code: options.dossier,
        step: step.into(),
        to: options.to,
        consignment_id: options.consignment,
        note: options.note,
        procedure_code: options.procedure,
        applicant_sha256: options
            .applicant
            .map(|digest| digest.0.to_vec())
            .unwrap_or_default()
            .into(),
        due_time: options.due.map(crate::proto::timestamp),
        consent_working_days: options.consent_after,
        grade: options.grade.unwrap_or_default(),
    };
    let response = client.record_step(request).await?.into_inner();
    options.keeping.keep(response.receipt.as_ref())?;
    print_answer("recorded", response.receipt.as_ref(), response.repeated, output);
    if let Some(dossier) = &response.dossier {
        println!("{}", line(dossier, output));
    }
    Ok(Exit::Ok)
}

async fn show(options: ShowOptions, output: Output) -> Result<Exit, Failure> {
    let mut client = open(&options.client).await?;
    let request = v1::GetDossierRequest { dossier_code: options.dossier };
    let found = client.get_dossier(request).await?.into_inner();
    for step in &found.steps {
        options.keeping.keep(step.receipt.as_ref())?;
    }
    let dossier = found.dossier.unwrap_or_default();
    let clock = found.clock.unwrap_or_default();
    if output == Output::Json {
        let steps: Vec<_> = found.steps.iter().map(step_json).collect();
        let mut value = json_of(&dossier);
        value["clock"] = clock_json(&clock);
        value["steps"] = Value::Array(steps);
        println!("{value}");
        return Ok(Exit::Ok);
    }
    println!("{}", line(&dossier, output));
    for step in &found.steps {
        println!("  {}", step_line(step));
    }
    for worked in &clock.worked {
        println!("  {} worked {}", worked.agency, hours(worked.working));
    }
    println!("  waited for the citizen {}", hours(clock.suspended));
    if clock.remaining.is_some() {
        println!("  remaining {}, exceeded {}", hours(clock.remaining), hours(clock.exceeded));
    }
    Ok(Exit::Ok)
}

async fn list(options: ListOptions, output: Output) -> Result<Exit, Failure> {
    let mut client = open(&options.desk.client).await?;
    let mut request = v1::ListDossiersRequest {
        agency: options.desk.agency,
        state: options.state.unwrap_or_default(),
        held: options.held,
        late: options.late,
        ..v1::ListDossiersRequest::default()
    };
    loop {
        let page = client.list_dossiers(request.clone()).await?.into_inner();
        for dossier in &page.dossiers {
            println!("{}", line(dossier, output));
        }
        if page.next_page_token.is_empty() {
            return Ok(Exit::Ok);
        }
        request.page_token = page.next_page_token;
    }
}

/// A dossier as one line.
fn line(dossier: &v1::Dossier, output: Output) -> String {
    if output == Output::Json {
        return json_of(dossier).to_string();
    }
    let due = dossier.appointment_time.map(in_vietnam).unwrap_or_else(|| "no date".to_owned());
    let late = if dossier.late { ", late" } else { "" };
    format!(
        "{} {} at {}, received by {}, until {due}{late}",
        dossier.code,
        state_word(dossier),
        dossier.holder,
        dossier.reception
    )
}

fn state_word(dossier: &v1::Dossier) -> String {
    dossier.state().as_str_name().trim_start_matches("DOSSIER_STATE_").to_lowercase()
}

fn json_of(dossier: &v1::Dossier) -> Value {
    let opinion = |opinion: &v1::OpenOpinion| {
        json!({
            "agency": opinion.agency,
            "due_time": opinion.due_time.map(time),
            "rule": opinion.rule,
        })
    };
    json!({
        "dossier_code": dossier.code,
        "state": dossier.state,
        "state_word": state_word(dossier),
        "procedure_code": dossier.procedure_code,
        "reception": dossier.reception,
        "holder": dossier.holder,
        "parties": dossier.parties,
        "latest_entry": place(dossier.latest_entry),
        "change_time": dossier.change_time.map(time),
        "receive_time": dossier.receive_time.map(time),
        "due_time": dossier.due_time.map(time),
        "appointment_time": dossier.appointment_time.map(time),
        "suspend_time": dossier.suspend_time.map(time),
        "supplements": dossier.supplements,
        "opinions": dossier.opinions.iter().map(opinion).collect::<Vec<_>>(),
        "end_time": dossier.end_time.map(time),
        "result_consignment_id": dossier.result_consignment_id,
        "late": dossier.late,
        "origin": dossier.origin,
        "feedback": dossier.feedback,
        "grade": Some(dossier.grade).filter(|grade| *grade > 0),
    })
}

fn clock_json(clock: &v1::DossierClock) -> Value {
    let seconds = |span: Option<prost_types::Duration>| span.map(|span| span.seconds);
    let worked = |worked: &v1::AgencyWorktime| json!({ "agency": worked.agency, "working_seconds": seconds(worked.working) });
    json!({
        "worked": clock.worked.iter().map(worked).collect::<Vec<_>>(),
        "suspended_seconds": seconds(clock.suspended),
        "remaining_seconds": seconds(clock.remaining),
        "exceeded_seconds": seconds(clock.exceeded),
    })
}

fn entry_of(step: &v1::RecordedStep) -> Option<Entry> {
    Entry::from_leaf(&step.receipt.as_ref()?.leaf).ok()
}

fn step_json(step: &v1::RecordedStep) -> Value {
    let id = place(step.receipt.as_ref().and_then(|receipt| receipt.entry_id));
    let entry = entry_of(step);
    let entry = entry.as_ref();
    let text = |time: Option<Time>| time.map(|time| time.to_string());
    json!({
        "entry_id": id,
        "step": entry.and_then(|entry| entry.reason.as_deref()),
        "time": text(entry.map(|entry| entry.time)),
        "system": entry.map(|entry| entry.actor.system.as_str()),
        "agency": entry.and_then(|entry| entry.from.as_ref()).map(ToString::to_string),
        "to": entry.and_then(|entry| entry.to.as_ref()).map(ToString::to_string),
        "consignment_id": entry.and_then(|entry| entry.consignment).map(|id| id.to_string()),
        "since": text(entry.and_then(|entry| entry.since)),
        "due": text(entry.and_then(|entry| entry.due)),
        "rule": entry.and_then(|entry| entry.rule.as_deref()),
        "grade": entry.and_then(|entry| entry.grade).map(Grade::number),
        "note": step.note,
    })
}

fn step_line(step: &v1::RecordedStep) -> String {
    let id = place(step.receipt.as_ref().and_then(|receipt| receipt.entry_id));
    let Some(entry) = entry_of(step) else { return format!("{id}: not an entry of this version") };
    let code = |code: &Option<crate::directory::Code>| {
        code.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    let to = if entry.to.is_some() { format!(" → {}", code(&entry.to)) } else { String::new() };
    let until = entry.due.map(|due| format!(", until {}", due.in_vietnam())).unwrap_or_default();
    let grade = entry.grade.map(|grade| format!(", grade {grade} of 5")).unwrap_or_default();
    let note = if step.note.is_empty() { String::new() } else { format!(": {}", step.note) };
    format!(
        "{id:>8}  {}  {:<18} {}{to}{until}{grade}  by {}{note}",
        entry.time.in_vietnam(),
        entry.reason.as_deref().unwrap_or_default(),
        code(&entry.from),
        entry.actor.system,
    )
}

fn in_vietnam(wire: prost_types::Timestamp) -> String {
    Time::from_seconds(wire.seconds).in_vietnam()
}

/// Office hours for people.
fn hours(span: Option<prost_types::Duration>) -> String {
    let minutes = span.map_or(0, |span| span.seconds / 60);
    format!("{} h {:02} min", minutes / 60, minutes % 60)
}
