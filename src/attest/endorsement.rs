//! The certificate that a TPM's maker gave its endorsement key, and the way from it to a certificate that
//! the verifier trusts (RFC 5280; TCG EK Credential Profile).
use super::bundle::Claim;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// tcg-kp-EKCertificate, 2.23.133.8.1.
const PURPOSE: &[u8] = &[0x67, 0x81, 0x05, 0x08, 0x01];
/// Attributes of the subject alternative name (TCG EK Credential Profile, 3.1.2).
const ATTRIBUTES: [(&str, &str); 3] =
    [("2.23.133.2.1", "TPM manufacturer"), (MODEL, "TPM model"), ("2.23.133.2.3", "TPM version")];
const MODEL: &str = "2.23.133.2.2";
/// How the model of a software TPM begins.
const SOFTWARE: &str = "swtpm";
/// Above all makers' together.
const MAX_CERTIFICATES: usize = 1000;

/// Whom the verifier trusts to tell TPMs from other things, and what time it is.
#[derive(Clone, Debug)]
pub struct Trust {
    roots: Vec<CertificateDer<'static>>,
    /// Certificates on the way, not trusted by themselves.
    intermediates: Vec<CertificateDer<'static>>,
    now: UnixTime,
}

/// A certificate that is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endorsement {
    /// SubjectPublicKeyInfo of the endorsement key, DER.
    pub key: Vec<u8>,
    /// What the maker says of the TPM.
    pub claims: Vec<Claim>,
    /// Whether it says that the TPM is software.
    pub software: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndorsementError {
    #[error("it cannot be read as a certificate")]
    Malformed,
    #[error("no way leads from it to a certificate that is trusted here")]
    UnknownIssuer,
    #[error("it, or one on the way to it, expired")]
    Expired,
    #[error("it, or one on the way to it, is not valid yet")]
    NotYet,
    #[error("it is not the certificate of an endorsement key")]
    Purpose,
    #[error("{0}")]
    Other(String),
}

impl Trust {
    /// `roots`: certificates (PEM), each of them trusted; `intermediates`: others, for the way only.
    /// `now`: seconds since 1970.
    pub fn from_pem(roots: &[u8], intermediates: &[u8], now: u64) -> Result<Self, String> {
        let roots = certificates(roots)?;
        for root in &roots {
            let bad = |e: webpki::Error| format!("not a certificate of an authority: {e:?}");
            webpki::anchor_from_trusted_cert(root).map_err(bad)?;
        }
        if roots.is_empty() {
            return Err("wanted certificates (PEM), found none".into());
        }
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        Ok(Self { roots, intermediates: certificates(intermediates)?, now })
    }

    /// Whether an endorsement key's certificate is good. Revocation is not looked at: that needs a
    /// network.
    pub fn check(&self, certificate: &[u8]) -> Result<Endorsement, EndorsementError> {
        let der = CertificateDer::from(certificate);
        let anchors: Vec<TrustAnchor<'_>> = self
            .roots
            .iter()
            .filter_map(|root| webpki::anchor_from_trusted_cert(root).ok())
            .collect();
        EndEntityCert::try_from(&der)
            .map_err(reason)?
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &anchors,
                &self.intermediates,
                self.now,
                KeyUsage::required_if_present(PURPOSE),
                None,
                None,
            )
            .map_err(reason)?;
        let (endorsement, is_for_it) = read(certificate).ok_or(EndorsementError::Malformed)?;
        // Authorities on the way need not say it. A certificate that does not is of some other key.
        if is_for_it { Ok(endorsement) } else { Err(EndorsementError::Purpose) }
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = CertificateDer::pem_slice_iter(pem).take(MAX_CERTIFICATES + 1);
    let all: Vec<_> = all.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    match all.len() > MAX_CERTIFICATES {
        true => Err(format!("more than {MAX_CERTIFICATES} certificates")),
        false => Ok(all),
    }
}

fn reason(error: webpki::Error) -> EndorsementError {
    use webpki::Error as E;
    match error {
        E::UnknownIssuer | E::InvalidSignatureForPublicKey => EndorsementError::UnknownIssuer,
        E::CertExpired { .. } => EndorsementError::Expired,
        E::CertNotValidYet { .. } => EndorsementError::NotYet,
        E::RequiredEkuNotFoundContext(_) => EndorsementError::Purpose,
        E::BadDer | E::BadDerTime | E::TrailingData(_) => EndorsementError::Malformed,
        other => EndorsementError::Other(format!("{other:?}")),
    }
}

/// The key and the names, and whether it says that it is an endorsement key's; of a certificate that was
/// checked.
fn read(der: &[u8]) -> Option<(Endorsement, bool)> {
    let (rest, certificate) = X509Certificate::from_der(der).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let mut claims = vec![
        Claim { name: "EK certificate by".into(), value: certificate.issuer().to_string() },
        Claim {
            name: "EK certificate until".into(),
            value: certificate.validity().not_after.to_string(),
        },
    ];
    let mut software = false;
    let names = certificate.subject_alternative_name().ok()?;
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        let GeneralName::DirectoryName(name) = name else { continue };
        for attribute in name.iter_attributes() {
            let id = attribute.attr_type().to_id_string();
            let known = ATTRIBUTES.iter().find(|(known, _)| *known == id);
            let (Some((_, shown)), Ok(value)) = (known, attribute.as_str()) else { continue };
            software |= id == MODEL && value.to_lowercase().starts_with(SOFTWARE);
            claims.push(Claim { name: (*shown).into(), value: value.into() });
        }
    }
    let usage = certificate.extended_key_usage().ok()?;
    let mut purposes = usage.iter().flat_map(|usage| &usage.value.other);
    let is_for_it = purposes.any(|purpose| purpose.as_bytes() == PURPOSE);
    Some((Endorsement { key: certificate.public_key().raw.to_vec(), claims, software }, is_for_it))
}
