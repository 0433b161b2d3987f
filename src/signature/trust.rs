//! Trust material: anchors, intermediates and CRLs, parsed once, never changed.
//!
//! The only thing that changes is a cache of signature checks between certificates. Its keys are
//! digests of both certificates, so a cached answer cannot be about anything else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::algorithm::{Key, Outcome};
use super::asn1::Malformed;
use super::certificate::Certificate;
use super::crl::Crl;
use super::crypto_policy::CryptoPolicy;
use super::domain::{Domain, DomainUse};
use super::name::CanonicalName;
use crate::digest::Sha256;
use crate::limits::{CERTIFICATES_KEPT_MAX, TRUST_LINKS_MAX};

/// Trust material that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// An anchor is not a certificate.
    #[error("trust anchor {index} is not a DER certificate")]
    Anchor {
        /// Position in the list given.
        index: usize,
    },
    /// An intermediate is not a certificate.
    #[error("intermediate certificate {index} is not a DER certificate")]
    Intermediate {
        /// Position in the list given.
        index: usize,
    },
    /// A CRL cannot be read.
    #[error("certificate revocation list {index} is not a DER CRL")]
    Crl {
        /// Position in the list given.
        index: usize,
    },
}

/// An immutable snapshot of trust material.
#[derive(Debug)]
pub struct Trust {
    certificates: HashMap<CanonicalName, Vec<Arc<Certificate>>>,
    /// Without their certificates and lists, which stand here together.
    domains: Vec<Domain>,
    /// Each with the domains that it belongs to.
    anchors: HashMap<Sha256, Vec<usize>>,
    crls: Vec<Crl>,
    crls_by_issuer: HashMap<CanonicalName, Vec<usize>>,
    parsed: Mutex<HashMap<Sha256, Arc<Certificate>>>,
    links: Mutex<HashMap<(Sha256, Sha256), Outcome>>,
    crl_links: Mutex<HashMap<(usize, Sha256), Outcome>>,
}

impl Trust {
    /// Parses anchors, intermediates and CRLs (all DER) of one domain without a name.
    ///
    /// # Errors
    /// [`TrustError`] names the first item that cannot be read.
    pub fn new(
        anchors: Vec<Vec<u8>>,
        intermediates: Vec<Vec<u8>>,
        crls: Vec<Vec<u8>>,
    ) -> Result<Self, TrustError> {
        Self::of(vec![Domain { anchors, intermediates, crls, ..Domain::default() }])
    }

    /// Parses what belongs to several domains; places are counted through all of them.
    ///
    /// # Errors
    /// [`TrustError`] names the first item that cannot be read.
    pub fn of(mut domains: Vec<Domain>) -> Result<Self, TrustError> {
        let mut trust = Self {
            certificates: HashMap::new(),
            domains: Vec::new(),
            anchors: HashMap::new(),
            crls: Vec::new(),
            crls_by_issuer: HashMap::new(),
            parsed: Mutex::default(),
            links: Mutex::default(),
            crl_links: Mutex::default(),
        };
        let (mut anchors, mut intermediates, mut crls) = (Vec::new(), Vec::new(), Vec::new());
        for (domain, given) in domains.iter_mut().enumerate() {
            anchors.extend(std::mem::take(&mut given.anchors).into_iter().map(|der| (domain, der)));
            intermediates.append(&mut given.intermediates);
            crls.append(&mut given.crls);
        }
        trust.domains = domains;
        for (index, (domain, der)) in anchors.iter().enumerate() {
            let anchor = Certificate::from_der(der).map_err(|_| TrustError::Anchor { index })?;
            let belongs = trust.anchors.entry(anchor.fingerprint()).or_default();
            belongs.push(*domain);
            if belongs.len() == 1 {
                trust.add(anchor);
            }
        }
        for (index, der) in intermediates.iter().enumerate() {
            let certificate =
                Certificate::from_der(der).map_err(|_| TrustError::Intermediate { index })?;
            if !trust.anchors.contains_key(&certificate.fingerprint()) {
                trust.add(certificate);
            }
        }
        for (index, der) in crls.iter().enumerate() {
            let crl = Crl::from_der(der).map_err(|_| TrustError::Crl { index })?;
            trust.crls_by_issuer.entry(crl.issuer.canonical.clone()).or_default().push(index);
            trust.crls.push(crl);
        }
        for indices in trust.crls_by_issuer.values_mut() {
            let update = |index: &usize| trust.crls.get(*index).map(|crl| crl.this_update);
            indices.sort_by_key(|index| std::cmp::Reverse(update(index)));
        }
        Ok(trust)
    }

    fn add(&mut self, certificate: Certificate) {
        let name = certificate.subject.canonical.clone();
        self.certificates.entry(name).or_default().push(Arc::new(certificate));
    }

    /// The certificate in `der`, parsed at most once: the same signers come again and again.
    pub(super) fn certificate(&self, der: &[u8]) -> Result<Arc<Certificate>, Malformed> {
        let fingerprint = Sha256::of(der);
        if let Some(known) = lock(&self.parsed).get(&fingerprint) {
            return Ok(known.clone());
        }
        let certificate = Arc::new(Certificate::from_der(der)?);
        Ok(keep(&self.parsed, CERTIFICATES_KEPT_MAX, fingerprint, certificate))
    }

    pub(super) fn is_anchor(&self, certificate: &Certificate) -> bool {
        self.anchors.contains_key(&certificate.fingerprint())
    }

    /// The domain of the anchor at the end of a path: one that may vouch for `purpose`, if any.
    pub(super) fn domain(
        &self,
        chain: &[Arc<Certificate>],
        purpose: Option<DomainUse>,
    ) -> Option<&Domain> {
        let belongs = self.anchors.get(&chain.last()?.fingerprint())?;
        let domains = || belongs.iter().filter_map(|&index| self.domains.get(index));
        let fitting = domains().find(|domain| purpose.is_none_or(|one| domain.uses.contains(&one)));
        fitting.or_else(|| domains().next())
    }

    /// The algorithms that are accepted on a path; without an anchor, those for Vietnamese documents.
    pub(super) fn algorithms(&self, chain: &[Arc<Certificate>]) -> &CryptoPolicy {
        self.domain(chain, None).map_or(CryptoPolicy::built_in(), |domain| &domain.algorithms)
    }

    /// Every certificate with this subject; anchors first.
    pub(super) fn named(&self, subject: &CanonicalName) -> &[Arc<Certificate>] {
        self.certificates.get(subject).map_or(&[], Vec::as_slice)
    }

    /// Every certificate, for signers that are named by key identifier.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        self.certificates.values().flatten()
    }

    /// CRLs issued under this name, with their index; the newest first.
    pub(super) fn crls_of(&self, issuer: &CanonicalName) -> impl Iterator<Item = (usize, &Crl)> {
        let indices = self.crls_by_issuer.get(issuer).map_or(&[][..], Vec::as_slice);
        indices.iter().filter_map(|&index| Some((index, self.crls.get(index)?)))
    }

    /// Whether `issuer` signed `subject`.
    pub(super) fn link(&self, subject: &Certificate, issuer: &Certificate) -> Outcome {
        let pair = (subject.fingerprint(), issuer.fingerprint());
        if let Some(outcome) = lock(&self.links).get(&pair) {
            return outcome.clone();
        }
        keep(&self.links, TRUST_LINKS_MAX, pair, subject.verified_by(issuer))
    }

    /// Whether `signer`, with the key that counts for it on its path, signed the CRL at `index`.
    pub(super) fn crl_link(
        &self,
        index: usize,
        crl: &Crl,
        signer: &Certificate,
        key: &Key,
    ) -> Outcome {
        // A key that depends on the path is not the certificate's alone.
        if signer.key.inherits() {
            return crl.verified_by(signer, key);
        }
        let pair = (index, signer.fingerprint());
        if let Some(outcome) = lock(&self.crl_links).get(&pair) {
            return outcome.clone();
        }
        keep(&self.crl_links, TRUST_LINKS_MAX, pair, crl.verified_by(signer, key))
    }
}

/// A poisoned cache is still a correct cache: entries are inserted whole.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep<K: Eq + std::hash::Hash, V: Clone>(
    cache: &Mutex<HashMap<K, V>>,
    entries_max: usize,
    key: K,
    value: V,
) -> V {
    let mut cache = lock(cache);
    // Strangers can fill the cache with certificates of their own; starting anew is cheap.
    if cache.len() >= entries_max {
        cache.clear();
    }
    cache.insert(key, value.clone());
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::testing::Authority;

    #[test]
    fn unreadable_material_is_named_by_its_place() {
        let root = Authority::root("Root").certificate.der().to_vec();
        let junk = vec![1, 2, 3];
        let error = |anchors, middle, crls| Trust::new(anchors, middle, crls).unwrap_err();
        assert_eq!(
            error(vec![root, junk.clone()], vec![], vec![]),
            TrustError::Anchor { index: 1 }
        );
        assert_eq!(
            error(vec![], vec![junk.clone()], vec![]),
            TrustError::Intermediate { index: 0 }
        );
        assert_eq!(error(vec![], vec![], vec![junk]), TrustError::Crl { index: 0 });
    }

    #[test]
    fn a_link_is_computed_once() {
        let root = Authority::root("Root");
        let leaf = root.issue("Leaf", |_| {});
        let issuer = Certificate::from_der(root.certificate.der()).unwrap();
        let subject = Certificate::from_der(leaf.certificate.der()).unwrap();
        let trust = Trust::new(vec![], vec![], vec![]).unwrap();
        for _ in 0..3 {
            assert!(matches!(trust.link(&subject, &issuer), Outcome::Valid { .. }));
        }
        assert_eq!(lock(&trust.links).len(), 1);
    }
}
