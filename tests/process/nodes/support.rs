//! Deployments of several nodes: one token, one database, and a data directory each.
use super::proxy::Proxy;
use crate::client::{Client, Failed, elements};
use crate::databases::{self, ADMINISTRATOR, ADMINISTRATOR_PASSWORD, HOST, Postgres, fresh};
use crate::harness::{Exit, Port, Process, now};
use crate::setup::{Deployment, Token};
use serde_json::Value;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// How old an answer may be, unless the configuration says otherwise.
pub const BOUND: Duration = Duration::from_secs(1);

pub struct Nodes {
    /// The first one made the deployment.
    pub all: Vec<Deployment>,
    /// Between each node and the database.
    pub proxies: Vec<Proxy>,
    pub schema: String,
    /// The database's.
    pub port: u16,
}

/// A figure that can be asked for: the full one takes longer than every run of the tests should.
pub fn figure(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |n| n.parse().expect("a number"))
}

/// What a node's configuration says of the database.
fn store(port: u16, schema: &str) -> String {
    let url = databases::url(port, "postgres");
    format!(
        "[store]\nkind = \"postgresql\"\nschema = {schema:?}\nconnections = 3\n\
         url = \"{url}?sslmode=disable\"\n"
    )
}

impl Nodes {
    /// A deployment of one node that is not served yet.
    pub fn first() -> Self {
        Self::first_on(databases::postgres())
    }

    fn first_on(database: &Postgres) -> Self {
        let (port, schema) = (database.port, fresh("nodes"));
        let mut nodes = Self { all: Vec::new(), proxies: Vec::new(), schema, port };
        let mut first = Deployment::blank(true);
        first.more = nodes.store();
        first.init();
        nodes.all.push(first);
        nodes
    }

    /// So many, all joined, none served.
    pub fn new(count: usize) -> Self {
        Self::on(databases::postgres(), count)
    }

    /// Likewise on a database of their own.
    pub fn on(database: &Postgres, count: usize) -> Self {
        let mut nodes = Self::first_on(database);
        while nodes.all.len() < count {
            nodes.blank();
        }
        // At the same time, as several may.
        for joined in each(&nodes.all[1..], |node| node.run("join")) {
            assert!(joined.status.success(), "{joined:#?}");
        }
        nodes
    }

    /// The section for one more node, behind a proxy of its own.
    fn store(&mut self) -> String {
        let proxy = Proxy::before(self.port);
        let section = store(proxy.port, &self.schema);
        self.proxies.push(proxy);
        section
    }

    /// One more directory with the token of the others, in which nothing was done.
    pub fn blank(&mut self) -> &Deployment {
        let first = &self.all[0];
        let token = first.token.as_ref().unwrap();
        let token = Token { conf: token.conf.clone(), pin_file: token.pin_file.clone() };
        let admin = first.admin.clone();
        let more = self.store();
        let dir = tempfile::tempdir().unwrap();
        let node = Deployment { dir, token: Some(token), more, admin, port: Port::free() };
        node.write_config(&node.text(&node.data()));
        self.all.push(node);
        self.all.last().unwrap()
    }

    /// Makes one more node.
    pub fn join(&mut self) -> Exit {
        self.blank().run("join")
    }

    pub fn serve(&self) -> Vec<Process> {
        each(&self.all, Deployment::serve)
    }

    /// Of the database, in this deployment's schema.
    pub fn execute(&self, statements: &str) {
        let text = format!("SET search_path = pg_catalog, {}; {statements}", self.schema);
        let mut config = tokio_postgres::Config::new();
        config.host(HOST).port(self.port).dbname("postgres");
        config.user(ADMINISTRATOR).password(ADMINISTRATOR_PASSWORD);
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            client.batch_execute(&text).await.unwrap();
        });
    }
}

/// `claviger nodes …` of a node, with the server or without.
pub fn nodes_command(node: &Deployment, arguments: &[&str]) -> Exit {
    let mut command = crate::harness::program(node.token.as_ref().map(|t| t.conf.as_path()));
    command.arg("nodes").arg(arguments[0]).arg("--config").arg(node.config());
    command.args(&arguments[1..]);
    crate::harness::run(command)
}

/// The ids of a list of nodes, and which of them was asked.
pub fn ids(list: &str) -> Vec<(String, bool)> {
    let heads = list.lines().filter(|line| !line.starts_with(' '));
    heads
        .map(|line| {
            let id = line.split(' ').next().unwrap().to_owned();
            (id, line.ends_with("(this one)"))
        })
        .collect()
}

/// The call's answer. What other nodes do at the same time may end it with a conflict once too often.
pub fn must(mut call: impl FnMut() -> Result<Value, Failed>) -> Value {
    for _ in 0..20 {
        match call() {
            Ok(value) => return value,
            Err(error) if error.code() == "ThrottlingException" => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("throttled again and again");
}

/// A user with this policy: its access key.
pub fn user(admin: &mut Client, name: &str, policy: Option<&str>) -> (String, String) {
    admin.query("iam", "CreateUser", &[("UserName", name)]).unwrap();
    if let Some(policy) = policy {
        let document = [("UserName", name), ("PolicyName", "p"), ("PolicyDocument", policy)];
        admin.query("iam", "PutUserPolicy", &document).unwrap();
    }
    access_key(admin, name)
}

pub fn access_key(admin: &mut Client, user: &str) -> (String, String) {
    let made = admin.query("iam", "CreateAccessKey", &[("UserName", user)]).unwrap().value;
    let text = |name| elements(&made, name).into_iter().next().unwrap();
    (text("AccessKeyId"), text("SecretAccessKey"))
}

/// Whether a call succeeded. One that did not was refused, and did not fail.
pub fn is_allowed<T>(outcome: Result<T, Failed>) -> bool {
    match outcome {
        Ok(_) => true,
        Err(Failed::Lost(error)) => panic!("{error}"),
        Err(Failed::Fault { status, code, .. }) if status >= 500 => panic!("{status} {code}"),
        Err(_) => false,
    }
}

/// Asks until it is not given any more, as must then stay. Answers when the last call began that gave it.
fn ask_until_refused(client: &mut Client, is_given: &impl Fn(&mut Client) -> bool) -> Instant {
    let start = now();
    let mut last = start;
    loop {
        let began = now();
        if !is_given(client) {
            break;
        }
        last = began;
        assert!(start.elapsed() < Duration::from_secs(20), "it is given for ever");
    }
    for _ in 0..3 {
        assert!(!is_given(client), "known once, it is not unknown again");
    }
    last
}

/// Has all clients ask without a pause while something is taken away. Answers for each how long after that was
/// acknowledged the last call began that still gave it.
pub fn last_given(
    clients: &mut [Client],
    is_given: impl Fn(&mut Client) -> bool + Sync,
    take_away: impl FnOnce(),
) -> Vec<Duration> {
    let (is_given, begun) = (&is_given, &Barrier::new(clients.len() + 1));
    std::thread::scope(|scope| {
        let asked: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                scope.spawn(move || {
                    assert!(is_given(client), "there is nothing to take away");
                    begun.wait();
                    ask_until_refused(client, is_given)
                })
            })
            .collect();
        begun.wait();
        take_away();
        let acknowledged = now();
        let last = asked.into_iter().map(|client| client.join().unwrap());
        last.map(|last| last.saturating_duration_since(acknowledged)).collect()
    })
}

/// p50, p99 and the longest, in words.
pub fn told(name: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
    let longest = *times.last().unwrap();
    eprintln!("{name}: {} times, p50 {:?}, p99 {:?}, max {longest:?}", times.len(), at(50), at(99));
    longest
}

/// Does it with all of them at the same time.
pub fn each<C: Send, T: Send>(
    all: impl IntoIterator<Item = C>,
    what: impl Fn(C) -> T + Sync,
) -> Vec<T> {
    let what = &what;
    std::thread::scope(|scope| {
        let begun: Vec<_> = all.into_iter().map(|one| scope.spawn(move || what(one))).collect();
        begun.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

/// Stories that share one database and spend most of their time waiting, each with nodes of its own.
pub fn side_by_side(stories: &[(&str, fn())]) {
    let failed: Vec<&str> = std::thread::scope(|scope| {
        let begin = |(name, story): &(&str, fn())| {
            let named = std::thread::Builder::new().name((*name).to_owned());
            named.spawn_scoped(scope, *story).unwrap()
        };
        let begun: Vec<_> = stories.iter().map(begin).collect();
        let ended = begun.into_iter().map(|story| story.join().is_err());
        ended.zip(stories).filter(|(failed, _)| *failed).map(|(_, (name, _))| *name).collect()
    });
    assert!(failed.is_empty(), "{failed:?}");
}
