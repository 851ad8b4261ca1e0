//! Everything a call may reach. Built once at start; tests build it with stand-ins.
use super::Outbox;
use crate::audit::AuditSink;
use crate::clock::Clock;
use crate::monitor::Metrics;
use crate::random::Random;
use crate::root_of_trust::RootOfTrust;
use crate::store::Store;
use crate::types::Region;
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Debug)]
pub struct Server {
    pub store: Store,
    pub root: Arc<RootOfTrust>,
    pub audit: Arc<dyn AuditSink>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    /// The regions served; a request's credential scope chooses one.
    pub regions: BTreeSet<Region>,
    pub metrics: Metrics,
    /// Events that their commit made durable, until the log has them too.
    pub outbox: Outbox,
}
