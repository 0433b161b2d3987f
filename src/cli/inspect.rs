//! `vanthu directory` and `vanthu config`.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::Output;
use super::exit::{Exit, Failure};
use crate::client;
use crate::config::{Config, Material};
use crate::proto::v1;
use crate::proto::v1::directory_service_client::DirectoryServiceClient;

/// What `vanthu directory` does.
#[derive(Debug, Subcommand)]
pub(super) enum DirectoryCommand {
    /// Shows one agency, or all
    Show {
        #[command(flatten)]
        client: client::Options,
        /// Code of the agency, in either notation
        code: Option<String>,
    },
}

/// What `vanthu config` does.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Reads everything that a configuration names, and says what is wrong
    Check {
        /// The configuration
        #[arg(long)]
        config: PathBuf,
    },
    /// Shows a configuration with its paths resolved
    Show {
        /// The configuration
        #[arg(long)]
        config: PathBuf,
    },
}

pub(super) async fn directory(command: DirectoryCommand, output: Output) -> Result<Exit, Failure> {
    let DirectoryCommand::Show { client, code } = command;
    let mut client = DirectoryServiceClient::new(client.connect().await?);
    if let Some(code) = code {
        let found = client.get_agency(v1::GetAgencyRequest { code }).await?.into_inner();
        print(&found.agency.unwrap_or_default(), output);
        return Ok(Exit::Ok);
    }
    let mut page_token = String::new();
    loop {
        let request = v1::ListAgenciesRequest { below: String::new(), page_size: 0, page_token };
        let page = client.list_agencies(request).await?.into_inner();
        for agency in &page.agencies {
            print(agency, output);
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(Exit::Ok);
        }
    }
}

fn print(agency: &v1::Agency, output: Output) {
    let date = |date: &v1::Date| format!("{:04}-{:02}-{:02}", date.year, date.month, date.day);
    let until = agency.valid_until.as_ref().map(date);
    if output == Output::Json {
        let value = json!({
            "code": agency.code,
            "code_qcvn": agency.code_qcvn,
            "name": agency.name,
            "level": agency.level,
            "parent": agency.parent,
            "kind": agency.kind,
            "valid_from": agency.valid_from.as_ref().map(date),
            "valid_until": until,
            "successors": agency.successors,
            "reachable": agency.reachable,
        });
        println!("{value}");
        return;
    }
    let closed = until.map(|day| format!(" (closed {day}: {})", agency.successors.join(", ")));
    println!("{:<12} {}{}", agency.code, agency.name, closed.unwrap_or_default());
}

pub(super) fn config(command: ConfigCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Check { config } => {
            let config = Config::read(&config)?;
            let material = Material::read(&config)?;
            crate::config::log_key(&config)?;
            config.witness_of()?;
            config.witnessed_by()?;
            let agencies = material.surroundings.directory.agencies().count();
            match output {
                Output::Json => println!("{}", json!({ "ok": true, "agencies": agencies })),
                Output::Text => println!("ok: {} with {agencies} agencies", config.name),
            }
        }
        ConfigCommand::Show { config } => {
            let config = Config::read(&config)?;
            let value = json!({
                "name": config.name,
                "listen": config.listen.to_string(),
                "operations": config.operations.to_string(),
                "data": config.data,
                "directory": config.directory,
                "trust": config.trust,
                "tls": {
                    "certificate": config.tls.certificate,
                    "key": config.tls.key,
                    "client_ca": config.tls.client_ca,
                    "client_crls": config.tls.client_crls,
                },
                "log": {
                    "key": config.log.key,
                    "vkey": crate::config::log_key(&config)?.public().to_string(),
                    "epoch_entries": config.log.epoch_entries,
                },
                "readers": config.readers.as_ref().map(|readers| readers.listen.to_string()),
                "witness": config.witness_of()?.map(|(key, logs)| json!({
                    "vkey": key.public().to_string(),
                    "logs": logs.iter().map(ToString::to_string).collect::<Vec<_>>(),
                })),
                "witnessed": config.witnessed.as_ref().map(|section| json!({
                    "quorum": section.quorum,
                    "interval_seconds": section.interval_seconds,
                    "deadline_seconds": section.deadline_seconds,
                    "by": section.by.iter().map(|one| json!({ "key": one.key, "url": one.url }))
                        .collect::<Vec<_>>(),
                })),
                "reflection": config.reflection,
                "cache_mib": config.cache_mib,
                "reserve_mib": config.reserve_mib,
                "retention": {
                    "every_hours": config.retention.every_hours,
                    "rules": config.retention.rules.iter().map(|rule| {
                        json!({ "kind": rule.kind, "days": rule.days })
                    }).collect::<Vec<_>>(),
                },
            });
            match output {
                Output::Json => println!("{value}"),
                Output::Text => println!("{value:#}"),
            }
        }
    }
    Ok(Exit::Ok)
}
