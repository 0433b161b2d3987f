//! From a profile to the files of a PKI: authorities first, then what they sign, then their lists.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::Error;
use super::identity::{Identity, pem};
use super::issue::{self, Key, Request, Revoked, Role, Subject};
use super::profile::{
    Agency, Algorithm, Authority, Profile, Purpose, Revocation, Signer, Validity,
};
use crate::clock::Time;

const NOTICE: &str = "WORTHLESS\n\nThese keys are for development. Anyone may have a copy of them. \
                      Nothing signed with them has any value.\n";

/// Said of each trust domain.
const PROFILE: &str = "title = \"Development (WORTHLESS)\"\n\
                       uses = [\"documents\", \"time-stamps\"]\n\
                       sources = []\n";

/// An authority that was made.
struct Made {
    certificate: Vec<u8>,
    key: Key,
    root: bool,
    revoked: Vec<Revoked>,
}

/// The PKI while it is being made.
pub struct Making<'a> {
    profile: &'a Profile,
    now: Time,
    /// Keys not used yet, in the order in which `all` asks for them.
    keys: std::vec::IntoIter<Key>,
    authorities: BTreeMap<&'a str, Made>,
    files: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

impl<'a> Making<'a> {
    /// Makes all keys first, because they take the time.
    pub fn new(profile: &'a Profile, now: Time) -> Result<Self, Error> {
        let agencies = profile.agencies.iter().flat_map(|_| [profile.agency_certificates.key; 2]);
        let algorithms: Vec<Algorithm> = (profile.authorities.iter().map(|one| one.key))
            .chain(agencies)
            .chain(profile.signers.iter().map(|one| one.key))
            .chain(std::iter::repeat_n(profile.tls.key, profile.systems.len() + 1))
            .collect();
        let keys = issue::keys(&algorithms, profile.rsa_bits)?.into_iter();
        Ok(Self { profile, now, keys, authorities: BTreeMap::new(), files: BTreeMap::new() })
    }

    /// Makes certificates, lists and the rest.
    pub fn all(mut self) -> Result<BTreeMap<String, Zeroizing<Vec<u8>>>, Error> {
        let profile = self.profile;
        for authority in &profile.authorities {
            self.authority(authority)?;
        }
        for agency in &profile.agencies {
            self.agency(agency)?;
        }
        for signer in &profile.signers {
            self.signer(signer)?;
        }
        self.tls()?;
        self.crls()?;
        for name in ["log.key", "witness.key"] {
            self.put(name, pem("PRIVATE KEY", &issue::ed25519_key()?).into_bytes());
        }
        self.put("WORTHLESS.txt", NOTICE.into());
        Ok(self.files)
    }

    fn authority(&mut self, authority: &'a Authority) -> Result<(), Error> {
        let key = self.next_key()?;
        let issuer = authority.issuer.as_deref();
        let request = Request {
            subject: Subject {
                common_name: &authority.common_name,
                organization: &authority.organization,
                ..Subject::default()
            },
            role: Role::Authority { root: issuer.is_none() },
            valid: authority.valid,
            crl_uri: issuer.map(|id| self.crl_uri(id)),
        };
        let certificate = self.certify(&request, &key, issuer)?;
        let text = pem("CERTIFICATE", &certificate).into_bytes();
        let (id, domain) = (&authority.id, &authority.domain);
        match (domain.as_str(), issuer) {
            ("tls", None) => {
                self.put("tls/ca.pem", text);
                self.put("tls/ca.key", pem("PRIVATE KEY", &key).into_bytes());
            }
            ("tls", Some(_)) => return Err(Error::Profile("the TLS authority is a root".into())),
            (_, None) => {
                self.put(&format!("trust/{domain}/anchors/{id}.pem"), text);
                self.put(&format!("trust/{domain}/profile.toml"), PROFILE.into());
            }
            (_, Some(_)) => self.put(&format!("trust/{domain}/intermediates/{id}.pem"), text),
        }
        let root = issuer.is_none();
        self.authorities.insert(id, Made { certificate, key, root, revoked: Vec::new() });
        Ok(())
    }

    fn agency(&mut self, agency: &Agency) -> Result<(), Error> {
        let terms = &self.profile.agency_certificates;
        let seal = Subject {
            common_name: &agency.name,
            organization: &agency.name,
            organization_identifier: Some(&agency.code),
            ..Subject::default()
        };
        let officer = Subject {
            common_name: &agency.officer.name,
            organization: &agency.name,
            title: Some(&agency.officer.title),
            ..Subject::default()
        };
        for (folder, subject) in [("seals", seal), ("officers", officer)] {
            let stem = format!("{folder}/{}", agency.code);
            self.leaf(&stem, subject, Role::Signer, &terms.issuer, terms.valid)?;
        }
        Ok(())
    }

    fn signer(&mut self, signer: &Signer) -> Result<(), Error> {
        let subject = Subject {
            common_name: &signer.common_name,
            organization: &signer.organization,
            organization_identifier: signer.organization_identifier.as_deref(),
            user_id: signer.user_id.as_deref(),
            ..Subject::default()
        };
        let role = match signer.purpose {
            Purpose::Sign => Role::Signer,
            Purpose::Timestamp => Role::Timestamp,
        };
        let leaf = self.leaf(&signer.id, subject, role, &signer.issuer, signer.valid)?;
        self.revoke(&leaf, &signer.issuer, signer.revoked)
    }

    fn tls(&mut self) -> Result<(), Error> {
        let profile = self.profile;
        let tls = &profile.tls;
        let subject = |common_name| Subject {
            common_name,
            organization: "Vanthu (dev, WORTHLESS)",
            ..Subject::default()
        };
        let server = Role::Server(&tls.gateway_names);
        self.leaf("tls/gateway", subject("gateway"), server, &tls.issuer, tls.valid)?;
        for system in &profile.systems {
            let uri = format!("{}{}", tls.uri_prefix, system.id);
            let (stem, valid) =
                (format!("systems/{}", system.id), system.valid.unwrap_or(tls.valid));
            let client = Role::Client(&uri);
            let leaf = self.leaf(&stem, subject(&system.id), client, &tls.issuer, valid)?;
            self.revoke(&leaf, &tls.issuer, system.revoked)?;
        }
        Ok(())
    }

    fn crls(&mut self) -> Result<(), Error> {
        for authority in &self.profile.authorities {
            let made = self.made(&authority.id)?;
            let issuer = (made.certificate.as_slice(), made.key.as_slice());
            let crl = issue::crl(self.now, self.profile.crl_days, 1, &made.revoked, issuer)?;
            match authority.domain.as_str() {
                "tls" => self.put("tls/ca.crl", crl),
                domain => self.put(&format!("trust/{domain}/crls/{}.crl", authority.id), crl),
            }
        }
        Ok(())
    }

    /// Makes a certificate that is not an authority's, and its two files.
    fn leaf(
        &mut self,
        stem: &str,
        subject: Subject<'_>,
        role: Role<'_>,
        issuer: &str,
        valid: Validity,
    ) -> Result<Vec<u8>, Error> {
        let key = self.next_key()?;
        let request = Request { subject, role, valid, crl_uri: Some(self.crl_uri(issuer)) };
        let certificate = self.certify(&request, &key, Some(issuer))?;
        let made = self.made(issuer)?;
        let mut chain_der = vec![certificate.clone()];
        if !made.root {
            chain_der.push(made.certificate.clone());
        }
        let identity = Identity { chain_der, key_pkcs8: key };
        self.put(&format!("{stem}.pem"), identity.chain_pem().into_bytes());
        self.put(&format!("{stem}.key"), identity.key_pem().as_bytes().to_vec());
        Ok(certificate)
    }

    fn certify(
        &self,
        request: &Request<'_>,
        key: &[u8],
        issuer: Option<&str>,
    ) -> Result<Vec<u8>, Error> {
        let issuer = issuer.map(|id| self.made(id)).transpose()?;
        let issuer = issuer.map(|made| (made.certificate.as_slice(), made.key.as_slice()));
        issue::certificate(self.now, request, key, issuer)
    }

    fn revoke(
        &mut self,
        leaf: &[u8],
        issuer: &str,
        revocation: Option<Revocation>,
    ) -> Result<(), Error> {
        let (Some(revocation), Some(made)) = (revocation, self.authorities.get_mut(issuer)) else {
            return Ok(());
        };
        let (_, leaf) = x509_parser::parse_x509_certificate(leaf)
            .map_err(|_| Error::Unreadable("a certificate just made".into()))?;
        let at = self.now.seconds() - i64::from(revocation.days_ago) * 86_400;
        made.revoked.push(Revoked {
            serial: leaf.raw_serial().to_vec(),
            at: Time::from_seconds(at),
            reason: Some(issue::reason(revocation.reason)),
        });
        Ok(())
    }

    fn made(&self, id: &str) -> Result<&Made, Error> {
        let unknown = || Error::Profile(format!("{id} signs before it is made"));
        self.authorities.get(id).ok_or_else(unknown)
    }

    fn next_key(&mut self) -> Result<Key, Error> {
        self.keys.next().ok_or(Error::Key)
    }

    fn crl_uri(&self, issuer: &str) -> String {
        format!("{}/{issuer}.crl", self.profile.crl_base)
    }

    fn put(&mut self, path: &str, bytes: Vec<u8>) {
        self.files.insert(path.to_owned(), Zeroizing::new(bytes));
    }
}
