//! Everything a call may reach. Built once at start; tests build it with stand-ins.
use super::{Heavy, Outbox};
use crate::audit::AuditSink;
use crate::clock::Clock;
use crate::last_use::LastUses;
use crate::monitor::Metrics;
use crate::quotas::Quotas;
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
    pub quotas: Quotas,
    /// Events that their commit made durable, until the log has them too.
    pub outbox: Outbox,
    /// See [`super::Call::compute`].
    pub heavy: Heavy,
    pub last_uses: LastUses,
}
