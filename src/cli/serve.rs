//! `vanthu serve`.

use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use super::exit::{Exit, Failure};
use crate::config::Config;
use crate::{server, telemetry};

/// Runs until SIGTERM or SIGINT. SIGHUP reads certificates, lists, trust and directory again.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// The configuration, TOML
    #[arg(long)]
    config: PathBuf,
    /// Goes on with a restored store although entries behind its end were signed and are lost: in a
    /// new epoch, so that nothing is ever signed twice; the loss stays provable
    #[arg(long)]
    accept_loss: bool,
}

pub(super) async fn run(options: Options) -> Result<Exit, Failure> {
    telemetry::start_traces();
    let mut running =
        server::start_with(Config::read(&options.config)?, options.accept_loss).await?;
    // Scripts wait for this line and take the ports from it.
    let on = |kind| signal(kind).map_err(Failure::other);
    let mut terminate = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    let mut hang_up = on(SignalKind::hangup())?;
    let readers = running.readers.map(|readers| format!(" readers {readers}")).unwrap_or_default();
    // Scripts wait for this line and take the ports from it; from here on signals are heard.
    println!("serving {} operations {}{readers}", running.address, running.operations);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => match running.reload().await {
                Ok(()) => tracing::info!("reloaded"),
                Err(error) => tracing::error!(%error, "not reloaded; everything stays as it was"),
            },
            error = running.failed() => return Err(error.into()),
        }
    }
    tracing::info!("closing");
    running.stop().await?;
    tracing::info!("closed");
    Ok(Exit::Ok)
}
