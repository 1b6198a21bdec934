//! TLS for SMTP connections: trusted certificates, and failed handshakes.
//!
//! `session.rs` decides when a connection is encrypted.

use std::io;
use std::sync::Arc;

use rustls_platform_verifier::Verifier;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, Error as TlsError};

use super::NAME;
use super::config::{SmtpConfig, SmtpConfigFault};
use super::wire::Io;
use crate::sending::{SendError, SendErrorKind};

/// Encrypts connections to one host.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    pub(super) fn new(config: &SmtpConfig) -> Result<Self, Vec<SmtpConfigFault>> {
        let mut faults = Vec::new();
        let mut keep = |option, problem: String| faults.push(SmtpConfigFault { option, problem });
        let name = ServerName::try_from(config.bare_host().to_owned());
        if let Err(error) = &name {
            keep("host", error.to_string());
        }
        let mut roots = Vec::new();
        if let Some(path) = &config.ca_file {
            match std::fs::read(path).map_err(|error| error.to_string()) {
                Ok(pem) => match certificates(&pem) {
                    Ok(found) => roots.extend(found),
                    Err(problem) => keep("ca_file", format!("{}: {problem}", path.display())),
                },
                Err(problem) => keep("ca_file", format!("{}: {problem}", path.display())),
            }
        }
        match config.ca_pem.as_deref().map(certificates) {
            Some(Ok(found)) => roots.extend(found),
            Some(Err(problem)) => keep("ca_pem", problem),
            None => {}
        }
        // An explicit provider, because another one in the same program would make rustls panic.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Verifier::new_with_extra_roots(roots, provider.clone());
        let connector = verifier.and_then(|verifier| {
            let client = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                // This is the platform's verifier: rustls calls any but its built-in one
                // "dangerous".
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth();
            Ok(TlsConnector::from(Arc::new(client)))
        });
        match (connector, name) {
            (Ok(connector), Ok(name)) if faults.is_empty() => Ok(Self { connector, name }),
            (Err(error), _) => {
                faults.push(SmtpConfigFault {
                    option: "tls",
                    problem: error.to_string(),
                });
                Err(faults)
            }
            _ => Err(faults),
        }
    }

    /// Performs the TLS handshake.
    pub(super) async fn encrypt(&self, io: Box<dyn Io>) -> io::Result<Box<dyn Io>> {
        let stream = self.connector.connect(self.name.clone(), io).await?;
        Ok(Box::new(stream))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err("no certificate found".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(error.to_string()),
    }
}

/// The error for a failed handshake. An untrusted certificate and a server without TLS are
/// permanent errors until somebody changes something.
pub(super) fn failed(error: &io::Error, server: &str) -> SendError {
    let cause = error.get_ref().and_then(|it| it.downcast_ref::<TlsError>());
    let (kind, words) = match cause {
        Some(TlsError::InvalidCertificate(why)) => (
            SendErrorKind::Configuration,
            format!(
                "the server's certificate is not trusted ({why:?}): host must be a name in the \
                 certificate; for a private CA, set ca_file"
            ),
        ),
        Some(TlsError::InvalidMessage(_)) => (
            SendErrorKind::Configuration,
            "the server does not speak TLS on this port: check port and tls".to_owned(),
        ),
        Some(other) => (
            SendErrorKind::Connect,
            format!("the TLS handshake failed: {other}"),
        ),
        None => (
            SendErrorKind::Connect,
            format!("the TLS handshake was interrupted: {error}"),
        ),
    };
    SendError::new(kind, NAME, words).with_server(server)
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({:?})", self.name)
    }
}
