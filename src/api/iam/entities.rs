//! What the operations on policies of users, groups and roles share: they differ in whose they are.
use super::Error;
use super::common::{
    authorized_group, authorized_role, authorized_user_if, bad_marker, page_of, page_size,
    url_encoded,
};
use crate::authorize::{Authorized, Conditions, Resource};
use crate::call::{Call, Empty};
use crate::identity::{Attachments, Entity, EntityKind};
use serde::{Deserialize, Serialize};

/// A managed policy as the lists of attached ones show it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AttachedEntry {
    policy_name: String,
    policy_arn: String,
}

impl AttachedEntry {
    pub fn of(arn: &str) -> Self {
        let name = arn.rsplit('/').next().unwrap_or_default();
        Self { policy_name: name.to_owned(), policy_arn: arn.to_owned() }
    }

    pub fn all(policies: &Attachments) -> Vec<Self> {
        policies.attached.iter().map(|arn| Self::of(arn)).collect()
    }
}

/// Part of a list, and where to go on.
pub(super) struct Part<T> {
    pub entries: Vec<T>,
    pub marker: Option<String>,
}

/// The user, group or role of this name, if the caller may do `action` with it.
pub(super) async fn authorized_entity(
    call: &mut Call<'_>,
    (kind, name): (EntityKind, &str),
    action: &'static str,
    conditions: Conditions,
) -> Result<(Entity, Authorized<Resource>), Error> {
    Ok(match kind {
        EntityKind::User => {
            let (user, allowed) = authorized_user_if(call, Some(name), action, conditions).await?;
            (Entity::User(user), allowed)
        }
        EntityKind::Group => {
            let (group, allowed) = authorized_group(call, name, action, conditions).await?;
            (Entity::Group(group), allowed)
        }
        EntityKind::Role => {
            let (role, allowed) = authorized_role(call, name, action, conditions).await?;
            (Entity::Role(role), allowed)
        }
    })
}

fn naming(policy_arn: &str) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.add("iam:policyarn", policy_arn);
    conditions
}

pub(super) async fn attach(
    call: &mut Call<'_>,
    whom: (EntityKind, &str),
    policy_arn: &str,
    action: &'static str,
) -> Result<Empty, Error> {
    let (entity, allowed) = authorized_entity(call, whom, action, naming(policy_arn)).await?;
    entity.attach(&allowed, &mut call.tx, policy_arn).await?;
    Ok(Empty)
}

pub(super) async fn detach(
    call: &mut Call<'_>,
    whom: (EntityKind, &str),
    policy_arn: &str,
    action: &'static str,
) -> Result<Empty, Error> {
    let (entity, allowed) = authorized_entity(call, whom, action, naming(policy_arn)).await?;
    entity.detach(&allowed, &mut call.tx, policy_arn).await?;
    Ok(Empty)
}

pub(super) async fn put(
    call: &mut Call<'_>,
    whom: (EntityKind, &str),
    (name, text): (String, String),
    action: &'static str,
) -> Result<Empty, Error> {
    let (entity, allowed) = authorized_entity(call, whom, action, Conditions::default()).await?;
    entity.put(&allowed, &mut call.tx, name, text)?;
    Ok(Empty)
}

pub(super) async fn remove(
    call: &mut Call<'_>,
    whom: (EntityKind, &str),
    name: &str,
    action: &'static str,
) -> Result<Empty, Error> {
    let (entity, allowed) = authorized_entity(call, whom, action, Conditions::default()).await?;
    entity.remove(&allowed, &mut call.tx, name)?;
    Ok(Empty)
}

/// The name of whom it belongs to, as it was written, and the text.
pub(super) async fn read(
    call: &mut Call<'_>,
    whom: (EntityKind, &str),
    name: &str,
    action: &'static str,
) -> Result<(String, String), Error> {
    let (entity, _) = authorized_entity(call, whom, action, Conditions::default()).await?;
    let text = entity.policies().inline(entity.kind().word(), name)?;
    Ok((entity.name().to_owned(), url_encoded(text)))
}

/// The names of the policies written into it.
pub(super) async fn names(
    call: &mut Call<'_>,
    whom: (EntityKind, &str),
    (marker, max_items): (Option<&str>, Option<i64>),
    action: &'static str,
) -> Result<Part<String>, Error> {
    let (entity, _) = authorized_entity(call, whom, action, Conditions::default()).await?;
    let list = format!("{action} {}", entity.id());
    let after = call.resume(&list, marker).ok_or_else(bad_marker)?;
    let names = entity.policies().inline.keys().map(|name| (name.clone(), name.clone()));
    let (entries, last) = page_of(names, after.as_deref(), page_size(max_items));
    Ok(Part { entries, marker: last.map(|last| call.marker_after(&list, &last)) })
}

/// The managed policies attached to it whose paths begin with `prefix`.
pub(super) async fn attached(
    call: &mut Call<'_>,
    whom: (EntityKind, &str),
    prefix: Option<&str>,
    (marker, max_items): (Option<&str>, Option<i64>),
    action: &'static str,
) -> Result<Part<AttachedEntry>, Error> {
    let (entity, _) = authorized_entity(call, whom, action, Conditions::default()).await?;
    let prefix = prefix.unwrap_or("/");
    let list = format!("{action} {} {prefix}", entity.id());
    let after = call.resume(&list, marker).ok_or_else(bad_marker)?;
    let arns = entity.policies().attached.iter().filter(|arn| path_of(arn).starts_with(prefix));
    let entries = arns.map(|arn| (arn.clone(), AttachedEntry::of(arn)));
    let (entries, last) = page_of(entries, after.as_deref(), page_size(max_items));
    Ok(Part { entries, marker: last.map(|last| call.marker_after(&list, &last)) })
}

/// `/a/b/` of `arn:aws:iam::111122223333:policy/a/b/name`.
fn path_of(arn: &str) -> &str {
    let resource = arn.split_once(":policy").map_or("", |(_, resource)| resource);
    resource.rfind('/').and_then(|at| resource.get(..=at)).unwrap_or_default()
}
