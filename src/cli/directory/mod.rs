//! `vanthu directory`: on the directory of a running gateway, or offline on a file.

mod exchange;
mod place;
mod show;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::Output;
use super::exit::{Exit, Failure};
use place::Place;

/// What `vanthu directory` does.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Shows one agency, or all
    Show {
        #[command(flatten)]
        place: Place,
        /// Code of the agency, in either notation
        code: Option<String>,
        /// The day, as 2025-07-01; today if not given
        #[arg(long, value_name = "DATE")]
        at: Option<String>,
    },
    /// Shows where a code leads: open, on to its successor, or to a question
    Succession {
        #[command(flatten)]
        place: Place,
        /// Code of the agency, in either notation
        code: String,
        /// The day, as 2025-07-01; today if not given
        #[arg(long, value_name = "DATE")]
        at: Option<String>,
    },
    /// Explains why a document would go where it would go
    Route(RouteOptions),
    /// Adds records from a CSV or JSON file to those of another file
    Import(ImportOptions),
    /// Writes all records, or a snapshot that the log signs
    Export(ExportOptions),
    /// Verifies a snapshot offline, with its receipt and the public key of the log
    Verify(VerifyOptions),
}

/// Exit code 6 if nobody would get it.
///
/// Examples:
///   vanthu directory route G22 H62 --at 2025-07-01 --directory directory.toml
///   vanthu directory route H49.151 G22 --output json
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RouteOptions {
    #[command(flatten)]
    place: Place,
    /// Code of the sending agency
    from: String,
    /// Code that would be written as the recipient
    to: String,
    /// The day, as 2025-07-01; today if not given
    #[arg(long, value_name = "DATE")]
    at: Option<String>,
    /// Name of the kind of document, for rules about kinds
    #[arg(long, default_value = "", value_name = "NAME")]
    r#type: String,
    /// Urgency, for rules about urgency
    #[arg(long, value_parser = ["flash", "immediate", "urgent", "normal"])]
    urgency: Option<String>,
}

/// Records of a code that is there already become a later revision, which corrects the earlier ones.
///
/// Example: vanthu directory import communes.csv --into agencies.csv --out agencies.csv
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ImportOptions {
    /// CSV or JSON with records of agencies
    file: PathBuf,
    /// Records that are there already, CSV or JSON; the published level-1 codes if not given
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
    /// File to write, CSV; stdout if not given
    #[arg(long, short)]
    out: Option<PathBuf>,
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// RFC 4180
    Csv,
    /// An array of objects
    Json,
    /// The canonical form that is hashed
    Canonical,
}

/// Exit code 7 if the snapshot or its receipt does not hold.
///
/// Example: vanthu directory export --signed --log-key log.vkey --out directory.snapshot
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct ExportOptions {
    #[command(flatten)]
    place: Place,
    /// How records are written
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// A snapshot that the log signs, in the canonical form, and its receipt beside it (.receipt)
    #[arg(long, requires_all = ["log_key", "out"])]
    signed: bool,
    /// Public key of the log (C2SP vkey), or a file that holds it; from a source that you trust
    #[arg(long)]
    log_key: Option<String>,
    /// File to write; stdout if not given
    #[arg(long, short)]
    out: Option<PathBuf>,
}

/// Exit code 7 if it does not hold.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct VerifyOptions {
    /// The snapshot
    file: PathBuf,
    /// Its receipt; by default beside it, with .receipt behind its name
    #[arg(long)]
    receipt: Option<PathBuf>,
    /// Public key of the log (C2SP vkey), or a file that holds it; from a source that you trust
    #[arg(long)]
    log_key: String,
}

pub(in crate::cli) async fn run(command: Command, output: Output) -> Result<Exit, Failure> {
    match command {
        Command::Show { place, code, at } => show::show(&place, code, at, output).await,
        Command::Succession { place, code, at } => show::succession(&place, code, at, output).await,
        Command::Route(options) => show::route(options, output).await,
        Command::Import(options) => exchange::import(&options),
        Command::Export(options) => exchange::export(options).await,
        Command::Verify(options) => exchange::verify(&options, output),
    }
}
