//! `vanthu trust`: which authorities count, and how they came here.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use super::Output;
use super::exit::{Exit, Failure};
use crate::clock::Time;
use crate::config::{
    Held, Official, OfficialDomain, Place, TrustDomain, read_certificates, read_domains,
};
use crate::digest::Sha256;
use crate::signature::DomainUse;

/// What `vanthu trust` does.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Takes certificates of authorities over
    ///
    /// An official certificate is known by its SHA-256 and goes to its place by itself. Any other one
    /// is refused (exit code 7) unless --unpinned says that you answer for it.
    ///
    /// Examples:
    ///   vanthu trust import rootcag2.crt --trust trust
    ///   vanthu trust import our-root.pem --unpinned --domain internal --trust trust
    ///   vanthu trust show --trust trust
    Import(ImportOptions),
    /// Shows the trust domains, their certificates and lists
    Show {
        /// Folder of trust domains
        #[arg(long, env = "VANTHU_TRUST", default_value = "trust")]
        trust: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct ImportOptions {
    /// Certificates in PEM, or one in DER
    file: PathBuf,
    /// Folder of trust domains
    #[arg(long, env = "VANTHU_TRUST", default_value = "trust")]
    trust: PathBuf,
    /// Take a certificate that is not official: you alone have compared its SHA-256
    #[arg(long, requires = "domain")]
    unpinned: bool,
    /// The trust domain for it
    #[arg(long, requires = "unpinned")]
    domain: Option<String>,
}

pub(super) fn run(command: Command, output: Output) -> Result<Exit, Failure> {
    match command {
        Command::Import(options) => import(&options, Official::find),
        Command::Show { trust } => show(&trust, output),
    }
}

/// Where a certificate goes.
struct Target {
    domain: String,
    place: Place,
    name: String,
    official: Option<&'static Official>,
}

/// Whether a SHA-256 is that of an official certificate.
type Pinned = fn(&Sha256) -> Option<&'static Official>;

fn import(options: &ImportOptions, pinned: Pinned) -> Result<Exit, Failure> {
    let certificates = read_certificates(&options.file)?;
    // Every certificate is looked at before the first is written.
    let targets: Result<Vec<_>, _> =
        certificates.iter().map(|der| target(options, pinned, der)).collect();
    for (der, target) in certificates.iter().zip(targets?) {
        let folder = options.trust.join(&target.domain);
        profile(&folder, &target)?;
        let path = folder.join(target.place.folder()).join(format!("{}.crt", target.name));
        write(&path, der)?;
        println!("{}", path.display());
        warn(&options.trust, der, &target);
    }
    Ok(Exit::Ok)
}

fn target(
    options: &ImportOptions,
    pinned: Pinned,
    der: &CertificateDer<'_>,
) -> Result<Target, Failure> {
    let file = &options.file;
    let unreadable = |_| Failure::file(file, "a certificate cannot be read");
    let (_, certificate) = X509Certificate::from_der(der).map_err(unreadable)?;
    let fingerprint = Sha256::of(der);
    if let Some(official) = pinned(&fingerprint) {
        let (name, domain) = (official.id.clone(), official.domain.clone());
        return Ok(Target { domain, place: official.place, name, official: Some(official) });
    }
    let Some(domain) = options.domain.as_ref().filter(|_| options.unpinned) else {
        let message = format!(
            "{}: the certificate of {} with the SHA-256 {} is not one of the official ones",
            file.display(),
            certificate.subject(),
            fingerprint.to_hex().to_uppercase()
        );
        return Err(Failure::new(Exit::VerificationFailed, message).with_hint(
            "fetch it again; or, if you compared this SHA-256 with a value from another way, use \
             --unpinned --domain NAME",
        ));
    };
    let is_name = !domain.is_empty()
        && domain.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !is_name {
        return Err(Failure::other(format!("domain {domain:?}: a to z, 0 to 9 and - only")));
    }
    if !certificate.is_ca() {
        return Err(Failure::file(file, "not the certificate of an authority"));
    }
    let is_root =
        certificate.subject() == certificate.issuer() && certificate.verify_signature(None).is_ok();
    let place = if is_root { Place::Anchors } else { Place::Intermediates };
    let name = fingerprint.to_hex();
    Ok(Target { domain: domain.clone(), place, name, official: None })
}

/// Says what was done and what it rests on.
fn warn(trust: &Path, der: &[u8], target: &Target) {
    let digits = Sha256::of(der).to_hex().to_uppercase();
    eprintln!("vanthu: note: SHA-256 {digits}");
    if let Some(official) = target.official {
        eprintln!("vanthu: note: it is the pinned one of {}", official.source);
        eprintln!(
            "vanthu: note: compare it with the authority's own word, on paper or by telephone"
        );
    } else {
        let consequence = match target.place {
            Place::Anchors => "everything that is signed under it counts from now on",
            Place::Intermediates => "it is a candidate on the way to an anchor, which alone counts",
        };
        eprintln!("vanthu: warning: NOT an official certificate: nobody but you vouches for it");
        eprintln!("vanthu: warning: trust domain “{}”: {consequence}", target.domain);
        eprintln!(
            "vanthu: warning: compare every digit of the SHA-256 with a value that you got in"
        );
        eprintln!("vanthu: warning: another way, let a second person do it too, and write it down");
    }
    if trust.parent().is_some_and(|parent| parent.join("WORTHLESS.txt").is_file()) {
        eprintln!("vanthu: warning: this folder belongs to a development PKI and gets replaced");
    }
}

/// A domain without a profile gets one.
fn profile(folder: &Path, target: &Target) -> Result<(), Failure> {
    let path = folder.join("profile.toml");
    if path.exists() {
        return Ok(());
    }
    let official = OfficialDomain::find(&target.domain).filter(|_| target.official.is_some());
    let text = official.map_or_else(
        || {
            format!(
                "title = {:?}\nuses = [\"documents\", \"time-stamps\"]\nsources = []\n",
                target.domain
            )
        },
        |domain| domain.profile.clone(),
    );
    write(&path, text.as_bytes())
}

/// Written beside its place and then put there.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error| Failure::file(path, error);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let new = path.with_extension(format!("new-{}", std::process::id()));
    std::fs::write(&new, bytes).map_err(failed)?;
    std::fs::rename(&new, path).map_err(failed)
}

fn show(trust: &Path, output: Output) -> Result<Exit, Failure> {
    let domains = read_domains(trust)?;
    if output == Output::Json {
        for domain in &domains {
            println!("{}", describe(domain));
        }
        return Ok(Exit::Ok);
    }
    for domain in &domains {
        let uses: Vec<_> = domain.rules.uses.iter().map(|one| one.word()).collect();
        let until = domain.rules.valid_until.map(|end| format!(", until {}", end.in_vietnam()));
        println!(
            "{}: {} (for {}{}; algorithms: {})",
            domain.name,
            if domain.profile.title.is_empty() { "no title" } else { &domain.profile.title },
            if uses.is_empty() { "no documents".to_owned() } else { uses.join(" and ") },
            until.unwrap_or_default(),
            domain.rules.algorithms.name()
        );
        for held in &domain.certificates {
            let certificate = Shown::of(held);
            let pinned =
                certificate.official.map_or("not official", |official| official.title.as_str());
            let place = held.place.folder().trim_end_matches('s');
            println!("  {place}: {} until {} [{pinned}]", certificate.subject, certificate.end());
            println!("    {}", certificate.fingerprint.to_hex().to_uppercase());
        }
        for (path, der) in &domain.crls {
            let (issuer, next) = list(der);
            let next = next.map_or_else(|| "unknown".to_owned(), |next| next.in_vietnam());
            println!("  list: {issuer}, next due {next} ({})", path.display());
        }
    }
    Ok(Exit::Ok)
}

/// What is shown of a certificate.
struct Shown {
    subject: String,
    not_after: Option<Time>,
    fingerprint: Sha256,
    official: Option<&'static Official>,
}

impl Shown {
    fn of(held: &Held) -> Self {
        let fingerprint = Sha256::of(&held.der);
        let read = X509Certificate::from_der(&held.der).ok();
        let subject = read.as_ref().map(|(_, one)| one.subject().to_string());
        let end = read.map(|(_, one)| Time::from_seconds(one.validity().not_after.timestamp()));
        Self {
            subject: subject.unwrap_or_else(|| "unreadable".to_owned()),
            not_after: end,
            fingerprint,
            official: Official::find(&fingerprint),
        }
    }

    fn end(&self) -> String {
        self.not_after.map_or_else(|| "unknown".to_owned(), |end| end.in_vietnam())
    }
}

fn list(der: &[u8]) -> (String, Option<Time>) {
    let Ok((_, list)) = CertificateRevocationList::from_der(der) else {
        return ("unreadable".to_owned(), None);
    };
    let next = list.next_update().map(|next| Time::from_seconds(next.timestamp()));
    (list.issuer().to_string(), next)
}

fn describe(domain: &TrustDomain) -> Value {
    let certificates = domain.certificates.iter().map(|held| {
        let certificate = Shown::of(held);
        json!({
            "place": held.place.folder(),
            "file": held.path,
            "subject": certificate.subject,
            "sha256": certificate.fingerprint.to_hex(),
            "not_after": certificate.not_after.map(|end| end.to_string()),
            "official": certificate.official.map(|official| &official.id),
        })
    });
    let lists = domain.crls.iter().map(|(path, der)| {
        let (issuer, next) = list(der);
        json!({ "file": path, "issuer": issuer, "next_update": next.map(|next| next.to_string()) })
    });
    json!({
        "domain": domain.name,
        "title": domain.profile.title,
        "uses": domain.rules.uses.iter().map(|one: &DomainUse| one.word()).collect::<Vec<_>>(),
        "valid_from": domain.rules.valid_from.map(|begin| begin.to_string()),
        "valid_until": domain.rules.valid_until.map(|end| end.to_string()),
        "algorithms": domain.rules.algorithms.name(),
        "sources": domain.profile.sources,
        "certificates": certificates.collect::<Vec<_>>(),
        "crls": lists.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read_trust;
    use crate::workshop::pki::DevPki;
    use crate::workshop::profile::Profile;

    struct Room {
        folder: tempfile::TempDir,
        country: DevPki,
    }

    impl Room {
        fn new() -> Self {
            let now = "2026-11-22T03:45:18.000Z".parse().unwrap();
            let country = DevPki::generate(&Profile::built_in().with_p256_keys(), now).unwrap();
            Self { folder: tempfile::tempdir().unwrap(), country }
        }

        fn options(&self, der: &[u8], domain: Option<&str>) -> ImportOptions {
            let file = self.folder.path().join("authority.crt");
            std::fs::write(&file, der).unwrap();
            ImportOptions {
                file,
                trust: self.folder.path().join("trust"),
                unpinned: domain.is_some(),
                domain: domain.map(str::to_owned),
            }
        }

        fn root(&self) -> Vec<u8> {
            self.country.trust("gov").unwrap().anchors.remove(0)
        }

        fn middle(&self) -> Vec<u8> {
            self.country.trust("gov").unwrap().intermediates.remove(0)
        }
    }

    #[test]
    fn another_certificate_than_the_official_ones_is_refused_and_nothing_written() {
        let room = Room::new();
        let options = room.options(&room.root(), None);
        let failure = import(&options, Official::find).unwrap_err();
        assert_eq!(failure.exit, Exit::VerificationFailed);
        assert!(failure.message.contains(&Sha256::of(&room.root()).to_hex().to_uppercase()));
        assert!(!options.trust.exists());
    }

    #[test]
    fn an_official_certificate_finds_its_place_and_its_domain_a_profile() {
        let room = Room::new();
        let options = room.options(&room.root(), None);
        let pinned: Pinned = |_| Official::all().iter().find(|one| one.id == "rootcag2");
        import(&options, pinned).unwrap();
        let path = options.trust.join("gov/anchors/rootcag2.crt");
        assert_eq!(std::fs::read(path).unwrap(), room.root());
        let [gov] = &read_domains(&options.trust).unwrap()[..] else { panic!("one domain") };
        assert!(gov.profile.title.contains("Ban Cơ yếu"));
        assert!(read_trust(&options.trust).is_ok());
    }

    #[test]
    fn an_unpinned_one_goes_where_it_belongs() {
        let room = Room::new();
        let folder = |place: &str| room.folder.path().join("trust/internal").join(place);
        for (der, place) in [(room.root(), "anchors"), (room.middle(), "intermediates")] {
            import(&room.options(&der, Some("internal")), Official::find).unwrap();
            let name = format!("{}.crt", Sha256::of(&der).to_hex());
            assert_eq!(std::fs::read(folder(place).join(name)).unwrap(), der);
        }
        // Again is not twice.
        import(&room.options(&room.root(), Some("internal")), Official::find).unwrap();
        assert_eq!(std::fs::read_dir(folder("anchors")).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_authority_or_no_name_is_refused() {
        let room = Room::new();
        let seal = room.country.seal("H49").unwrap();
        let seal = room.options(&seal.chain_der[0], Some("internal"));
        assert!(import(&seal, Official::find).is_err());
        for name in ["", "../gov", "Gov", "a b"] {
            let options = room.options(&room.root(), Some(name));
            assert!(import(&options, Official::find).is_err(), "{name:?}");
        }
        let options = room.options(b"nonsense", Some("internal"));
        assert!(import(&options, Official::find).is_err());
        assert!(!room.folder.path().join("trust").exists());
    }
}
