//! Creates valid and invalid certificates at start, and performs the server's side of a handshake.
//!
//! Without the feature `smtp-tls`, `no_tls.rs` replaces this module.

use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::fault::WrongCertificate;

pub(super) type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

/// The socket below TLS.
pub(super) fn socket(stream: &mut TlsStream) -> &mut TcpStream {
    stream.get_mut().0
}

/// A certificate authority and a server certificate that it signed.
pub(super) struct Certificates {
    authority: Authority,
    right: Arc<ServerConfig>,
}

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Certificates {
    /// Creates a new authority.
    pub(super) fn make() -> io::Result<Self> {
        let authority =
            Authority::make("anymail-test-utils, made for one test").map_err(io::Error::other)?;
        let right = authority.server(None)?;
        Ok(Self { authority, right })
    }

    /// Returns the authority's certificate, which clients must trust.
    pub(super) fn ca_pem(&self) -> &str {
        &self.authority.pem
    }

    /// Performs a handshake with a valid or an invalid certificate.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        wrong: Option<WrongCertificate>,
    ) -> io::Result<TlsStream> {
        let config = match wrong {
            None => Arc::clone(&self.right),
            Some(WrongCertificate::UnknownIssuer) => {
                // The other authority needs a different name, or clients would see a known issuer
                // with an invalid signature.
                let other = Authority::make("anymail-test-utils, unknown authority");
                other.map_err(io::Error::other)?.server(wrong)?
            }
            Some(_) => self.authority.server(wrong)?,
        };
        TlsAcceptor::from(config).accept(stream).await
    }
}

impl Authority {
    fn make(name: &str) -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);
        Ok(Self { pem, issuer })
    }

    fn server(&self, wrong: Option<WrongCertificate>) -> io::Result<Arc<ServerConfig>> {
        let names = match wrong {
            Some(WrongCertificate::OtherName) => vec!["other.example.com".to_owned()],
            _ => ["localhost", "127.0.0.1", "::1"]
                .map(str::to_owned)
                .to_vec(),
        };
        let expired = wrong == Some(WrongCertificate::Expired);
        let (chain, key) = self.leaf(names, expired).map_err(io::Error::other)?;
        let config = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .map_err(io::Error::other)?;
        Ok(Arc::new(config))
    }

    fn leaf(
        &self,
        names: Vec<String>,
        expired: bool,
    ) -> Result<
        (
            tokio_rustls::rustls::pki_types::CertificateDer<'static>,
            PrivateKeyDer<'static>,
        ),
        rcgen::Error,
    > {
        let mut params = CertificateParams::new(names)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "loopback");
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        if expired {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((certificate.der().clone(), key.into()))
    }
}
