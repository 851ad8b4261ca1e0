//! What a server writes anywhere holds no plaintext, no secret value, no secret access key, no PIN:
//! neither while it runs nor after it stopped, in none of the usual encodings.
use crate::client::{Client, elements};
use crate::harness::{Process, files};
use crate::setup::Deployment;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use memchr::memmem;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What must not be found, by name.
type Markers = BTreeMap<&'static str, Vec<u8>>;

/// A marker in every form in which it could lie in a file.
fn forms(marker: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut forms = vec![
        ("raw".to_owned(), marker.to_vec()),
        ("hex".into(), hex::encode(marker).into_bytes()),
        ("HEX".into(), hex::encode_upper(marker).into_bytes()),
    ];
    // Inside a longer text that is encoded as a whole, a marker begins at one of three places of a
    // group; the characters that it shares with its neighbours are left out.
    for shift in 0..3 {
        let shifted = [&[0; 3][..shift], marker].concat();
        let whole = shifted.len() / 3 * 3;
        let skipped = [0, 2, 3][shift];
        for (name, engine) in [("base64", &STANDARD), ("base64url", &URL_SAFE)] {
            let text = engine.encode(&shifted[..whole]).split_off(skipped);
            forms.push((format!("{name}+{shift}"), text.into_bytes()));
        }
    }
    if let Ok(text) = std::str::from_utf8(marker) {
        let units = || text.encode_utf16();
        forms.push(("UTF-16LE".into(), units().flat_map(u16::to_le_bytes).collect()));
        forms.push(("UTF-16BE".into(), units().flat_map(u16::to_be_bytes).collect()));
    }
    forms
}

/// Every marker found in `bytes`, with its form.
fn search(bytes: &[u8], markers: &Markers) -> Vec<String> {
    let mut found = Vec::new();
    for (name, marker) in markers {
        assert!(marker.len() >= 12, "{name} is too short to be searched for");
        for (form, text) in forms(marker) {
            assert!(text.len() >= 8);
            if memmem::find(bytes, &text).is_some() {
                found.push(format!("{name} as {form}"));
            }
        }
    }
    found
}

fn assert_absent(found_in: &BTreeMap<PathBuf, Vec<u8>>, markers: &Markers) {
    for (path, bytes) in found_in {
        let found = search(bytes, markers);
        assert!(found.is_empty(), "{} holds {found:?}", path.display());
    }
}

/// The regular files that a process has open, also those without a name. Needs root, as the server
/// is closed to others of its user; without it the directories must do.
fn open_files(process: &Process) -> BTreeMap<PathBuf, Vec<u8>> {
    let dir = PathBuf::from(format!("/proc/{}/fd", process.pid().as_raw_nonzero()));
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.metadata().is_ok_and(|metadata| metadata.is_file()) {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn the_search_finds_what_is_there() {
    let markers: Markers = [
        ("text", b"A marker that is text, 31 bytes".to_vec()),
        ("key", (0_u8..32).map(|i| i.wrapping_mul(37) ^ 0xa5).collect()),
    ]
    .into();
    let dir = tempfile::tempdir().unwrap();
    for marker in markers.values() {
        for (form, text) in forms(marker) {
            let path = dir.path().join("scratch");
            std::fs::write(&path, [b"before \0".as_slice(), &text, b"\xffafter"].concat()).unwrap();
            let found = files(dir.path()).values().flat_map(|b| search(b, &markers)).count();
            assert_ne!(found, 0, "{form} was not found");
        }
        // As part of something longer, wherever it begins.
        for before in ["", "x", "xy", "xyz"] {
            let longer = [before.as_bytes(), marker, b" and more"].concat();
            for text in [STANDARD.encode(&longer), URL_SAFE.encode(&longer), hex::encode(&longer)] {
                assert!(!search(text.as_bytes(), &markers).is_empty(), "{before}: {text}");
            }
        }
    }
    assert!(search(&[7; 4096], &markers).is_empty());
}

#[test]
fn nothing_secret_is_written_anywhere() {
    let deployment = Deployment::new(true);
    let token = deployment.token.as_ref().unwrap();
    let process = deployment.serve();
    let mut client = deployment.client(&process);
    let text = "plaintext-marker-5b0c17e2-of-encrypt";
    let string = "secret-string-marker-\u{e9}-9f41";
    let binary: Vec<u8> = (0_u8..40).map(|i| i.wrapping_mul(89) ^ 0x3c).collect();
    let mut markers: Markers = [
        ("the plaintext", text.as_bytes().to_vec()),
        ("the secret string", string.as_bytes().to_vec()),
        ("the secret binary", binary.clone()),
        ("the secret access key", deployment.admin.1.clone().into_bytes()),
        ("the PIN", token.pin().into_bytes()),
        ("the cluster's password", CLUSTER_PASSWORD.into()),
        ("the proxy's secret", PROXY_SECRET.into()),
    ]
    .into();

    let made = client.kms("CreateKey", json!({"Description": "in the open"})).unwrap();
    let id = made["KeyMetadata"]["KeyId"].clone();
    let plaintext = STANDARD.encode(text);
    let blob = client.kms("Encrypt", json!({"KeyId": id, "Plaintext": plaintext})).unwrap();
    let blob = &blob["CiphertextBlob"];
    let opened = client.kms("Decrypt", json!({"CiphertextBlob": blob})).unwrap();
    assert_eq!(opened["Plaintext"], plaintext.as_str());
    client.kms("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": id})).unwrap();
    let data_key = client.kms("GenerateDataKey", json!({"KeyId": id, "KeySpec": "AES_256"}));
    let data_key = STANDARD.decode(data_key.unwrap()["Plaintext"].as_str().unwrap()).unwrap();
    markers.insert("the data key", data_key);
    let random = client.kms("GenerateRandom", json!({"NumberOfBytes": 32})).unwrap();
    let random = STANDARD.decode(random["Plaintext"].as_str().unwrap()).unwrap();
    markers.insert("the random bytes", random);
    // Secrets in places where they do not belong come back as errors, and are not written either.
    for body in [
        json!({"KeyId": id, "Plaintext": text}),
        json!({"KeyId": "not-a-key", "Plaintext": plaintext}),
        json!({"KeyId": id, "Plaintext": plaintext, "EncryptionContext": {"a": 1}}),
    ] {
        client.kms("Encrypt", body).unwrap_err();
    }
    use_secrets(&mut client, string, &binary);
    let stores = make_key_stores(&mut client);
    let key = client.query("iam", "CreateAccessKey", &[]).unwrap().value;
    let secret = elements(&key, "SecretAccessKey").remove(0);
    markers.insert("the new secret access key", secret.into_bytes());
    let wrong = process.client(&deployment.admin.0, "a wrong secret access key marker");
    markers.insert("the wrong secret", b"a wrong secret access key marker".to_vec());
    { wrong }.kms("ListKeys", json!({})).unwrap_err();

    let everything = |dir: &Path| {
        let mut found = files(&dir.join("data"));
        found.extend(files(&dir.join("softhsm").join("tokens")));
        for name in ["stdout", "stderr", "serve.toml"] {
            found.insert(dir.join(name), std::fs::read(dir.join(name)).unwrap());
        }
        found
    };
    let dir = deployment.dir.path();
    // Long enough for the work that happens by itself.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    // A name that is in the clear in the log shows that the search reads what was written.
    let log = files(&dir.join("data").join("audit"));
    assert!(log.values().any(|bytes| memmem::find(bytes, b"in the open").is_some()));
    for found in [everything(dir), open_files(&process)] {
        assert_absent(&found, &markers);
    }
    let exit = process.stop();
    assert_eq!(exit.status.code(), Some(0), "{exit:#?}");
    assert_absent(&everything(dir), &markers);

    // The records were written all the same.
    let process = deployment.serve();
    let mut client = deployment.client(&process);
    assert_eq!(client.kms("DescribeCustomKeyStores", json!({})).unwrap(), stores);
    assert_absent(&everything(dir), &markers);
}

const CLUSTER_PASSWORD: &str = "kmsuser-password-marker-77";
const PROXY_SECRET: &str = "proxy/secret+marker/0123456789abcdefghijklmnop=";

/// Asks for custom key stores of both types; answers what the server shows of them.
fn make_key_stores(client: &mut Client) -> Value {
    let of_cluster = json!({"CustomKeyStoreName": "hsm", "CloudHsmClusterId": "cluster-2a23b4cdefg",
        "TrustAnchorCertificate": "certificate", "KeyStorePassword": CLUSTER_PASSWORD});
    let external = json!({"CustomKeyStoreName": "xks", "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyUriEndpoint": "https://proxy.example.com", "XksProxyUriPath": "/kms/xks/v1",
        "XksProxyAuthenticationCredential":
            {"AccessKeyId": "ABCDEFGHIJKLMNOPQRST", "RawSecretAccessKey": PROXY_SECRET},
        "XksProxyConnectivity": "PUBLIC_ENDPOINT"});
    client.kms("CreateCustomKeyStore", of_cluster.clone()).unwrap();
    // The same again is refused, and its secret is no part of the refusal. Of the other one no proxy is
    // registered: it is refused at once.
    for body in [of_cluster, external] {
        client.kms("CreateCustomKeyStore", body).unwrap_err();
    }
    client.kms("DescribeCustomKeyStores", json!({})).unwrap()
}

/// SDKs make one by themselves.
fn token(n: u32) -> String {
    format!("{n:032}")
}

/// A secret with a text, then with bytes, then deleted.
fn use_secrets(client: &mut Client, string: &str, binary: &[u8]) {
    let mut call = |name: &str, body: Value| {
        client.secrets(name, body).unwrap_or_else(|failed| panic!("{name}: {failed}"))
    };
    call(
        "CreateSecret",
        json!({"Name": "one", "SecretString": string, "ClientRequestToken": token(1)}),
    );
    let encoded = STANDARD.encode(binary);
    let put = json!({"SecretId": "one", "SecretBinary": encoded, "ClientRequestToken": token(2)});
    call("PutSecretValue", put);
    let got = call("GetSecretValue", json!({"SecretId": "one"}));
    assert_eq!(got["SecretBinary"], encoded.as_str());
    let stage = json!({"SecretId": "one", "VersionStage": "AWSPREVIOUS"});
    assert_eq!(call("GetSecretValue", stage)["SecretString"], string);
    let again = format!("{string} again");
    let update = json!({"SecretId": "one", "SecretString": again, "ClientRequestToken": token(3)});
    call("UpdateSecret", update);
    call("DeleteSecret", json!({"SecretId": "one"}));
}
