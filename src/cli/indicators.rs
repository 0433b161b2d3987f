//! `vanthu dossier report`: how agencies handled the dossiers that they received.

use serde_json::{Value, json};

use super::Format;
use super::exit::{Exit, Failure};
use super::period::Period;
use super::report::{Look, Sheet};
use crate::client;
use crate::proto::v1;
use crate::proto::v1::dossier_service_client::DossierServiceClient;
use crate::service::named_counts;
use crate::statistics::{INDICATORS_COLUMNS, Share};

/// Counts dossiers.
#[derive(Debug, clap::Args)]
pub(super) struct ReportOptions {
    #[command(flatten)]
    client: client::Options,
    /// Code of the agency that received the dossiers
    #[arg(long, env = "VANTHU_AGENCY", required_unless_present_any = ["below", "all"])]
    agency: Option<String>,
    /// Those of this agency and of all below it
    #[arg(long, conflicts_with = "all")]
    below: Option<String>,
    /// Those of every agency; for auditors
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    period: Period,
    #[command(flatten)]
    look: Look,
}

pub(super) fn run(options: ReportOptions, format: Format) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::other)?;
    runtime.block_on(report(options, format))
}

async fn report(options: ReportOptions, format: Format) -> Result<Exit, Failure> {
    let client = DossierServiceClient::new(options.client.connect().await?);
    let mut client = client.max_decoding_message_size(client::message_size_max());
    let (agency, scope) = match (options.below, options.all) {
        (Some(below), _) => (below, v1::IndicatorScope::Below),
        (None, true) => (String::new(), v1::IndicatorScope::All),
        (None, false) => (options.agency.unwrap_or_default(), v1::IndicatorScope::Agency),
    };
    let request = v1::GetIndicatorsRequest {
        agency: agency.clone(),
        since: options.period.since()?,
        until: options.period.until()?,
        scope: scope.into(),
    };
    let found = client.get_indicators(request).await?.into_inner();
    let of = if agency.is_empty() { "tất cả" } else { &agency };
    let sheet = Sheet { format, columns: &INDICATORS_COLUMNS };
    sheet.begin("Tình hình giải quyết hồ sơ", of, &options.period, &options.look);
    let rows = [
        ("procedure", found.procedures),
        ("field", found.fields),
        ("level", found.levels),
        ("agency", found.agencies),
        ("total", found.total.into_iter().collect()),
    ];
    for (kind, row) in rows.iter().flat_map(|(kind, rows)| rows.iter().map(|row| (*kind, row))) {
        match format {
            Format::Text => println!("{}", line(kind, row)),
            _ => sheet.row(&value(kind, row), &columns(kind, row)),
        }
    }
    sheet.end();
    Ok(Exit::Ok)
}

/// What a row is about.
fn code<'a>(kind: &'a str, of: &'a v1::Indicators) -> &'a str {
    let code = match kind {
        "procedure" => &of.procedure_code,
        "field" => &of.field_code,
        "agency" => &of.agency,
        "level" => return level(of),
        _ => return "total",
    };
    if code.is_empty() { "other" } else { code }
}

fn level(of: &v1::Indicators) -> &'static str {
    match of.level() {
        v1::ProcedureLevel::Unspecified => "other",
        v1::ProcedureLevel::National => "national",
        v1::ProcedureLevel::Province => "province",
        v1::ProcedureLevel::District => "district",
        v1::ProcedureLevel::Commune => "commune",
    }
}

/// The shares of a row: in time, electronic, synchronised, satisfied.
fn shares(of: &v1::Indicators) -> [Share; 4] {
    let on_time = of.done_in_time + of.open_in_time;
    let good = of.grades.iter().skip(3).sum();
    [
        Share { part: on_time, whole: on_time + of.done_late + of.open_late },
        Share { part: of.electronic, whole: of.completed },
        Share { part: of.synchronised, whole: of.received },
        Share { part: good, whole: of.grades.iter().sum() },
    ]
}

fn value(kind: &str, of: &v1::Indicators) -> Value {
    let mut value = json!({
        "of": kind,
        "procedure_code": of.procedure_code,
        "field_code": of.field_code,
        "level": Some(level(of)).filter(|level| *level != "other"),
        "agency": of.agency,
        "name": of.name,
    });
    if let Value::Object(all) = &mut value {
        all.extend(named_counts(of));
    }
    value
}

fn columns(kind: &str, of: &v1::Indicators) -> Vec<String> {
    let text = |number: u64| number.to_string();
    let [on_time, electronic, synchronised, satisfied] = shares(of).map(Share::percent);
    let mut columns = vec![
        kind.to_owned(),
        code(kind, of).to_owned(),
        of.name.clone(),
        text(of.carried),
        text(of.received),
        text(of.done_in_time),
        text(of.done_late),
        text(of.open_in_time),
        text(of.open_late),
        text(of.withdrawn),
        on_time,
        text(of.completed),
        text(of.electronic),
        electronic,
        text(of.synchronised),
        synchronised,
        text(of.feedback),
    ];
    columns.extend(of.grades.iter().map(|count| text(*count)));
    columns.push(satisfied);
    columns
}

fn line(kind: &str, of: &v1::Indicators) -> String {
    let [on_time, electronic, synchronised, satisfied] = shares(of).map(Share::percent);
    let heading = if kind == "total" { "" } else { kind };
    format!(
        "{heading:<10}{:<22} {} carried, {} received; {} done in time, {} late; {} open in time, {} late; \
         {} withdrawn; on time {on_time}, electronic {electronic}, on the portal {synchronised}; \
         {} feedback, satisfied {satisfied}",
        code(kind, of),
        of.carried,
        of.received,
        of.done_in_time,
        of.done_late,
        of.open_in_time,
        of.open_late,
        of.withdrawn,
        of.feedback,
    )
}
