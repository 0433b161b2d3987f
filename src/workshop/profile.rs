//! The profile of a development PKI: who signs whom, with what key and for how long.
//!
//! The built-in profile is `certs/profile.toml`. A profile is data only; `pki` makes the keys.

use serde::Deserialize;

use super::Error;

/// The profile committed with the source.
const BUILT_IN: &str = include_str!("../../certs/profile.toml");

/// What a development PKI consists of.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Modulus size of every RSA key; at least 2048.
    pub rsa_bits: usize,
    /// Days from a CRL's `thisUpdate` to its `nextUpdate`.
    pub crl_days: u32,
    /// Prefix of the CRL distribution points.
    pub crl_base: String,
    /// Certification authorities; an issuer stands before those it signs.
    #[serde(rename = "authority")]
    pub authorities: Vec<Authority>,
    /// How seals and officers are certified.
    pub agency_certificates: Terms,
    /// Agencies, each with a seal and an officer.
    #[serde(rename = "agency")]
    pub agencies: Vec<Agency>,
    /// Signers that are not an agency's current seal or officer.
    #[serde(rename = "signer")]
    pub signers: Vec<Signer>,
    /// How TLS certificates are made.
    pub tls: Tls,
    /// Client systems.
    #[serde(rename = "system")]
    pub systems: Vec<System>,
}

/// A certification authority.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// Names the authority inside the profile.
    pub id: String,
    /// The trust domain it belongs to: `gov`, `public` or `tls`.
    pub domain: String,
    /// The id of its issuer; none makes it a root.
    pub issuer: Option<String>,
    /// Subject CN.
    pub common_name: String,
    /// Subject O.
    pub organization: String,
    /// Key algorithm.
    pub key: Algorithm,
    /// Days before and after generation.
    pub valid: Validity,
}

/// Issuer, key and lifetime shared by several certificates.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The id of the issuing authority.
    pub issuer: String,
    /// Key algorithm.
    pub key: Algorithm,
    /// Days before and after generation.
    pub valid: Validity,
}

/// An agency.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agency {
    /// Identification code (QĐ 20/2020/QĐ-TTg).
    pub code: String,
    /// Name in Vietnamese.
    pub name: String,
    /// Depth of the code.
    pub level: u8,
    /// `national`, `portal`, `province`, `department`, `unit` or `commune`.
    pub kind: String,
    /// The person who signs.
    pub officer: Officer,
}

/// An invented person.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Officer {
    /// Full name.
    pub name: String,
    /// Position.
    pub title: String,
}

/// A signer outside the list of agencies.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signer {
    /// Names its files.
    pub id: String,
    /// What the key is for.
    pub purpose: Purpose,
    /// The id of the issuing authority.
    pub issuer: String,
    /// Subject CN.
    pub common_name: String,
    /// Subject O.
    pub organization: String,
    /// Subject organizationIdentifier (2.5.4.97).
    pub organization_identifier: Option<String>,
    /// Subject UID (0.9.2342.19200300.100.1.1).
    pub user_id: Option<String>,
    /// Key algorithm.
    pub key: Algorithm,
    /// Days before and after generation.
    pub valid: Validity,
    /// Set if the issuer's CRL lists it.
    pub revoked: Option<Revocation>,
}

/// How TLS certificates are made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The id of the issuing authority.
    pub issuer: String,
    /// Key algorithm.
    pub key: Algorithm,
    /// Days before and after generation.
    pub valid: Validity,
    /// DNS names and addresses of the gateway.
    pub gateway_names: Vec<String>,
    /// What stands before a system's id in its SAN URI.
    pub uri_prefix: String,
}

/// A client system.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// The last part of its SAN URI; names its files.
    pub id: String,
    /// A lifetime other than that of `tls`.
    pub valid: Option<Validity>,
    /// Set if the TLS CRL lists it.
    pub revoked: Option<Revocation>,
}

/// The first and last day of a certificate, counted from its generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Validity(pub i32, pub i32);

/// A revocation.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Days before generation.
    pub days_ago: u32,
    /// CRL reason code.
    pub reason: Reason,
}

/// CRL reason codes in use (RFC 5280 §5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The key is in wrong hands.
    KeyCompromise,
    /// The agency was merged or closed.
    CessationOfOperation,
    /// A new certificate replaces it.
    Superseded,
}

/// Key algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// RSA, PKCS#1 v1.5 with SHA-256.
    Rsa,
    /// ECDSA on P-256 with SHA-256.
    P256,
}

/// What a signer's key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Signing documents.
    Sign,
    /// Signing time-stamps.
    Timestamp,
}

impl Profile {
    /// The profile committed with the source.
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("a test parses the built-in profile")
    }

    /// Reads a profile.
    ///
    /// # Errors
    /// [`Error::Profile`] with line and column.
    pub fn parse(text: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| Error::Profile(error.to_string()))
    }

    /// The same people with P-256 keys only: made in milliseconds, for tests that do not care.
    #[must_use]
    pub fn with_p256_keys(mut self) -> Self {
        let keys = (self.authorities.iter_mut().map(|authority| &mut authority.key))
            .chain(self.signers.iter_mut().map(|signer| &mut signer.key))
            .chain([&mut self.agency_certificates.key, &mut self.tls.key]);
        for key in keys {
            *key = Algorithm::P256;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_profile_parses_and_names_only_authorities_it_has() {
        let profile = Profile::built_in();
        let known = |id: &str| profile.authorities.iter().any(|authority| authority.id == id);
        for authority in &profile.authorities {
            assert!(authority.issuer.as_deref().is_none_or(known), "{}", authority.id);
        }
        assert!(profile.signers.iter().all(|signer| known(&signer.issuer)));
        assert!(known(&profile.agency_certificates.issuer) && known(&profile.tls.issuer));
        assert_eq!(profile.agencies.len(), 7);
        assert_eq!(profile.systems.len(), 12);
    }

    #[test]
    fn an_unknown_word_in_a_profile_is_named_with_its_place() {
        let error = Profile::parse("rsa_bits = 2048\nrsa_bytes = 1\n").expect_err("unknown key");
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
