//! What was decided, and why: for the sentence the caller reads, the simulator and the audit record.

use super::principal::How;
use std::fmt;

/// The outcome, or what a single policy contributed to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Allow,
    /// A statement, or a policy that cannot be read, says no. Nothing overrides that.
    ExplicitDeny,
    /// Nothing says yes where something must.
    ImplicitDeny,
}

/// What kind of policy spoke, or was missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    Identity,
    Resource,
    Boundary,
    Session,
    ServiceControl,
    ResourceControl,
    Endpoint,
    /// A KMS grant, which only ever allows.
    Grant,
    /// No policy: the account's root user may do everything its account may.
    AccountRoot,
}

impl PolicyKind {
    /// Whether such policies are attached to their subject and so name no principals.
    pub(super) fn is_attached(self) -> bool {
        use PolicyKind::{Boundary, Identity, ServiceControl, Session};
        matches!(self, Identity | Boundary | Session | ServiceControl)
    }

    /// AWS's name for it in denials (IAM User Guide, "Troubleshoot access denied error messages").
    pub fn name(self) -> &'static str {
        match self {
            PolicyKind::Identity => "identity-based policy",
            PolicyKind::Resource => "resource-based policy",
            PolicyKind::Boundary => "permissions boundary",
            PolicyKind::Session => "session policy",
            PolicyKind::ServiceControl => "service control policy",
            PolicyKind::ResourceControl => "resource control policy",
            PolicyKind::Endpoint => "VPC endpoint policy",
            PolicyKind::Grant => "grant",
            PolicyKind::AccountRoot => "account root",
        }
    }
}

/// One policy's part in a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    pub effect: Effect,
    pub kind: PolicyKind,
    /// The policy's name; empty when a policy is missing.
    pub policy: String,
    /// The statement's index from zero; none when no statement spoke.
    pub statement: Option<usize>,
    pub sid: Option<String>,
    /// How the statement came to speak of the caller.
    pub how: Option<How>,
    /// The statement as it was written, if it denied. Not for the caller's eyes.
    pub written: Option<Box<str>>,
    /// What a policy that cannot be read suffers from. Not for the caller's eyes.
    pub defect: Option<String>,
}

impl Reason {
    pub(super) fn missing(kind: PolicyKind) -> Reason {
        Reason { effect: Effect::ImplicitDeny, ..Reason::allow(kind, "", None) }
    }

    pub(super) fn allow(kind: PolicyKind, policy: &str, how: Option<How>) -> Reason {
        Reason {
            effect: Effect::Allow,
            kind,
            policy: policy.to_owned(),
            statement: None,
            sid: None,
            how,
            written: None,
            defect: None,
        }
    }
}

/// `Allow by identity-based policy "admin", statement 0 (Sid)`.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.effect == Effect::ImplicitDeny {
            return write!(f, "no {} allows it", self.kind.name());
        }
        let verb = if self.effect == Effect::Allow { "allowed" } else { "denied" };
        write!(f, "{verb} by {}", self.kind.name())?;
        if !self.policy.is_empty() {
            write!(f, " {:?}", self.policy)?;
        }
        match (self.statement, &self.sid, &self.defect) {
            (_, _, Some(defect)) => write!(f, ", which cannot be read: {defect}"),
            (Some(index), Some(sid), _) => write!(f, ", statement {index} ({sid})"),
            (Some(index), None, _) => write!(f, ", statement {index}"),
            (None, ..) => Ok(()),
        }
    }
}

/// Whether a request is allowed, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub effect: Effect,
    /// On Allow, every allow that was needed. On a denial, the one thing that denied.
    pub reasons: Vec<Reason>,
}

impl Decision {
    pub(super) fn denied(reason: Reason) -> Decision {
        Decision { effect: reason.effect, reasons: vec![reason] }
    }

    pub fn is_allowed(&self) -> bool {
        self.effect == Effect::Allow
    }

    /// The end of AWS's AccessDenied sentence: "… on resource: ARN" + " " + this. Empty when allowed.
    pub fn because(&self, action: &str) -> String {
        let Some(reason) = self.reasons.iter().find(|reason| reason.effect != Effect::Allow) else {
            return String::new();
        };
        let name = reason.kind.name();
        if reason.effect == Effect::ImplicitDeny {
            return format!("because no {name} allows the {action} action");
        }
        let article = if reason.kind == PolicyKind::Identity { "an" } else { "a" };
        format!("with an explicit deny in {article} {name}")
    }
}
