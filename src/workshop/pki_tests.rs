//! The certificates and lists of the built-in PKI, read with x509-parser.

use std::time::Duration;

use x509_parser::prelude::{
    CertificateRevocationList, FromDer, GeneralName, ParsedExtension, X509Certificate,
};

use super::*;
use crate::workshop::shared::{now, pki};

fn certificate(der: &[u8]) -> X509Certificate<'_> {
    X509Certificate::from_der(der).unwrap().1
}

fn list(der: &[u8]) -> CertificateRevocationList<'_> {
    CertificateRevocationList::from_der(der).unwrap().1
}

/// Every certificate of the PKI with the file it comes from.
fn all() -> Vec<(&'static str, Vec<u8>)> {
    let pems = pki().files.iter().filter(|(path, _)| path.ends_with(".pem"));
    pems.flat_map(|(path, text)| {
        certificates(text).unwrap().into_iter().map(|der| (path.as_str(), der))
    })
    .collect()
}

fn is_critical(certificate: &X509Certificate<'_>, oid: &str) -> Option<bool> {
    let mut extensions = certificate.extensions().iter();
    extensions.find(|one| one.oid.to_id_string() == oid).map(|one| one.critical)
}

#[test]
fn every_certificate_keeps_to_rfc_5280() {
    let mut serials = std::collections::BTreeSet::new();
    for (path, der) in all() {
        let one = certificate(&der);
        assert!(one.raw_serial().len() <= 20 && one.raw_serial()[0] < 0x80, "{path}");
        serials.insert(one.raw_serial().to_vec());
        assert_eq!(is_critical(&one, "2.5.29.19"), Some(true), "basicConstraints: {path}");
        assert_eq!(is_critical(&one, "2.5.29.15"), Some(true), "keyUsage: {path}");
        assert_eq!(is_critical(&one, "2.5.29.14"), Some(false), "SKI: {path}");
        assert_eq!(is_critical(&one, "2.5.29.35"), Some(false), "AKI: {path}");
        let is_root = one.issuer() == one.subject();
        let crl_point = is_critical(&one, "2.5.29.31");
        assert_eq!(crl_point, (!is_root).then_some(false), "CRL point: {path}");
        let usage = one.key_usage().unwrap().unwrap().value;
        assert_eq!(one.is_ca(), usage.key_cert_sign() && usage.crl_sign(), "{path}");
    }
    assert_eq!(serials.len(), 5 + 15 + 4 + 13, "serial numbers differ");
}

#[test]
fn every_chain_leads_to_a_root_of_its_domain() {
    let chain_of = |identity: Identity, domain: &str| {
        let root = pki().trust(domain).unwrap().anchors[0].clone();
        let mut chain = identity.chain_der;
        chain.push(root);
        for pair in chain.windows(2) {
            let (child, parent) = (certificate(&pair[0]), certificate(&pair[1]));
            assert_eq!(child.issuer().as_raw(), parent.subject().as_raw());
            child.verify_signature(Some(parent.public_key())).unwrap();
        }
        chain.len()
    };
    for agency in Profile::built_in().agencies {
        assert_eq!(chain_of(pki().seal(&agency.code).unwrap(), "gov"), 3);
        assert_eq!(chain_of(pki().officer(&agency.code).unwrap(), "gov"), 3);
    }
    assert_eq!(chain_of(pki().signer("business").unwrap(), "public"), 3);
    assert_eq!(chain_of(pki().gateway().unwrap(), "tls"), 2);
    assert_eq!(chain_of(pki().system("stranger").unwrap(), "tls"), 2);
}

#[test]
fn a_seal_names_its_agency_code_and_an_officer_does_not() {
    let code = |identity: &Identity| {
        let one = certificate(identity.leaf());
        let mut attributes = one.subject().iter_attributes();
        let found = attributes.find(|one| one.attr_type().to_id_string() == "2.5.4.97");
        found.map(|one| one.as_str().unwrap().to_owned())
    };
    assert_eq!(code(&pki().seal("H49.151").unwrap()).as_deref(), Some("H49.151"));
    assert_eq!(code(&pki().officer("H49.151").unwrap()), None);
    let officer = pki().officer("H49.151").unwrap();
    let officer = certificate(officer.leaf());
    let organization = officer.subject().iter_organization().next().unwrap();
    assert_eq!(organization.as_str(), Ok("Ủy ban nhân dân phường Hà Tu"));
}

#[test]
fn only_the_time_stamping_purpose_is_critical() {
    let tsa = pki().signer("tsa").unwrap();
    let tsa = certificate(tsa.leaf());
    assert_eq!(is_critical(&tsa, "2.5.29.37"), Some(true));
    let purpose = tsa.extended_key_usage().unwrap().unwrap().value;
    assert!(purpose.time_stamping && !purpose.client_auth && !purpose.any);
}

#[test]
fn a_system_is_named_by_its_uri_and_may_only_be_a_client() {
    for system in Profile::built_in().systems {
        let identity = pki().system(&system.id).unwrap();
        let one = certificate(identity.leaf());
        let names = &one.subject_alternative_name().unwrap().unwrap().value.general_names;
        let uri = format!("urn:vanthu:system:{}", system.id);
        assert_eq!(*names, [GeneralName::URI(&uri)]);
        let purpose = one.extended_key_usage().unwrap().unwrap().value;
        assert!(purpose.client_auth && !purpose.server_auth);
    }
}

#[test]
fn the_expired_are_expired_and_once_were_valid_with_their_issuer() {
    let now = now().seconds();
    for identity in [pki().signer("expired-seal").unwrap(), pki().system("expired").unwrap()] {
        let validity = certificate(identity.leaf()).validity().clone();
        assert_eq!(validity.not_after.timestamp(), now - 86_400);
        for issuer in identity.chain_der.iter().skip(1) {
            assert!(certificate(issuer).validity().not_before < validity.not_before);
        }
    }
}

#[test]
fn every_authority_has_a_list_signed_by_itself() {
    for (domain, revoked) in [("gov", "revoked-seal"), ("public", ""), ("tls", "revoked")] {
        let trust = pki().trust(domain).unwrap();
        let authorities: Vec<_> = trust.anchors.iter().chain(&trust.intermediates).collect();
        assert_eq!(trust.crls.len(), authorities.len(), "{domain}");
        let mut serials = Vec::new();
        for der in &trust.crls {
            let crl = list(der);
            let by_name =
                |der: &&&Vec<u8>| certificate(der).subject().as_raw() == crl.issuer().as_raw();
            let issuer = authorities.iter().find(by_name).unwrap();
            crl.verify_signature(certificate(issuer).public_key()).unwrap();
            assert_eq!(crl.crl_number().unwrap().to_u64_digits(), [1]);
            let days = crl.next_update().unwrap().timestamp() - crl.last_update().timestamp();
            assert_eq!(days, 30 * 86_400);
            for line in crl.iter_revoked_certificates() {
                assert!(line.reason_code().is_some());
                serials.push(line.raw_serial().to_vec());
            }
        }
        let wanted = match domain {
            "gov" => vec![pki().signer(revoked).unwrap()],
            "tls" => vec![pki().system(revoked).unwrap()],
            _ => vec![],
        };
        let wanted: Vec<_> =
            wanted.iter().map(|one| certificate(one.leaf()).raw_serial().to_vec()).collect();
        assert_eq!(serials, wanted, "{domain}");
    }
}

#[test]
fn revoking_a_system_adds_a_line_and_keeps_the_others() {
    let mut pki = DevPki { files: pki().files.clone() };
    let later = now().after(Duration::from_secs(60));
    pki.revoke_system("commune", later).unwrap();
    pki.revoke_system("commune", later).unwrap();
    let der = pki.file("tls/ca.crl").unwrap();
    let crl = list(der);
    assert_eq!(crl.crl_number().unwrap().to_u64_digits(), [3]);
    assert_eq!(crl.last_update().timestamp(), later.seconds());
    assert_eq!(crl.iter_revoked_certificates().count(), 2);
    assert!(crl.iter_revoked_certificates().all(|line| line.reason_code().is_some()));
    let ca = pki.trust("tls").unwrap().anchors.remove(0);
    crl.verify_signature(certificate(&ca).public_key()).unwrap();
    assert!(matches!(pki.revoke_system("nobody", later), Err(Error::Unknown(_))));
}

#[test]
fn the_gateway_has_the_names_it_is_called_by() {
    let gateway = pki().gateway().unwrap();
    let one = certificate(gateway.leaf());
    let names = one.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names.len(), 3);
    let extension = one.extended_key_usage().unwrap().unwrap();
    assert!(extension.value.server_auth && !extension.value.client_auth);
    let parsed = one.extensions().iter().map(|one| one.parsed_extension());
    assert!(!parsed.clone().any(|one| matches!(one, ParsedExtension::ParseError { .. })));
}

#[test]
fn the_log_key_signs() {
    use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
    let key =
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pki().gateway_key("log.key").unwrap()).unwrap();
    let signature = key.sign(b"checkpoint");
    let public = UnparsedPublicKey::new(&ED25519, key.public_key().as_ref());
    public.verify(b"checkpoint", signature.as_ref()).unwrap();
}

#[test]
fn a_profile_with_p256_keys_makes_the_same_files() {
    let fast = DevPki::generate(&Profile::built_in().with_p256_keys(), now()).unwrap();
    assert!(fast.files.keys().eq(pki().files.keys()));
}

#[test]
fn a_profile_that_names_an_unknown_issuer_is_refused() {
    let mut profile = Profile::built_in().with_p256_keys();
    profile.signers[0].issuer = "nobody".into();
    assert!(matches!(DevPki::generate(&profile, now()), Err(Error::Profile(_))));
}

#[test]
fn rustls_admits_the_good_systems_and_refuses_the_revoked_and_the_expired() {
    use rustls::pki_types::{CertificateDer, UnixTime};
    use rustls::{CertificateError, Error as Tls, RootCertStore, server::WebPkiClientVerifier};
    let trust = pki().trust("tls").unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(trust.anchors[0].clone())).unwrap();
    let provider = rustls::crypto::ring::default_provider().into();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(std::sync::Arc::new(roots), provider)
            .with_crls(trust.crls.iter().map(|crl| crl.clone().into()))
            .build()
            .unwrap();
    let moment =
        UnixTime::since_unix_epoch(Duration::from_secs(now().seconds().unsigned_abs() + 1));
    for system in Profile::built_in().systems {
        let identity = pki().system(&system.id).unwrap();
        let leaf = CertificateDer::from(identity.leaf());
        let refusal = verifier.verify_client_cert(&leaf, &[], moment).err();
        match system.id.as_str() {
            "revoked" => {
                assert_eq!(refusal, Some(Tls::InvalidCertificate(CertificateError::Revoked)))
            }
            "expired" => assert!(matches!(
                refusal,
                Some(Tls::InvalidCertificate(CertificateError::ExpiredContext { .. }))
            )),
            good => assert_eq!(refusal, None, "{good}"),
        }
    }
}
