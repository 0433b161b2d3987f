//! The command line: a contract that scripts rely on. stdout is data, stderr is speech.

#[macro_use]
mod stdout;

mod audit;
mod bench;
mod calendar;
mod certs;
mod demo;
mod directory;
mod doctor;
mod dossier;
mod evidence;
mod exit;
mod forked;
mod indicators;
mod inspect;
mod log;
mod mailbox;
mod mirror;
mod period;
mod portal;
mod progress;
mod quorum;
mod reconcile;
mod recall;
mod report;
mod search;
mod send;
mod serve;
mod sign;
mod store;
mod trace;
mod trust;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

pub use exit::{Exit, Failure};

/// Routes signed official documents and proves every step.
///
/// Exit codes: 0 ok, 1 other, 2 usage, 3 configuration, 4 cannot connect, 5 not permitted,
/// 6 not found, 7 verification failed, 8 verification undecided, 9 own log broken.
#[derive(Debug, Parser)]
#[command(name = "vanthu", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// How data is printed; csv and html for reports
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// How data can be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON value per result; stable
    Json,
    /// For spreadsheets (RFC 4180)
    Csv,
    /// A page to print
    Html,
}

impl Format {
    /// What every command can print; a usage error for what only reports can.
    fn common(self) -> Output {
        match self {
            Self::Text => Output::Text,
            Self::Json => Output::Json,
            Self::Csv | Self::Html => {
                let kind = clap::error::ErrorKind::ValueValidation;
                Arguments::command().error(kind, "only reports are printed as csv and html").exit()
            }
        }
    }
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON value per result; stable.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows a whole small country on loopback, end to end
    Demo(demo::Options),
    /// Runs a gateway
    Serve(serve::Options),
    /// Makes certificates
    #[command(subcommand)]
    Certs(certs::Command),
    /// Verifies the signatures in files; needs no gateway
    Verify(verify::Options),
    /// Signs a PDF, or any file with a detached signature
    Sign(Box<sign::Options>),
    /// Takes over or shows the authorities whose word counts
    #[command(subcommand)]
    Trust(trust::Command),
    /// Sends a document
    Send(Box<send::SendOptions>),
    /// Lists or follows what waits in a mailbox
    Inbox(mailbox::InboxOptions),
    /// Saves a document with all its parts
    Get(mailbox::GetOptions),
    /// Takes a document over (03)
    Ack(mailbox::AckOptions),
    /// Returns a document with a reason (02)
    Refuse(mailbox::RefuseOptions),
    /// Asks to have a document back, or says that another one updates or replaces it (13)
    Recall(recall::RecallOptions),
    /// Answers what a sender asks: agree (15) or decline (16)
    Answer(recall::AnswerOptions),
    /// Reports a business status: 01, 04, 05 or 06
    Status(mailbox::StatusOptions),
    /// Shows what happened to a document, or looks for documents
    Trace(Box<trace::TraceOptions>),
    /// Hands dossiers over to the National Public Service Portal
    #[command(subcommand)]
    Portal(portal::Command),
    /// Records, shows and lists dossiers of one-stop systems
    #[command(subcommand)]
    Dossier(dossier::Command),
    /// Prints registers and statistics
    #[command(subcommand)]
    Report(report::Command),
    /// Reckons in working days and office hours; needs no gateway
    #[command(subcommand)]
    Calendar(calendar::Command),
    /// Fetches or verifies evidence
    #[command(subcommand)]
    Evidence(evidence::Command),
    /// Reads and audits the log
    #[command(subcommand)]
    Log(log::Command),
    /// Shows, explains, imports and exports the directory
    #[command(subcommand)]
    Directory(Box<directory::Command>),
    /// Backs up, restores, checks or rebuilds the store
    #[command(subcommand)]
    Store(store::Command),
    /// Checks or shows a configuration
    #[command(subcommand)]
    Config(inspect::ConfigCommand),
    /// Shows what is stuck
    Doctor(doctor::Options),
    /// Measures a gateway against the limits of this machine
    Bench(bench::Options),
}

/// Runs the command of this process.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let command = match arguments.command {
        Command::Report(command) => return ended(report::run(command, arguments.output)),
        Command::Dossier(dossier::Command::Report(options)) => {
            return ended(indicators::run(options, arguments.output));
        }
        command => command,
    };
    let output = arguments.output.common();
    ended(match command {
        Command::Certs(command) => certs::run(command),
        Command::Verify(options) => verify::run(&options, output),
        Command::Sign(options) => sign::run(&options, output),
        Command::Trust(command) => trust::run(command, output),
        Command::Evidence(evidence::Command::Verify(options)) => evidence::verify(&options, output),
        Command::Log(log::Command::Forked(options)) => forked::run(&options, output),
        Command::Store(command) => store::run(command, output),
        Command::Config(command) => inspect::config(command, output),
        Command::Calendar(command) => calendar::run(command, output),
        command => match tokio::runtime::Runtime::new() {
            Ok(runtime) => runtime.block_on(run_async(command, output)),
            Err(error) => Err(Failure::other(error)),
        },
    })
}

fn ended(outcome: Result<Exit, Failure>) -> ExitCode {
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("vanthu: error: {failure}");
            if let Some(hint) = &failure.hint {
                eprintln!("vanthu: hint: {hint}");
            }
            failure.exit.into()
        }
    }
}

async fn run_async(command: Command, output: Output) -> Result<Exit, Failure> {
    match command {
        Command::Demo(options) => demo::run(options).await,
        Command::Serve(options) => serve::run(options).await,
        Command::Send(options) => send::run(*options, output).await,
        Command::Inbox(options) => mailbox::inbox(options, output).await,
        Command::Get(options) => mailbox::get(options, output).await,
        Command::Ack(options) => mailbox::acknowledge(options, output).await,
        Command::Refuse(options) => mailbox::refuse(options, output).await,
        Command::Recall(options) => recall::recall(options, output).await,
        Command::Answer(options) => recall::answer(options, output).await,
        Command::Status(options) => mailbox::status(options, output).await,
        Command::Trace(options) => trace::run(*options, output).await,
        Command::Evidence(command) => evidence::run(command, output).await,
        Command::Log(command) => log::run(command, output).await,
        Command::Directory(command) => directory::run(*command, output).await,
        Command::Portal(command) => portal::run(command, output).await,
        Command::Doctor(options) => doctor::run(options, output).await,
        Command::Dossier(command) => dossier::run(command, output).await,
        Command::Bench(options) => bench::run(options, output).await,
        Command::Certs(_)
        | Command::Verify(_)
        | Command::Sign(_)
        | Command::Trust(_)
        | Command::Report(_)
        | Command::Store(_)
        | Command::Calendar(_)
        | Command::Config(_) => {
            unreachable!("commands that need no runtime have run without one")
        }
    }
}
