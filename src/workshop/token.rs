//! Keys on PKCS#11 tokens: USB tokens, smart cards, HSMs. The key never leaves the token.
//!
//! The module is a library of the token's maker, which runs inside this process: it must be one that
//! the user trusts. The PIN is wiped after the login and never printed.

use std::path::Path;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Cause, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::key::{Scheme, SigningKey};
use super::{Error, der};

/// `DigestInfo` of SHA-256 up to the digest (RFC 8017 §9.2, note 1).
const SHA_256_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];
const P256: &[u32] = &[1, 2, 840, 10_045, 3, 1, 7];
const P384: &[u32] = &[1, 3, 132, 0, 34];

/// Which key on which token.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// The library of the token's maker.
    pub module: &'a Path,
    /// The token's label; none takes the only token there is.
    pub token: Option<&'a str>,
    /// The key's label; none takes the only private key there is.
    pub key: Option<&'a str>,
}

/// A private key on a token, after the login.
pub struct TokenKey {
    session: Session,
    key: ObjectHandle,
    scheme: Scheme,
}

impl TokenKey {
    /// Logs in and finds the key.
    ///
    /// # Errors
    /// [`Error::Token`], [`Error::Pin`], [`Error::NotOnToken`] or [`Error::KeyKind`].
    pub fn open(choice: Choice<'_>, pin: Zeroizing<String>) -> Result<Self, Error> {
        let module = choice.module.display();
        let library = Pkcs11::new(choice.module).map_err(|cause| {
            Error::Token(format!("the PKCS#11 module {module} cannot be loaded: {}", said(&cause)))
        })?;
        let flags = CInitializeFlags::OS_LOCKING_OK;
        library.initialize(CInitializeArgs::new(flags)).map_err(failed)?;
        let slot = slot(&library, choice.token)?;
        let session = library.open_ro_session(slot).map_err(failed)?;
        let pin = AuthPin::from(pin.as_str());
        session.login(UserType::User, Some(&pin)).map_err(|cause| match cause {
            Cause::Pkcs11(
                RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange,
                _,
            ) => Error::Pin("it is wrong"),
            Cause::Pkcs11(RvError::PinLocked, _) => {
                Error::Pin("it was wrong too often, and is locked")
            }
            Cause::Pkcs11(RvError::PinExpired, _) => Error::Pin("it has expired"),
            other => failed(other),
        })?;
        let key = private_key(&session, choice.key)?;
        let scheme = scheme(&session, key)?;
        Ok(Self { session, key, scheme })
    }

    /// The certificate that the token keeps for the key: the one with the same id.
    ///
    /// # Errors
    /// [`Error::NotOnToken`] if there is none; [`Error::Token`].
    pub fn certificate(&self) -> Result<Vec<u8>, Error> {
        let wanted = [AttributeType::Id];
        let id = self.session.get_attributes(self.key, &wanted).map_err(failed)?;
        let mut template = vec![Attribute::Class(ObjectClass::CERTIFICATE)];
        template.extend(id);
        let found = self.session.find_objects(&template).map_err(failed)?;
        let first = found.first().copied();
        let values = first.map(|object| {
            self.session.get_attributes(object, &[AttributeType::Value]).map_err(failed)
        });
        let value = values.transpose()?.into_iter().flatten().find_map(|value| match value {
            Attribute::Value(der) if !der.is_empty() => Some(der),
            _ => None,
        });
        value.ok_or_else(|| Error::NotOnToken("the token has no certificate for the key".into()))
    }
}

impl SigningKey for TokenKey {
    fn scheme(&self) -> Scheme {
        self.scheme
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let digest = self.scheme.hash().of(&[message]);
        let sign =
            |mechanism, data: &[u8]| self.session.sign(&mechanism, self.key, data).map_err(failed);
        match self.scheme {
            // The oldest mechanism is the one that every token has.
            Scheme::Rsa => sign(Mechanism::RsaPkcs, &[&SHA_256_INFO[..], &digest].concat()),
            Scheme::P256 | Scheme::P384 => {
                ecdsa_der(&sign(Mechanism::Ecdsa, &digest)?).ok_or(Error::Key)
            }
            Scheme::Ed25519 => Err(Error::KeyKind),
        }
    }
}

fn slot(library: &Pkcs11, wanted: Option<&str>) -> Result<Slot, Error> {
    let mut found = Vec::new();
    for slot in library.get_slots_with_initialized_token().map_err(failed)? {
        let token = library.get_token_info(slot).map_err(failed)?;
        if wanted.is_none_or(|label| token.label() == label) {
            found.push(slot);
        }
    }
    match (found.as_slice(), wanted) {
        ([slot], _) => Ok(*slot),
        ([], None) => Err(Error::NotOnToken("there is no token".into())),
        ([], Some(label)) => Err(Error::NotOnToken(format!("there is no token “{label}”"))),
        (_, None) => Err(Error::NotOnToken("there are several tokens; name one".into())),
        (_, Some(label)) => Err(Error::NotOnToken(format!("there are several tokens “{label}”"))),
    }
}

fn private_key(session: &Session, wanted: Option<&str>) -> Result<ObjectHandle, Error> {
    let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
    template.extend(wanted.map(|label| Attribute::Label(label.as_bytes().to_vec())));
    let found = session.find_objects(&template).map_err(failed)?;
    match (found.as_slice(), wanted) {
        ([key], _) => Ok(*key),
        ([], None) => Err(Error::NotOnToken("the token has no private key".into())),
        ([], Some(label)) => {
            Err(Error::NotOnToken(format!("the token has no private key “{label}”")))
        }
        (_, None) => Err(Error::NotOnToken("the token has several private keys; name one".into())),
        (_, Some(label)) => {
            Err(Error::NotOnToken(format!("the token has several private keys “{label}”")))
        }
    }
}

fn scheme(session: &Session, key: ObjectHandle) -> Result<Scheme, Error> {
    let kinds = session.get_attributes(key, &[AttributeType::KeyType]).map_err(failed)?;
    if kinds.contains(&Attribute::KeyType(KeyType::RSA)) {
        return Ok(Scheme::Rsa);
    }
    if !kinds.contains(&Attribute::KeyType(KeyType::EC)) {
        return Err(Error::KeyKind);
    }
    let curve = session.get_attributes(key, &[AttributeType::EcParams]).map_err(failed)?;
    let is = |oid: &[u32]| curve.contains(&Attribute::EcParams(der::oid(oid)));
    match () {
        () if is(P256) => Ok(Scheme::P256),
        () if is(P384) => Ok(Scheme::P384),
        () => Err(Error::KeyKind),
    }
}

/// `ECDSA-Sig-Value` from the two numbers side by side, as PKCS#11 gives them.
fn ecdsa_der(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.is_empty() || !raw.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = raw.split_at(raw.len() / 2);
    Some(der::sequence(&[&der::unsigned(r), &der::unsigned(s)]))
}

fn failed(cause: Cause) -> Error {
    Error::Token(format!("the token does not do it: {}", said(&cause)))
}

/// The name of the return value tells more than its long description.
fn said(cause: &Cause) -> String {
    match cause {
        Cause::Pkcs11(value, function) => format!("{function}: {value:?}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_side_by_side_become_der() {
        let mut raw = [0; 64];
        (raw[0], raw[31], raw[63]) = (0x80, 1, 5);
        let der = ecdsa_der(&raw).unwrap();
        assert_eq!(der[..5], [0x30, 38, 0x02, 33, 0]);
        assert_eq!(der[37..], [0x02, 1, 5]);
        assert_eq!(ecdsa_der(&[]), None);
        assert_eq!(ecdsa_der(&[1, 2, 3]), None);
    }

    #[test]
    fn a_module_that_is_none_is_refused() {
        let choice = Choice { module: Path::new("/nonexistent.so"), token: None, key: None };
        let refused = TokenKey::open(choice, Zeroizing::new("1234".into())).err();
        let text = refused.map(|error| error.to_string()).unwrap_or_default();
        assert!(text.starts_with("the PKCS#11 module /nonexistent.so cannot be loaded"), "{text}");
    }
}
