//! Mutual TLS from the client's side: the certificate that the operator gave us for a proxy, and what
//! becomes of stores when the proxy does not take it.
use super::{ENDPOINT, Pair, key_body, registered, serve, store_body};
use crate::machines::authority::{Authority, Identity};
use crate::xks::{ID, SECRET};
use base64::{Engine, engine::general_purpose::STANDARD};
use claviger::external::{Proxies, Settings, Way};
use claviger::http::Tls;
use rcgen::DnType;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NAME: &str = "cks.kms.us-west-2.amazonaws.com";
const PLAINTEXT: &str = "YXR0YWNrIGF0IGRhd24=";

fn named(authority: &Authority, name: &str) -> Identity {
    authority.issue(|params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
    })
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn write(dir: &Path, identity: &Identity) -> (PathBuf, PathBuf) {
    let (certificate, key) = (dir.join("client.pem"), dir.join("client-key.pem"));
    std::fs::write(&certificate, pem("CERTIFICATE", &identity.chain[0])).unwrap();
    std::fs::write(&key, pem("PRIVATE KEY", identity.key.secret_der())).unwrap();
    (certificate, key)
}

/// In TLS 1.3 a certificate is refused after the client has ended its part of the handshake: the connection
/// may be reset before the alert is read.
fn is_of_the_connection(message: &str) -> bool {
    message.contains("cannot establish a TLS connection") || message.contains("cannot communicate")
}

/// A KMS, a proxy that wants certificates of `authority`, and what the KMS shows.
struct Mutual {
    pair: Pair,
    authority: Authority,
    address: String,
    proxies: Arc<Proxies>,
}

impl Mutual {
    async fn new(shown: Option<fn(&Authority) -> Identity>) -> Self {
        let mut pair = Pair::new().await;
        let dir = pair.there.files.path().to_owned();
        let path = |name: &str| dir.join(name);
        let authority = Authority::new("authority of clients");
        std::fs::write(path("ca.pem"), authority.pem()).unwrap();
        let tls = Tls::from_pem_files(&path("cert.pem"), &path("key.pem")).unwrap();
        let names = vec![NAME.to_owned()];
        let tls = tls.requiring_client_certificates(&path("ca.pem"), None, names).unwrap();
        let (address, stop) = serve(&pair.there, &tls, true).await;
        pair.stop = stop;
        let mut settings = registered(&address, Some(path("cert.pem")));
        if let Some(shown) = shown {
            let (certificate, key) = write(&dir, &shown(&authority));
            settings.client_certificate = Some(certificate);
            settings.client_key = Some(key);
        }
        let proxies = Arc::new(Proxies::new(&[settings]).unwrap());
        Arc::get_mut(&mut pair.kms.server).unwrap().proxies = proxies.clone();
        Self { pair, authority, address, proxies }
    }

    async fn creates(&self) -> Result<Value, crate::world::Failed> {
        self.pair.try_call("CreateCustomKeyStore", store_body("xks", ID, SECRET)).await
    }
}

#[tokio::test]
async fn a_store_at_a_proxy_that_wants_certificates() {
    let mutual = Mutual::new(Some(|authority| named(authority, NAME))).await;
    let pair = &mutual.pair;
    let store = pair.store().await;
    let key = pair.key(&store, "kms").await;
    let sealed = pair.call("Encrypt", json!({"KeyId": key, "Plaintext": PLAINTEXT})).await;
    let opens = json!({"CiphertextBlob": sealed["CiphertextBlob"]});
    assert_eq!(pair.call("Decrypt", opens).await["Plaintext"], PLAINTEXT);
}

#[tokio::test]
async fn whoever_shows_none_or_a_wrong_one_is_not_let_in() {
    for (what, shown) in [
        ("none", None),
        (
            "another name",
            Some((|a| named(a, "somebody.example.org")) as fn(&Authority) -> Identity),
        ),
        ("another authority", Some(|_| named(&Authority::new("authority of clients"), NAME))),
        (
            "an expired one",
            Some(|authority| {
                authority.issue(|params| {
                    params.distinguished_name = rcgen::DistinguishedName::new();
                    params.distinguished_name.push(DnType::CommonName, NAME);
                    params.not_after = rcgen::date_time_ymd(2001, 1, 1);
                })
            }),
        ),
    ] {
        let mutual = Mutual::new(shown).await;
        let asked = mutual.pair.there.world.events().len();
        let refused = mutual.creates().await.unwrap_err();
        assert_eq!(refused.code, "XksProxyUriUnreachableException", "{what}");
        assert!(is_of_the_connection(&refused.message), "{what}: {refused:?}");
        assert_eq!(mutual.pair.there.world.events().len(), asked, "{what}: the proxy was asked");
    }
}

/// The operator exchanges the files, as certificates end.
#[tokio::test]
async fn a_certificate_is_exchanged_while_it_runs() {
    let mutual = Mutual::new(Some(|authority| named(authority, "old.example.org"))).await;
    assert!(mutual.creates().await.is_err());
    let dir = mutual.pair.there.files.path();
    // What is no certificate leaves what was.
    std::fs::write(dir.join("client.pem"), "nothing").unwrap();
    mutual.proxies.reload();
    assert!(mutual.creates().await.is_err());
    write(dir, &named(&mutual.authority, NAME));
    mutual.proxies.reload();
    let store = mutual.pair.store().await;
    mutual.pair.call("CreateKey", key_body(&store, "kms")).await;
    // And away again: also where a connection was open.
    write(dir, &named(&mutual.authority, "old.example.org"));
    mutual.proxies.reload();
    let refused = mutual.pair.fails("CreateKey", key_body(&store, "device")).await;
    assert_eq!(refused.code, "CustomKeyStoreInvalidStateException");
    assert!(is_of_the_connection(&refused.message), "{refused:?}");
}

#[tokio::test]
async fn what_cannot_be_shown_is_refused_at_the_start() {
    let mutual = Mutual::new(None).await;
    let dir = mutual.pair.there.files.path();
    let (certificate, key) = write(dir, &named(&mutual.authority, NAME));
    let other = dir.join("other-key.pem");
    std::fs::write(&other, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let (none, empty) = (dir.join("missing.pem"), dir.join("empty.pem"));
    std::fs::write(&empty, "").unwrap();
    let at = |endpoint: &str, certificate: Option<&PathBuf>, key: Option<&PathBuf>| {
        let settings: Settings = serde_json::from_value(json!({
            "endpoint": endpoint, "ca_file": dir.join("cert.pem"),
            "client_certificate": certificate, "client_key": key, "address": mutual.address,
        }))
        .unwrap();
        Way::new(&settings).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(at(ENDPOINT, Some(&certificate), Some(&key)), Ok(()));
    for (certificate, key, reason) in [
        (Some(&certificate), None, "wanted both or neither"),
        (None, Some(&key), "wanted both or neither"),
        (Some(&certificate), Some(&other), "client_key: not the key of client_certificate"),
        (Some(&certificate), Some(&none), "client_key: "),
        (Some(&certificate), Some(&empty), "client_key: "),
        (Some(&none), Some(&key), "client_certificate: "),
        (Some(&empty), Some(&key), "client_certificate: holds no certificate"),
        (Some(&key), Some(&key), "client_certificate: holds no certificate"),
    ] {
        let refused = at(ENDPOINT, certificate, key).unwrap_err();
        assert!(refused.contains(reason), "{reason}: {refused}");
    }
    let plain = at("http://127.0.0.1:1", Some(&certificate), Some(&key)).unwrap_err();
    assert!(plain.contains("https:// only"), "{plain}");
}
