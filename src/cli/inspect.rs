//! `vanthu config`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use super::Output;
use super::exit::{Exit, Failure};
use crate::config::{Config, Material};

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

pub(super) fn config(command: ConfigCommand, output: Output) -> Result<Exit, Failure> {
    match command {
        ConfigCommand::Check { config } => check(&config, output)?,
        ConfigCommand::Show { config } => {
            let config = Config::read(&config)?;
            let value = json!({
                "name": config.name,
                "listen": config.listen.to_string(),
                "operations": config.operations.to_string(),
                "data": config.data,
                "directory": config.directory,
                "procedures": config.procedures,
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

fn check(path: &Path, output: Output) -> Result<(), Failure> {
    let config = Config::read(path)?;
    let material = Material::read(&config)?;
    crate::config::log_key(&config)?;
    config.witness_of()?;
    config.witnessed_by()?;
    let agencies = material.surroundings.directory.agencies().count();
    let catalogue = &material.surroundings.procedures;
    let (procedures, as_of) = (catalogue.procedures().len(), catalogue.as_of());
    let name = &config.name;
    match output {
        Output::Json => {
            let value = json!({
                "ok": true,
                "agencies": agencies,
                "procedures": procedures,
                "procedures_as_of": as_of.map(|day| day.to_string()),
            });
            println!("{value}");
        }
        Output::Text => println!("ok: {name} with {agencies} agencies and {procedures} procedures"),
    }
    Ok(())
}
