//! Handshakes, what they negotiate, and certificates on disk.

use std::path::{Path, PathBuf};

use rcgen::CertifiedKey;
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs::{self, kx_group},
    pki_types::{CertificateDer, ServerName},
    version::{TLS12, TLS13},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;
use crate::http::TlsError;

/// A directory with a certificate for `localhost`, removed at the end.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("claviger-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Files(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a new certificate and its key, and returns it.
    fn renew(&self) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(self.path("cert.pem"), cert.pem()).unwrap();
        std::fs::write(self.path("key.pem"), signing_key.serialize_pem()).unwrap();
        cert.der().clone()
    }

    fn load(&self) -> Result<Tls, TlsError> {
        Tls::from_pem_files(&self.path("cert.pem"), &self.path("key.pem"))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn client(
    trusted: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    classic: bool,
) -> ClientConfig {
    let mut provider = aws_lc_rs::default_provider();
    if classic {
        provider.kx_groups = vec![kx_group::SECP256R1, kx_group::X25519];
    }
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

async fn connect(
    server: &Server,
    config: ClientConfig,
) -> Result<TlsStream<TcpStream>, std::io::Error> {
    let tcp = TcpStream::connect(server.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await
}

async fn get(stream: &mut TlsStream<TcpStream>) -> String {
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut response = String::new();
    // An error here would be a close without close_notify.
    stream.read_to_string(&mut response).await.unwrap();
    response
}

#[tokio::test]
async fn versions_suites_and_groups() {
    let files = Files::new("versions");
    let trusted = files.renew();
    let server = Server::start_with(quick(), Some(&files.load().unwrap())).await;

    let mut stream = connect(&server, client(&trusted, &[&TLS13], false)).await.unwrap();
    let told = get(&mut stream).await;
    let agreed = r#"Some(("TLSv1.3", "TLS_AES_256_GCM_SHA384", "X25519MLKEM768"))"#;
    assert!(told.contains(agreed), "{told}");

    let mut stream = connect(&server, client(&trusted, &[&TLS13], true)).await.unwrap();
    let told = get(&mut stream).await;
    assert!(told.contains(r#""TLS_AES_256_GCM_SHA384", "secp256r1""#), "{told}");

    let mut stream = connect(&server, client(&trusted, &[&TLS12], false)).await.unwrap();
    let told = get(&mut stream).await;
    let agreed = r#""TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "X25519""#;
    assert!(told.contains(agreed), "{told}");
}

#[tokio::test]
async fn http2_by_alpn() {
    let files = Files::new("alpn");
    let trusted = files.renew();
    let server = Server::start_with(quick(), Some(&files.load().unwrap())).await;
    let mut config = client(&trusted, &[&TLS13], false);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = connect(&server, config).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("https://localhost/").body(()).unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    let began = Instant::now();
    let _ = timeout(SLACK, connection).await.unwrap();
    assert_cut(began.elapsed() + ms(20), quick().http2_idle);

    let mut config = client(&trusted, &[&TLS13], false);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut stream = connect(&server, config).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(status(&get(&mut stream).await), 200);
}

#[tokio::test]
async fn every_suite_has_forward_secrecy_and_an_aead() {
    for suite in crate::http::tls::provider().cipher_suites {
        let name = suite.suite().as_str().unwrap();
        assert!(name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_"), "{name}");
        assert!(name.contains("_GCM_") || name.contains("_CHACHA20_POLY1305_"), "{name}");
    }
}

#[tokio::test]
async fn stalled_handshakes_are_cut() {
    let files = Files::new("stalled");
    files.renew();
    let server = Server::start_with(quick(), Some(&files.load().unwrap())).await;
    for sent in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut client = server.connect().await;
        let began = Instant::now();
        client.send(sent).await;
        assert_eq!(client.read_to_end().await, "");
        assert_cut(began.elapsed(), quick().handshake);
    }
    assert_eq!(server.timed_out(), 2);
}

#[tokio::test]
async fn after_the_handshake_the_deadlines_hold() {
    let files = Files::new("deadlines");
    let trusted = files.renew();
    let server = Server::start_with(quick(), Some(&files.load().unwrap())).await;
    let mut stream = connect(&server, client(&trusted, &[&TLS13], false)).await.unwrap();
    let began = Instant::now();
    stream.write_all(b"GET / HT").await.unwrap();
    let _ = timeout(Duration::from_secs(5), stream.read_u8()).await.unwrap();
    assert_cut(began.elapsed() + ms(20), quick().head);

    let mut stream = connect(&server, client(&trusted, &[&TLS13], false)).await.unwrap();
    stream.write_all(b"GET /big/64000000 HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let began = Instant::now();
    assert_cut(server.emptied(began).await + ms(50), quick().write);
    assert_eq!(server.timed_out(), 2);
}

#[tokio::test]
async fn a_certificate_is_replaced_while_serving() {
    let files = Files::new("reload");
    let first = files.renew();
    let tls = files.load().unwrap();
    let server = Server::start_with(quick(), Some(&tls)).await;
    connect(&server, client(&first, &[&TLS13], false)).await.unwrap();

    let second = files.renew();
    connect(&server, client(&first, &[&TLS13], false)).await.unwrap();
    tls.reload().unwrap();
    connect(&server, client(&second, &[&TLS13], false)).await.unwrap();
    connect(&server, client(&first, &[&TLS13], false)).await.unwrap_err();

    std::fs::write(files.path("key.pem"), "nothing").unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::NoKey { .. })));
    connect(&server, client(&second, &[&TLS13], false)).await.unwrap();
}

#[test]
fn errors_say_which_file_and_what() {
    let files = Files::new("errors");
    files.renew();
    let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));
    let load = |cert: &Path, key: &Path| Tls::from_pem_files(cert, key).unwrap_err();
    let missing = load(&files.path("none.pem"), &key);
    assert!(missing.to_string().ends_with("none.pem"), "{missing}");
    assert!(matches!(missing, TlsError::Unreadable { .. }));
    assert!(matches!(load(&key, &key), TlsError::NoCertificate { .. }));
    assert!(matches!(load(&cert, &cert), TlsError::NoKey { .. }));

    let broken = files.path("broken.pem");
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n")
        .unwrap();
    assert!(matches!(load(&broken, &key), TlsError::NotPem { .. }));
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .unwrap();
    assert!(matches!(load(&broken, &key), TlsError::Unusable { .. }));
    std::fs::write(&broken, vec![b'\n'; 1024 * 1024 + 1]).unwrap();
    assert!(matches!(load(&broken, &key), TlsError::TooLarge { .. }));

    let other = Files::new("errors-other");
    other.renew();
    assert!(matches!(load(&cert, &other.path("key.pem")), TlsError::Mismatch { .. }));
}
