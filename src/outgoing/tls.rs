//! Whose certificates are believed.
use super::OutgoingError;
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, version};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::path::Path;
use std::sync::Arc;

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
    let roots = trusted_roots(ca_file)?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|_| OutgoingError::Refused("TLS cannot be set up"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
