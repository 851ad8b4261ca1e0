//! A deployment with something in it, its backup, and the commands.
use crate::client::{Client, Failed};
use crate::harness::{Exit, Process, run, wait_until};
use crate::setup::Deployment;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// `claviger NAME FILE? --config FILE MORE…`
#[must_use]
pub fn command(deployment: &Deployment, name: &str, more: &[&str]) -> Exit {
    let mut command = deployment.command(name);
    command.args(more);
    run(command)
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Writes a backup and answers what it says of itself.
pub fn back_up(deployment: &Deployment, to: &Path) -> Value {
    let made = command(deployment, "backup", &["--json", "--to", text(to)]);
    assert!(made.status.success(), "{made:#?}");
    serde_json::from_str(&made.stdout).unwrap()
}

/// `claviger verify FILE`, without anything that could open it.
pub fn verify(file: &Path) -> Exit {
    let mut command = crate::harness::program(None);
    command.arg("verify").arg(file);
    run(command)
}

/// Of every secret's first version: each secret has its own.
pub const TOKEN: &str = "00000000-0000-4000-8000-000000000001";

/// What was put into a deployment and must be there again.
#[derive(Debug)]
pub struct Work {
    pub key: String,
    blob: Value,
    secrets: Vec<String>,
}

impl Work {
    pub fn new(client: &mut Client, name: &str) -> Self {
        let made = client.kms("CreateKey", json!({})).unwrap();
        let key = made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
        let body = json!({"KeyId": key, "Plaintext": "YQ=="});
        let blob = client.kms("Encrypt", body).unwrap()["CiphertextBlob"].clone();
        let secrets = (0..20).map(|n| format!("{name}/{n}")).collect::<Vec<_>>();
        for secret in &secrets {
            let body =
                json!({"Name": secret, "SecretString": value(secret), "ClientRequestToken": TOKEN});
            client.secrets("CreateSecret", body).unwrap();
        }
        Self { key, blob, secrets }
    }

    pub fn assert_there(&self, client: &mut Client) {
        let opened = client.kms("Decrypt", json!({"CiphertextBlob": self.blob})).unwrap();
        assert_eq!(opened["Plaintext"], "YQ==");
        for secret in &self.secrets {
            let got = client.secrets("GetSecretValue", json!({"SecretId": secret})).unwrap();
            assert_eq!(got["SecretString"], value(secret).as_str());
        }
    }
}

fn value(secret: &str) -> String {
    format!("the value of {secret}")
}

/// What three clients wrote while a backup was made: secrets one after the other, so that of those which are in the
/// backup none may be missing before the last of them.
pub struct Written(Vec<u32>);

/// The writers end, also when the work fails.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Written {
    pub fn during(deployment: &Deployment, process: &Process, work: impl FnOnce()) -> Self {
        let (stop, begun) = (AtomicBool::new(false), AtomicUsize::new(0));
        let write = |writer: usize, mut client: Client| {
            let mut made = 0;
            while !stop.load(Ordering::Relaxed) {
                let name = format!("w{writer}-{made}");
                let body = json!({"Name": name, "SecretString": "s", "ClientRequestToken": TOKEN});
                client.secrets("CreateSecret", body).unwrap();
                made += 1;
                if made == 1 {
                    begun.fetch_add(1, Ordering::SeqCst);
                }
            }
            made
        };
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3)
                .map(|n| {
                    let (client, write) = (deployment.client(process), &write);
                    scope.spawn(move || write(n, client))
                })
                .collect();
            let stops = Stops(&stop);
            let write = || begun.load(Ordering::SeqCst) == 3;
            wait_until(Duration::from_secs(30), "all of them write", write);
            work();
            drop(stops);
            Self(writers.into_iter().map(|writer| writer.join().unwrap()).collect())
        })
    }

    /// Answers how many came too late for the backup.
    pub fn assert_no_holes(&self, client: &mut Client) -> u32 {
        let mut there =
            |name: String| match client.secrets("GetSecretValue", json!({"SecretId": name})) {
                Ok(_) => true,
                Err(Failed::Fault { code, .. }) if code == "ResourceNotFoundException" => false,
                Err(failed) => panic!("{failed}"),
            };
        let mut later = 0;
        for (writer, acknowledged) in self.0.iter().enumerate() {
            let mut there = |n: u32| there(format!("w{writer}-{n}"));
            let missing = (0..*acknowledged).find(|n| !there(*n)).unwrap_or(*acknowledged);
            assert!(missing > 0, "what was acknowledged before the backup is in it");
            let holes = (missing..*acknowledged).filter(|n| there(*n)).count();
            assert_eq!(holes, 0, "{missing} is missing, of {acknowledged}");
            later += acknowledged - missing;
        }
        later
    }
}

/// The directory of the deployment, out of the way: what was lost.
pub fn lose(deployment: &Deployment) -> PathBuf {
    let lost = deployment.dir.path().join("lost");
    std::fs::rename(deployment.data(), &lost).unwrap();
    lost
}
