use super::common::{authorized_secret, save};
use super::cross_account::{SERVICE, acting, follow, parse_other};
use super::cross_account_keys::try_replica_key;
use super::{Error, SecretsManager};
use crate::authorize::{AccessDenied, Authorized, Conditions, Resource};
use crate::call::{Call, Operation, Service, Via};
use crate::identity::Role;
use crate::secrets::{
    self, Accepting, CURRENT, CrossAccount, CrossAccountState, FoundSecret, Missing, Secret, Side,
};
use crate::types::{Arn, Tags};
use serde::{Deserialize, Serialize};
use serde_json::json;

const ACCEPT: &str = "secretsmanager:AcceptCrossAccountReplication";

/// Begins to send a secret's values to a secret of another account, which was made for that. Called
/// again for the same two, it repairs what is between them.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssociateCrossAccountReplica {
    secret_id: String,
    #[serde(rename = "CrossAccountReplicaARN")]
    cross_account_replica_arn: String,
    replica_restriction: Option<String>,
    #[serde(rename = "ReplicationRoleARN")]
    replication_role_arn: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AssociateCrossAccountReplicaResponse {
    #[serde(rename = "ARN", skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(rename = "CrossAccountReplicaARN", skip_serializing_if = "Option::is_none")]
    cross_account_replica_arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replication_status: Option<String>,
}

impl Operation for AssociateCrossAccountReplica {
    type Service = SecretsManager;
    type Response = AssociateCrossAccountReplicaResponse;
    const NAME: &'static str = "AssociateCrossAccountReplica";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] =
        &["SecretId", "CrossAccountReplicaARN", "ReplicaRestriction", "ReplicationRoleARN"];
    const ANSWER_RECORDED: &'static [&'static str] =
        &["ARN", "CrossAccountReplicaARN", "ReplicationStatus"];

    async fn execute(
        self,
        call: &mut Call<'_>,
    ) -> Result<AssociateCrossAccountReplicaResponse, Error> {
        let secret = self.authorized_primary(call).await?;
        secret.alive()?;
        secret.has_own_values()?;
        let mut secret = secret.edit()?;
        if self.replica_restriction.as_deref() == Some("SameOrg") {
            let text = "The replica's account belongs to no organization of yours.";
            return Err(Error::InvalidRequest(text));
        }
        let other = parse_other(call, "CrossAccountReplicaARN", &self.cross_account_replica_arn)?;
        if secret.replica_elsewhere().is_some_and(|(link, _)| link.other != other) {
            let text = "A primary secret can have at most one cross-account replica.";
            return Err(Error::LimitExceeded(text.into()));
        }
        let role = self.passed_role(call, &secret).await?;
        let replica = accepted(call, &secret, &other).await?;
        // All of it, or nothing: a refusal on the way leaves both as they were.
        let who = acting(call, &secret, role.as_ref()).await?;
        try_replica_key(call, who.as_ref(), &replica).await?;
        follow(call, &secret, &replica, role.as_ref()).await?;
        let state = CrossAccountState::InSync;
        let replication_status = Some(state.name().to_owned());
        let side = Side::Primary { role };
        secret.set_cross_account(Some(CrossAccount { side, other: other.clone(), state }));
        let secret = save(call, secret).await?;
        Ok(AssociateCrossAccountReplicaResponse {
            arn: Some(secret.arn.clone()),
            cross_account_replica_arn: Some(other),
            replication_status,
        })
    }
}

impl AssociateCrossAccountReplica {
    /// The caller's own secret, which the caller must also be allowed to read (API reference,
    /// AssociateCrossAccountReplica).
    async fn authorized_primary(
        &self,
        call: &mut Call<'_>,
    ) -> Result<Authorized<FoundSecret>, Error> {
        let action = "secretsmanager:AssociateCrossAccountReplica";
        let secret =
            authorized_secret(call, &self.secret_id, action, Conditions::default()).await?;
        if secret.account != *call.account() {
            let text =
                "You must call this operation from the account that owns the primary secret.";
            return Err(Error::InvalidRequest(text));
        }
        let mut conditions = Conditions::default();
        conditions.add("secretsmanager:versionstage", CURRENT);
        let action = "secretsmanager:GetSecretValue";
        authorized_secret(call, &self.secret_id, action, conditions).await
    }

    /// The role that is to replicate, which the caller must be allowed to hand to Secrets Manager.
    async fn passed_role(
        &self,
        call: &mut Call<'_>,
        secret: &Secret,
    ) -> Result<Option<Arn>, Error> {
        let Some(named) = &self.replication_role_arn else { return Ok(None) };
        let is_role = |arn: &Arn| {
            arn.service() == "iam"
                && arn.resource().starts_with("role/")
                && arn.account() == secret.account.as_str()
        };
        let arn = named.parse::<Arn>().ok().filter(is_role).ok_or_else(|| {
            let text = "ReplicationRoleARN must be a role of the primary secret's account.";
            Error::InvalidParameter(text.into())
        })?;
        let role = Role::by_arn(&mut call.tx, &arn).await?;
        let tags = role.map_or_else(Tags::default, |role| role.tags.clone());
        let mut conditions = Conditions::default();
        conditions.add("iam:passedtoservice", SERVICE);
        call.authorize("iam:PassRole", Resource::role(arn.clone(), tags), conditions)?;
        Ok(Some(arn))
    }
}

/// The replica, if the caller may begin with it: AWS's AcceptCrossAccountReplication. Its own policy and
/// the managed one are asked, and neither may deny. Whatever is wrong with it, a stranger learns that
/// there is no such replica to be had.
async fn accepted(call: &mut Call<'_>, primary: &Secret, arn: &Arn) -> Result<FoundSecret, Error> {
    let (account, region) = (call.account().clone(), call.region().clone());
    let found = secrets::find(&mut call.tx, &account, &region, arn.as_str()).await;
    let parameters = json!({ "secretId": arn, "primarySecretArn": primary.arn });
    let (source, principal) = (SecretsManager::SOURCE, call.principal());
    let accept = async |call: &mut Call<'_>| {
        let stranger = || -> Error {
            let what = format!("resource: {arn}");
            AccessDenied::unknown_resource(principal, ACCEPT, &what).into()
        };
        let found = match found {
            Ok(found) => found,
            Err(Missing::Failed(error)) => return Err(error),
            Err(Missing::Own(_) | Missing::Foreign) => return Err(stranger()),
        };
        let is_ours = |link: &CrossAccount| link.other == primary.arn;
        let accepting = Accepting::new(found.clone())
            .filter(|_| found.primary_elsewhere().is_some_and(is_ours))
            .ok_or_else(stranger)?;
        let known = Conditions::default();
        match call.authorize(ACCEPT, found.clone(), known.clone()) {
            Ok(_) => {}
            Err(denied) if denied.is_explicit() => return Err(stranger()),
            Err(_) => drop(call.authorize(ACCEPT, accepting, known).map_err(|_| stranger())?),
        }
        call.leave_unexplained();
        found.alive()?;
        Ok(found)
    };
    call.on_behalf(Via::SecretsManager, "AcceptCrossAccountReplication", source, parameters, accept)
        .await
}
