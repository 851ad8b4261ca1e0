//! Mutual TLS: whoever shows no certificate of the right authority and name gets no further than the
//! handshake.
use super::{ID, PATH, Place, SECRET, THEIRS, encrypt_body, listen, signed};
use crate::machines::authority::{Authority, Connection, Identity};
use claviger::http::Tls;
use http::{Request, header};
use http_body_util::Full;
use rcgen::DnType;
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;

const NAME: &str = "cks.kms.us-west-2.amazonaws.com";

struct Secure {
    place: Place,
    address: SocketAddr,
    authority: Authority,
    trusted: CertificateDer<'static>,
}

impl Secure {
    async fn new() -> Self {
        let place = Place::new().await;
        let path = |name: &str| place.files.path().join(name);
        let server = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(path("cert.pem"), server.cert.pem()).unwrap();
        std::fs::write(path("key.pem"), server.signing_key.serialize_pem()).unwrap();
        let authority = Authority::new("authority of clients");
        std::fs::write(path("ca.pem"), authority.pem()).unwrap();
        let tls = Tls::from_pem_files(&path("cert.pem"), &path("key.pem")).unwrap();
        let names = vec![NAME.to_owned(), "cks.kms.us-east-1.amazonaws.com".to_owned()];
        let tls = tls.requiring_client_certificates(&path("ca.pem"), None, names).unwrap();
        let address = listen(&place.world, &place.proxy, Some(&tls)).await.parse().unwrap();
        Self { place, address, authority, trusted: server.cert.der().clone() }
    }

    /// Encrypts over a connection with this certificate.
    async fn asked(&self, identity: Option<&Identity>) -> Result<u16, String> {
        let mut connection = Connection::open(self.address, &self.trusted, identity).await?;
        let request = Request::post(format!(
            "https://localhost:{}{PATH}/keys/kms/encrypt",
            self.address.port()
        ))
        .header(header::HOST, format!("localhost:{}", self.address.port()))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(encrypt_body(b"a").to_string().into()))
        .unwrap();
        let now = self.place.now();
        let request = signed(request, (ID, SECRET), THEIRS, "kms-xks-proxy", now);
        Ok(connection.send(request).await?.0)
    }

    fn identity(&self, authority: &Authority, name: &str) -> Identity {
        authority.issue(|params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
        })
    }
}

/// With the right name, and of no authority.
fn self_signed() -> Identity {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, NAME);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    Identity { chain: vec![certificate.der().clone()], key }
}

#[tokio::test]
async fn only_the_named_clients_of_the_authority_are_let_in() {
    let secure = Secure::new().await;
    let good = secure.identity(&secure.authority, NAME);
    assert_eq!(secure.asked(Some(&good)).await, Ok(200));
    let second = secure.identity(&secure.authority, "cks.kms.us-east-1.amazonaws.com");
    assert_eq!(secure.asked(Some(&second)).await, Ok(200));

    let stranger = Authority::new("authority of clients");
    for (what, identity) in [
        ("no certificate", None),
        ("another authority", Some(secure.identity(&stranger, NAME))),
        (
            "another name",
            Some(secure.identity(&secure.authority, "cks.kms.eu-west-1.amazonaws.com")),
        ),
        ("a longer name", Some(secure.identity(&secure.authority, &format!("{NAME}.example.org")))),
        (
            "an alternative name",
            Some(secure.authority.issue(|params| {
                let name = NAME.try_into().unwrap();
                params.subject_alt_names = vec![rcgen::SanType::DnsName(name)];
            })),
        ),
        ("one that signed itself", Some(self_signed())),
        (
            "an expired one",
            Some(secure.authority.issue(|params| {
                params.distinguished_name = rcgen::DistinguishedName::new();
                params.distinguished_name.push(DnType::CommonName, NAME);
                params.not_after = rcgen::date_time_ymd(2001, 1, 1);
            })),
        ),
    ] {
        let refused = secure.asked(identity.as_ref()).await;
        assert!(refused.is_err(), "{what}: {refused:?}");
    }
    assert_eq!(secure.asked(Some(&good)).await, Ok(200));
}

/// A certificate is no signature.
#[tokio::test]
async fn a_certificate_alone_is_not_enough() {
    let secure = Secure::new().await;
    let good = secure.identity(&secure.authority, NAME);
    let mut connection =
        Connection::open(secure.address, &secure.trusted, Some(&good)).await.unwrap();
    let request = Request::post(format!("https://localhost{PATH}/keys/kms/encrypt"))
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(encrypt_body(b"a").to_string().into()))
        .unwrap();
    assert_eq!(connection.send(request).await.unwrap().0, 401);
}
