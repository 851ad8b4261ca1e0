//! Going through an account's users, groups, roles and policies in one list, a page at a time.
use super::Error;
use super::common::bad_marker;
use crate::call::Call;
use crate::identity::{Entity, Group, ManagedPolicy, Role, User, aws_managed};
use crate::store::Page;
use std::sync::Arc;

/// How many records one call reads at most, whatever it is looking for: the store is everybody's. The
/// page then ends early, as AWS's do too.
const MOST_READ: usize = 2000;
const AT_ONCE: usize = 50;
/// How many bytes of policies a page holds at most, unless its first item alone has more.
const MOST_TEXT: usize = 4 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Users,
    Groups,
    Roles,
    Policies,
    AwsPolicies,
}

pub(super) const STAGES: [(Stage, &str); 5] = [
    (Stage::Users, "User"),
    (Stage::Groups, "Group"),
    (Stage::Roles, "Role"),
    (Stage::Policies, "LocalManagedPolicy"),
    (Stage::AwsPolicies, "AWSManagedPolicy"),
];

impl Stage {
    fn name(self) -> &'static str {
        STAGES.iter().find(|(stage, _)| *stage == self).map_or("", |(_, name)| name)
    }
}

#[derive(Debug)]
pub(super) enum Item {
    Entity(Entity),
    Policy(Arc<ManagedPolicy>),
}

impl Item {
    /// How many bytes its policies have.
    fn text(&self) -> usize {
        match self {
            Self::Entity(entity) => {
                let trust = match entity {
                    Entity::Role(role) => role.trust.text().len(),
                    Entity::User(_) | Entity::Group(_) => 0,
                };
                entity.policies().inline.values().map(String::len).sum::<usize>() + trust
            }
            Self::Policy(policy) => policy.versions.values().map(|v| v.text.len()).sum(),
        }
    }
}

/// A page of what is `wanted`, and the marker for the next one. `list` names the request.
pub(super) async fn walk(
    call: &Call<'_>,
    list: &str,
    stages: &[Stage],
    (marker, size): (Option<&str>, usize),
    wanted: impl Fn(&Item) -> bool,
) -> Result<(Vec<Item>, Option<String>), Error> {
    let resumed = call.resume(list, marker).ok_or_else(bad_marker)?;
    let (from, mut after) = match resumed.as_deref().and_then(|at| at.split_once(' ')) {
        Some((stage, name)) => (Some(stage), Some(name.to_owned())),
        None => (None, None),
    };
    let (mut found, mut read, mut last) = (Vec::new(), 0_usize, String::new());
    let mut text = 0_usize;
    let begun = STAGES.iter().skip_while(|(_, name)| from.is_some_and(|from| from != *name));
    for stage in begun.map(|(stage, _)| *stage).filter(|stage| stages.contains(stage)) {
        loop {
            let page = page(call, stage, after.as_deref()).await?;
            for (name, item) in page.records {
                let kept = wanted(&item);
                text += if kept { item.text() } else { 0 };
                let full = found.len() == size || (text > MOST_TEXT && !found.is_empty());
                if (kept && full) || read == MOST_READ {
                    return Ok((found, Some(call.marker_after(list, &last))));
                }
                read += 1;
                if kept {
                    found.push(item);
                }
                last = format!("{} {name}", stage.name());
                after = Some(name);
            }
            if !page.more {
                break;
            }
        }
        after = None;
    }
    Ok((found, None))
}

struct Items {
    records: Vec<(String, Item)>,
    more: bool,
}

async fn page(call: &Call<'_>, stage: Stage, after: Option<&str>) -> Result<Items, Error> {
    let (tx, account) = (&call.tx, call.account());
    Ok(match stage {
        Stage::Users => items(User::list(tx, account, after, AT_ONCE).await?, |user| {
            Item::Entity(Entity::User(user))
        }),
        Stage::Groups => items(Group::list(tx, account, after, AT_ONCE).await?, |group| {
            Item::Entity(Entity::Group(group))
        }),
        Stage::Roles => items(Role::list(tx, account, after, AT_ONCE).await?, |role| {
            Item::Entity(Entity::Role(role))
        }),
        Stage::Policies => {
            items(ManagedPolicy::list(tx, account, after, AT_ONCE).await?, Item::Policy)
        }
        Stage::AwsPolicies => {
            let all = aws_managed::all().map(|policy| (policy.name.clone(), policy.clone()));
            let rest = all.filter(|(name, _)| after.is_none_or(|after| name.as_str() > after));
            let mut records: Vec<_> = rest.map(|(name, p)| (name, Item::Policy(p))).collect();
            records.sort_by(|(one, _), (other, _)| one.cmp(other));
            Items { records, more: false }
        }
    })
}

fn items<R>(page: Page<R>, item: impl Fn(Arc<R>) -> Item) -> Items {
    let records = page.records.into_iter().map(|(name, record)| (name, item(record))).collect();
    Items { records, more: page.more }
}
