//! A secret whose values go to a secret of another account, or come from one. The two are secrets of
//! their own, each with its name, key and policies; what the primary has of values and labels, its
//! replica has. Either account ends it on its own side. (Secrets Manager user guide, "Replicate AWS
//! Secrets Manager secrets across accounts".)
use super::replication::Follower;
use super::{Edit, FoundSecret, Secret, SecretError};
use crate::authorize::{Authorized, Protected, Rule};
use crate::policy::{BoundPolicy, Kind, Policy};
use crate::store::Tx;
use crate::types::{Arn, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// The name of the policy that a replica has besides its owner's: it lets the primary's account begin.
pub const MANAGED_POLICY: &str = "cross-account-replication";

/// What a secret is to one of another account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossAccount {
    pub side: Side,
    /// The secret of the other account.
    pub other: Arn,
    pub state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// Its values go there; by leave of this role of its own account, or else of whoever writes them.
    Primary { role: Option<Arn> },
    /// Its values come from there.
    Replica,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// The replica waits for its primary's account.
    Pending,
    InSync,
    /// Why the last values did not arrive.
    Failed(String),
    /// The other account has ended it.
    Detached,
}

impl State {
    /// `ReplicationStatus`
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InSync => "InSync",
            Self::Failed(_) => "Failed",
            Self::Detached => "Detached",
        }
    }

    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Failed(text) => Some(text),
            Self::Pending | Self::InSync | Self::Detached => None,
        }
    }
}

impl CrossAccount {
    /// Of a secret that is made to be the replica of `primary`.
    pub fn replica_of(primary: Arn) -> Self {
        Self { side: Side::Replica, other: primary, state: State::Pending }
    }
}

impl Secret {
    /// The primary in another account, of a replica.
    pub fn primary_elsewhere(&self) -> Option<&CrossAccount> {
        self.cross_account.as_ref().filter(|link| link.side == Side::Replica)
    }

    /// The replica in another account, of a primary, with the role by whose leave values go there.
    pub fn replica_elsewhere(&self) -> Option<(&CrossAccount, Option<&Arn>)> {
        let link = self.cross_account.as_ref()?;
        match &link.side {
            Side::Primary { role } => Some((link, role.as_ref())),
            Side::Replica => None,
        }
    }

    /// Refuses what only the primary of another account may change: values and their labels.
    pub fn has_own_values(&self) -> Result<(), SecretError> {
        match self.primary_elsewhere() {
            None => Ok(()),
            Some(_) => Err(SecretError::InvalidRequest(
                "You can't perform this operation on a cross-account replica secret. Its value \
                 changes with its primary secret.",
            )),
        }
    }

    /// Refuses to delete a secret before its account has ended what there is between it and another
    /// account's (the same guide, "Stop cross-account replication").
    pub(super) fn stands_alone(&self) -> Result<(), SecretError> {
        let text = match self.cross_account.as_ref().map(|link| &link.side) {
            None => return Ok(()),
            Some(Side::Primary { .. }) => {
                "You can't delete a secret that has a cross-account replica. Call \
                 DisassociateCrossAccountReplica first."
            }
            Some(Side::Replica) => {
                "You can't delete a cross-account replica secret. Call StopReplicationToReplica \
                 first."
            }
        };
        Err(SecretError::InvalidRequest(text))
    }

    /// The policy that lets the primary's account begin to replicate, as it is shown.
    pub fn managed_policy(&self) -> Option<String> {
        let link = self.primary_elsewhere()?;
        let root = format!("arn:aws:iam::{}:root", link.other.account());
        let statement = json!({
            "Sid": "AllowCrossAccountReplication",
            "Effect": "Allow",
            "Principal": {"AWS": root},
            "Action": "secretsmanager:AcceptCrossAccountReplication",
            "Resource": self.arn,
        });
        Some(json!({"Version": "2012-10-17", "Statement": [statement]}).to_string())
    }

    /// The secret at the other end, as long as it says the same of this one.
    pub async fn other_end(&self, tx: &mut Tx<'_>) -> Result<Option<Arc<Secret>>, SecretError> {
        let Some(link) = &self.cross_account else { return Ok(None) };
        let Some(other) = Secret::by_arn(tx, &link.other).await? else { return Ok(None) };
        let same = |back: &CrossAccount| {
            let opposite = (back.side == Side::Replica) != (link.side == Side::Replica);
            back.other == self.arn && opposite
        };
        Ok(Some(other).filter(|other| other.cross_account.as_ref().is_some_and(same)))
    }
}

impl Edit {
    /// Makes the secret another account's replica, or primary, or neither.
    pub fn set_cross_account(&mut self, link: Option<CrossAccount>) {
        if self.cross_account != link {
            self.change().cross_account = link;
        }
    }

    /// Notes how the replica is doing.
    pub fn set_cross_account_state(&mut self, state: State) {
        let link = self.cross_account.clone();
        self.set_cross_account(link.map(|link| CrossAccount { state, ..link }));
    }
}

impl Follower {
    /// Notes how it is doing.
    pub fn set_cross_account_state(&mut self, state: State) {
        let link = self.cross_account.clone();
        self.set_cross_account(link.map(|link| CrossAccount { state, ..link }));
    }
}

/// Tells the secret at the other end that this one has left. It keeps what it has.
pub(super) async fn leave(
    tx: &mut Tx<'_>,
    leaving: &Secret,
    now: Timestamp,
) -> Result<(), SecretError> {
    let Some(other) = leaving.other_end(tx).await? else { return Ok(()) };
    let link = other.cross_account.clone();
    let cross_account = link.map(|link| CrossAccount { state: State::Detached, ..link });
    Secret { cross_account, changed: now, ..Secret::clone(&other) }.save(tx)?;
    Ok(())
}

impl Authorized<FoundSecret> {
    /// Ends it on this side.
    pub async fn end_cross_account(
        &self,
        tx: &mut Tx<'_>,
        now: Timestamp,
    ) -> Result<(), SecretError> {
        leave(tx, self, now).await?;
        Secret { cross_account: None, changed: now, ..Secret::clone(self) }.save(tx)?;
        Ok(())
    }
}

/// A replica as its managed policy sees it: what its primary's account asks to begin.
#[derive(Debug)]
pub struct Accepting {
    pub replica: FoundSecret,
    policy: Policy,
}

impl Accepting {
    pub fn new(replica: FoundSecret) -> Option<Self> {
        let policy = BoundPolicy::of_nobody(replica.managed_policy()?).compile(Kind::Resource);
        Some(Self { replica, policy })
    }
}

impl Protected for Accepting {
    fn arn(&self) -> &str {
        Protected::arn(&self.replica)
    }
    fn account(&self) -> &str {
        Protected::account(&self.replica)
    }
    fn rule(&self) -> Rule {
        Rule::Ordinary
    }
    fn policy(&self) -> Option<&Policy> {
        Some(&self.policy)
    }
    fn kind(&self) -> &'static str {
        Protected::kind(&self.replica)
    }
    fn describe(&self, conditions: &mut crate::authorize::Conditions) {
        self.replica.describe(conditions);
    }
}
