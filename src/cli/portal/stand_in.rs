//! `vanthu portal stand-in`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::cli::exit::{Exit, Failure};
use crate::config::read_login;
use crate::workshop::portal::StandIn;

/// It checks what the portal checks and answers as the portal does, and keeps what it gets until it ends.
/// `GET /book` shows that; `POST /faults` makes it fail, `POST /originate` lets a dossier begin there. It is worthless anywhere but on one machine.
///
/// Examples:
///   vanthu portal stand-in --credentials portal-login.toml
///   vanthu portal stand-in --credentials portal-login.toml --session-seconds 5
///   vanthu portal stand-in --credentials portal-login.toml --listen 127.0.0.1:7499
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct StandInOptions {
    /// Where it listens; must be a loopback address
    #[arg(long, default_value = "127.0.0.1:7499")]
    listen: SocketAddr,
    /// TOML file with the username and password that it takes, read again at each log-in
    #[arg(long)]
    credentials: PathBuf,
    /// How long a session lasts
    #[arg(long, default_value_t = 600)]
    session_seconds: u64,
}

pub(super) async fn run(options: StandInOptions) -> Result<Exit, Failure> {
    if !options.listen.ip().is_loopback() {
        return Err(Failure::new(Exit::Configuration, "--listen: must be a loopback address"));
    }
    read_login(Some(&options.credentials))?;
    let path = options.credentials;
    let credentials = move || read_login(Some(&path)).map_err(|error| error.to_string());
    let session = Duration::from_secs(options.session_seconds);
    let portal = Arc::new(StandIn::new(Box::new(credentials), session));
    let listener = TcpListener::bind(options.listen).await.map_err(Failure::other)?;
    let address = listener.local_addr().map_err(Failure::other)?;
    // Scripts wait for this line and take the port from it.
    println!("stand-in http://{address}");
    axum::serve(listener, portal.router()).await.map_err(Failure::other)?;
    Ok(Exit::Ok)
}
