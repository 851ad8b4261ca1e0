//! A server whose token stands behind the module that injects faults; clients that count what they see;
//! and what anybody with the PIN can do to a token.
use crate::client::{Client, Failed, get};
use crate::harness::{Process, now, program, start};
use crate::resident::{create, store};
use crate::setup::{Deployment, softhsm};
use claviger::random::{Random, SystemRandom};
use claviger_pkcs11_shim as shim;
use serde_json::{Value, json};
use std::any::type_name;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub const HELLO: &str = "aGVsbG8=";
/// Longer than any pause between two attempts to heal, on a busy machine.
pub const HEALS: Duration = Duration::from_secs(60);

/// Faults are injected between the server and its token.
pub struct Faulty {
    pub deployment: Deployment,
}

impl Faulty {
    pub fn new() -> Self {
        Self { deployment: Deployment::new(true) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.deployment.dir.path().join(name)
    }

    /// The faults from now on (see `claviger_pkcs11_shim`).
    pub fn rules(&self, rules: &str) {
        shim::set_rules(&self.path("rules"), rules).unwrap();
    }

    /// How often a function of the module was called.
    pub fn calls(&self, function: &str) -> usize {
        let is_it = |line: &String| line.split(' ').next() == Some(function);
        shim::log(&self.path("calls")).iter().filter(|line| is_it(line)).count()
    }

    pub fn serve(&self) -> Process {
        let command = self.command(&["serve"]);
        let address = SocketAddr::from(([127, 0, 0, 1], self.deployment.port.number));
        let started = start(command, self.deployment.dir.path(), |_| Some(address));
        started.unwrap_or_else(|exit| panic!("does not start: {exit:#?}"))
    }

    /// `claviger NAMES --config …`, with the faults before it.
    pub fn command(&self, names: &[&str]) -> Command {
        let token = self.deployment.token.as_ref().unwrap();
        let text = self.deployment.text(&self.deployment.data());
        let real = format!("module = {:?}\n", softhsm());
        assert!(text.contains(&real), "{text}");
        let between =
            format!("module = {:?}\nprofile = \"softhsm\"\nhelper = false\n", shim::path());
        let config = self.path("faulty.toml");
        std::fs::write(&config, text.replace(&real, &between)).unwrap();
        let mut command = program(Some(&token.conf));
        command.args(names).arg("--config").arg(&config);
        command.env(shim::MODULE, softhsm());
        command.env(shim::CONTROL, self.path("rules")).env(shim::LOG, self.path("calls"));
        command
    }

    /// The functions of the module that were called, in their order; forgotten when told.
    pub fn called(&self) -> Vec<String> {
        let name = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
        let called = shim::log(&self.path("calls")).iter().map(name).collect();
        std::fs::remove_file(self.path("calls")).unwrap();
        called
    }
}

/// A key in the token, one in the store, and what each has sealed.
pub struct Keys {
    pub store: String,
    pub inside: String,
    pub here: String,
    sealed: Value,
    sealed_here: Value,
}

impl Keys {
    pub fn new(client: &mut Client) -> Self {
        let store = store(client);
        let inside = create(client, &store, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT").unwrap();
        let made = client.kms("CreateKey", json!({})).unwrap();
        let here = made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
        let mut seal = |key: &str| {
            let sealed = client.kms("Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).unwrap();
            sealed["CiphertextBlob"].clone()
        };
        let (sealed, sealed_here) = (seal(&inside), seal(&here));
        Self { store, inside, here, sealed, sealed_here }
    }

    fn both_ways(client: &mut Client, key: &str, sealed: &Value) -> Result<(), Failed> {
        let body = json!({"KeyId": key, "Plaintext": HELLO});
        let fresh = client.kms("Encrypt", body)?["CiphertextBlob"].clone();
        for blob in [&fresh, sealed] {
            let opened = client.kms("Decrypt", json!({"CiphertextBlob": blob}))?;
            assert_eq!(opened["Plaintext"], HELLO, "a wrong plaintext");
        }
        Ok(())
    }

    /// Encrypts in the token, and opens that and what was encrypted before.
    pub fn use_inside(&self, client: &mut Client) -> Result<(), Failed> {
        Self::both_ways(client, &self.inside, &self.sealed)
    }

    /// What needs no device: an ordinary key and a secret.
    pub fn use_here(&self, client: &mut Client) -> Result<(), Failed> {
        Self::both_ways(client, &self.here, &self.sealed_here)?;
        let random: &dyn Random = &SystemRandom;
        let token = random.uuid().to_string();
        let secret = json!({"Name": format!("s-{token}"), "SecretString": "s",
            "ClientRequestToken": token});
        client.secrets("CreateSecret", secret).map(|_| ())
    }

    /// Opens what was encrypted in the token before.
    pub fn open_inside(&self, client: &mut Client) -> Result<Value, Failed> {
        let opened = client.kms("Decrypt", json!({"CiphertextBlob": self.sealed}))?;
        Ok(opened["Plaintext"].clone())
    }

    pub fn works(&self, client: &mut Client) {
        let began = now();
        while let Err(failed) = self.use_inside(client) {
            assert!(began.elapsed() < HEALS, "it does not heal: {failed}");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.use_here(client).unwrap();
    }
}

/// Takes randomness from a device.
pub fn make_key(client: &mut Client) -> Result<(), Failed> {
    client.kms("CreateKey", json!({})).map(|_| ())
}

/// One client that does the same again and again.
#[derive(Clone, Copy)]
pub struct Job<'a>(pub &'static str, pub &'a (dyn Fn(&mut Client) -> Result<(), Failed> + Sync));

/// How often each job ended how: "OK" or the error's code.
#[derive(Debug, Default)]
pub struct Seen {
    counts: Mutex<BTreeMap<(&'static str, String), u64>>,
    stop: AtomicBool,
}

impl Seen {
    fn count(&self, job: &'static str, outcome: &str) -> u64 {
        self.counts.lock().unwrap().get(&(job, outcome.to_owned())).copied().unwrap_or(0)
    }

    /// Waits until a job has ended so `more` times.
    pub fn wait(&self, job: &'static str, outcome: &str, more: u64) {
        let until = self.count(job, outcome) + more;
        let began = now();
        while self.count(job, outcome) < until {
            assert!(began.elapsed() < HEALS, "no {job} ends in {outcome}: {self:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A job has ended in these ways and in no other.
    pub fn only(&self, job: &'static str, outcomes: &[&str]) {
        let counts = self.counts.lock().unwrap();
        let seen: Vec<_> = counts.keys().filter(|(name, _)| *name == job).collect();
        assert!(!seen.is_empty(), "{job} was not done at all");
        assert!(seen.iter().all(|(_, code)| outcomes.contains(&code.as_str())), "{counts:?}");
    }

    fn client(&self, mut client: Client, Job(name, job): Job<'_>) {
        while !self.stop.load(Ordering::SeqCst) {
            let code = match job(&mut client) {
                Ok(()) => "OK".to_owned(),
                Err(failed) => failed.code().to_owned(),
            };
            // A fault that is answered at once is not to be a hot loop of this test's.
            let pause = if code == "OK" { 0 } else { 5 };
            *self.counts.lock().unwrap().entry((name, code)).or_default() += 1;
            std::thread::sleep(Duration::from_millis(pause));
        }
    }
}

/// Runs `meanwhile` while a client works at each job.
pub fn crowd(
    deployment: &Deployment,
    process: &Process,
    jobs: &[Job<'_>],
    meanwhile: impl FnOnce(&Seen),
) -> Seen {
    let seen = Seen::default();
    std::thread::scope(|scope| {
        for job in jobs {
            let (client, seen) = (deployment.client(process), &seen);
            scope.spawn(move || seen.client(client, *job));
        }
        let stop = Stop(&seen);
        meanwhile(&seen);
        drop(stop);
    });
    eprintln!("{:?}", seen.counts.lock().unwrap());
    seen
}

/// Tells the clients to stop, also when a test fails: they would keep it from ending.
struct Stop<'a>(&'a Seen);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::SeqCst);
    }
}

/// The status and the first line of /readyz.
pub fn ready(process: &Process) -> (u16, String) {
    let answer = get(process.address, "/readyz").unwrap();
    (answer.status, answer.text().lines().take(1).map(|line| format!("{line}\n")).collect())
}

/// Serves a deployment whose module runs in a process of its own.
pub fn serve_with_helper(deployment: &Deployment) -> Process {
    let real = format!("module = {:?}\n", softhsm());
    let text = deployment.text(&deployment.data());
    assert!(text.contains(&real), "{text}");
    let config = deployment.dir.path().join("helper.toml");
    std::fs::write(&config, text.replace(&real, &format!("{real}helper = true\n"))).unwrap();
    let mut command = program(deployment.token.as_ref().map(|token| token.conf.as_path()));
    command.arg("serve").arg("--config").arg(&config);
    let address = SocketAddr::from(([127, 0, 0, 1], deployment.port.number));
    let started = start(command, deployment.dir.path(), |_| Some(address));
    started.unwrap_or_else(|exit| panic!("does not start: {exit:#?}"))
}

/// The operator is told, and told nothing else: store and log are well.
pub fn not_ready(process: &Process) {
    let (status, text) = ready(process);
    assert_eq!((status, text.lines().next()), (503, Some("not ready: device")), "{text}");
}

const MEDDLE: &str = "CLAVIGER_FAULT_TEST";

/// In a child process of [`meddle`]: the directory of the token, and what is to be done to it.
pub fn meddling() -> Option<(PathBuf, String)> {
    let told = std::env::var(MEDDLE).ok()?;
    let (dir, what) = told.split_once('|')?;
    Some((PathBuf::from(dir), what.to_owned()))
}

/// Has a child process do something to the token, as anybody with the PIN can: SoftHSM's configuration
/// comes from the environment. `test` is the test function itself, which asks [`meddling`] first.
pub fn meddle<F: Fn()>(_test: F, deployment: &Deployment, what: &str) {
    let (_, name) = type_name::<F>().split_once("::").unwrap();
    let conf: &Path = &deployment.token.as_ref().unwrap().conf;
    let dir = conf.parent().unwrap().display();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env("SOFTHSM2_CONF", conf)
        .env(MEDDLE, format!("{dir}|{what}"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}\n{stderr}");
}
