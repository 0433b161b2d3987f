//! Who signs: the workshop's development PKI, and a laboratory that issues what no authority would.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use vanthu::clock::Time;
use vanthu::signature::Trust;
use vanthu::workshop::identity::Identity;
use vanthu::workshop::pki::DevPki;
use vanthu::workshop::profile::Profile;
use zeroize::Zeroizing;

use crate::der::{Node, oid, sequence};

/// Everyone who takes part. Keys are made anew in each run; no verdict depends on them.
pub struct People {
    pub now: Time,
    pub officer: Identity,
    pub seal: Identity,
    pub revoked: Identity,
    pub tsa: Identity,
    /// Issued by a root that nobody trusts.
    pub stranger: Identity,
    /// A time-stamping authority of the laboratory whose certificate ran out on 17 November 2026.
    pub old_tsa: Identity,
    pub laboratory: Laboratory,
    pub trust: Trust,
    pub crls: Vec<Vec<u8>>,
}

impl People {
    pub fn new() -> Self {
        let now: Time = "2026-11-22T03:45:18.000Z".parse().unwrap();
        let pki = DevPki::generate(&Profile::built_in().with_p256_keys(), now).unwrap();
        let (laboratory, foreign) = (Laboratory::new("Laboratory"), Laboratory::new("Foreign"));
        let mut known = pki.trust("gov").unwrap();
        known.anchors.push(laboratory.root.clone());
        known.crls.push(laboratory.crl((2026, 11, 21), (2026, 12, 21)));
        let mut stranger = foreign.issue("Stranger");
        stranger.chain_der.push(foreign.root.clone());
        Self {
            now,
            officer: pki.officer("H49").unwrap(),
            seal: pki.seal("H49").unwrap(),
            revoked: pki.signer("revoked-seal").unwrap(),
            tsa: pki.signer("tsa").unwrap(),
            stranger,
            old_tsa: laboratory.timestamping("Old TSA", (2026, 11, 17)),
            laboratory,
            crls: known.crls.clone(),
            trust: Trust::new(known.anchors, known.intermediates, known.crls).unwrap(),
        }
    }
}

/// A trusted authority whose certificates may say anything.
pub struct Laboratory {
    pub root: Vec<u8>,
    params: CertificateParams,
    key: KeyPair,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 12, 31);
    params
}

impl Laboratory {
    fn new(name: &str) -> Self {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().to_vec();
        Self { root, params, key }
    }

    /// A list of one day that says when the next one is due.
    pub fn crl(&self, issued: (i32, u8, u8), next: (i32, u8, u8)) -> Vec<u8> {
        let params = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(issued.0, issued.1, issued.2),
            next_update: rcgen::date_time_ymd(next.0, next.1, next.2),
            crl_number: rcgen::SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(&issuer).unwrap().der().to_vec()
    }

    /// A signer with a P-256 key.
    pub fn issue(&self, name: &str) -> Identity {
        self.certify(name, KeyPair::generate().unwrap())
    }

    /// Another certificate for a key that has one already.
    pub fn certify_again(&self, name: &str, identity: &Identity) -> Identity {
        let key = KeyPair::try_from(identity.key_pkcs8.as_slice()).unwrap();
        self.certify(name, key)
    }

    /// A time-stamping authority whose certificate ends on this day.
    fn timestamping(&self, name: &str, (year, month, day): (i32, u8, u8)) -> Identity {
        let mut params = params(name);
        params.not_after = rcgen::date_time_ymd(year, month, day);
        // RFC 3161 §2.3: nothing but id-kp-timeStamping, and critical.
        let usage = sequence(vec![oid(&[0x2b, 6, 1, 5, 5, 7, 3, 8])]).encode();
        let mut usage = CustomExtension::from_oid_content(&[2, 5, 29, 37], usage);
        usage.set_criticality(true);
        params.custom_extensions.push(usage);
        self.issue_with(params, KeyPair::generate().unwrap())
    }

    fn certify(&self, name: &str, key: KeyPair) -> Identity {
        self.issue_with(params(name), key)
    }

    fn issue_with(&self, mut params: CertificateParams, key: KeyPair) -> Identity {
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap().der().to_vec();
        let key_pkcs8 = Zeroizing::new(key.serialize_der());
        Identity { chain_der: vec![certificate], key_pkcs8 }
    }

    /// A certificate for a public key that no tool would certify; `info` is SubjectPublicKeyInfo.
    pub fn certify_key(&self, name: &str, info: Node) -> Vec<u8> {
        let mut certificate = Node::parse(self.issue(name).leaf());
        *certificate.at(&[0, 6]) = info;
        let signed = certificate.at(&[0]).encode();
        let signature = sign_p256(&self.key.serialize_der(), &signed);
        *certificate.at(&[2]) = Node::Primitive(3, [&[0][..], &signature].concat());
        certificate.encode()
    }
}

/// ECDSA with SHA-256.
pub fn sign_p256(pkcs8: &[u8], message: &[u8]) -> Vec<u8> {
    let random = SystemRandom::new();
    let scheme = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let key = EcdsaKeyPair::from_pkcs8(scheme, pkcs8, &random).unwrap();
    key.sign(&random, message).unwrap().as_ref().to_vec()
}
