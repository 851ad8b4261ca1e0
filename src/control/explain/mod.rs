//! `claviger explain`: the path to a decision, of a request that could be made, of one that the audit
//! log holds, and of all that it holds if a policy were another.
mod event;
mod parameters;
mod report;
mod text;
mod what_if;

pub use event::EventReport;
pub use report::Report;
pub use what_if::{Attach, Changed, Grouped, Span, WhatIf};

pub(super) use event::of_event;

use super::ControlError;
use crate::authorize::{NamedPolicy, SessionFacts};
use crate::call::Server;
use crate::policy::{Kind, Policy};
use crate::simulate::{self, Context, Hypothetical, Sight, Target, caller_named};
use crate::types::{PrincipalKind, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A request that somebody could make.
#[derive(Debug, Serialize, Deserialize)]
pub struct Question {
    /// The ARN of a user, role, session, group or root.
    pub principal: String,
    pub action: String,
    /// An ARN, or `*`.
    pub resource: String,
    pub context: Context,
    /// The text of a session policy.
    pub session_policy: Option<String>,
}

impl Question {
    pub(super) async fn answer(self, server: &Server) -> Result<Report, ControlError> {
        let now = server.clock.now();
        let mut tx = server.store.begin();
        let mut notes = Vec::new();
        let found = caller_named(&mut tx, &self.principal).await?;
        let unknown = || refused(format!("{} is not the ARN of anybody here", self.principal));
        let mut caller = found.ok_or_else(unknown)?;
        if !self.action.contains(':') {
            let text = format!("{} is no action: one is written kms:Decrypt", self.action);
            return Err(ControlError::Refused(text));
        }
        if let PrincipalKind::AssumedRole { role, .. } = &caller.principal.kind
            && *role == caller.principal.arn
        {
            notes.push("A role is asked for by its sessions: this is any session of it.".into());
        }
        if let Some(text) = &self.session_policy {
            let policy = checked("the session policy", text, Kind::Identity)?;
            let policy = NamedPolicy { name: "session policy".into(), policy };
            caller.session = Some(Arc::new(session(now, None, Some(vec![policy]))));
        }
        let asker = &caller.principal.account;
        let target =
            Target::load(&mut tx, asker, Sight::Everything, &self.action, &self.resource).await?;
        let no_arn = || refused(format!("{} is neither an ARN nor *", self.resource));
        let target = target.ok_or_else(no_arn)?;
        if matches!(target, Target::Named(_)) {
            notes.push(format!("{} is not here: it is taken to have no policy.", self.resource));
        }
        let (action, context) = (self.action, self.context);
        let asked =
            Hypothetical { caller, action, target, resource_policy: None, context, now: Some(now) };
        let answer = simulate::explain(&mut tx, &asked).await?;
        Ok(Report::of(&asked, answer, notes))
    }
}

fn refused(text: String) -> ControlError {
    ControlError::Refused(text)
}

/// A policy that the operator gives.
fn checked(what: &str, text: &str, kind: Kind) -> Result<Arc<Policy>, ControlError> {
    let policy = Policy::parse(text, kind);
    policy.map(Arc::new).map_err(|error| refused(format!("{what} cannot be read: {error}")))
}

/// What is known of a session whose token is not at hand.
fn session(
    issued: Timestamp,
    mfa: Option<Timestamp>,
    policies: Option<Vec<NamedPolicy>>,
) -> SessionFacts {
    SessionFacts {
        policies,
        issued,
        expires: Timestamp::MAX,
        mfa,
        source_identity: None,
        transitive: BTreeSet::new(),
        provider: None,
        issuer_key: None,
        chained: false,
        door: None,
    }
}
