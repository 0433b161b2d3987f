//! The lower layers: name, TCP, TLS, and the gateway's certificate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, Error as TlsError, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::reach::{Broken, Found, Ladder, Stopped};
use crate::cli::{Exit, Failure};
use crate::client;
use crate::clock::Time;

/// How long each layer may take: what is slower is no use for calls either.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whom to call, and as whom.
pub(super) struct Caller {
    host: String,
    port: u16,
    tls: TlsConnector,
}

impl Caller {
    /// Reads the files that the options name.
    ///
    /// # Errors
    /// Exit code 3 and what is wrong with them.
    pub(super) fn read(options: &client::Options) -> Result<Self, Failure> {
        let wrong = |what: &str, cause: &dyn std::fmt::Display| {
            Failure::new(Exit::Configuration, format!("{what}: {cause}"))
        };
        let uri: Uri = options.server.parse().map_err(|error| wrong("--server", &error))?;
        let host = uri.host().ok_or_else(|| wrong("--server", &"no host"))?;
        let mut roots = RootCertStore::empty();
        let cas = CertificateDer::pem_file_iter(&options.ca);
        for ca in cas.map_err(|error| wrong("--ca", &error))? {
            let ca = ca.map_err(|error| wrong("--ca", &error))?;
            roots.add(ca).map_err(|error| wrong("--ca", &error))?;
        }
        let chain = CertificateDer::pem_file_iter(&options.cert);
        let chain: Result<Vec<_>, _> = chain.map_err(|error| wrong("--cert", &error))?.collect();
        let key = options.key.clone().unwrap_or_else(|| options.cert.with_extension("key"));
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong("--key", &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Failure::other)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain.map_err(|error| wrong("--cert", &error))?, key)
            .map_err(|error| wrong("--cert", &error))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(443),
            tls: TlsConnector::from(Arc::new(config)),
        })
    }
}

/// Climbs the lower layers.
pub(super) async fn climb(ladder: &mut Ladder, caller: &Caller) -> Result<(), Stopped> {
    let addresses = ladder.step("name", name(caller).await)?;
    let stream = ladder.step("tcp", tcp(&addresses).await)?;
    let shaken = ladder.step("tls", tls(caller, stream).await)?;
    ladder.step("certificate", certificate(shaken))
}

async fn name(caller: &Caller) -> Result<(Vec<SocketAddr>, Found), Broken> {
    let fix = "check the name in --server, and the name service of this machine";
    let broken = |cause: &dyn std::fmt::Display| {
        Broken::new(Exit::Connection, format!("{}: {cause}", caller.host), fix)
    };
    let looked_up = tokio::net::lookup_host((caller.host.as_str(), caller.port));
    let addresses = tokio::time::timeout(PATIENCE, looked_up).await;
    let addresses: Vec<_> = match addresses {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Err(broken(&error)),
        Err(_) => return Err(broken(&"no answer in time")),
    };
    if addresses.is_empty() {
        return Err(broken(&"no address"));
    }
    let found: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    Ok((addresses, format!("{} is {}", caller.host, found.join(", "))))
}

async fn tcp(addresses: &[SocketAddr]) -> Result<(TcpStream, Found), Broken> {
    let mut causes = Vec::new();
    for address in addresses {
        match tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((stream, format!("{address} answers"))),
            Ok(Err(error)) => causes.push(format!("{address}: {error}")),
            Err(_) => causes.push(format!("{address}: no answer in time")),
        }
    }
    let fix = "check the port in --server, whether the gateway runs, and the firewalls on the way";
    Err(Broken::new(Exit::Connection, causes.join("; "), fix))
}

/// What the handshake found: the gateway's certificate, or why it does not count.
type Shaken = Result<Vec<u8>, CertificateError>;

async fn tls(caller: &Caller, stream: TcpStream) -> Result<(Shaken, Found), Broken> {
    let fix = "what listens there is no gateway, or something on the way breaks TLS 1.2 and 1.3";
    let broken = |cause: &dyn std::fmt::Display| Broken::new(Exit::Connection, cause, fix);
    let name = ServerName::try_from(caller.host.clone()).map_err(|error| broken(&error))?;
    let shaken = tokio::time::timeout(PATIENCE, caller.tls.connect(name, stream)).await;
    let stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<TlsError>());
            return match cause {
                Some(TlsError::InvalidCertificate(why)) => {
                    Ok((Err(why.clone()), "a certificate was shown".to_owned()))
                }
                _ => Err(broken(&error)),
            };
        }
        Err(_) => return Err(broken(&"no handshake in time")),
    };
    let session = stream.get_ref().1;
    let version = session.protocol_version().and_then(|version| version.as_str());
    let leaf = session.peer_certificates().and_then(|chain| chain.first());
    let leaf = leaf.ok_or_else(|| broken(&"no certificate"))?.to_vec();
    Ok((Ok(leaf), version.unwrap_or("TLS").to_owned()))
}

fn certificate(shaken: Shaken) -> Result<((), Found), Broken> {
    let leaf = shaken.map_err(|why| {
        let found = TlsError::InvalidCertificate(why.clone());
        Broken::new(Exit::VerificationFailed, found, fix_of(&why))
    })?;
    let unreadable = || {
        Broken::new(Exit::VerificationFailed, "unreadable", fix_of(&CertificateError::BadEncoding))
    };
    let (_, certificate) = X509Certificate::from_der(&leaf).map_err(|_| unreadable())?;
    let until = Time::from_seconds(certificate.validity().not_after.timestamp());
    let (subject, issuer) = (certificate.subject(), certificate.issuer());
    Ok(((), format!("{subject}, issued by {issuer}, valid until {until}")))
}

fn fix_of(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the gateway's operator must renew its certificate; or the clock of this machine is fast"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the clock of this machine is slow, or the gateway's certificate was put in too early"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "call the gateway by a name in its certificate, or have it issued for this one"
        }
        // Its own CA has the same name as another one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "give the CA of this gateway with --ca"
        }
        _ => "the gateway's operator must put in another certificate",
    }
}
