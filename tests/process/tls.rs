//! TLS: a certificate from files, X25519MLKEM768 with clients that have it, the admin listener apart.
use crate::client::{get, plain};
use crate::events;
use crate::harness::Port;
use crate::setup::Deployment;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use std::net::SocketAddr;

/// A certificate for `localhost` and `other.test`, as PEM, and a store that trusts it.
fn certificate() -> (String, String, RootCertStore) {
    let names = vec!["localhost".to_owned(), "other.test".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let mut trusted = RootCertStore::empty();
    trusted.add(made.cert.der().clone()).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem(), trusted)
}

fn client_config(trusted: &RootCertStore, provider: CryptoProvider) -> ClientConfig {
    ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted.clone())
        .with_no_client_auth()
}

/// One group only, so that the server has no choice.
fn only(group: &'static dyn rustls::crypto::SupportedKxGroup) -> CryptoProvider {
    CryptoProvider { kx_groups: vec![group], ..aws_lc_rs::default_provider() }
}

#[test]
fn hybrid_key_exchange_is_negotiated_and_recorded() {
    let mut deployment = Deployment::blank(false);
    let api = Port::free();
    let (chain, key, trusted) = certificate();
    let at = |name: &str| deployment.dir.path().join(name);
    std::fs::write(at("chain.pem"), chain).unwrap();
    std::fs::write(at("key.pem"), key).unwrap();
    let (certificate, key) = (at("chain.pem"), at("key.pem"));
    deployment.more = format!(
        "[listen]\napi = \"0.0.0.0:{}\"\nadmin = \"127.0.0.1:PORT\"\n\
         [tls]\ncertificate = {certificate:?}\nkey = {key:?}\n",
        api.number
    );
    deployment.init();
    let process = deployment.serve();
    let address = SocketAddr::from(([127, 0, 0, 1], api.number));

    // The admin listener has health and metrics and nothing else; the API has neither.
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(get(process.address, path).unwrap().status, 200, "{path}");
    }
    assert_eq!(plain(process.address, "POST", "/", b"{}").unwrap().status, 404);
    assert!(get(address, "/healthz").map_or(true, |answer| answer.status != 200), "plain on TLS");

    let call = |provider: CryptoProvider, agent: &str| {
        let (id, secret) = &deployment.admin;
        let config = client_config(&trusted, provider);
        let mut client = crate::client::Client::new(address, id, secret);
        client.user_agent = agent.into();
        client.over_tls("localhost", config).kms("ListKeys", json!({}))
    };
    call(aws_lc_rs::default_provider(), "default").unwrap();
    call(only(aws_lc_rs::kx_group::X25519MLKEM768), "hybrid").unwrap();
    call(only(aws_lc_rs::kx_group::SECP256R1), "classic").unwrap();
    // Nobody who trusts somebody else.
    let stranger = client_config(&certificate_of_another(), aws_lc_rs::default_provider());
    let client = crate::client::Client::new(address, "a", "b");
    client.over_tls("localhost", stranger).kms("ListKeys", json!({})).unwrap_err();

    let exit = process.stop();
    assert_eq!(exit.status.code(), Some(0), "{exit:#?}");
    let events = events::read(&deployment.data().join("audit"));
    for (agent, group) in
        [("default", "X25519MLKEM768"), ("hybrid", "X25519MLKEM768"), ("classic", "secp256r1")]
    {
        let event = events.iter().find(|event| event["userAgent"] == agent).unwrap();
        let details = &event["tlsDetails"];
        assert_eq!(details["keyExchange"], group, "{event}");
        assert_eq!(details["tlsVersion"], "TLSv1.3");
        let host = format!("localhost:{}", api.number);
        assert_eq!(details["clientProvidedHostHeader"], host.as_str());
        assert!(details["cipherSuite"].as_str().unwrap().starts_with("TLS_"), "{event}");
    }
}

fn certificate_of_another() -> RootCertStore {
    certificate().2
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused() {
    let mut deployment = Deployment::blank(false);
    let (chain, key, _) = certificate();
    let (_, other_key, _) = certificate();
    let at = |name: &str| deployment.dir.path().join(name);
    for (name, text) in
        [("chain", &chain), ("key", &key), ("other", &other_key), ("junk", &"junk".into())]
    {
        std::fs::write(at(name), text).unwrap();
    }
    let paths = |certificate: &str, key: &str| {
        format!("[tls]\ncertificate = {:?}\nkey = {:?}\n", at(certificate), at(key))
    };
    let cases = [
        (paths("none", "key"), "cannot read"),
        (paths("junk", "key"), "holds no certificate"),
        (paths("chain", "junk"), "holds no private key"),
        (paths("chain", "other"), "is not the key of the certificate"),
    ];
    deployment.init();
    for (more, words) in cases {
        deployment.more = more;
        deployment.write_config(&deployment.text(&deployment.data()));
        deployment.run("serve").assert(3, &[words]);
    }
}
