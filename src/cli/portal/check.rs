//! `vanthu portal check`.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::Output;
use crate::cli::exit::{Exit, Failure};
use crate::config::PortalFile;

/// Exit codes: 3 the configuration cannot be used, 4 the portal cannot be reached, 5 it does not take
/// the user name and password, 6 it does not know the dossier.
///
/// Examples:
///   vanthu portal check --config portal.toml
///   vanthu portal check --config portal.toml --dossier H49.151-20261122-0001
///   vanthu portal check --config portal.toml --output json
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CheckOptions {
    /// The way to the portal, TOML
    #[arg(long)]
    config: PathBuf,
    /// A dossier to look up; it is shown as the portal has it, with personal data
    #[arg(long)]
    dossier: Option<String>,
}

pub(super) async fn run(options: CheckOptions, output: Output) -> Result<Exit, Failure> {
    let file = PortalFile::read(&options.config)?;
    let mut portal = file.portal()?;
    portal.log_in().await?;
    let procedures = portal.catalogue("LayDanhSachTTHC").await?.len();
    if let Some(code) = &options.dossier {
        let found = portal.find(code).await?;
        let Some(dossier) = found.first() else {
            let message = format!("the portal does not know the dossier {code}");
            return Err(Failure::new(Exit::NotFound, message));
        };
        match output {
            Output::Json => println!("{dossier}"),
            Output::Text => println!("{dossier:#}"),
        }
        return Ok(Exit::Ok);
    }
    match output {
        Output::Json => println!("{}", json!({ "ok": true, "procedures": procedures })),
        Output::Text => println!("ok: logged in, {procedures} procedures in the catalogue"),
    }
    Ok(Exit::Ok)
}
