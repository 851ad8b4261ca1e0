//! Keeping the replica that a secret has in another account as the secret is: with each change of it,
//! in the same transaction. Values are opened under the one's key and sealed under the other's by leave
//! of whoever writes, or of the role that the association names. (Secrets Manager user guide, "How
//! Secrets Manager authorizes cross-account replication".)
use super::cross_account_keys::seal_under;
use super::kms::open_data_key;
use super::shapes::{CrossAccountPrimary, CrossAccountReplica};
use super::{Error, SecretsManager};
use crate::authorize::{Caller, Conditions};
use crate::call::{Call, Service, Via, service_event};
use crate::identity::{Actor, Assumable, Role};
use crate::secrets::{
    CrossAccount, CrossAccountState as State, DataKey, Edit, Follower, KIND, SealedValue, Secret,
    Version, name_in,
};
use crate::types::{Arn, Region};
use serde_json::json;
use std::collections::BTreeMap;

/// What a replication role's trust policy must name.
pub(super) const SERVICE: &str = SecretsManager::SOURCE;
const SESSION: &str = "secretsmanager-replication";
const NO_ROLE: &str = "Secrets Manager can't assume the replication role. Ensure that its trust policy \
                       allows secretsmanager.amazonaws.com to assume it.";

/// The ARN of a whole secret of another account in this region.
pub(super) fn parse_other(call: &Call<'_>, member: &str, named: &str) -> Result<Arn, Error> {
    let invalid = |rest: &str| Error::InvalidParameter(format!("{member} must be {rest}."));
    let arn: Arn = named.parse().map_err(|_| invalid("the ARN of a secret"))?;
    let here = Arn::new("secretsmanager", call.region().as_str(), arn.account(), arn.resource());
    if name_in(&arn).is_none() || arn != here {
        return Err(invalid("the complete ARN of a secret of the same Region"));
    }
    if arn.account() == call.account().as_str() {
        return Err(invalid("a secret of another account"));
    }
    Ok(arn)
}

/// A replica needs a key that another account can be let use.
pub(super) fn needs_key() -> Error {
    let text = "A cross-account replica secret must be encrypted with a customer managed KMS key.";
    Error::InvalidParameter(text.into())
}

/// What a secret becomes that is made to be the replica of a secret of another account. Whether there is
/// such a secret is not said. `plain`: nothing else is asked for, neither a value nor replicas of its own.
pub(super) fn new_replica(
    call: &Call<'_>,
    primary: &str,
    key: Option<&str>,
    plain: bool,
) -> Result<CrossAccount, Error> {
    let primary = parse_other(call, "CrossAccountPrimaryARN", primary)?;
    if key.is_none() {
        return Err(needs_key());
    }
    if !plain {
        let text = "A cross-account replica secret gets its value from its primary secret, and has \
                    no replica Regions.";
        return Err(Error::InvalidParameter(text.into()));
    }
    Ok(CrossAccount::replica_of(primary))
}

/// Brings the replica in another account to where the secret is about to be. If it cannot follow, both
/// say so; the secret itself is written all the same.
pub(super) async fn bring_up_to_date(call: &mut Call<'_>, secret: &mut Edit) -> Result<(), Error> {
    let Some((link, role)) = secret.replica_elsewhere() else { return Ok(()) };
    if link.state == State::Detached {
        return Ok(());
    }
    let role = role.cloned();
    let Some(replica) = secret.other_end(&mut call.tx).await? else {
        secret.set_cross_account_state(State::Detached);
        return Ok(());
    };
    let state = match follow(call, secret, &replica, role.as_ref()).await {
        Ok(()) => State::InSync,
        Err(error) => {
            let text = told(error)?;
            // It is no refusal of the call itself.
            call.leave_unexplained();
            record(call, "ReplicationFailed", &replica, Some(&text));
            let mut follower = Follower::of(secret, &replica);
            follower.set_cross_account_state(State::Failed(text.clone()));
            let now = call.now;
            follower.save(&mut call.tx, now)?;
            State::Failed(text)
        }
    };
    secret.set_cross_account_state(state);
    Ok(())
}

/// Gives the replica the versions and labels of the secret. Nothing is written if that fails.
pub(super) async fn follow(
    call: &mut Call<'_>,
    secret: &Edit,
    replica: &Secret,
    role: Option<&Arn>,
) -> Result<(), Error> {
    let mut follower = Follower::of(secret, replica);
    let lacking = follower.lacks(secret);
    let mut sealed = BTreeMap::new();
    if !lacking.is_empty() {
        let acting = acting(call, secret, role).await?;
        for (id, created) in lacking {
            let version = Version::load(&mut call.tx, secret, &id).await?;
            let wrapped = &version.data_key;
            let data_key = open_data_key(call, acting.as_ref(), &secret.arn, wrapped, &id).await?;
            let value = version.open(&secret.arn, &id, &data_key)?;
            let random = call.random();
            let new = DataKey::generate(&*random);
            let wrapped = seal_under(call, acting.as_ref(), replica, &id, &new).await?;
            let one =
                SealedValue::seal(&value, &replica.arn, &id, &new, wrapped, &*random, created);
            sealed.insert(id, one);
        }
    }
    follower.take_versions(&mut call.tx, secret, sealed)?;
    follower.set_cross_account_state(State::InSync);
    let now = call.now;
    if follower.save(&mut call.tx, now)?.is_some() {
        record(call, "ReplicationSucceeded", replica, None);
    }
    Ok(())
}

/// Whoever replicates: the role, once its trust policy has let Secrets Manager assume it; none, if it is
/// the caller.
pub(super) async fn acting(
    call: &mut Call<'_>,
    secret: &Secret,
    role: Option<&Arn>,
) -> Result<Option<Caller>, Error> {
    let Some(arn) = role else { return Ok(None) };
    let Some(role) = Role::by_arn(&mut call.tx, arn).await? else {
        return Err(Error::InvalidRequest(NO_ROLE));
    };
    let service = service(secret, call.region());
    let mut conditions = Conditions::default();
    conditions.add("sts:rolesessionname", SESSION);
    conditions.add("aws:sourceaccount", secret.account.as_str());
    conditions.add("aws:sourcearn", secret.arn.as_str());
    let parameters = json!({ "roleArn": arn, "roleSessionName": SESSION });
    let what = Assumable(role.clone());
    let assume = async |call: &mut Call<'_>| {
        call.authorize_as(&service, "sts:AssumeRole", what, conditions).map_err(Error::from)
    };
    let allowed = call
        .on_behalf(Via::SecretsManager, "AssumeRole", "sts.amazonaws.com", parameters, assume)
        .await;
    match allowed {
        Ok(_) => {}
        Err(Error::AccessDenied(_)) => return Err(Error::InvalidRequest(NO_ROLE)),
        Err(error) => return Err(error),
    }
    let actor = Actor::Role {
        account: role.account.clone(),
        name: role.name.clone(),
        id: role.id.clone(),
        session_name: SESSION.to_owned(),
    };
    let caller = actor.caller(&mut call.tx).await?;
    Ok(Some(caller.ok_or(Error::InvalidRequest(NO_ROLE))?))
}

/// Secrets Manager itself, for a secret of the account.
fn service(secret: &Secret, region: &Region) -> Caller {
    let account = secret.account.clone();
    let arn = Arn::new("secretsmanager", region.as_str(), account.as_str(), "service");
    Caller::service(SERVICE, arn, account)
}

/// What is told of a failure on both sides: nothing of the keys. What is no fault of those who may do
/// what ends the call instead.
fn told(error: Error) -> Result<String, Error> {
    Ok(match error {
        Error::KmsDenied => "Replication failed: Access to KMS is not allowed.".into(),
        Error::Encryption(_) => {
            "Replication failed: Secrets Manager can't encrypt the secret value.".into()
        }
        Error::Decryption(_) => {
            "Replication failed: Secrets Manager can't decrypt the secret value.".into()
        }
        Error::InvalidRequest(text) => format!("Replication failed: {text}"),
        other => return Err(other),
    })
}

/// Logs what became of the replica, in its account.
fn record(call: &mut Call<'_>, name: &str, replica: &Secret, error: Option<&str>) {
    let resource = (KIND, &replica.arn);
    let (account, region) = (&replica.account, &replica.region);
    let mut event = service_event(call.server, SERVICE, name, account, region, resource);
    event.error_message = error.map(str::to_owned);
    call.record_event(event);
}

/// What DescribeSecret shows of both ends.
pub(super) fn shown(
    secret: &Secret,
) -> (Option<CrossAccountPrimary>, Option<Vec<CrossAccountReplica>>) {
    let primary = secret.primary_elsewhere().map(|link: &CrossAccount| CrossAccountPrimary {
        primary_secret_arn: Some(link.other.to_string()),
        replication_status: Some(link.state.name().into()),
        status_message: link.state.message().map(str::to_owned),
    });
    let replica = secret.replica_elsewhere().map(|(link, role)| CrossAccountReplica {
        replica_secret_arn: Some(link.other.to_string()),
        replication_role_arn: role.map(Arn::to_string),
        replication_status: Some(link.state.name().into()),
        status_message: link.state.message().map(str::to_owned),
    });
    (primary, replica.map(|one| vec![one]))
}
