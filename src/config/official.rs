//! The official certificates of the country, known by their SHA-256 alone: none is shipped.

use std::sync::LazyLock;

use serde::Deserialize;

use super::trust::Place;
use crate::digest::Sha256;

/// A certificate that an authority publishes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Official {
    /// The name of its file.
    pub id: String,
    /// What it is.
    pub title: String,
    /// The trust domain that it belongs to.
    pub domain: String,
    /// Where it stands there.
    pub place: Place,
    /// Where the authority publishes it.
    pub url: String,
    /// In upper-case hexadecimal, as people compare it.
    sha256: String,
    /// Who states the digest.
    pub source: String,
}

/// A domain with official certificates.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfficialDomain {
    /// Name of its folder.
    pub name: String,
    /// Its `profile.toml`.
    pub profile: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    domain: Vec<OfficialDomain>,
    certificate: Vec<Official>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    toml::from_str(include_str!("../../certs/official.toml"))
        .expect("the table of official certificates is well-formed")
});

impl Official {
    /// All of them.
    pub fn all() -> &'static [Self] {
        &TABLE.certificate
    }

    /// The one with this SHA-256.
    pub fn find(fingerprint: &Sha256) -> Option<&'static Self> {
        let digits = fingerprint.to_hex().to_uppercase();
        Self::all().iter().find(|official| official.sha256 == digits)
    }
}

impl OfficialDomain {
    /// The domain with this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        TABLE.domain.iter().find(|domain| domain.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::trust::DomainProfile;
    use super::*;

    #[test]
    fn the_table_is_complete() {
        for official in Official::all() {
            let digits = official.sha256.to_lowercase();
            let fingerprint: Sha256 = digits.parse().unwrap();
            assert!(official.sha256 == digits.to_uppercase(), "{}", official.id);
            assert_eq!(Official::find(&fingerprint).map(|one| &one.id), Some(&official.id));
            assert!(OfficialDomain::find(&official.domain).is_some(), "{}", official.domain);
            assert!(official.url.starts_with("http") && !official.source.is_empty());
        }
        for domain in &TABLE.domain {
            let profile: DomainProfile = toml::from_str(&domain.profile).unwrap();
            assert!(!profile.title.is_empty() && !profile.sources.is_empty(), "{}", domain.name);
        }
    }

    #[test]
    fn another_digest_is_not_official() {
        assert!(Official::find(&Sha256::of(b"anything")).is_none());
    }
}
