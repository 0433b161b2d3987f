//! `vanthu report`.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::Format;
use super::exit::{Exit, Failure};
use super::period::Period;
use super::trace::{place, time};
use crate::client;
use crate::clock::{Date, Time};
use crate::log::{EntryId, Status};
use crate::proto::v1;
use crate::proto::v1::report_service_client::ReportServiceClient;
use crate::statistics::{
    Counts, INCOMING_COLUMNS, Incoming, OUTGOING_COLUMNS, Outgoing, Paper, STATISTICS_COLUMNS,
    Share, Tally, csv_line, page_begin, page_end, page_row, statistics_row,
};

/// Before the text of a CSV file, so that spreadsheets do not take it for a local code page.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What `vanthu report` does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Prints the register of outgoing or incoming documents of an agency (NĐ 30/2020 Annex IV)
    Register(RegisterOptions),
    /// Prints how many documents were sent, signed, answered in time and refused (QĐ 28/2018 Art. 11)
    Statistics(StatisticsOptions),
}

/// The register of an agency, with all ten columns; each row names the entry that proves it.
///
/// Examples:
///   vanthu report register outgoing --agency H49 --from 2026-11-01 --to 2026-11-30
///   vanthu report register incoming --agency H49.11 --output html > so-van-ban-den.html
#[derive(Debug, clap::Args)]
pub(super) struct RegisterOptions {
    #[command(flatten)]
    client: client::Options,
    /// Which register
    #[arg(value_parser = ["outgoing", "incoming"])]
    side: String,
    /// Code of the agency
    #[arg(long)]
    agency: String,
    #[command(flatten)]
    period: Period,
    #[command(flatten)]
    look: Look,
}

/// Figures about the documents that were accepted in a period, as they stand now.
///
/// Examples:
///   vanthu report statistics --agency H49 --from 2026-10-01 --to 2026-12-31
///   vanthu report statistics --output csv > thong-ke.csv
#[derive(Debug, clap::Args)]
pub(super) struct StatisticsOptions {
    #[command(flatten)]
    client: client::Options,
    /// Code of the agency; without it, an auditor is shown every agency
    #[arg(long, default_value = "")]
    agency: String,
    #[command(flatten)]
    period: Period,
    /// An answer is in time within so many hours; without it, on the same working day
    #[arg(long)]
    answer_within_hours: Option<u32>,
    #[command(flatten)]
    look: Look,
}

/// How a file is begun.
#[derive(Debug, clap::Args)]
pub(super) struct Look {
    /// Begin CSV with a byte order mark, which some spreadsheets need to read Vietnamese
    #[arg(long)]
    bom: bool,
}

pub(super) fn run(command: Command, format: Format) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::other)?;
    runtime.block_on(async {
        match command {
            Command::Register(options) if options.side == "outgoing" => {
                outgoing(options, format).await
            }
            Command::Register(options) => incoming(options, format).await,
            Command::Statistics(options) => statistics(options, format).await,
        }
    })
}

async fn connect(options: &client::Options) -> Result<ReportServiceClient<Channel>, Failure> {
    Ok(ReportServiceClient::new(options.connect().await?))
}

async fn outgoing(options: RegisterOptions, format: Format) -> Result<Exit, Failure> {
    let request = v1::ListOutgoingRequest {
        agency: options.agency.clone(),
        since: options.period.since()?,
        until: options.period.until()?,
    };
    let mut answers = connect(&options.client).await?.list_outgoing(request).await?.into_inner();
    let sheet = Sheet { format, columns: &OUTGOING_COLUMNS };
    sheet.begin("Sổ đăng ký văn bản đi", &options.agency, &options.period, &options.look);
    while let Some(answer) = answers.message().await? {
        for row in answer.rows {
            let value = outgoing_json(&row);
            sheet.row(&value, &outgoing_row(row)?.columns());
        }
    }
    sheet.end();
    Ok(Exit::Ok)
}

async fn incoming(options: RegisterOptions, format: Format) -> Result<Exit, Failure> {
    let request = v1::ListIncomingRequest {
        agency: options.agency.clone(),
        since: options.period.since()?,
        until: options.period.until()?,
    };
    let mut answers = connect(&options.client).await?.list_incoming(request).await?.into_inner();
    let sheet = Sheet { format, columns: &INCOMING_COLUMNS };
    sheet.begin("Sổ đăng ký văn bản đến", &options.agency, &options.period, &options.look);
    while let Some(answer) = answers.message().await? {
        for row in answer.rows {
            let value = incoming_json(&row);
            sheet.row(&value, &incoming_row(row)?.columns());
        }
    }
    sheet.end();
    Ok(Exit::Ok)
}

async fn statistics(options: StatisticsOptions, format: Format) -> Result<Exit, Failure> {
    let seconds = options.answer_within_hours.map(|hours| i64::from(hours) * 3600);
    let request = v1::GetStatisticsRequest {
        agency: options.agency.clone(),
        since: options.period.since()?,
        until: options.period.until()?,
        answer_within: seconds.map(|seconds| prost_types::Duration { seconds, nanos: 0 }),
    };
    let mut answers = connect(&options.client).await?.get_statistics(request).await?.into_inner();
    let sheet = Sheet { format, columns: &STATISTICS_COLUMNS };
    let of = if options.agency.is_empty() { "mọi cơ quan" } else { &options.agency };
    sheet.begin("Thống kê gửi, nhận văn bản điện tử", of, &options.period, &options.look);
    while let Some(answer) = answers.message().await? {
        for agency in answer.agencies {
            let counts = counts(&agency);
            let value = statistics_json(&agency, &counts);
            sheet.row(&value, &statistics_row(&agency.agency, &agency.name, &counts));
        }
    }
    sheet.end();
    Ok(Exit::Ok)
}

/// What rows are printed on.
pub(super) struct Sheet<'a> {
    pub(super) format: Format,
    pub(super) columns: &'a [&'a str],
}

impl Sheet<'_> {
    pub(super) fn begin(&self, title: &str, of: &str, period: &Period, look: &Look) {
        match self.format {
            Format::Text | Format::Json => {}
            Format::Csv => {
                let mark = if look.bom { BYTE_ORDER_MARK } else { "" };
                print!("{mark}{}", csv_line(self.columns));
            }
            Format::Html => {
                let subtitle = format!("Cơ quan: {of}. Thời gian: {}.", period.in_vietnamese());
                print!("{}", page_begin(title, &subtitle, self.columns));
            }
        }
    }

    pub(super) fn row<T: AsRef<str>>(&self, value: &Value, fields: &[T]) {
        match self.format {
            Format::Json => println!("{value}"),
            Format::Csv => print!("{}", csv_line(fields)),
            Format::Html => print!("{}", page_row(fields)),
            Format::Text => {
                for (column, field) in self.columns.iter().zip(fields) {
                    println!("{column}: {}", field.as_ref());
                }
                println!("");
            }
        }
    }

    pub(super) fn end(&self) {
        if self.format == Format::Html {
            print!("{}", page_end("Lập từ nhật ký chuyển phát."));
        }
    }
}

fn outgoing_row(row: v1::OutgoingRow) -> Result<Outgoing, Failure> {
    let paper = paper(row.issue_date, row.type_name, row.subject, row.signer);
    Ok(Outgoing {
        entry: entry_id(row.entry_id)?,
        number: row.number,
        paper,
        recipients: row.recipients,
        copies: row.recipient_count,
        forwarded: moment(row.forward_time)?,
        handed_over: row.handed_over_count,
        refused: row.refused_count,
        legal_value: row.legal_value,
        erased: row.erased,
    })
}

fn incoming_row(row: v1::IncomingRow) -> Result<Incoming, Failure> {
    let paper = paper(row.issue_date, row.type_name, row.subject, String::new());
    let answer = row.answer_entry.map(|entry| entry_id(Some(entry))).transpose()?;
    Ok(Incoming {
        entry: entry_id(row.entry_id)?,
        arrived: moment(row.arrival_time)?,
        arrival_number: row.arrival_number,
        author: row.author,
        number: row.number,
        paper,
        receiver: row.receiver,
        handed_over: row.handover_time.map(|time| moment(Some(time))).transpose()?,
        signed_for: answer.map(|entry| (entry, row.answer_system)),
        refused: row.refused,
        status: row.status,
        legal_value: row.legal_value,
        erased: row.erased,
    })
}

fn malformed() -> Failure {
    Failure::other("the gateway sent a malformed row")
}

fn entry_id(wire: Option<v1::EntryId>) -> Result<EntryId, Failure> {
    wire.map(|id| EntryId { epoch: id.epoch, index: id.index }).ok_or_else(malformed)
}

fn moment(wire: Option<prost_types::Timestamp>) -> Result<Time, Failure> {
    wire.and_then(|wire| time(wire).parse().ok()).ok_or_else(malformed)
}

fn paper(issued: Option<v1::Date>, kind: String, subject: String, signer: String) -> Paper {
    Paper { issued: issued.and_then(date), kind, subject, signer }
}

fn date(wire: v1::Date) -> Option<Date> {
    let (year, month, day) = (wire.year.try_into(), wire.month.try_into(), wire.day.try_into());
    Date::new(year.ok()?, month.ok()?, day.ok()?).ok()
}

fn outgoing_json(row: &v1::OutgoingRow) -> Value {
    json!({
        "entry_id": place(row.entry_id),
        "consignment_id": row.consignment_id,
        "number": row.number,
        "issue_date": row.issue_date.and_then(date).map(|date| date.to_string()),
        "type_name": row.type_name,
        "subject": row.subject,
        "signer": row.signer,
        "recipients": row.recipients,
        "recipient_count": row.recipient_count,
        "forwarded_at": row.forward_time.map(time),
        "handed_over": row.handed_over_count,
        "refused": row.refused_count,
        "legal_value": row.legal_value,
        "erased": row.erased,
    })
}

fn incoming_json(row: &v1::IncomingRow) -> Value {
    json!({
        "entry_id": place(row.entry_id),
        "consignment_id": row.consignment_id,
        "arrived_at": row.arrival_time.map(time),
        "arrival_number": row.arrival_number,
        "author": row.author,
        "number": row.number,
        "issue_date": row.issue_date.and_then(date).map(|date| date.to_string()),
        "type_name": row.type_name,
        "subject": row.subject,
        "receiver": row.receiver,
        "handed_over_at": row.handover_time.map(time),
        "answer_entry": row.answer_entry.map(|id| place(Some(id))),
        "answer_system": row.answer_system,
        "refused": row.refused,
        "status": row.status,
        "legal_value": row.legal_value,
        "erased": row.erased,
    })
}

fn counts(wire: &v1::AgencyStatistics) -> Counts {
    let reasons = wire.rejected_by_reason.iter();
    let rejected_by_reason: BTreeMap<_, _> =
        reasons.map(|it| (it.reason.clone(), it.count)).collect();
    Counts {
        accepted: wire.accepted,
        accepted_signed: wire.accepted_signed,
        rejected: wire.rejected,
        rejected_by_reason,
        sent: tally(wire.sent.as_ref()),
        received: tally(wire.received.as_ref()),
    }
}

fn tally(wire: Option<&v1::DeliveryTally>) -> Tally {
    let Some(wire) = wire else { return Tally::default() };
    let mut by_status = [0; Status::REPORTED];
    for (count, sent) in by_status.iter_mut().zip(&wire.by_status) {
        *count = *sent;
    }
    Tally {
        deliveries: wire.deliveries,
        signed: wire.signed,
        handed_over: wire.handed_over,
        refused: wire.refused,
        in_time: wire.in_time,
        late: wire.late,
        overdue: wire.overdue,
        pending: wire.pending,
        by_status,
    }
}

fn statistics_json(agency: &v1::AgencyStatistics, counts: &Counts) -> Value {
    let tally = |tally: &Tally| {
        let statuses = Status::CODES.iter().zip(tally.by_status);
        let statuses: BTreeMap<_, _> = statuses.map(|((code, _), count)| (code, count)).collect();
        json!({
            "deliveries": tally.deliveries,
            "signed": tally.signed,
            "handed_over": tally.handed_over,
            "refused": tally.refused,
            "in_time": tally.in_time,
            "late": tally.late,
            "overdue": tally.overdue,
            "pending": tally.pending,
            "on_time_percent": percent(tally.on_time()),
            "by_status": statuses,
        })
    };
    json!({
        "agency": agency.agency,
        "name": agency.name,
        "accepted": counts.accepted,
        "accepted_signed": counts.accepted_signed,
        "signed_percent": percent(counts.signed()),
        "rejected": counts.rejected,
        "rejected_by_reason": counts.rejected_by_reason,
        "sent": tally(&counts.sent),
        "received": tally(&counts.received),
    })
}

/// With two decimals; null of nothing.
fn percent(share: Share) -> Option<f64> {
    share.basis_points().map(|points| points as f64 / 100.0)
}
