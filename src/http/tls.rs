//! TLS 1.2 and 1.3 with a certificate that can be replaced while serving, and the hybrid
//! post-quantum key exchange first.

use std::{
    fmt::Display,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    CipherSuite, Error, InconsistentKeys, ProtocolVersion, ServerConfig, ServerConnection,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
    version,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject};
use tokio_rustls::TlsAcceptor;

use super::client_certificate::Authorities;

pub(super) const HTTP2_ALPN: &[u8] = b"h2";
const HTTP1_ALPN: &[u8] = b"http/1.1";

/// A certificate chain takes some kilobytes; a larger file is not one.
const MAX_PEM_BYTES: u64 = 1024 * 1024;

/// Why the certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {path}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} is larger than {MAX_PEM_BYTES} bytes")]
    TooLarge { path: PathBuf },
    #[error("{path} is not valid PEM: {detail}")]
    NotPem { path: PathBuf, detail: String },
    #[error("{path} holds no certificate")]
    NoCertificate { path: PathBuf },
    #[error("{path} holds no private key")]
    NoKey { path: PathBuf },
    #[error("the certificate or key of {certificate} and {key} cannot be used: {detail}")]
    Unusable { certificate: PathBuf, key: PathBuf, detail: String },
    #[error("the key in {key} is not the key of the certificate in {certificate}")]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("{path} holds no revocation list")]
    NoRevocationList { path: PathBuf },
    #[error("the clients' authorities cannot be used: {detail}")]
    Authorities { detail: String },
    #[error("TLS cannot be set up")]
    Setup(#[from] Error),
}

/// What was agreed in a handshake, in the words of CloudTrail's `tlsDetails`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsDetails {
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// IANA's name, for instance `TLS_AES_128_GCM_SHA256`.
    pub cipher_suite: &'static str,
    /// For instance `X25519MLKEM768`.
    pub key_exchange: &'static str,
}

impl TlsDetails {
    pub(super) fn of(session: &ServerConnection) -> Option<Self> {
        let version = match session.protocol_version()? {
            ProtocolVersion::TLSv1_3 => "TLSv1.3",
            ProtocolVersion::TLSv1_2 => "TLSv1.2",
            _ => return None,
        };
        // rustls writes TLS13_ where IANA writes TLS_.
        let cipher_suite = match session.negotiated_cipher_suite()?.suite() {
            CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
            CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
            suite => suite.as_str()?,
        };
        // A TLS 1.2 session that is resumed exchanges no keys.
        let group = session.negotiated_key_exchange_group().and_then(|group| group.name().as_str());
        Some(TlsDetails { version, cipher_suite, key_exchange: group.unwrap_or("none") })
    }
}

/// The server's side of TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ServerConfig>,
    identity: Arc<Identity>,
    /// Whose certificates clients may show; without any, clients are not asked for one.
    clients: Option<Arc<Authorities>>,
}

/// The certificate and key shown to clients, and where they come from.
#[derive(Debug)]
struct Identity {
    certificate: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Tls {
    /// `certificate`: the server's certificate and then those of the intermediate authorities;
    /// `key`: its private key (PKCS#8, PKCS#1 or SEC1). Both PEM; they may be one file.
    pub fn from_pem_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let provider = Arc::new(provider());
        let current = RwLock::new(Arc::new(read_identity(certificate, key, &provider)?));
        let identity = Arc::new(Identity {
            certificate: certificate.into(),
            key: key.into(),
            provider: Arc::clone(&provider),
            current,
        });
        let verifier = WebPkiClientVerifier::no_client_auth();
        Ok(Tls { config: config(&identity, verifier)?, identity, clients: None })
    }

    /// Lets clients show a certificate: one of `authorities` or of their intermediates, and not in
    /// the list of those `revoked`. Both PEM. A client that shows none is served as before.
    pub fn with_client_certificates(
        self,
        authorities: &Path,
        revoked: Option<&Path>,
    ) -> Result<Self, TlsError> {
        self.with_authorities(Authorities::read(authorities, revoked, None)?)
    }

    /// Has every client show a certificate, of one of `authorities` and with one of these common
    /// `names`. Whoever shows another one does not get through the handshake.
    pub fn requiring_client_certificates(
        self,
        authorities: &Path,
        revoked: Option<&Path>,
        names: Vec<String>,
    ) -> Result<Self, TlsError> {
        self.with_authorities(Authorities::read(authorities, revoked, Some(names))?)
    }

    fn with_authorities(self, clients: Authorities) -> Result<Self, TlsError> {
        let clients = Arc::new(clients);
        let verifier = Arc::clone(&clients) as Arc<dyn ClientCertVerifier>;
        let config = config(&self.identity, verifier)?;
        Ok(Tls { config, clients: Some(clients), ..self })
    }

    pub(super) fn clients(&self) -> Option<&Arc<Authorities>> {
        self.clients.as_ref()
    }

    /// Reads all files again; later handshakes use them. On an error the old ones stay in use.
    pub fn reload(&self) -> Result<(), TlsError> {
        if let Some(clients) = &self.clients {
            clients.reload()?;
        }
        let Identity { certificate, key, provider, current } = &*self.identity;
        let new = Arc::new(read_identity(certificate, key, provider)?);
        *current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn config(
    identity: &Arc<Identity>,
    clients: Arc<dyn ClientCertVerifier>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(&identity.provider))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::clone(identity) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = vec![HTTP2_ALPN.to_vec(), HTTP1_ALPN.to_vec()];
    Ok(Arc::new(config))
}

/// Key exchanges in the order of our preference; the suites are rustls's own, all of them with
/// forward secrecy and an AEAD.
pub(super) fn provider() -> CryptoProvider {
    use aws_lc_rs::kx_group::{SECP256R1, SECP384R1, X25519, X25519MLKEM768};
    let kx_groups = vec![X25519MLKEM768, X25519, SECP256R1, SECP384R1];
    CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() }
}

fn read_identity(
    certificate: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let not_pem = |path: &Path, error: &dyn Display| TlsError::NotPem {
        path: path.into(),
        detail: error.to_string(),
    };
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| not_pem(certificate, &error))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: certificate.into() });
    }
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey { path: key.into() },
        error => not_pem(key, &error),
    })?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::Mismatch { certificate: certificate.into(), key: key.into() }
        }
        error => TlsError::Unusable {
            certificate: certificate.into(),
            key: key.into(),
            detail: error.to_string(),
        },
    })
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: path.into(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_PEM_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_PEM_BYTES {
        return Err(TlsError::TooLarge { path: path.into() });
    }
    Ok(bytes)
}
