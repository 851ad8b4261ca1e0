//! Machines: a client certificate becomes a session of a role.
pub mod authority;
mod handshake;
mod refusals;
mod sessions;

use crate::sts::{Temporary, role_arn};
use crate::world::{ACCOUNT, Someone, World, allow};
use authority::{Authority, Connection, Identity, SPIFFE};
use claviger::http::{Front, Limits, Listener, Tls};
use claviger::machines::{Machines, Settings};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// A world whose API speaks TLS and knows machines.
pub struct Place {
    pub world: World,
    pub authority: Authority,
    pub tls: Tls,
    address: SocketAddr,
    server_certificate: CertificateDer<'static>,
    files: tempfile::TempDir,
}

/// The role that [`SPIFFE`] gets.
pub const ROLE: &str = "payroll";

/// What a role for machines says.
pub fn trust(condition: Value) -> Value {
    trusting(json!({"Service": "rolesanywhere.amazonaws.com"}), ALL, condition)
}

pub const ALL: &[&str] = &["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"];

pub fn trusting(principal: Value, actions: &[&str], condition: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": principal, "Action": actions, "Condition": condition,
    }]})
}

/// `[[machine]]` sections: what selects, by which name, and the role.
pub fn machines(all: &[(&str, &str, &str, Option<i64>)]) -> Machines {
    let settings: Vec<Settings> = all
        .iter()
        .map(|(kind, name, role, duration)| {
            let mut one = json!({*kind: name, "role": role_arn(role)});
            if let Some(seconds) = duration {
                one["duration"] = json!(seconds);
            }
            serde_json::from_value(one).unwrap()
        })
        .collect();
    Machines::new(&settings).unwrap()
}

impl Place {
    /// One machine and its role, which may list keys.
    pub async fn new() -> Self {
        let place = Self::with(machines(&[("certificate", SPIFFE, ROLE, None)]), None).await;
        place.world.role(ROLE, trust(json!({})), allow(&["kms:ListKeys"])).await;
        place
    }

    pub async fn with(machines: Machines, revoked: Option<&dyn Fn(&Authority) -> String>) -> Self {
        Self::of(World::new().await, machines, revoked).await
    }

    pub async fn of(
        mut world: World,
        machines: Machines,
        revoked: Option<&dyn Fn(&Authority) -> String>,
    ) -> Self {
        Arc::get_mut(&mut world.server).unwrap().machines = machines;
        let files = tempfile::tempdir().unwrap();
        let path = |name: &str| files.path().join(name);
        let server = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(path("cert.pem"), server.cert.pem()).unwrap();
        std::fs::write(path("key.pem"), server.signing_key.serialize_pem()).unwrap();
        let authority = Authority::new("machines of example.org");
        std::fs::write(path("ca.pem"), authority.pem()).unwrap();
        let list = revoked.map(|list| {
            std::fs::write(path("crl.pem"), list(&authority)).unwrap();
            path("crl.pem")
        });
        let tls = Tls::from_pem_files(&path("cert.pem"), &path("key.pem")).unwrap();
        let tls = tls.with_client_certificates(&path("ca.pem"), list.as_deref()).unwrap();
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let front = Arc::new(Front::new(world.server.clone(), None, None));
        let listener = Listener::new(tcp, Some(&tls), front, Limits::default()).unwrap();
        tokio::spawn(listener.serve(std::future::pending()));
        let server_certificate = server.cert.der().clone();
        Self { world, authority, tls, address, server_certificate, files }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    pub async fn connect(&self, identity: Option<&Identity>) -> Result<Connection, String> {
        Connection::open(self.address, &self.server_certificate, identity).await
    }

    /// Asks for credentials on a connection of its own.
    pub async fn ask(&self, identity: &Identity, body: &str) -> Result<(u16, Value), String> {
        self.connect(Some(identity)).await?.ask(body.to_owned()).await
    }

    /// A session for a certificate.
    pub async fn session(&self, identity: &Identity) -> Temporary {
        let (status, answer) = self.ask(identity, "").await.unwrap();
        assert_eq!(status, 200, "{answer}");
        temporary(&answer)
    }

    /// A refusal: its code and its sentence.
    pub async fn refused(&self, identity: &Identity, body: &str) -> (u16, String, String) {
        said(self.ask(identity, body).await.unwrap())
    }
}

pub fn said((status, answer): (u16, Value)) -> (u16, String, String) {
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    assert!(status >= 400, "{answer}");
    (status, text("__type"), text("message"))
}

pub fn temporary(answer: &Value) -> Temporary {
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    let who = Someone {
        access_key_id: text("AccessKeyId"),
        secret: text("SecretAccessKey"),
        account: ACCOUNT.into(),
    };
    Temporary { who, token: text("SessionToken") }
}
