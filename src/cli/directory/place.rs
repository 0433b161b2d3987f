//! Where the directory is: in a file, or at a gateway.

use std::path::PathBuf;

use tonic::transport::Channel;

use crate::cli::exit::{Exit, Failure};
use crate::client;
use crate::clock::{Clock as _, Date, SystemClock};
use crate::config;
use crate::directory::{Code, Directory};
use crate::proto::v1::directory_service_client::DirectoryServiceClient;

/// A file, or a gateway.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Place {
    /// A directory file or snapshot, instead of a gateway's
    #[arg(long, value_name = "FILE")]
    directory: Option<PathBuf>,
    /// The gateway, as https://HOST:PORT
    #[arg(long, env = "VANTHU_SERVER", default_value = "https://localhost:7443")]
    server: String,
    /// CA of the gateway's certificate, PEM
    #[arg(long, env = "VANTHU_CA", default_value = "certs/dev/tls/ca.pem")]
    ca: PathBuf,
    /// Certificate of this system, PEM
    #[arg(long, env = "VANTHU_CERT", required_unless_present = "directory")]
    cert: Option<PathBuf>,
    /// Its private key, PKCS #8 PEM; by default the certificate's name with .key
    #[arg(long, env = "VANTHU_KEY")]
    key: Option<PathBuf>,
}

impl Place {
    /// The directory in the file, if one is named.
    pub(super) fn file(&self) -> Result<Option<Directory>, Failure> {
        let read = self.directory.as_deref().map(config::read_directory).transpose()?;
        Ok(read.map(|file| file.directory))
    }

    pub(super) async fn gateway(&self) -> Result<DirectoryServiceClient<Channel>, Failure> {
        let options = client::Options {
            server: self.server.clone(),
            ca: self.ca.clone(),
            cert: self.cert.clone().expect("asked for unless there is a file"),
            key: self.key.clone(),
        };
        let client = DirectoryServiceClient::new(options.connect().await?);
        Ok(client.max_decoding_message_size(client::message_size_max()))
    }
}

/// The day that was asked for, or today in Vietnam.
pub(super) fn day(at: Option<&str>) -> Result<Date, Failure> {
    match at {
        None => Ok(SystemClock.now().date_in_vietnam()),
        Some(text) => {
            text.parse().map_err(|_| Failure::other(format!("not a date as 2025-07-01: {text:?}")))
        }
    }
}

pub(super) fn code(text: &str) -> Result<Code, Failure> {
    Code::parse(text).ok_or_else(|| Failure::other(format!("not a code: {text:?}")))
}

pub(super) fn unknown(code: &Code) -> Failure {
    Failure::new(Exit::NotFound, format!("AGENCY_UNKNOWN: {code} is not in the directory"))
}
