//! Who may come in. The handshake proves that the caller holds the key of a certificate under our
//! CA; everything else is judged here, on every request: period, revocation, system, role.

use std::collections::HashSet;
use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, RwLock};
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

use super::status::to_status;
use crate::clock::Time;
use crate::digest::Sha256;
use crate::gateway::{Gateway, Peer};
use crate::refusal::{Reason, Refusal};

/// What the handshake learnt about the caller; part of every request on the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    sha256: Sha256,
    der: Arc<[u8]>,
    identities: Vec<String>,
    issuer_serial: Sha256,
    not_before: Time,
    not_after: Time,
}

impl ClientCertificate {
    /// Reads a certificate; `None` if it is not one.
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut identities = Vec::new();
        for extension in certificate.extensions() {
            if let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() {
                identities.extend(names.general_names.iter().filter_map(|name| match name {
                    GeneralName::URI(uri) => Some((*uri).to_owned()),
                    _ => None,
                }));
            }
        }
        let issuer_serial = issuer_serial(certificate.issuer().as_raw(), certificate.raw_serial());
        identities.push(format!("issuer-serial:{issuer_serial}"));
        let validity = certificate.validity();
        Some(Self {
            sha256: Sha256::of(der),
            der: Arc::from(der),
            identities,
            issuer_serial,
            not_before: Time::from_seconds(validity.not_before.timestamp()),
            not_after: Time::from_seconds(validity.not_after.timestamp()),
        })
    }
}

fn issuer_serial(issuer: &[u8], serial: &[u8]) -> Sha256 {
    let start = serial.iter().position(|byte| *byte != 0).unwrap_or(serial.len());
    Sha256::of_parts(&[issuer, &serial[start..]])
}

/// Client certificates that were revoked: issuer and serial of every entry of the current CRLs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations(HashSet<Sha256>);

impl Revocations {
    /// Reads CRLs (DER), whose signatures the configuration has checked; `None` if one is none.
    pub fn read(crls: &[Vec<u8>]) -> Option<Self> {
        let mut revoked = HashSet::new();
        for der in crls {
            let (_, crl) =
                x509_parser::revocation_list::CertificateRevocationList::from_der(der).ok()?;
            let issuer = crl.issuer().as_raw();
            let entries = crl.iter_revoked_certificates();
            revoked.extend(entries.map(|entry| issuer_serial(issuer, entry.raw_serial())));
        }
        Some(Self(revoked))
    }
}

/// The doorkeeper.
pub struct Admission {
    gateway: Arc<Gateway>,
    revocations: RwLock<Arc<Revocations>>,
}

impl Admission {
    /// A doorkeeper for `gateway` who turns these certificates away.
    pub fn new(gateway: Arc<Gateway>, revocations: Revocations) -> Self {
        Self { gateway, revocations: RwLock::new(Arc::new(revocations)) }
    }

    /// From now on these certificates are turned away, on open connections too.
    pub fn replace_revocations(&self, next: Revocations) {
        *self.revocations.write().expect("no panic while replacing") = Arc::new(next);
    }

    /// Judges a certificate as of now.
    ///
    /// # Errors
    /// [`Reason::CertificateExpired`], [`Reason::CertificateRevoked`],
    /// [`Reason::CertificateUnknown`].
    pub fn judge(&self, certificate: &ClientCertificate) -> Result<Peer, Refusal> {
        let now = self.gateway.now();
        if now < certificate.not_before || certificate.not_after < now {
            let refusal = Refusal::new(Reason::CertificateExpired);
            let refusal = refusal.with("not_before", certificate.not_before);
            return Err(refusal.with("not_after", certificate.not_after));
        }
        let revocations = self.revocations.read().expect("no panic while replacing").clone();
        if revocations.0.contains(&certificate.issuer_serial) {
            return Err(Refusal::new(Reason::CertificateRevoked).with("sha256", certificate.sha256));
        }
        let surroundings = self.gateway.surroundings();
        let system = certificate
            .identities
            .iter()
            .find_map(|identity| surroundings.directory.system_of(identity))
            .ok_or_else(|| {
                Refusal::new(Reason::CertificateUnknown)
                    .with("sha256", certificate.sha256)
                    .with("identity", certificate.identities.join(" "))
            })?;
        Ok(Peer {
            system: system.id.clone(),
            role: system.role,
            certificate: certificate.sha256,
            der: certificate.der.clone(),
        })
    }
}

/// Puts the doorkeeper before every service, reflection and health included.
#[derive(Clone)]
pub struct AdmissionLayer(pub Arc<Admission>);

impl<S> Layer<S> for AdmissionLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, admission: self.0.clone() }
    }
}

/// A service behind the doorkeeper: requests reach it with their [`Peer`], or not at all.
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    admission: Arc<Admission>,
}

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let certificate = request.extensions().get::<Option<Arc<ClientCertificate>>>();
        let certificate = certificate.cloned().flatten();
        let judged = match &certificate {
            Some(certificate) => self.admission.judge(certificate),
            None => Err(Refusal::new(Reason::CertificateMissing)),
        };
        match judged {
            Ok(peer) => {
                request.extensions_mut().insert(peer);
                request.extensions_mut().insert(certificate);
                Box::pin(self.inner.call(request))
            }
            Err(refusal) => {
                tracing::info!(%refusal, path = request.uri().path(), "turned away");
                Box::pin(ready(Ok(to_status(refusal).into_http())))
            }
        }
    }
}
