//! Certificates that do not get past the handshake, and those that stop being good after it.
use super::authority::{Authority, Identity, SERIAL, SPIFFE};
use super::{Place, ROLE, machines, said, trust};
use crate::world::allow;
use claviger::http::{Tls, TlsError};
use rcgen::{
    CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, SerialNumber, date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use std::path::Path;

fn self_signed() -> Identity {
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Identity { chain: vec![certificate.der().clone()], key }
}

#[tokio::test]
async fn bad_certificates_end_the_handshake() {
    let place = Place::new().await;
    let authority = &place.authority;
    let namesake = Authority::new("machines of example.org");
    let below = namesake.intermediate("below");
    let mut through_namesake = below.issue(|_| {});
    through_namesake.chain.push(below.der());
    let expired = |params: &mut CertificateParams| params.not_after = date_time_ymd(2020, 1, 1);
    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(4000, 1, 1);
    let server = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    let authoritative = |params: &mut CertificateParams| {
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    };
    for (what, identity, alert) in [
        ("another authority", Authority::new("others").issue(|_| {}), "UnknownCA"),
        // The name leads to the authority that is known, whose key then did not sign.
        ("another authority of the same name", namesake.issue(|_| {}), "DecryptError"),
        ("a namesake's intermediate", through_namesake, "DecryptError"),
        ("self-signed", self_signed(), "UnknownCA"),
        ("expired", authority.issue(expired), "CertificateExpired"),
        ("not yet valid", authority.issue(early), "CertificateExpired"),
        ("a server's", authority.issue(server), "Certificate"),
        ("an authority's", authority.issue(authoritative), "Certificate"),
    ] {
        let error = place.ask(&identity, "").await.unwrap_err();
        assert!(error.contains(alert), "{what}: {error}");
    }
    // Nobody got as far as an operation.
    assert!(place.world.events().is_empty());
    assert_eq!(place.ask(&authority.issue(|_| {}), "").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_certificate_without_its_key_is_worth_nothing() {
    let place = Place::new().await;
    let good = place.authority.issue(|_| {});
    let stolen = Identity { chain: good.chain, key: self_signed().key };
    // The client itself would notice; an attacker's would not.
    let outcome = std::panic::AssertUnwindSafe(place.ask(&stolen, ""));
    let outcome = futures_util::FutureExt::catch_unwind(outcome).await;
    assert!(!matches!(outcome, Ok(Ok((200, _)))));
}

async fn with_list(revoked: &'static [&'static [u8]], until: i32) -> Place {
    let machines = machines(&[("certificate", SPIFFE, ROLE, None)]);
    let list = move |authority: &Authority| authority.revoking(revoked, until);
    let place = Place::with(machines, Some(&list)).await;
    place.world.role(ROLE, trust(json!({})), allow(&["kms:ListKeys"])).await;
    place
}

#[tokio::test]
async fn revoked_certificates_are_refused() {
    let place = with_list(&[SERIAL], 4000).await;
    let error = place.ask(&place.authority.issue(|_| {}), "").await.unwrap_err();
    assert!(error.contains("CertificateRevoked"), "{error}");
    let other = |params: &mut CertificateParams| {
        params.serial_number = Some(SerialNumber::from_slice(&[9]));
    };
    assert_eq!(place.ask(&place.authority.issue(other), "").await.unwrap().0, 200);
    // An intermediate authority that no list speaks of might be revoked.
    let below = place.authority.intermediate("below");
    let mut identity = below.issue(other);
    identity.chain.push(below.der());
    place.ask(&identity, "").await.unwrap_err();
}

#[tokio::test]
async fn a_revocation_ends_open_connections_too() {
    let place = with_list(&[], 4000).await;
    let identity = place.authority.issue(|_| {});
    let mut connection = place.connect(Some(&identity)).await.unwrap();
    assert_eq!(connection.ask("").await.unwrap().0, 200);
    std::fs::write(place.path("crl.pem"), place.authority.revoking(&[SERIAL], 4000)).unwrap();
    place.tls.reload().unwrap();
    let (status, _, text) = said(connection.ask("").await.unwrap());
    assert_eq!(status, 403);
    assert!(text.contains("Revoked"), "{text}");
    place.ask(&identity, "").await.unwrap_err();
    // A list that cannot be read leaves the last one in use.
    std::fs::write(place.path("crl.pem"), "nothing").unwrap();
    assert!(matches!(place.tls.reload(), Err(TlsError::NoRevocationList { .. })));
    place.ask(&identity, "").await.unwrap_err();
}

#[tokio::test]
async fn a_list_that_is_out_of_date_lets_nobody_in() {
    let place = with_list(&[], 2010).await;
    place.ask(&place.authority.issue(|_| {}), "").await.unwrap_err();
}

#[tokio::test]
async fn a_change_of_authorities_ends_open_connections_too() {
    let place = Place::new().await;
    let identity = place.authority.issue(|_| {});
    let mut connection = place.connect(Some(&identity)).await.unwrap();
    assert_eq!(connection.ask("").await.unwrap().0, 200);
    let new = Authority::new("machines, anew");
    std::fs::write(place.path("ca.pem"), new.pem()).unwrap();
    place.tls.reload().unwrap();
    assert_eq!(connection.ask("").await.unwrap().0, 403);
    place.ask(&identity, "").await.unwrap_err();
    assert_eq!(place.ask(&new.issue(|_| {}), "").await.unwrap().0, 200);
}

#[tokio::test]
async fn bad_files_are_said_at_the_start() {
    let place = Place::new().await;
    let (cert, key) = (place.path("cert.pem"), place.path("key.pem"));
    let load = |authorities: &Path, revoked: Option<&Path>| {
        let tls = Tls::from_pem_files(&cert, &key).unwrap();
        tls.with_client_certificates(authorities, revoked).unwrap_err()
    };
    let authorities = place.path("ca.pem");
    assert!(matches!(load(&place.path("none"), None), TlsError::Unreadable { .. }));
    assert!(matches!(load(&key, None), TlsError::NoCertificate { .. }));
    assert!(matches!(load(&authorities, Some(&key)), TlsError::NoRevocationList { .. }));
    let broken = place.path("broken.pem");
    let crl = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    std::fs::write(&broken, crl).unwrap();
    assert!(matches!(load(&authorities, Some(&broken)), TlsError::Authorities { .. }));
    std::fs::write(&broken, crl.replace("X509 CRL", "CERTIFICATE")).unwrap();
    assert!(matches!(load(&broken, None), TlsError::NotPem { .. }));
}
