//! The servers that the URL names. One of them takes writes: each is tried by itself and for a short time,
//! beginning with the one that did last. The driver's own loop gives all the time to the first.
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, TargetSessionAttrs};

/// For the connection, the handshakes and the login, if there is no other to turn to.
const ONLY_HOST: Duration = Duration::from_secs(3);
/// The same, if there is.
const ONE_OF_SEVERAL: Duration = Duration::from_secs(1);
/// Unanswered bytes for so long are a dead peer.
const PEER_DEADLINE: Duration = Duration::from_millis(1500);
const KEEPALIVE: Duration = Duration::from_secs(1);

pub(super) struct Hosts {
    each: Vec<Config>,
    /// None of those that were tried before it took writes.
    first: AtomicUsize,
}

impl Hosts {
    /// `config` must name as many hosts as addresses, and as many ports or one, where it names them.
    pub(super) fn new(config: &Config) -> Result<Self, &'static str> {
        let (hosts, addresses) = (config.get_hosts().len(), config.get_hostaddrs().len());
        let (count, ports) = (hosts.max(addresses), config.get_ports().len());
        if count == 0 {
            return Err("it names no host");
        }
        if (hosts != 0 && addresses != 0 && hosts != addresses) || (ports > 1 && ports != count) {
            return Err("it does not name as many hosts, addresses and ports");
        }
        let each = (0..count).map(|at| one_of(config, at)).collect();
        let mut hosts = Self { each, first: AtomicUsize::new(0) };
        // A name may have several addresses, and the first may be silent.
        let silent = hosts.patience() * 2 / 5;
        for config in &mut hosts.each {
            config.connect_timeout(silent);
        }
        Ok(hosts)
    }

    /// How long one of them is waited for.
    pub(super) fn patience(&self) -> Duration {
        if self.each.len() == 1 { ONLY_HOST } else { ONE_OF_SEVERAL }
    }

    /// All of them, in the order in which they are to be tried.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (usize, &Config)> {
        let (first, count) = (self.first.load(Ordering::Relaxed), self.each.len());
        self.each.iter().enumerate().cycle().skip(first).take(count)
    }

    /// Whoever comes next begins with another one. Told at once: who tries may give up after any of them.
    pub(super) fn failed(&self, at: usize) {
        let next = (at + 1) % self.each.len();
        let _ = self.first.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// What leads to one of them, and how it is spoken to.
fn one_of(config: &Config, at: usize) -> Config {
    let mut one = Config::new();
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(dbname) = config.get_dbname() {
        one.dbname(dbname);
    }
    if let Some(options) = config.get_options() {
        one.options(options);
    }
    match config.get_hosts().get(at) {
        Some(Host::Tcp(name)) => _ = one.host(name),
        Some(Host::Unix(path)) => _ = one.host_path(path),
        None => {}
    }
    if let Some(address) = config.get_hostaddrs().get(at) {
        one.hostaddr(*address);
    }
    if let Some(port) = config.get_ports().get(at).or_else(|| config.get_ports().first()) {
        one.port(*port);
    }
    one.ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .application_name("claviger")
        .target_session_attrs(TargetSessionAttrs::ReadWrite)
        .tcp_user_timeout(PEER_DEADLINE)
        .keepalives(true)
        .keepalives_idle(KEEPALIVE)
        .keepalives_interval(KEEPALIVE)
        .keepalives_retries(2);
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(url: &str) -> Result<Hosts, &'static str> {
        Hosts::new(&url.parse().unwrap())
    }

    #[test]
    fn each_is_tried_and_the_one_that_did_last_first() {
        let hosts = hosts("postgresql://u:p@a:1,b:2,c:3/d?sslmode=require").unwrap();
        let order =
            || -> Vec<u16> { hosts.in_order().map(|(_, config)| config.get_ports()[0]).collect() };
        assert_eq!(order(), [1, 2, 3]);
        hosts.failed(0);
        hosts.failed(0);
        assert_eq!(order(), [2, 3, 1], "only the one that was first gives way");
        hosts.failed(1);
        hosts.failed(2);
        assert_eq!(order(), [1, 2, 3]);
        for (_, config) in hosts.in_order() {
            assert_eq!((config.get_user(), config.get_dbname()), (Some("u"), Some("d")));
            assert_eq!(config.get_password(), Some(&b"p"[..]));
            assert_eq!(config.get_ssl_mode(), tokio_postgres::config::SslMode::Require);
        }
    }

    #[test]
    fn what_names_no_one_server_is_refused() {
        assert!(hosts("user=u dbname=d").is_err());
        assert!(hosts("host=a,b port=1,2,3").is_err());
        assert!(hosts("host=a,b hostaddr=127.0.0.1").is_err());
        assert_eq!(hosts("host=a,b port=7").unwrap().in_order().count(), 2);
        assert_eq!(hosts("hostaddr=127.0.0.1").unwrap().patience(), ONLY_HOST);
    }
}
