//! Two deployments: the keys of one are AES keys in a token, which it serves to the other as an XKS proxy
//! over mutual TLS; the other has an external key store there.
use crate::client::{Client, get};
use crate::harness::{Port, Process, now};
use crate::roots::support::{private, tokens};
use crate::setup::{ACCOUNT, CLUSTER, Deployment};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const ID: &str = "XKSPROXYACCESSKEYIDA";
const SECRET: &str = "Zmlyc3Qgc2VjcmV0IG9mIHRoZSBwcm94eSwgMzIgYnl0ZXM=";
const NAME: &str = "cks.kms.us-east-1.amazonaws.com";
const PLAINTEXT: &str = "YXR0YWNrIGF0IGRhd24=";
/// A token that came back is found again long before.
const BACK: Duration = Duration::from_secs(60);

/// A server's certificate for `localhost`, and a client's with its authority.
fn certificates(dir: &Path) {
    let write = |name: &str, text: String| private(&dir.join(name), &text);
    let server = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    write("server.pem", server.cert.pem());
    write("server-key.pem", server.signing_key.serialize_pem());
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "authority of clients");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    write("clients.pem", authority.pem());
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    write("client.pem", params.signed_by(&key, &authority).unwrap().pem());
    write("client-key.pem", key.serialize_pem());
    let credential = json!({"XksProxyAuthenticationCredential":
        {"AccessKeyId": ID, "RawSecretAccessKey": SECRET}});
    write("xks.json", credential.to_string());
}

/// AES keys that live in the token, for the service that asks; their ARNs.
fn keys_in_the_token(client: &mut Client) -> [String; 2] {
    let body = json!({"CustomKeyStoreName": "hsm", "CloudHsmClusterId": CLUSTER,
        "TrustAnchorCertificate": "certificate", "KeyStorePassword": "is-not-used"});
    let store = client.kms("CreateCustomKeyStore", body).unwrap()["CustomKeyStoreId"].clone();
    client.kms("ConnectCustomKeyStore", json!({"CustomKeyStoreId": store})).unwrap();
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")},
            "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"Service": "cks.kms.amazonaws.com"},
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"], "Resource": "*"}]});
    let body = json!({"CustomKeyStoreId": store, "Origin": "AWS_CLOUDHSM",
        "Policy": policy.to_string()});
    [(); 2].map(|()| {
        let made = client.kms("CreateKey", body.clone()).unwrap();
        made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    })
}

struct Pair {
    there: Deployment,
    here: Deployment,
    _proxy: Port,
    arns: [String; 2],
}

impl Pair {
    fn new() -> Self {
        let mut there = Deployment::new(true);
        let process = there.serve();
        let mut client = there.client(&process);
        let arns = keys_in_the_token(&mut client);
        assert_eq!(process.stop().status.code(), Some(0));
        certificates(there.dir.path());
        let proxy = Port::free();
        let at = |name: &str| there.dir.path().join(name);
        there.more = format!(
            "[xks]\nlisten = \"127.0.0.1:{}\"\nbudget_ms = 250\n[xks.tls]\ncertificate = {:?}\n\
             key = {:?}\nclient_ca = {:?}\nclient_names = [{NAME:?}]\n[[xks.store]]\n\
             account = \"{ACCOUNT}\"\nregion = \"us-east-1\"\ncredentials = [{:?}]\n\
             [[xks.store.key]]\nid = \"one\"\nkms_key = \"{}\"\n\
             [[xks.store.key]]\nid = \"two\"\nkms_key = \"{}\"\n",
            proxy.number,
            at("server.pem"),
            at("server-key.pem"),
            at("clients.pem"),
            at("xks.json"),
            arns[0],
            arns[1],
        );
        let mut here = Deployment::blank(false);
        here.more = format!(
            "[[external_proxy]]\nendpoint = \"https://localhost\"\naddress = \"127.0.0.1:{}\"\n\
             ca_file = {:?}\nclient_certificate = {:?}\nclient_key = {:?}\ndeadline_ms = 10000\n",
            proxy.number,
            at("server.pem"),
            at("client.pem"),
            at("client-key.pem"),
        );
        here.init();
        Self { there, here, _proxy: proxy, arns }
    }
}

/// The budget of the proxy is a real one, and the machine may be slow for a moment.
fn patiently(client: &mut Client, name: &str, body: &Value) -> Value {
    let mut last = None;
    for _ in 0..20 {
        match client.kms(name, body.clone()) {
            Ok(answer) => return answer,
            Err(error) => {
                let text = error.to_string();
                let late = text.contains("time allotted") || text.contains("request rate");
                assert!(late, "{name}: {text}");
                last = Some(text);
            }
        }
    }
    panic!("{name}: not one of twenty in time: {last:?}")
}

fn sealed_by(client: &mut Client, key: &Value) -> Value {
    let body = json!({"KeyId": key, "Plaintext": PLAINTEXT, "EncryptionContext": {"tenant": "a"}});
    patiently(client, "Encrypt", &body)["CiphertextBlob"].clone()
}

fn opens(blob: &Value) -> Value {
    json!({"CiphertextBlob": blob, "EncryptionContext": {"tenant": "a"}})
}

#[test]
fn keys_in_a_token_serve_another_kms() {
    let pair = Pair::new();
    let (there, here) = (pair.there.serve(), pair.here.serve());
    let mut client = pair.here.client(&here);
    let body = json!({
        "CustomKeyStoreName": "xks",
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyUriEndpoint": "https://localhost",
        "XksProxyUriPath": "/kms/xks/v1",
        "XksProxyAuthenticationCredential": {"AccessKeyId": ID, "RawSecretAccessKey": SECRET},
        "XksProxyConnectivity": "PUBLIC_ENDPOINT",
    });
    let store = patiently(&mut client, "CreateCustomKeyStore", &body)["CustomKeyStoreId"].clone();
    client.kms("ConnectCustomKeyStore", json!({"CustomKeyStoreId": store})).unwrap();
    let mut blobs = Vec::new();
    for external in ["one", "two"] {
        let body = json!({"CustomKeyStoreId": store, "Origin": "EXTERNAL_KEY_STORE",
            "XksKeyId": external});
        let key = patiently(&mut client, "CreateKey", &body)["KeyMetadata"]["Arn"].clone();
        let blob = sealed_by(&mut client, &key);
        assert_eq!(patiently(&mut client, "Decrypt", &opens(&blob))["Plaintext"], PLAINTEXT);
        // Another context, which the token finds out.
        let refused = client.kms("Decrypt", json!({"CiphertextBlob": blob})).unwrap_err();
        assert_eq!(refused.code(), "KMSInvalidStateException", "{refused}");
        let body = json!({"KeyId": key, "KeySpec": "AES_256"});
        let made = patiently(&mut client, "GenerateDataKey", &body);
        let body = json!({"CiphertextBlob": made["CiphertextBlob"]});
        assert_eq!(patiently(&mut client, "Decrypt", &body)["Plaintext"], made["Plaintext"]);
        blobs.push(blob);
    }
    let there = away_and_back(&pair, there, &mut client, &blobs);
    assert_eq!(there.stop().status.code(), Some(0));
    assert_eq!(here.stop().status.code(), Some(0));
    // Each use is in both logs; the proxy's knows neither plaintexts nor contexts.
    let theirs = crate::events::read(&pair.there.data().join("audit"));
    let of_proxy =
        theirs.iter().filter(|event| event["eventSource"] == "kms-xks-proxy").collect::<Vec<_>>();
    assert!(of_proxy.iter().any(|event| event["eventName"] == "Decrypt"));
    let text = serde_json::to_string(&of_proxy).unwrap();
    assert!(!text.contains("tenant") && !text.contains(PLAINTEXT) && !text.contains(SECRET));
    let ours = crate::events::read(&pair.here.data().join("audit"));
    assert!(ours.iter().any(|event| event["eventName"] == "Decrypt"));
}

/// The token goes away while the proxy is stopped: it starts sealed, and whoever asks it is told so in
/// the protocol's words, at once. With the token everything comes back.
fn away_and_back(pair: &Pair, there: Process, client: &mut Client, blobs: &[Value]) -> Process {
    assert_eq!(there.stop().status.code(), Some(0));
    let refused = client.kms("Decrypt", opens(&blobs[0])).unwrap_err().to_string();
    assert!(refused.contains("cannot communicate with the external key store proxy"), "{refused}");
    let token = tokens(pair.there.token.as_ref().unwrap()).pop_first().unwrap();
    let aside = pair.there.dir.path().join("aside");
    std::fs::rename(&token, &aside).unwrap();
    let there = pair.there.serve_sealed();
    for blob in blobs {
        let refused = client.kms("Decrypt", opens(blob)).unwrap_err().to_string();
        let said =
            "rejected the request because it cannot communicate with the external key manager";
        assert!(
            refused.contains("KMSInvalidStateException") && refused.contains(said),
            "{refused}"
        );
    }
    std::fs::rename(&aside, &token).unwrap();
    let began = now();
    while get(there.address, "/readyz").map_or(0, |answer| answer.status) != 200 {
        assert!(began.elapsed() < BACK, "it stays sealed:\n{}", there.stderr());
        std::thread::sleep(Duration::from_millis(50));
    }
    for blob in blobs {
        assert_eq!(patiently(client, "Decrypt", &opens(blob))["Plaintext"], PLAINTEXT);
    }
    // The key is gone there: nothing here opens what it sealed.
    let mut theirs = pair.there.client(&there);
    theirs.kms("DisableKey", json!({"KeyId": pair.arns[0]})).unwrap();
    let refused = client.kms("Decrypt", opens(&blobs[0])).unwrap_err().to_string();
    assert!(refused.contains("is not enabled in the external key manager"), "{refused}");
    there
}
