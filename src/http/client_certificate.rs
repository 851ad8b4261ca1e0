//! Certificates that clients show: checked in the handshake, and again whenever one is relied on, for
//! connections and resumed sessions outlive certificates and their revocation.
use super::tls::{TlsError, provider, read};
use crate::machines::Certificate;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// The authorities whose certificates clients may show, and what these have revoked.
#[derive(Debug)]
pub(super) struct Authorities {
    certificates: PathBuf,
    revoked: Option<PathBuf>,
    /// The common names of clients. With them, a client must show a certificate; without, it may.
    names: Option<Vec<String>>,
    current: RwLock<Arc<dyn ClientCertVerifier>>,
}

impl Authorities {
    pub(super) fn read(
        certificates: &Path,
        revoked: Option<&Path>,
        names: Option<Vec<String>>,
    ) -> Result<Self, TlsError> {
        let current = RwLock::new(verifier(certificates, revoked)?);
        let (certificates, revoked) = (certificates.to_owned(), revoked.map(Path::to_owned));
        Ok(Self { certificates, revoked, names, current })
    }

    /// Whether the certificate, which is good, is one of the clients'.
    fn check_name(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let Some(names) = &self.names else { return Ok(()) };
        let parsed = Certificate::parse(certificate).ok();
        match parsed.and_then(|parsed| parsed.common_name) {
            Some(name) if names.contains(&name) => Ok(()),
            _ => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    /// Reads the files again. On an error the old ones stay in use.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        let new = verifier(&self.certificates, self.revoked.as_deref())?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    fn current(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn verifier(
    certificates: &Path,
    revoked: Option<&Path>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let not_pem = |path: &Path, error: &dyn std::fmt::Display| TlsError::NotPem {
        path: path.into(),
        detail: error.to_string(),
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&read(certificates)?) {
        let certificate = certificate.map_err(|error| not_pem(certificates, &error))?;
        roots.add(certificate).map_err(|error| not_pem(certificates, &error))?;
    }
    if roots.is_empty() {
        return Err(TlsError::NoCertificate { path: certificates.into() });
    }
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider()))
            // Most clients sign their requests and show none.
            .allow_unauthenticated()
            // The authorities may change while connections wait; clients show what they have.
            .clear_root_hint_subjects();
    if let Some(path) = revoked {
        let lists = CertificateRevocationListDer::pem_slice_iter(&read(path)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| not_pem(path, &error))?;
        if lists.is_empty() {
            return Err(TlsError::NoRevocationList { path: path.into() });
        }
        // A list that is out of date does not say what was revoked since.
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    builder.build().map_err(|error| TlsError::Authorities { detail: error.to_string() })
}

impl ClientCertVerifier for Authorities {
    fn client_auth_mandatory(&self) -> bool {
        self.names.is_some()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.current().verify_client_cert(end_entity, intermediates, now)?;
        self.check_name(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.current().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.current().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current().supported_verify_schemes()
    }
}

/// What the client of a connection showed, and proved in the handshake to have the key of.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    /// The client's own, then those of intermediate authorities. Never empty.
    chain: Vec<CertificateDer<'static>>,
    authorities: Arc<Authorities>,
}

impl ClientCertificate {
    pub(super) fn new(
        chain: Option<&[CertificateDer<'static>]>,
        authorities: Option<&Arc<Authorities>>,
    ) -> Option<Self> {
        let chain = chain.filter(|chain| !chain.is_empty())?.to_vec();
        Some(Self { chain, authorities: Arc::clone(authorities?) })
    }

    /// The certificate itself, if it is good at this moment.
    pub(super) fn verified(&self, now_secs: i64) -> Result<&[u8], Error> {
        let (own, intermediates) =
            self.chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        let since_epoch = Duration::from_secs(u64::try_from(now_secs).unwrap_or_default());
        let now = UnixTime::since_unix_epoch(since_epoch);
        self.authorities.verify_client_cert(own, intermediates, now)?;
        Ok(own)
    }
}
