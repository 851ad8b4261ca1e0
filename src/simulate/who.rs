//! Who would ask: a principal by its ARN, with the policies that it has now.
use crate::authorize::Caller;
use crate::identity::{self, Actor, EntityKind, Group};
use crate::store::{StoreError, Tx};
use crate::types::{AccountId, Arn, Principal, PrincipalKind};

/// The user, role, session of a role, root or group of this ARN. A session here has no policies of its
/// own and no tags of its own: what those were only its token says. A group is nobody who could call;
/// it stands for a member that is in no other group and has no policies of its own.
pub async fn caller_named(tx: &mut Tx<'_>, arn: &str) -> Result<Option<Caller>, StoreError> {
    if let Some(group) = group_named(tx, arn).await? {
        return Ok(Some(group));
    }
    let Some(principal) = identity::principal_named(tx, arn).await? else { return Ok(None) };
    let account = principal.account.clone();
    let actor = match &principal.kind {
        PrincipalKind::Root => Actor::Root { account },
        PrincipalKind::User => {
            let name = principal.user_name.clone().unwrap_or_default();
            Actor::User { account, name, id: principal.unique_id.clone() }
        }
        PrincipalKind::AssumedRole { role_id, role_name, .. } => {
            let session = principal.unique_id.split_once(':').map(|(_, session)| session);
            Actor::Role {
                account,
                name: role_name.clone(),
                id: role_id.clone(),
                session_name: session.unwrap_or_default().to_owned(),
            }
        }
        // Nobody has an ARN of these that says who it is.
        PrincipalKind::FederatedUser { .. }
        | PrincipalKind::WebIdentity { .. }
        | PrincipalKind::Service { .. } => return Ok(None),
    };
    // A role by itself keeps its own ARN: no session of it is meant.
    Ok(actor.caller(tx).await?.map(|caller| Caller { principal, ..caller }))
}

async fn group_named(tx: &mut Tx<'_>, arn: &str) -> Result<Option<Caller>, StoreError> {
    let Ok(arn) = arn.parse::<Arn>() else { return Ok(None) };
    let Ok(account) = arn.account().parse::<AccountId>() else { return Ok(None) };
    let path = arn.resource().strip_prefix(EntityKind::Group.word());
    let Some(path) = path.filter(|path| path.starts_with('/') && arn.service() == "iam") else {
        return Ok(None);
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    let group = Group::load(tx, &account, name).await?.filter(|group| group.arn == arn);
    let Some(group) = group else { return Ok(None) };
    let mut caller = Caller::of(Principal {
        account,
        arn,
        unique_id: group.id.clone(),
        user_name: None,
        kind: PrincipalKind::User,
    });
    group.policies.collect(tx, &mut caller.policies).await?;
    Ok(Some(caller))
}
