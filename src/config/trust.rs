//! Trust domains on disk: `<trust>/<domain>/{anchors,intermediates,crls}/*`, one item in a file, and
//! `<trust>/<domain>/profile.toml`, which may be absent.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use serde::Deserialize;

use super::Error;
use crate::clock::{Date, Time};
use crate::signature::{CryptoPolicy, Der, Domain, DomainUse, Trust};

/// Files larger than this are no certificates or lists; the largest CRLs in use have about 40 MiB.
const FILE_SIZE_MAX: u64 = 64 * 1024 * 1024;
/// The name of a domain's profile.
pub(super) const PROFILE: &str = "profile.toml";
/// A use that the engine for documents does not look at.
const TLS: &str = "tls";

/// Where a certificate stands in a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Its word counts.
    Anchors,
    /// It may lead to one whose word counts.
    Intermediates,
}

impl Place {
    /// The folder in a domain.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Anchors => "anchors",
            Self::Intermediates => "intermediates",
        }
    }
}

/// What `profile.toml` says; without one a domain may vouch for everything.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainProfile {
    /// What people call it.
    #[serde(default)]
    pub title: String,
    /// Any of `documents`, `time-stamps` and `tls`; absent for the first two.
    pub uses: Option<Vec<String>>,
    /// First day in Vietnam.
    pub valid_from: Option<String>,
    /// Last day in Vietnam; what is proven to be older is trusted afterwards, too.
    pub valid_until: Option<String>,
    /// Where its certificates and lists come from, for the operator.
    #[serde(default)]
    pub sources: Vec<String>,
    /// An algorithm table beside the profile; absent for the built-in one.
    pub algorithms: Option<PathBuf>,
}

/// A certificate of a domain.
#[derive(Debug, Clone)]
pub struct Held {
    /// Where it stands.
    pub place: Place,
    /// Its file.
    pub path: PathBuf,
    /// Itself.
    pub der: Vec<u8>,
}

/// A domain as it stands on disk.
#[derive(Debug, Clone)]
pub struct TrustDomain {
    /// Name of its folder.
    pub name: String,
    /// What is said about it.
    pub profile: DomainProfile,
    /// Its certificates.
    pub certificates: Vec<Held>,
    /// Its revocation lists with their files, DER.
    pub crls: Vec<(PathBuf, Vec<u8>)>,
    /// As the signature room takes it, but without certificates and lists.
    pub rules: Domain,
}

impl TrustDomain {
    fn read(folder: &Path) -> Result<Self, Error> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let profile = read_profile(&folder.join(PROFILE))?;
        let rules = rules(&name, &profile, folder)?;
        let mut certificates = Vec::new();
        for place in [Place::Anchors, Place::Intermediates] {
            for path in files(&folder.join(place.folder()))? {
                for der in read_certificates(&path)? {
                    certificates.push(Held { place, path: path.clone(), der: der.to_vec() });
                }
            }
        }
        let mut crls = Vec::new();
        for path in files(&folder.join("crls"))? {
            let der = crl(&path)?;
            crls.push((path, der));
        }
        Ok(Self { name, profile, certificates, crls, rules })
    }

    fn into_domain(self) -> Domain {
        let mut domain = self.rules;
        for Held { place, der, .. } in self.certificates {
            match place {
                Place::Anchors => domain.anchors.push(der),
                Place::Intermediates => domain.intermediates.push(der),
            }
        }
        domain.crls = self.crls.into_iter().map(|(_, der)| der).collect();
        domain
    }
}

/// Reads all domains of a folder, in the order of their names.
///
/// # Errors
/// The first file that cannot be used, and why.
pub fn read_domains(folder: &Path) -> Result<Vec<TrustDomain>, Error> {
    let folders = entries(folder)?.into_iter().filter(|path| path.is_dir());
    folders.map(|path| TrustDomain::read(&path)).collect()
}

/// The trust material of a folder, and its revocation lists in the order in which reports count them.
pub(super) fn trust(folder: &Path) -> Result<(Trust, Vec<Der>), Error> {
    let domains: Vec<Domain> =
        read_domains(folder)?.into_iter().map(TrustDomain::into_domain).collect();
    // What only vouches for TLS has no say here.
    let domains: Vec<_> = domains.into_iter().filter(|domain| !domain.uses.is_empty()).collect();
    if domains.iter().all(|domain| domain.anchors.is_empty()) {
        return Err(Error::new(folder, "no trust anchor; see certs/README.md"));
    }
    let crls = domains.iter().flat_map(|domain| &domain.crls);
    let crls = crls.map(|der| Der::new(&der[..])).collect();
    let trust = Trust::of(domains).map_err(|error| Error::new(folder, error))?;
    Ok((trust, crls))
}

/// Loads a folder of trust domains, for commands that work without a gateway.
///
/// # Errors
/// The first file that cannot be used, and why.
pub fn read_trust(folder: &Path) -> Result<Trust, Error> {
    trust(folder).map(|(trust, _)| trust)
}

fn read_profile(path: &Path) -> Result<DomainProfile, Error> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(DomainProfile::default());
        }
        Err(error) => return Err(Error::new(path, error)),
    };
    toml::from_str(&text).map_err(|error| Error::new(path, error))
}

fn rules(name: &str, profile: &DomainProfile, folder: &Path) -> Result<Domain, Error> {
    let wrong = |problem: String| Error::new(&folder.join(PROFILE), problem);
    let mut domain = Domain { name: name.to_owned(), ..Domain::default() };
    if let Some(words) = &profile.uses {
        domain.uses.clear();
        for word in words.iter().filter(|word| *word != TLS) {
            let known = DomainUse::ALL.into_iter().find(|one| one.word() == word);
            let unknown =
                || wrong(format!("uses: not one of documents, time-stamps, tls: {word:?}"));
            domain.uses.push(known.ok_or_else(unknown)?);
        }
    }
    let day = |what: &str, text: &Option<String>| {
        let Some(text) = text else { return Ok(None) };
        let date = text.parse::<Date>();
        date.map(Some).map_err(|_| wrong(format!("{what}: not a date as 2026-11-22: {text:?}")))
    };
    domain.valid_from = day("valid_from", &profile.valid_from)?.and_then(Time::begin_in_vietnam);
    let last = day("valid_until", &profile.valid_until)?;
    domain.valid_until = last.and_then(Time::end_in_vietnam);
    if let Some(table) = &profile.algorithms {
        let path = folder.join(table);
        let text = std::fs::read_to_string(&path).map_err(|error| Error::new(&path, error))?;
        domain.algorithms = CryptoPolicy::parse(&text).map_err(|error| Error::new(&path, error))?;
    }
    Ok(domain)
}

/// The entries of a folder in the order of their names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let wrong = |error| Error::new(folder, error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        paths.push(entry.map_err(wrong)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// As [`entries`]; a folder that is not there has none.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    if folder.is_dir() { entries(folder) } else { Ok(Vec::new()) }
}

/// A file of bounded size.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let wrong = |error| Error::new(path, error);
    let size = std::fs::metadata(path).map_err(wrong)?.len();
    if size > FILE_SIZE_MAX {
        return Err(Error::new(path, format!("{size} bytes; at most {FILE_SIZE_MAX}")));
    }
    std::fs::read(path).map_err(wrong)
}

/// Certificates in PEM or one in DER.
///
/// # Errors
/// If the file holds none.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = read(path)?;
    if bytes.first() == Some(&0x30) {
        return Ok(vec![CertificateDer::from(bytes)]);
    }
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let all = all.map_err(|error| Error::new(path, error))?;
    if all.is_empty() { Err(Error::new(path, "no certificate")) } else { Ok(all) }
}

/// A revocation list in PEM or DER.
pub(super) fn crl(path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = read(path)?;
    if bytes.first() == Some(&0x30) {
        return Ok(bytes);
    }
    CertificateRevocationListDer::from_pem_slice(&bytes)
        .map(|list| list.to_vec())
        .map_err(|error| Error::new(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules_of(text: &str) -> Result<Domain, String> {
        let profile: DomainProfile = toml::from_str(text).map_err(|error| error.to_string())?;
        rules("gov", &profile, Path::new("/nowhere")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_profile_says_for_what_and_until_when() {
        let all = rules_of("").unwrap();
        assert_eq!((all.uses.len(), all.valid_until), (2, None));
        let some = rules_of(
            "title = 'Chuyên dùng'\nuses = ['time-stamps', 'tls']\n\
             valid_from = '2010-01-01'\nvalid_until = '2030-12-31'\nsources = ['x']",
        )
        .unwrap();
        assert_eq!(some.uses, [DomainUse::Timestamps]);
        let time = |text: &str| Some(text.parse::<Time>().unwrap());
        assert_eq!(some.valid_from, time("2009-12-31T17:00:00.000Z"));
        assert_eq!(some.valid_until, time("2030-12-31T16:59:59.999Z"));
    }

    #[test]
    fn a_wrong_profile_is_refused_with_the_field() {
        for (text, expected) in [
            ("uses = ['everything']", "uses: not one of"),
            ("valid_from = 'soon'", "valid_from: not a date"),
            ("valid_until = '2026-13-01'", "valid_until: not a date"),
            ("unknown = 1", "unknown field"),
            ("algorithms = 'absent.txt'", "absent.txt"),
        ] {
            let error = rules_of(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
