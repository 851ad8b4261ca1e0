//! Further tokens and a TPM beside a deployment's own token, and clients that work all the while.
use crate::client::Failed;
use crate::harness::{Exit, Port, Process, now, program, run};
use crate::setup::{Deployment, Token, softhsm};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
pub const PIN: &str = "7391-2204-other";

/// The directories that hold a SoftHSM's tokens, one each.
pub fn tokens(token: &Token) -> BTreeSet<PathBuf> {
    let dir = token.conf.parent().unwrap().join("tokens");
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Makes a second token in the same SoftHSM; answers its directory and the section that names it.
pub fn further_token(token: &Token, name: &str) -> (PathBuf, String) {
    let before = tokens(token);
    let made = run({
        let mut command = Command::new("softhsm2-util");
        command.args([
            "--init-token",
            "--free",
            "--label",
            name,
            "--so-pin",
            "so-8374",
            "--pin",
            PIN,
        ]);
        command.env("SOFTHSM2_CONF", &token.conf);
        command
    });
    assert!(made.status.success(), "{made:#?}");
    let pin_file = token.conf.parent().unwrap().join(format!("pin-{name}"));
    private(&pin_file, PIN);
    let section = format!(
        "[[device]]\nname = {name:?}\n[device.pkcs11]\nmodule = {:?}\ntoken = {name:?}\n\
         pin_file = {pin_file:?}\n",
        softhsm()
    );
    (tokens(token).difference(&before).next().unwrap().clone(), section)
}

pub fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A software TPM on two ports of its own. Killed when dropped.
pub struct Swtpm {
    dir: tempfile::TempDir,
    /// For commands and for control.
    ports: [Port; 2],
    process: Option<Child>,
}

impl Swtpm {
    pub fn start() -> Self {
        Self::start_with(|_| ())
    }

    /// On a state that `prepare` makes in its directory.
    pub fn start_with(prepare: impl Fn(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let mut swtpm = Self { dir, ports: Port::pair(), process: None };
        assert!(swtpm.launch(), "swtpm does not start");
        swtpm
    }

    fn launch(&mut self) -> bool {
        let port = self.ports[0].number;
        let address = |port: u16| format!("type=tcp,bindaddr=127.0.0.1,port={port}");
        let mut process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={}", self.dir.path().display())])
            .args(["--server", &address(port), "--ctrl", &address(port + 1)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("swtpm is not installed. Run softhsm-setup/install.sh swtpm");
        for _ in 0..6000 {
            if process.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", port + 1)).is_ok() {
                self.process = Some(process);
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        process.kill().unwrap();
        process.wait().unwrap();
        false
    }

    /// A power cut.
    pub fn off(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// On the same state and the same ports; PCRs are as after a start of the machine.
    pub fn on(&mut self) {
        assert!((0..50).any(|_| self.launch()), "swtpm does not start again");
    }

    /// A file in the directory of its state.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.ports[0].number)
    }

    fn tools(&self, command: &str, args: &[&str]) -> Exit {
        let mut tool = Command::new(command);
        tool.args(["-T", &self.tcti()]).args(args).current_dir(self.dir.path());
        run(tool)
    }

    /// Runs one of tpm2-tools, which speak for the rest of the world.
    pub fn tool(&self, command: &str, args: &[&str]) -> String {
        let exit = self.tools(command, args);
        assert!(exit.status.success(), "{command} {args:?}: {exit:#?}");
        exit.stdout
    }

    /// Wrong attempts of somebody else's, on an object of theirs.
    pub fn guess(&self, times: u32) {
        let attributes = "authread|ownerwrite";
        self.tool("tpm2_nvdefine", &["0x01800123", "-s", "4", "-a", attributes, "-p", "x"]);
        std::fs::write(self.dir.path().join("four"), b"four").unwrap();
        self.tool("tpm2_nvwrite", &["0x01800123", "-C", "o", "-i", "four"]);
        for _ in 0..times {
            let wrong = self.tools("tpm2_nvread", &["0x01800123", "-P", "wrong"]);
            assert!(!wrong.status.success(), "{wrong:#?}");
        }
        self.tool("tpm2_nvundefine", &["0x01800123", "-C", "o"]);
    }

    /// The section that names it.
    pub fn section(&self, name: &str) -> String {
        format!("[[device]]\nname = {name:?}\n[device.tpm]\ntcti = \"{}\"\n", self.tcti())
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// `claviger root SUB --config FILE MORE…`, or `claviger recover …`.
pub fn command(deployment: &Deployment, words: &[&str], more: &[&str]) -> Command {
    let mut command = program(deployment.token.as_ref().map(|token| token.conf.as_path()));
    command.args(words).arg("--config").arg(deployment.config()).args(more);
    command.env("TSS2_LOG", "all+none");
    command
}

pub fn root(deployment: &Deployment, sub: &str, more: &[&str]) -> Exit {
    run(command(deployment, &["root", sub], more))
}

/// The JSON of a command that succeeded.
pub fn root_json(deployment: &Deployment, sub: &str, more: &[&str]) -> Value {
    let exit = root(deployment, sub, &[more, &["--json"]].concat());
    assert!(exit.status.success(), "{exit:#?}");
    serde_json::from_str(&exit.stdout).unwrap_or_else(|e| panic!("{e}: {exit:#?}"))
}

pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = now();
    while !done() {
        assert!(began.elapsed() < SOON, "never: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether a status says that the device cannot be used.
pub fn away(status: &Value, device: &str) -> bool {
    let devices = status["devices"].as_array().unwrap();
    let device = devices.iter().find(|one| one["name"] == device).unwrap();
    device["away"] != Value::Null
}

/// The root that a device wraps with.
pub fn root_of(status: &Value, device: &str) -> String {
    let devices = status["devices"].as_array().unwrap();
    let device = devices.iter().find(|one| one["name"] == device).unwrap();
    device["roots"][0].as_str().unwrap_or_else(|| panic!("{device}")).to_owned()
}

/// A key, and something that was encrypted under it.
#[derive(Clone, Debug)]
pub struct Work {
    pub key: String,
    pub blob: Value,
}

impl Work {
    pub fn new(deployment: &Deployment, process: &Process) -> Self {
        let mut client = deployment.client(process);
        let made = client.kms("CreateKey", json!({})).unwrap();
        let key = made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
        let blob = client.kms("Encrypt", json!({"KeyId": key, "Plaintext": "YQ=="})).unwrap();
        Self { key, blob: blob["CiphertextBlob"].clone() }
    }

    pub fn check(&self, deployment: &Deployment, process: &Process) {
        let opened =
            deployment.client(process).kms("Decrypt", json!({"CiphertextBlob": self.blob}));
        assert_eq!(opened.unwrap()["Plaintext"], "YQ==");
    }
}

/// What clients that work all the while have seen.
#[derive(Debug, Default)]
pub struct Load {
    pub done: AtomicU64,
    pub failed: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl Load {
    /// Runs `meanwhile` while `clients` clients use and make keys and secrets, each request of which
    /// must succeed. Answers how many there were.
    pub fn during(
        deployment: &Deployment,
        process: &Process,
        work: &Work,
        clients: usize,
        meanwhile: impl FnOnce(&Self),
    ) -> u64 {
        let load = Self::default();
        std::thread::scope(|scope| {
            for n in 0..clients {
                let load = &load;
                scope.spawn(move || load.client(deployment, process, work, n));
            }
            let finished = Finished(&load);
            meanwhile(&load);
            drop(finished);
        });
        let failed = load.failed.into_inner().unwrap();
        assert!(failed.is_empty(), "{} requests failed: {:?}", failed.len(), failed.first());
        load.done.into_inner()
    }

    /// Waits until so many more requests were answered.
    pub fn go_on(&self, count: u64) {
        let until = self.done.load(Ordering::SeqCst) + count;
        for _ in 0..6000 {
            if self.done.load(Ordering::SeqCst) >= until || !self.failed.lock().unwrap().is_empty()
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the clients stand still");
    }

    fn client(&self, deployment: &Deployment, process: &Process, work: &Work, n: usize) {
        let mut client = deployment.client(process);
        for round in 0_u64.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let key = &work.key;
            let outcome: Result<Value, Failed> = match round % 5 {
                0 => client.kms("Encrypt", json!({"KeyId": key, "Plaintext": "YQ=="})),
                1 => client.kms("Decrypt", json!({"CiphertextBlob": work.blob})),
                2 => client.kms("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
                // What takes randomness from a device.
                3 => client.kms("CreateKey", json!({})),
                _ => {
                    let name = format!("secret-{n}-{round}");
                    let token = format!("{name:-<40}");
                    let secret = json!({
                        "Name": name, "SecretString": "s", "ClientRequestToken": token,
                    });
                    client.secrets("CreateSecret", secret)
                }
            };
            match outcome {
                Ok(_) => self.done.fetch_add(1, Ordering::SeqCst),
                Err(error) => {
                    self.failed.lock().unwrap().push(error.to_string());
                    return;
                }
            };
        }
    }
}

/// Tells the clients to stop, also when a test fails: they would keep it from ending.
struct Finished<'a>(&'a Load);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::SeqCst);
    }
}
