//! Sealed on every listener: TLS, an endpoint, the listener for health; and with several devices.
use super::sealed::{opens, state};
use super::support::{Work, further_token, private, tokens};
use crate::client::{Client, get, plain};
use crate::harness::Port;
use crate::setup::Deployment;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use std::net::SocketAddr;

/// A certificate for `localhost` in files, and whoever trusts it.
fn certificate(deployment: &Deployment) -> (String, ClientConfig) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let at = |name: &str| deployment.dir.path().join(name);
    private(&at("chain.pem"), &made.cert.pem());
    private(&at("key.pem"), &made.signing_key.serialize_pem());
    let mut trusted = RootCertStore::empty();
    trusted.add(made.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let section =
        format!("[tls]\ncertificate = {:?}\nkey = {:?}\n", at("chain.pem"), at("key.pem"));
    (section, config)
}

#[test]
fn every_listener_says_so_and_opens_by_itself() {
    let mut deployment = Deployment::blank(true);
    let (api, endpoint) = (Port::free(), Port::free());
    let (tls, config) = certificate(&deployment);
    deployment.more = format!(
        "[listen]\napi = \"0.0.0.0:{}\"\nadmin = \"127.0.0.1:PORT\"\n{tls}\
         [[endpoint]]\nid = \"vpce-one\"\nvpc = \"vpc-1a2b3c4d\"\nlisten = \"127.0.0.1:{}\"\n",
        api.number, endpoint.number
    );
    deployment.init();
    let token = tokens(deployment.token.as_ref().unwrap()).pop_first().unwrap();
    let aside = deployment.dir.path().join("aside");
    std::fs::rename(&token, &aside).unwrap();

    let process = deployment.serve_sealed();
    assert_eq!(state(&process, "/healthz", 200)["status"], "sealed");
    assert_eq!(state(&process, "/readyz", 503)["operatorNeeded"], false);
    // The listener for health has no API.
    assert_eq!(plain(process.address, "POST", "/", b"{}").unwrap().status, 404);
    let (id, secret) = &deployment.admin;
    let client = |port: &Port| {
        let at = SocketAddr::from(([127, 0, 0, 1], port.number));
        Client::new(at, id, secret).over_tls("localhost", config.clone())
    };
    for port in [&api, &endpoint] {
        let refused = client(port).kms("ListKeys", json!({})).unwrap_err();
        // What AWS's SDKs try again.
        assert!(refused.to_string().starts_with("503 ServiceUnavailable"), "{refused}");
        let refused = client(port).query("iam", "ListUsers", &[]).unwrap_err();
        assert!(refused.to_string().starts_with("503 ServiceUnavailable"), "{refused}");
        // Nobody is answered without TLS, and nothing of the reason is told there.
        let at = SocketAddr::from(([127, 0, 0, 1], port.number));
        assert!(get(at, "/readyz").map_or(true, |answer| !answer.text().contains("token")));
    }
    // Nothing of software takes the device's place.
    assert!(!deployment.data().join("software-root.seed").exists());

    std::fs::rename(&aside, &token).unwrap();
    opens(&process);
    for port in [&api, &endpoint] {
        client(port).kms("ListKeys", json!({})).unwrap();
        client(port).query("iam", "ListUsers", &[]).unwrap();
    }
    client(&api).kms("CreateKey", json!({})).unwrap();
    assert_eq!(process.stop().status.code(), Some(0));
}

#[test]
fn of_several_devices_each_is_named_and_the_first_that_comes_back_opens_it() {
    let mut deployment = Deployment::blank(true);
    let (second, section) = further_token(deployment.token.as_ref().unwrap(), "second");
    deployment.more = section;
    deployment.init();
    let process = deployment.serve();
    let work = Work::new(&deployment, &process);
    super::support::root_json(&deployment, "add-wrap", &["second"]);
    assert_eq!(process.stop().status.code(), Some(0));

    // Both want an operator.
    let pin_files = ["pin", "pin-second"]
        .map(|name| deployment.token.as_ref().unwrap().conf.with_file_name(name));
    let pins = pin_files.clone().map(|file| std::fs::read_to_string(file).unwrap());
    pin_files.iter().for_each(|file| private(file, "000000"));
    let process = deployment.serve_sealed();
    let said = state(&process, "/readyz", 503);
    assert_eq!(said["operatorNeeded"], true, "{said}");
    let reason = said["reason"].as_str().unwrap();
    assert!(reason.contains("device pkcs11: ") && reason.contains("device second: "), "{said}");
    assert_eq!(process.stop().status.code(), Some(0));

    // One wants an operator, the other comes back by itself, and is enough.
    let aside = deployment.dir.path().join("aside");
    private(&pin_files[1], &pins[1]);
    std::fs::rename(&second, &aside).unwrap();
    let process = deployment.serve_sealed();
    let said = state(&process, "/readyz", 503);
    assert_eq!(said["operatorNeeded"], false, "{said}");
    std::fs::rename(&aside, &second).unwrap();
    opens(&process);
    work.check(&deployment, &process);
    assert_eq!(process.stop().status.code(), Some(0));
}
