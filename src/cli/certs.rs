//! `vanthu certs`.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::exit::{Exit, Failure};
use crate::clock::{Clock as _, SystemClock};
use crate::log::{LogKey, WitnessKey};
use crate::workshop::pki::DevPki;
use crate::workshop::profile::Profile;

/// A directory, a catalogue of procedures and a configuration that go with the development PKI.
const DIRECTORY: &str = include_str!("../../certs/directory.toml");
const PROCEDURES: &str = include_str!("../../certs/procedures.toml");
const CONFIG: &str = include_str!("../../certs/vanthu.toml");

/// What `vanthu certs` makes.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// A throw-away PKI shaped like the real one, with a directory and a configuration
    ///
    /// Example: vanthu certs dev --out certs/dev && vanthu serve --config certs/dev/vanthu.toml
    Dev {
        /// Folder to write; replaced if it holds such a PKI already
        #[arg(long)]
        out: PathBuf,
        /// P-256 keys everywhere instead of RSA: made in milliseconds
        #[arg(long)]
        p256: bool,
    },
    /// Revokes the certificate of a system in the development PKI's list
    Revoke {
        /// The folder
        #[arg(long)]
        pki: PathBuf,
        /// Name of the system
        system: String,
    },
}

pub(super) fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Dev { out, p256 } => {
            let profile = Profile::built_in();
            let profile = if p256 { profile.with_p256_keys() } else { profile };
            make(&profile, &out)?;
            eprintln!("made a development PKI in {}; every key in it is worthless", out.display());
        }
        Command::Revoke { pki, system } => {
            crate::workshop::pki::revoke(&pki, &system, SystemClock.now())
                .map_err(Failure::other)?;
            eprintln!("revoked {system}; send SIGHUP to the gateway");
        }
    }
    Ok(Exit::Ok)
}

/// Makes the PKI with its directory and configuration in `out`.
pub(super) fn make(profile: &Profile, out: &Path) -> Result<DevPki, Failure> {
    let pki = DevPki::generate(profile, SystemClock.now()).map_err(Failure::other)?;
    pki.write(out).map_err(Failure::other)?;
    let config: toml::Table = toml::from_str(CONFIG).map_err(Failure::other)?;
    let name = config.get("name").and_then(toml::Value::as_str).unwrap_or_default();
    let key = |file| pki.gateway_key(file).map_err(Failure::other);
    let log = LogKey::from_pkcs8(name, &key("log.key")?).map_err(Failure::other)?;
    let witness = WitnessKey::from_pkcs8(&format!("{name}/witness"), &key("witness.key")?);
    let witness = witness.map_err(Failure::other)?;
    for (file, text) in [
        ("directory.toml", DIRECTORY),
        ("procedures.toml", PROCEDURES),
        ("vanthu.toml", CONFIG),
        ("log.vkey", &format!("{}\n", log.public())),
        ("witness.vkey", &format!("{}\n", witness.public())),
    ] {
        let path = out.join(file);
        std::fs::write(&path, text).map_err(|error| Failure::file(&path, error))?;
    }
    Ok(pki)
}
