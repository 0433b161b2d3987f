//! `vanthu demo`: a whole small country on loopback, from one signed letter to evidence that holds
//! without the gateway. Everything goes through real sockets with mutual TLS.

mod check;
mod country;
mod dossier;
mod forgery;
mod fork;
mod paper;
mod portal;
mod scenes;

use std::path::PathBuf;

use crate::cli::{Exit, Failure};
use crate::workshop::profile::Profile;
use country::Country;

/// Shows a commune, a district, a province, the portal and an auditor exchange signed documents.
///
/// Example: vanthu demo --keep /tmp/country
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Options {
    /// Keep everything in this folder, and print how to go on by hand
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// Runs the demonstration.
///
/// # Errors
/// The first thing that did not go as it must.
pub(in crate::cli) async fn run(options: Options) -> Result<Exit, Failure> {
    let folder = match &options.keep {
        Some(folder) => Folder::Kept(folder.clone()),
        None => Folder::Temporary(
            std::env::temp_dir().join(format!("vanthu-demo-{}", uuid::Uuid::new_v4())),
        ),
    };
    let outcome = tell(&folder).await;
    if let Folder::Temporary(path) = &folder
        && path.exists()
    {
        std::fs::remove_dir_all(path).map_err(|error| Failure::file(path, error))?;
    }
    outcome.map(|()| Exit::Ok)
}

enum Folder {
    Kept(PathBuf),
    Temporary(PathBuf),
}

impl Folder {
    fn path(&self) -> &PathBuf {
        match self {
            Self::Kept(path) | Self::Temporary(path) => path,
        }
    }
}

async fn tell(folder: &Folder) -> Result<(), Failure> {
    heading("A country on loopback");
    let country = Country::found(folder.path(), Profile::built_in()).await?;
    say("certificates: state root → sub-CA → seals and officers; TLS for each system");
    say(&format!("gateway at {}, everything over mutual TLS", country.address()));

    heading("1  A commune reports to a department");
    let letter = scenes::letter(&country).await?;

    heading("2  The province writes to everyone below it, most urgently");
    scenes::circular(&country).await?;

    heading("3  A dossier travels from the portal and comes back with a signed result");
    let land = dossier::country(folder.path()).await?;
    let dossier = dossier::travels(&land).await?;

    heading("4  A tampered document is refused");
    scenes::tampered(&country).await?;

    heading(
        "5  Files are checked without being sent: one holds, one does not, one cannot be decided",
    );
    check::files(&country).await?;

    heading("6  The auditor asks who had the document, and when");
    scenes::consignment(&country, &letter).await?;
    scenes::dossier(&land, &dossier).await?;
    land.close().await?;

    heading("7  Evidence that stands alone");
    let evidence = scenes::evidence(&country, &letter).await?;

    heading("8  Nobody rewrites the log unseen");
    let (pki, key) = (country.pki_folder(), country.public_key());
    let both = fork::show(country).await?;
    forgery::show(&both.0, &key)?;
    fork::audit(&both, &key)?;

    if let Folder::Kept(path) = folder {
        heading("To go on by hand");
        let (pki, path) = (pki.display(), path.display());
        say(&format!("vanthu serve --config {pki}/vanthu.toml &"));
        say(&format!("export VANTHU_CA={pki}/tls/ca.pem"));
        say(&format!("vanthu inbox --agency H49.151 --cert {pki}/systems/commune.pem"));
        say(&format!("vanthu trace {letter} --cert {pki}/systems/auditor.pem"));
        say(&format!("vanthu evidence verify {} --key {pki}/log.vkey", evidence.display()));
        say(&format!("vanthu log audit --key {pki}/log.vkey --cert {pki}/systems/auditor.pem"));
        say(&format!("vanthu verify {path}/*.pdf --trust {pki}/trust"));
    }
    Ok(())
}

fn heading(text: &str) {
    println!("\n── {text} ──");
}

fn say(text: &str) {
    println!("   {text}");
}
