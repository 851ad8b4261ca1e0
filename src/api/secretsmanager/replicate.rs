//! Keeping a secret's replicas as it is itself: with each change of it, in the same transaction and in
//! the caller's name. What a replica lacks is opened under the secret's key and sealed under the
//! replica's, with the caller's own permission on each of them.
use super::delete_secret::{DeleteSecret, DeleteSecretResponse};
use super::kms;
use super::shapes::{ReplicaRegion, ReplicationStatus};
use super::values::open_value;
use super::{Error, SecretsManager};
use crate::authorize::Conditions;
use crate::call::{Call, Service, service_event};
use crate::keys::SECRETS_MANAGER_ALIAS;
use crate::secrets::{
    Edit, Follower, FoundSecret, KIND, Replica, SealedValue, Secret, SecretValue, Standing,
};
use crate::types::{AccountId, Arn, Region, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is to be replicated where: the regions of a request, with the key in each.
#[derive(Debug, Default)]
pub(super) struct Wanted<'a> {
    pub regions: BTreeMap<&'a Region, Option<String>>,
    /// Whether a secret of the same name that is there already gives way.
    pub overwrite: bool,
}

impl<'a> Wanted<'a> {
    /// The members of a request for a secret of that account. A region is one that is served, other than the secret's, named once.
    pub fn parse(
        call: &Call<'a>,
        owner: &AccountId,
        regions: Vec<ReplicaRegion>,
        overwrite: Option<bool>,
    ) -> Result<Self, Error> {
        let invalid = || Error::InvalidParameter("Invalid replica region.".into());
        let mut wanted = Self { overwrite: overwrite == Some(true), ..Self::default() };
        for ReplicaRegion { region, kms_key_id } in regions {
            let region = region.as_deref().and_then(|name| call.served(name));
            let region = region.filter(|region| *region != call.region()).ok_or_else(invalid)?;
            let named = kms_key_id.filter(|named| !is_default_key(owner, region, named));
            if wanted.regions.insert(region, named).is_some() {
                return Err(invalid());
            }
        }
        Ok(wanted)
    }
}

/// Whether a region's key is named that a secret there is under anyway.
fn is_default_key(owner: &AccountId, region: &Region, named: &str) -> bool {
    let alias = Arn::new("kms", region.as_str(), owner.as_str(), SECRETS_MANAGER_ALIAS);
    ["", SECRETS_MANAGER_ALIAS, alias.as_str()].contains(&named)
}

/// Adds the condition keys of a request to replicate a secret (service authorization reference,
/// "Condition keys for AWS Secrets Manager").
pub(super) fn describe(
    conditions: &mut Conditions,
    regions: Option<&[ReplicaRegion]>,
    overwrite: Option<bool>,
) {
    if let Some(regions) = regions {
        let names = regions.iter().filter_map(|replica| replica.region.as_ref());
        conditions.add_all("secretsmanager:addreplicaregions", names);
    }
    if let Some(overwrite) = overwrite {
        let text = if overwrite { "true" } else { "false" };
        conditions.add("secretsmanager:forceoverwritereplicasecret", text);
    }
}

/// Brings every replica of a secret to where the secret is about to be. One that cannot follow is marked
/// as failed; the secret itself is written all the same.
pub(super) async fn bring_up_to_date<'a>(
    call: &mut Call<'a>,
    secret: &mut Edit,
    wanted: &Wanted<'a>,
) -> Result<(), Error> {
    let replicas: Vec<(Region, Replica)> =
        secret.replication.replicas().map(|(region, r)| (region.clone(), r.clone())).collect();
    let mut values = Values::default();
    for (region, replica) in replicas {
        let failure = match call.served(region.as_str()) {
            None => Some(format!("Replication failed: region {region} is not enabled.")),
            Some(there) => {
                let overwrite = wanted.overwrite && wanted.regions.contains_key(&region);
                match follow(call, secret, there, &replica, overwrite, &mut values).await {
                    Ok(()) => None,
                    Err(error) => Some(told(error, &region)?),
                }
            }
        };
        if let Some(text) = &failure {
            record(call, "ReplicationFailed", secret, &region, Some(text));
            take_metadata(call, secret, &region).await?;
        }
        secret.replicated(&region, failure);
    }
    Ok(())
}

/// Brings a replica that cannot follow what takes no key. A policy that is taken back holds nowhere.
async fn take_metadata(call: &mut Call<'_>, secret: &Edit, region: &Region) -> Result<(), Error> {
    let Some(stored) = secret.replica(&mut call.tx, region).await? else { return Ok(()) };
    let mut follower = Follower::of(secret, &stored);
    follower.take_metadata(secret);
    let now = call.now;
    follower.save(&mut call.tx, now)?;
    Ok(())
}

/// What is told of a failure, to whoever may look at the secret later on: nothing of the key or of what
/// there is in the other region. What is no fault of the caller's ends the call instead.
fn told(error: Error, region: &Region) -> Result<String, Error> {
    Ok(match error {
        Error::KmsDenied => format!(
            "Replication failed: Access to KMS is not allowed for replicating to region {region}."
        ),
        Error::Encryption(_) => format!(
            "Replication failed: Secrets Manager can't encrypt the secret value in region {region}."
        ),
        Error::Decryption(_) => {
            "Replication failed: Secrets Manager can't decrypt the secret value.".into()
        }
        Error::Exists(text) => text,
        other => return Err(other),
    })
}

/// Logs what became of the replica of a secret, in its region.
fn record(call: &mut Call<'_>, name: &str, secret: &Secret, there: &Region, error: Option<&str>) {
    let (source, replica) = (SecretsManager::SOURCE, secret.arn_in(there));
    let resource = (KIND, &replica);
    let mut event = service_event(call.server, source, name, &secret.account, there, resource);
    event.error_message = error.map(str::to_owned);
    call.record_event(event);
}

/// The values that replicas lacked, opened once for all of them.
#[derive(Default)]
struct Values(BTreeMap<String, SecretValue>);

impl Values {
    async fn get(
        &mut self,
        call: &mut Call<'_>,
        secret: &Secret,
        id: &str,
    ) -> Result<&SecretValue, Error> {
        if !self.0.contains_key(id) {
            let value = open_value(call, secret, id).await?;
            self.0.insert(id.to_owned(), value);
        }
        self.0.get(id).ok_or(Error::Decryption(None))
    }
}

/// Brings one replica along. Nothing is written if that fails.
async fn follow<'a>(
    call: &mut Call<'a>,
    secret: &Edit,
    there: &'a Region,
    replica: &Replica,
    overwrite: bool,
    values: &mut Values,
) -> Result<(), Error> {
    let now = call.now;
    let (mut follower, in_the_way) = match secret.replica_in(&mut call.tx, there, now).await? {
        Standing::Ours(follower) => (follower, None),
        Standing::Taken(other) if overwrite => {
            (Box::new(Follower::new(secret, there, now)), Some(other))
        }
        Standing::Taken(other) => return Err(taken(call, there, other)),
    };
    follower.set_kms_key_id(replica.kms_key_id.clone());
    let mut sealed = BTreeMap::new();
    for (id, created) in follower.lacks(secret) {
        let value = values.get(call, secret, &id).await?;
        let follower = &follower;
        let seal = async |call: &mut Call<'_>| seal(call, follower, &id, value, created).await;
        let value = call.within(there, seal).await?;
        sealed.insert(id, value);
    }
    // What is in the way goes when all is there that takes its place.
    if let Some(other) = in_the_way {
        destroy(call, there, other).await?;
    }
    follower.take_metadata(secret);
    follower.take_versions(&mut call.tx, secret, sealed)?;
    if follower.save(&mut call.tx, now)?.is_some() {
        record(call, "ReplicationSucceeded", secret, there, None);
    }
    Ok(())
}

/// The name belongs to another secret. Whoever may not look at that one does not learn of it.
fn taken(call: &Call<'_>, there: &Region, other: Arc<Secret>) -> Error {
    let name = other.name.clone();
    let action = "secretsmanager:DescribeSecret";
    let known = call.could(action, there, FoundSecret(other), Conditions::default());
    Error::Exists(if known {
        format!("Replication failed: Secret name {name} already exists in region {there}.")
    } else {
        format!("Replication failed: The replica can't be created in region {there}.")
    })
}

/// Makes room for a replica, as the caller's own DeleteSecret there. AWS asks for no permission on what
/// is overwritten; here nobody destroys that way what they could not delete.
async fn destroy<'a>(
    call: &mut Call<'a>,
    there: &'a Region,
    other: Arc<Secret>,
) -> Result<(), Error> {
    let request = DeleteSecret {
        secret_id: other.arn.to_string(),
        recovery_window_in_days: None,
        force_delete_without_recovery: Some(true),
    };
    let found = FoundSecret(other.clone());
    let delete = async |call: &mut Call<'_>| {
        let mut conditions = Conditions::default();
        conditions.add("secretsmanager:forcedeletewithoutrecovery", "true");
        let allowed = call.authorize("secretsmanager:DeleteSecret", found, conditions)?;
        allowed.delete_now(&mut call.tx).await?;
        Ok(DeleteSecretResponse::of(&allowed, call.now))
    };
    match call.in_region(there, &request, delete).await {
        Ok(_) => Ok(()),
        Err(Error::AccessDenied(_) | Error::InvalidParameter(_) | Error::InvalidRequest(_)) => {
            Err(taken(call, there, other))
        }
        Err(error) => Err(error),
    }
}

/// Seals a value for a replica, in its region and under its key.
async fn seal(
    call: &mut Call<'_>,
    replica: &Secret,
    version_id: &str,
    value: &SecretValue,
    created: Timestamp,
) -> Result<SealedValue, Error> {
    let named = replica.kms_key_id.as_deref();
    let made = kms::data_key(call, &replica.arn, named, version_id).await?;
    let random = call.random();
    let wrapped = (made.wrapped, made.key);
    Ok(SealedValue::seal(value, &replica.arn, version_id, &made.open, wrapped, &*random, created))
}

/// Logs that a replica was destroyed.
pub(super) fn record_removal(call: &mut Call<'_>, replica: &Secret) {
    record(call, "EndSecretVersionDelete", replica, &replica.region, None);
}

/// How a secret's replicas are doing, and when each was last read. None if it has no replicas.
pub(super) async fn statuses(
    call: &mut Call<'_>,
    secret: &Secret,
) -> Result<Option<Vec<ReplicationStatus>>, Error> {
    let Some(mut statuses) = ReplicationStatus::list(&secret.replication) else { return Ok(None) };
    for (status, (region, _)) in statuses.iter_mut().zip(secret.replication.replicas()) {
        let stored = secret.replica(&mut call.tx, region).await?;
        status.last_accessed_date = stored.and_then(|stored| stored.accessed);
    }
    Ok(Some(statuses))
}
