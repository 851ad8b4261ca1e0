//! How many connections there are, and whether one more may come in.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::Limits;

/// The length of the IPv6 prefix that counts as one client: providers give each customer a /64.
const IPV6_CLIENT_PREFIX: u32 = 64;

/// Counters of a listener, for the metrics endpoint.
#[derive(Debug, Default)]
pub struct Connections {
    /// Open now.
    pub open: AtomicU64,
    /// Ever let in.
    pub accepted: AtomicU64,
    /// Closed at once because of a cap.
    pub refused: AtomicU64,
    /// Cut, or answered 408 or 503, because a deadline passed.
    pub timed_out: AtomicU64,
    /// Closed by us between requests.
    pub idle_closed: AtomicU64,
    /// `accept` itself failed, for want of file descriptors for instance.
    pub accept_errors: AtomicU64,
}

/// The door's book: who is inside.
#[derive(Debug)]
pub(super) struct Admission {
    counters: Arc<Connections>,
    most: u64,
    most_per_client: Option<usize>,
    clients: Mutex<HashMap<IpAddr, usize>>,
}

/// A place inside, given back on drop.
#[derive(Debug)]
pub(super) struct Admitted {
    admission: Arc<Admission>,
    client: Option<IpAddr>,
}

impl Admission {
    pub(super) fn new(limits: &Limits, counters: Arc<Connections>) -> Arc<Self> {
        Arc::new(Admission {
            counters,
            most: u64::try_from(limits.connections).unwrap_or(u64::MAX),
            most_per_client: limits.connections_per_ip,
            clients: Mutex::default(),
        })
    }

    /// Lets a connection in, unless a cap is reached. Called by the accept loop alone, so that the
    /// cap is exact.
    pub(super) fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<Admitted> {
        let client = match self.most_per_client {
            Some(most) if self.counters.open.load(Relaxed) < self.most => {
                let client = client_of(ip);
                let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
                let open = clients.entry(client).or_default();
                if *open >= most {
                    return self.refuse();
                }
                *open += 1;
                Some(client)
            }
            None if self.counters.open.load(Relaxed) < self.most => None,
            _ => return self.refuse(),
        };
        self.counters.open.fetch_add(1, Relaxed);
        self.counters.accepted.fetch_add(1, Relaxed);
        Some(Admitted { admission: Arc::clone(self), client })
    }

    fn refuse(&self) -> Option<Admitted> {
        self.counters.refused.fetch_add(1, Relaxed);
        None
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.counters.open.fetch_sub(1, Relaxed);
        let Some(client) = self.client else { return };
        let mut clients = self.admission.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = clients.get_mut(&client) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                clients.remove(&client);
            }
        }
    }
}

fn client_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => {
            let mask = u128::MAX << (u128::BITS - IPV6_CLIENT_PREFIX);
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ipv6_network_is_one_client() {
        let limits = Limits { connections_per_ip: Some(2), ..Limits::default() };
        let counters = Arc::new(Connections::default());
        let admission = Admission::new(&limits, Arc::clone(&counters));
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();

        let first = admission.admit(ip("2001:db8::1")).unwrap();
        let _second = admission.admit(ip("2001:db8::2")).unwrap();
        assert!(admission.admit(ip("2001:db8::3")).is_none());
        let _other = admission.admit(ip("2001:db8:0:1::3")).unwrap();
        let _v4 = admission.admit(ip("192.0.2.1")).unwrap();
        drop(first);
        let _third = admission.admit(ip("2001:db8::3")).unwrap();
        assert_eq!(counters.open.load(Relaxed), 4);
        assert_eq!(counters.refused.load(Relaxed), 1);
    }
}
