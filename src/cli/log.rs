//! `vanthu log`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::Output;
use super::evidence::receipt_file;
use super::exit::{Exit, Failure};
use crate::client;
use crate::log::EntryId;
use crate::proto::v1;
use crate::proto::v1::log_service_client::LogServiceClient;

/// What `vanthu log` does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Prints the latest signed checkpoint
    Checkpoint {
        #[command(flatten)]
        client: client::Options,
    },
    /// Saves the receipt of an entry
    Prove {
        #[command(flatten)]
        client: client::Options,
        /// The entry, as epoch/index
        entry: String,
        /// Against the newest checkpoint that a quorum of witnesses has cosigned
        #[arg(long)]
        cosigned: bool,
        /// File to write; stdout if none
        #[arg(long, short)]
        out: Option<PathBuf>,
    },
    /// Re-derives the whole log from its bytes; exit code 9 if it does not hold
    Audit(super::audit::Options),
    /// Keeps a verified copy of the log as files
    Mirror(super::mirror::Options),
    /// Verifies offline that a log was forked
    Forked(super::forked::Options),
}

pub(super) async fn run(command: Command, output: Output) -> Result<Exit, Failure> {
    match command {
        Command::Forked(_) => unreachable!("has run without a runtime"),
        Command::Checkpoint { client } => {
            let mut client = LogServiceClient::new(client.connect().await?);
            let answer = client.get_checkpoint(v1::GetCheckpointRequest { epoch: 0 }).await?;
            let answer = answer.into_inner();
            let note = String::from_utf8_lossy(&answer.checkpoint).into_owned();
            let cosigned = String::from_utf8_lossy(&answer.cosigned_checkpoint).into_owned();
            match output {
                Output::Text => print!("{note}"),
                Output::Json => println!(
                    "{}",
                    json!({
                        "epoch": answer.epoch,
                        "size": answer.size,
                        "checkpoint": note,
                        "cosigned_checkpoint": cosigned,
                    })
                ),
            }
            Ok(Exit::Ok)
        }
        Command::Prove { client, entry, cosigned, out } => {
            prove(client, &entry, cosigned, out).await
        }
        Command::Audit(options) => super::audit::run(options, output).await,
        Command::Mirror(options) => super::mirror::run(options, output).await,
    }
}

async fn prove(
    client: client::Options,
    entry: &str,
    cosigned: bool,
    out: Option<PathBuf>,
) -> Result<Exit, Failure> {
    let id = EntryId::parse(entry).ok_or_else(|| Failure::other("not an entry as 1/42"))?;
    let mut client = LogServiceClient::new(client.connect().await?);
    let entry_id = Some(v1::EntryId { epoch: id.epoch, index: id.index });
    let request = v1::GetReceiptRequest { entry_id, cosigned };
    let answer = client.get_receipt(request).await?.into_inner();
    if cosigned && !answer.cosigned {
        let message = format!("no cosigned checkpoint covers entry {id} yet");
        return Err(Failure::new(Exit::NotFound, message).with_hint("ask again after some seconds"));
    }
    let file = receipt_file(&answer.receipt.unwrap_or_default())?;
    match out {
        Some(path) => {
            std::fs::write(&path, file).map_err(|error| Failure::file(&path, error))?;
            eprintln!("{}", path.display());
        }
        None => print!("{file}"),
    }
    Ok(Exit::Ok)
}
