//! `vanthu recall` and `answer`: documents that their sender asks to have back, or exchanges.

use super::Output;
use super::exit::{Exit, Failure};
use super::mailbox::{About, print_answer};
use super::search::delivery_line;
use crate::client;
use crate::proto::v1;
use crate::proto::v1::submission_service_client::SubmissionServiceClient;

/// Asks to have a document back (13), or says that another one updates or replaces it.
#[derive(Debug, clap::Args)]
pub(super) struct RecallOptions {
    #[command(flatten)]
    about: About,
    /// Why
    #[arg(long)]
    reason: String,
    /// Only at these recipients; otherwise wherever it has or may get the document
    #[arg(long)]
    to: Vec<String>,
    /// The consignment that updates it, instead of having it back
    #[arg(long, value_name = "CONSIGNMENT", conflicts_with = "replaced_by")]
    updated_by: Option<String>,
    /// The consignment that replaces it, instead of having it back
    #[arg(long, value_name = "CONSIGNMENT")]
    replaced_by: Option<String>,
}

/// Answers what a sender asks: agrees (15) once the document is destroyed or changed, or not (16).
#[derive(Debug, clap::Args)]
pub(super) struct AnswerOptions {
    #[command(flatten)]
    about: About,
    /// The answer
    #[arg(value_parser = ["agree", "decline"])]
    answer: String,
    /// Words for the sender; required to decline
    #[arg(long, default_value = "")]
    note: String,
}

pub(super) async fn recall(options: RecallOptions, output: Output) -> Result<Exit, Failure> {
    let (kind, by) = match (options.updated_by, options.replaced_by) {
        (Some(by), _) => (v1::OrderKind::Update, by),
        (None, Some(by)) => (v1::OrderKind::Replace, by),
        (None, None) => (v1::OrderKind::Recall, String::new()),
    };
    let channel = options.about.desk.client.connect().await?;
    let mut client =
        SubmissionServiceClient::new(channel).max_decoding_message_size(client::message_size_max());
    let request = v1::OrderRequest {
        sender: options.about.desk.agency,
        consignment_id: options.about.consignment,
        recipients: options.to,
        kind: kind.into(),
        by,
        reason: options.reason,
    };
    let response = client.order(request).await?.into_inner();
    options.about.keeping.keep(response.receipt.as_ref())?;
    print_answer("asked", response.receipt.as_ref(), response.repeated, output);
    for delivery in &response.deliveries {
        println!("{}", delivery_line(delivery, output));
    }
    Ok(Exit::Ok)
}

pub(super) async fn answer(options: AnswerOptions, output: Output) -> Result<Exit, Failure> {
    let mut client = options.about.desk.open().await?;
    let agrees = options.answer == "agree";
    let answer = match agrees {
        true => v1::BusinessStatus::Agreed,
        false => v1::BusinessStatus::Declined,
    };
    let request = v1::AnswerOrderRequest {
        agency: options.about.desk.agency.clone(),
        consignment_id: options.about.consignment,
        answer: answer.into(),
        note: options.note,
    };
    let response = client.answer_order(request).await?.into_inner();
    options.about.keeping.keep(response.receipt.as_ref())?;
    let what = if agrees { "agreed" } else { "declined" };
    print_answer(what, response.receipt.as_ref(), response.repeated, output);
    Ok(Exit::Ok)
}
