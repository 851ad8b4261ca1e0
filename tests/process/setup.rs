//! Deployments for tests: a data directory, a token or the software root, a configuration file.
use crate::client::Client;
use crate::harness::{Exit, Port, Process, program, run, start_until};
use claviger::failpoints::{self, Plan};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const ACCOUNT: &str = "111122223333";
pub const LABEL: &str = "claviger-process";
/// What custom key stores name the token by.
pub const CLUSTER: &str = "cluster-2a23b4cdefg";

/// Where SoftHSM is. Not a reason to skip: a test that did not run proves nothing.
pub fn softhsm() -> PathBuf {
    let named = std::env::var_os("CLAVIGER_SOFTHSM_MODULE").map(PathBuf::from);
    let usual = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
        "/usr/local/lib/softhsm/libsofthsm2.so",
    ];
    let found = named.into_iter().chain(usual.map(PathBuf::from)).find(|path| path.exists());
    found.expect(
        "SoftHSM is not installed. Run softhsm-setup/install.sh (or: apt-get install softhsm2), \
         or name its library in CLAVIGER_SOFTHSM_MODULE",
    )
}

/// A SoftHSM with one token, made by the project's own script.
#[derive(Debug)]
pub struct Token {
    pub conf: PathBuf,
    pub pin_file: PathBuf,
}

impl Token {
    pub fn new(dir: &Path) -> Self {
        softhsm();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/softhsm-setup/token.sh");
        let made = run({
            let mut command = Command::new(script);
            command.arg(dir).arg(LABEL);
            command
        });
        let hint = "softhsm2-util is needed: softhsm-setup/install.sh";
        assert!(made.status.success(), "{hint}: {made:#?}");
        Self { conf: dir.join("softhsm2.conf"), pin_file: dir.join("pin") }
    }

    pub fn pin(&self) -> String {
        std::fs::read_to_string(&self.pin_file).unwrap().trim().to_owned()
    }
}

/// A deployment in a directory of its own: `data`, `claviger.toml`, the token and what the
/// processes print lie beside each other.
#[derive(Debug)]
pub struct Deployment {
    pub dir: tempfile::TempDir,
    /// None: the insecure software root.
    pub token: Option<Token>,
    /// More lines for the configuration, such as a `[tls]` section.
    pub more: String,
    /// The administrator's access key, once there is a deployment.
    pub admin: (String, String),
    pub port: Port,
}

impl Deployment {
    /// Nothing made yet.
    pub fn blank(token: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let token = token.then(|| Token::new(&dir.path().join("softhsm")));
        let admin = Default::default();
        Self { dir, token, more: String::new(), admin, port: Port::free() }
    }

    pub fn new(token: bool) -> Self {
        let mut deployment = Self::blank(token);
        deployment.init();
        deployment
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn store_file(&self) -> PathBuf {
        self.data().join("store").join("store.redb")
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("claviger.toml")
    }

    /// The configuration's text. In `more`, PORT stands for the port that tells when it is ready.
    pub fn text(&self, data: &Path) -> String {
        self.text_for(&self.port, data)
    }

    fn text_for(&self, port: &Port, data: &Path) -> String {
        let port = port.number;
        let pkcs11 = self.token.as_ref().map(|token| {
            format!(
                "[pkcs11]\nmodule = {:?}\ntoken = {LABEL:?}\npin_file = {:?}\n\
                 cluster = {CLUSTER:?}\n",
                softhsm(),
                token.pin_file
            )
        });
        format!(
            "data = {data:?}\nregions = [\"us-east-1\", \"eu-west-1\"]\naccount = \"{ACCOUNT}\"\n\
             {}\n{}",
            pkcs11.unwrap_or_default(),
            if self.more.contains("[listen]") {
                self.more.replace("PORT", &port.to_string())
            } else {
                format!("[listen]\napi = \"127.0.0.1:{port}\"\n{}", self.more)
            }
        )
    }

    pub fn write_config(&self, text: &str) {
        std::fs::write(self.config(), text).unwrap();
        let owner_only = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(self.config(), owner_only).unwrap();
    }

    /// `claviger NAME --config …`.
    pub fn command(&self, name: &str) -> Command {
        let mut command = program(self.token.as_ref().map(|token| token.conf.as_path()));
        command.arg(name).arg("--config").arg(self.config());
        if self.token.is_none() {
            command.arg("--insecure-software-root");
        }
        command
    }

    pub fn run(&self, name: &str) -> Exit {
        run(self.command(name))
    }

    pub fn init(&mut self) -> Exit {
        self.write_config(&self.text(&self.data()));
        let made = self.run("init");
        assert!(made.status.success(), "{made:#?}");
        let value = |name: &str| {
            let line = made.stdout.lines().find_map(|line| line.trim().strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name} in {made:#?}")).to_owned()
        };
        self.admin = (value("AWS_ACCESS_KEY_ID="), value("AWS_SECRET_ACCESS_KEY="));
        made
    }

    pub fn try_serve(&self) -> Result<Process, Exit> {
        self.try_serve_on(&self.port, &self.data(), self.dir.path())
    }

    /// Serves, and is sealed: no device opens it.
    pub fn serve_sealed(&self) -> Process {
        let (port, data, scratch) = (&self.port, self.data(), self.dir.path());
        let sealed = self.serve_until(port, &data, scratch, 503);
        sealed.unwrap_or_else(|exit| panic!("does not start: {exit:#?}"))
    }

    /// Serves a copy of the data, or whatever lies there, on a port of its own.
    pub fn try_serve_on(&self, port: &Port, data: &Path, scratch: &Path) -> Result<Process, Exit> {
        self.serve_until(port, data, scratch, 200)
    }

    fn serve_until(
        &self,
        port: &Port,
        data: &Path,
        scratch: &Path,
        ready: u16,
    ) -> Result<Process, Exit> {
        let config = scratch.join("serve.toml");
        std::fs::write(&config, self.text_for(port, data)).unwrap();
        let mut command = program(self.token.as_ref().map(|token| token.conf.as_path()));
        command.arg("serve").arg("--config").arg(&config);
        if self.token.is_none() {
            command.arg("--insecure-software-root");
        }
        let address = SocketAddr::from(([127, 0, 0, 1], port.number));
        start_until(command, scratch, |_| Some(address), ready)
    }

    pub fn serve(&self) -> Process {
        self.try_serve().unwrap_or_else(|exit| panic!("does not start: {exit:#?}"))
    }

    /// What is to go wrong for those that follow the plan, which they do while they run.
    pub fn plan(&self, plan: &Plan) {
        let path = self.dir.path().join("plan");
        let new = path.with_extension("new");
        std::fs::write(&new, plan.to_string()).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    /// Has a command follow a plan.
    pub fn with_plan(&self, mut command: Command, plan: &Plan) -> Command {
        self.plan(plan);
        command.env(failpoints::VARIABLE, self.dir.path().join("plan"));
        command
    }

    pub fn serve_with(&self, plan: &Plan) -> Process {
        let address = SocketAddr::from(([127, 0, 0, 1], self.port.number));
        let command = self.with_plan(self.command("serve"), plan);
        start_until(command, self.dir.path(), |_| Some(address), 200)
            .unwrap_or_else(|exit| panic!("does not start: {exit:#?}"))
    }

    pub fn client(&self, process: &Process) -> Client {
        process.client(&self.admin.0, &self.admin.1)
    }
}
