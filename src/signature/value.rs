//! Does the signature value fit? Real signers spell the same signature in several ways; each way is
//! tried in full, and whatever is not the standard's is reported.

use super::algorithm::{Algorithm, Hash, Key, Outcome, verify, verify_without_null};

/// What was signed: the bytes as they stand, and the same in DER order if that is another.
pub(super) struct Forms<'a> {
    pub stored: &'a [u8],
    pub sorted: Option<&'a [u8]>,
}

/// How a value was found to fit.
pub(super) struct Fit {
    pub outcome: Outcome,
    /// The value itself names the hash that the digest algorithm names, so that one counts.
    pub names_digest_algorithm: bool,
    pub quirks: Vec<String>,
}

/// Tries `value` in every spelling; the first that fits counts. `digest` is the hash that CMS names
/// beside the algorithm.
pub(super) fn judge(
    key: &Key,
    algorithm: &Algorithm,
    digest: &Hash,
    forms: &Forms<'_>,
    value: &[u8],
) -> Fit {
    let first = spelled(key, algorithm, digest, forms.stored, value);
    let Some(sorted) = forms.sorted.filter(|_| first.outcome == Outcome::Invalid) else {
        return first;
    };
    let mut second = spelled(key, algorithm, digest, sorted, value);
    second.quirks.push("the signed attributes are not in DER order".to_owned());
    second
}

fn spelled(key: &Key, algorithm: &Algorithm, digest: &Hash, message: &[u8], value: &[u8]) -> Fit {
    let named = algorithm.hash().unwrap_or(digest);
    let fit = |outcome, names_digest_algorithm, quirk: Option<String>| Fit {
        outcome,
        names_digest_algorithm,
        quirks: quirk.into_iter().collect(),
    };
    let outcome = verify(key, algorithm, Some(digest), message, value);
    let is_pkcs1 = matches!(algorithm, Algorithm::RsaPkcs1(_));
    if outcome != Outcome::Invalid || !is_pkcs1 {
        return fit(outcome, named == digest, None);
    }
    if named != digest && digest.ring().is_none() {
        // It may be made with the digest algorithm, which is not computed here.
        return fit(Outcome::Unsupported(format!("RSA with {}", digest.name())), false, None);
    }
    // The hash that DigestInfo names is part of what is signed; OpenSSL, too, expects the one of the
    // digest algorithm there, whatever the signature algorithm says.
    for hash in if named == digest { vec![digest] } else { vec![digest, named] } {
        let quirk = (hash != named).then(|| {
            format!(
                "the signature algorithm names {}, but the value is made with {}",
                named.name(),
                hash.name()
            )
        });
        if hash != named {
            let other = Algorithm::RsaPkcs1(Some(hash.clone()));
            let outcome = verify(key, &other, None, message, value);
            if matches!(outcome, Outcome::Valid { .. }) {
                return fit(outcome, true, quirk);
            }
        }
        let outcome = verify_without_null(key, hash, message, value);
        if matches!(outcome, Outcome::Valid { .. }) {
            let mut found = fit(outcome, hash == digest, quirk);
            found.quirks.push("the signed digest is named without the NULL of RFC 8017".to_owned());
            return found;
        }
    }
    fit(Outcome::Invalid, named == digest, None)
}
