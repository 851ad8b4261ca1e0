//! A deployment in a directory of its own: its database if it has one, and of every server data,
//! configuration, plan, and what it prints.
use super::Trouble;
use super::client::Key;
use super::database::Database;
use super::operation::ACCOUNT;
use super::process::Process;
use super::run::Settings;
use crate::failpoints::{self, Plan};
use std::fs::{DirBuilder, File, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports below those that Linux gives out by itself.
const PORTS: std::ops::Range<u16> = 30_000..32_700;

/// Where `claviger init --insecure-software-root` keeps the root's seed in the data directory.
const SEED_FILE: &str = "software-root.seed";

static PORTS_TAKEN: AtomicU16 = AtomicU16::new(0);

#[derive(Debug)]
pub(super) struct Deployment {
    dir: PathBuf,
    program: PathBuf,
    has_device: bool,
    pub(super) database: Option<Database>,
    nodes: Vec<Node>,
    /// The administrator's access key.
    pub(super) admin: Key,
}

/// A server's place.
#[derive(Debug)]
struct Node {
    dir: PathBuf,
    address: SocketAddr,
}

impl Node {
    fn audit(&self) -> PathBuf {
        self.dir.join("data").join("audit")
    }

    fn config(&self) -> PathBuf {
        self.dir.join("claviger.toml")
    }

    fn plan(&self) -> PathBuf {
        self.dir.join("plan")
    }

    fn output(&self) -> PathBuf {
        self.dir.join("output")
    }
}

impl Deployment {
    /// Makes one in a new directory.
    pub(super) fn new(dir: PathBuf, settings: &Settings) -> Result<Self, Trouble> {
        make_dir(&dir)?;
        let program = settings.program.clone();
        let database = match &settings.postgresql {
            None => None,
            Some(programs) => Some(Database::new(dir.join("database"), programs, free_address()?)?),
        };
        let (has_device, admin, nodes) = (settings.device.is_some(), Key::default(), Vec::new());
        let mut made = Self { dir, program, has_device, database, nodes, admin };
        for number in 0..settings.servers {
            made.add_node(&format!("node-{number}"), settings.device.as_deref())?;
        }
        Ok(made)
    }

    /// The first one makes the deployment, the others join it.
    fn add_node(&mut self, name: &str, device: Option<&str>) -> Result<(), Trouble> {
        let node = Node { dir: self.dir.join(name), address: free_address()? };
        make_dir(&node.dir)?;
        let store = self.database.as_ref().map_or(String::new(), |database| {
            format!("[store]\nkind = \"postgresql\"\nurl = {:?}\n", database.url())
        });
        let text = format!(
            "data = {:?}\nregions = [\"us-east-1\"]\naccount = \"{ACCOUNT}\"\n\
             [listen]\napi = \"{}\"\n{store}{}",
            node.dir.join("data"),
            node.address,
            device.unwrap_or_default()
        );
        write_private(&node.config(), &text)?;
        write_private(&node.plan(), &Plan::default().to_string())?;
        if let (Some(first), false) = (self.nodes.first(), self.has_device) {
            // The software root is a file, which every node has.
            let data = node.dir.join("data");
            make_dir(&data)?;
            let (from, to) = (first.dir.join("data").join(SEED_FILE), data.join(SEED_FILE));
            std::fs::copy(&from, to).map_err(Trouble::setup(from.display()))?;
        }
        let is_first = self.nodes.is_empty();
        let name = if is_first { "init" } else { "join" };
        let output = self.command(name, &node).output().map_err(Trouble::setup("claviger"))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(Trouble::Setup(format!("claviger {name}: {why}")));
        }
        if is_first {
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            let value = |name: &str| {
                let line = printed.lines().find_map(|line| line.trim().strip_prefix(name));
                line.map(str::to_owned)
                    .ok_or_else(|| Trouble::Setup(format!("claviger init: no {name}")))
            };
            self.admin =
                Key { id: value("AWS_ACCESS_KEY_ID=")?, secret: value("AWS_SECRET_ACCESS_KEY=")? };
        }
        self.nodes.push(node);
        Ok(())
    }

    /// The audit log of every server.
    pub(super) fn audits(&self) -> Vec<PathBuf> {
        self.nodes.iter().map(Node::audit).collect()
    }

    /// What the servers print, each of them one run after the other.
    pub(super) fn outputs(&self) -> Vec<PathBuf> {
        self.nodes.iter().map(Node::output).collect()
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn command(&self, name: &str, node: &Node) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(name).arg("--config").arg(node.config());
        if !self.has_device {
            command.arg("--insecure-software-root");
        }
        command.env_remove("CLAVIGER_CONFIG").env_remove("CLAVIGER_LOG").stdin(Stdio::null());
        // What is typed to end the torture is not for its servers.
        command.process_group(0);
        command
    }

    /// Says what is to happen to a server, to the one that runs as well.
    pub(super) fn plan(&self, server: usize, plan: &Plan) -> Result<(), Trouble> {
        let Some(node) = self.nodes.get(server) else { return Ok(()) };
        let new = node.dir.join("plan.new");
        write_private(&new, &plan.to_string())?;
        std::fs::rename(new, node.plan()).map_err(Trouble::setup(node.plan().display()))
    }

    /// Likewise to all of them.
    pub(super) fn plan_all(&self, plan: &Plan) -> Result<(), Trouble> {
        (0..self.nodes.len()).try_for_each(|server| self.plan(server, plan))
    }

    pub(super) fn servers(&self) -> usize {
        self.nodes.len()
    }

    /// Starts a server and waits until it is ready. `Err` of the inner result if it ended instead.
    pub(super) fn serve(&self, server: usize) -> Result<Result<Process, ExitStatus>, Trouble> {
        let no_such = || Trouble::Setup(format!("there is no server {server}"));
        let node = self.nodes.get(server).ok_or_else(no_such)?;
        let path = node.output();
        let append = || File::options().create(true).append(true).mode(0o600).open(&path);
        let mut command = self.command("serve", node);
        command.env(failpoints::VARIABLE, node.plan());
        command.env(failpoints::PARENT, std::process::id().to_string());
        command.stdout(append().map_err(Trouble::setup(path.display()))?);
        command.stderr(append().map_err(Trouble::setup(path.display()))?);
        Process::start(command, node.address)
    }

    /// Removes it from the disk.
    pub(super) fn discard(self) -> Result<(), Trouble> {
        let Self { dir, database, .. } = self;
        // It writes to the directory until it has ended.
        drop(database);
        std::fs::remove_dir_all(&dir).map_err(Trouble::setup(dir.display()))
    }
}

fn make_dir(path: &Path) -> Result<(), Trouble> {
    DirBuilder::new().mode(0o700).create(path).map_err(Trouble::setup(path.display()))
}

fn write_private(path: &Path, text: &str) -> Result<(), Trouble> {
    let write = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        std::io::Write::write_all(&mut file, text.as_bytes())
    };
    write().map_err(Trouble::setup(path.display()))
}

/// A loopback address that nobody listens on. Every torture has a host of its own in 127.0.0.0/8, so that
/// nobody takes a port while its server is dead.
fn free_address() -> Result<SocketAddr, Trouble> {
    // Process ids have 22 bits at most.
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let host = [127, 64 | high, middle, low];
    for _ in PORTS {
        let port =
            PORTS.start + PORTS_TAKEN.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start);
        let address = (host, port).into();
        if std::net::TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err(Trouble::Setup(format!("no free port in {PORTS:?}")))
}
