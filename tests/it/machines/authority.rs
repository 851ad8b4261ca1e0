//! A certificate authority, and a client that shows its certificates.
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SanType, SerialNumber, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;

pub const SPIFFE: &str = "spiffe://example.org/payroll";
pub const SERIAL: &[u8] = &[0x0a, 0x1b, 0x2c];

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate, those of the authorities above it, and its key.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        Self(
            CertifiedIssuer::self_signed(Self::params(name), KeyPair::generate().unwrap()).unwrap(),
        )
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    /// An authority below this one.
    pub fn intermediate(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(Self::params(name), key, &self.0).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A certificate of a machine called payroll, changed by `bend`.
    pub fn issue(&self, bend: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "payroll");
        params.distinguished_name.push(DnType::OrganizationalUnitName, "wages");
        params.subject_alt_names = vec![
            SanType::URI(SPIFFE.try_into().unwrap()),
            SanType::DnsName("payroll.example.org".try_into().unwrap()),
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serial_number = Some(SerialNumber::from_slice(SERIAL));
        bend(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        Identity { chain: vec![certificate.der().clone()], key }
    }

    /// The revocation list, good until the year `until`.
    pub fn revoking(&self, serials: &[&[u8]], until: i32) -> String {
        let revoked = |serial: &&[u8]| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: date_time_ymd(2000, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2000, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

impl Identity {
    pub fn twin(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// A connection that stays open between requests.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    task: tokio::task::JoinHandle<hyper::Result<()>>,
}

impl Connection {
    pub async fn open(
        address: SocketAddr,
        trusted: &CertificateDer<'static>,
        identity: Option<&Identity>,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match identity.map(Identity::twin) {
            Some(Identity { chain, key }) => config.with_client_auth_cert(chain, key).unwrap(),
            None => config.with_no_client_auth(),
        };
        let tcp = TcpStream::connect(address).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("localhost").unwrap();
        let stream = connector.connect(name, tcp).await.map_err(|e| e.to_string())?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        Ok(Self { sender, task: tokio::spawn(connection) })
    }

    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<(u16, Value), String> {
        let answer = match self.sender.send_request(request).await {
            Ok(answer) => answer,
            Err(error) => {
                // What TLS complains of is at the bottom, and the connection had it first.
                let error = (&mut self.task).await.unwrap().err().unwrap_or(error);
                let source = std::error::Error::source(&error);
                return Err(source.map_or(error.to_string(), ToString::to_string));
            }
        };
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// Asks for credentials.
    pub async fn ask(&mut self, body: impl Into<Bytes>) -> Result<(u16, Value), String> {
        self.send(request(body)).await
    }
}

pub fn request(body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post("/machine-credentials")
        .header(header::HOST, "localhost")
        .body(Full::new(body.into()))
        .unwrap()
}
