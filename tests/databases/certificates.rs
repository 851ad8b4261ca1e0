//! A certificate authority, and a server's certificate of it for loopback.
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub(super) struct Files {
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// A certificate for 127.0.0.1 with its key, and the authority's that signed it. All are PEM.
pub struct Certified {
    pub ca: String,
    pub certificate: String,
    pub key: String,
}

impl Certified {
    pub fn new() -> Self {
        let (ca, issuer) = authority("the tests' authority");
        let key = KeyPair::generate().unwrap();
        let names = ["127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        Self { ca, certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

pub(super) fn write(directory: &Path) -> Files {
    let Certified { ca, certificate, key } = Certified::new();
    let file = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        super::guard::give(&path);
        path
    };
    Files {
        ca: file("ca.pem", &ca),
        certificate: file("server.pem", &certificate),
        key: file("server.key", &key),
    }
}

/// Another authority's certificate, which signed nobody's.
pub fn stranger() -> String {
    authority("a stranger").0
}

fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), Issuer::new(params, key))
}
