//! Whose certificates are believed, and which one is shown.
use super::OutgoingError;
use rustls::client::{ResolvesClientCert, Resumption, WantsClientCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, SignatureScheme};
use rustls::{crypto::aws_lc_rs, version};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// Where systems keep the certificate authorities they trust.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The file itself, or else the system's.
pub fn roots_file(ca_file: Option<&Path>) -> Result<&Path, OutgoingError> {
    let system = || SYSTEM_ROOTS.iter().map(Path::new).find(|path| path.exists());
    let path = ca_file.or_else(system);
    path.ok_or(OutgoingError::Refused("no certificate authorities: set ca_file"))
}

/// The certificate authorities of a file, or else the system's.
pub fn trusted_roots(ca_file: Option<&Path>) -> Result<RootCertStore, OutgoingError> {
    let path = roots_file(ca_file)?;
    let mut roots = RootCertStore::empty();
    let bad = |_| OutgoingError::Refused("ca_file: not PEM");
    for certificate in CertificateDer::pem_file_iter(path).map_err(bad)? {
        // A bundle may hold what this library does not take.
        let _ = roots.add(certificate.map_err(bad)?);
    }
    if roots.is_empty() {
        return Err(OutgoingError::Refused("ca_file: no certificate"));
    }
    Ok(roots)
}

/// TLS 1.2 and 1.3, without a certificate of our own.
pub fn client_tls(ca_file: Option<&Path>) -> Result<ClientConfig, OutgoingError> {
    Ok(trusting(ca_file)?.with_no_client_auth())
}

fn trusting(
    ca_file: Option<&Path>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, OutgoingError> {
    let roots = trusted_roots(ca_file)?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|_| OutgoingError::Refused("TLS cannot be set up"))?;
    Ok(config.with_root_certificates(roots))
}

/// A certificate of ours with its key, for servers that want to know who asks (mutual TLS).
#[derive(Debug)]
pub struct Identity {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Identity {
    /// `certificate`: ours, and then those of the intermediate authorities; `key`: its private key
    /// (PKCS#8, PKCS#1 or SEC1). Both PEM.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, OutgoingError> {
        let current = RwLock::new(Arc::new(certified(certificate, key)?));
        Ok(Self { certificate: certificate.into(), key: key.into(), current })
    }

    /// Reads both files again; later handshakes use them. On an error the old ones stay in use.
    pub fn reload(&self) -> Result<(), OutgoingError> {
        let new = Arc::new(certified(&self.certificate, &self.key)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    pub(super) fn client_tls(
        self: &Arc<Self>,
        ca_file: Option<&Path>,
    ) -> Result<ClientConfig, OutgoingError> {
        let shown = Arc::clone(self) as Arc<dyn ResolvesClientCert>;
        let mut config = trusting(ca_file)?.with_client_cert_resolver(shown);
        // A session that is resumed shows no certificate, so that a new one would not be seen.
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn certified(certificate: &Path, key: &Path) -> Result<CertifiedKey, OutgoingError> {
    let refused = OutgoingError::Refused;
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|_| refused("client_certificate: not a PEM file that can be read"))?;
    if chain.is_empty() {
        return Err(refused("client_certificate: holds no certificate"));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|_| refused("client_key: not a PEM file with a private key"))?;
    CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider())
        .map_err(|_| refused("client_key: not the key of client_certificate"))
}
