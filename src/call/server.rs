//! Everything a call may reach. Built once at start; tests build it with stand-ins.
use super::{Heavy, Outbox, Reattempts};
use crate::audit::AuditSink;
use crate::authorize::Caller;
use crate::clock::Clock;
use crate::devices::Devices;
use crate::external::Proxies;
use crate::federation::Issuers;
use crate::functions::Functions;
use crate::last_use::{Access, LastUses};
use crate::machines::Machines;
use crate::monitor::Metrics;
use crate::nodes::ThisNode;
use crate::quotas::{Guesses, Quotas};
use crate::random::Random;
use crate::root_of_trust::RootOfTrust;
use crate::services::Services;
use crate::store::Store;
use crate::types::{PrincipalKind, Region};
use std::collections::BTreeSet;
use std::sync::Arc;

#[derive(Debug)]
pub struct Server {
    pub store: Store,
    /// Which of several nodes this is. None: there can be no other.
    pub node: Option<ThisNode>,
    pub root: Arc<RootOfTrust>,
    /// Whoever calls one is on a thread that may block, and in no transaction.
    pub devices: Arc<Devices>,
    /// The proxies that external key stores may name.
    pub proxies: Arc<Proxies>,
    pub audit: Arc<dyn AuditSink>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    /// The regions served; a request's credential scope chooses one.
    pub regions: BTreeSet<Region>,
    pub metrics: Metrics,
    pub quotas: Quotas,
    /// Wrong one-time codes and passwords.
    pub guesses: Guesses,
    /// Events that their commit made durable, until the log has them too.
    pub outbox: Outbox,
    /// See [`super::Call::compute`].
    pub heavy: Heavy,
    pub last_uses: LastUses,
    /// Who else may act for users.
    pub services: Services,
    /// What rotates secrets.
    pub functions: Functions,
    pub reattempts: Reattempts,
    /// Whose word is taken for web identities, and by which keys.
    pub issuers: Arc<Issuers>,
    /// Which certificates get which roles.
    pub machines: Machines,
    /// `https://…`, by which others know the deployment as an issuer of tokens.
    pub public_url: Option<String>,
}

impl Server {
    /// The key of a row that is this node's own.
    pub(super) fn own_key<'a>(&'a self, id: &'a str) -> Vec<&'a str> {
        self.node.iter().map(ThisNode::id).chain([id]).collect()
    }

    /// Says that the caller has proved who it is: what GetAccessKeyLastUsed and GetRole tell. Of a
    /// role's sessions the role is noted; they have keys that nobody asks for.
    pub fn note_access(&self, caller: &Caller, service: &str, region: &Region) {
        let id = match &caller.principal.kind {
            PrincipalKind::AssumedRole { role_id, .. } => role_id,
            _ if caller.session.is_some() => return,
            _ => &caller.access_key_id,
        };
        // Nobody signed.
        if id.is_empty() {
            return;
        }
        let (at, region) = (self.clock.now(), region.clone());
        self.last_uses.access.note(id, Access { at, region, service: service.into() });
    }
}
