//! What the IAM operations share.
use super::Error;
use crate::authorize::{Authorized, Conditions, Resource};
use crate::call::Call;
use crate::identity::{Group, Role, User};
use crate::types::{Arn, Tags, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const MAX_TAGS: usize = 50;
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What AWS pages by when the caller does not say.
const DEFAULT_PAGE: usize = 100;

/// The user as answers show it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UserEntry {
    path: String,
    user_name: String,
    user_id: String,
    arn: Arn,
    create_date: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_last_used: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions_boundary: Option<Boundary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Boundary {
    permissions_boundary_type: Option<String>,
    permissions_boundary_arn: Option<String>,
}

impl From<&str> for Boundary {
    fn from(arn: &str) -> Self {
        Self {
            // What AWS answers; its model has another word, which it has never sent.
            permissions_boundary_type: Some("Policy".into()),
            permissions_boundary_arn: Some(arn.to_owned()),
        }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    pub key: String,
    pub value: String,
}

impl From<&User> for UserEntry {
    fn from(user: &User) -> Self {
        Self {
            path: user.path.clone(),
            user_name: user.name.clone(),
            user_id: user.id.clone(),
            arn: user.arn.clone(),
            create_date: user.created.whole_secs(),
            password_last_used: user.password_last_used.map(Timestamp::whole_secs),
            permissions_boundary: user.boundary.as_deref().map(Boundary::from),
            tags: Tag::shown(&user.tags),
        }
    }
}

impl UserEntry {
    /// As lists show it: without tags and boundary.
    pub fn without_tags(self) -> Self {
        Self { tags: None, permissions_boundary: None, ..self }
    }
}

impl Tag {
    pub fn list(tags: &Tags) -> impl Iterator<Item = Self> {
        tags.0.iter().map(|(key, value)| Self { key: key.clone(), value: value.clone() })
    }

    /// As the description of an entity shows them: not at all if there are none.
    pub fn shown(tags: &Tags) -> Option<Vec<Self>> {
        (!tags.0.is_empty()).then(|| Self::list(tags).collect())
    }

    /// IAM compares tag names without regard to case.
    pub fn parse(tags: Option<Vec<Self>>) -> Result<Tags, Error> {
        let mut parsed = Tags::default();
        let mut seen = std::collections::BTreeSet::new();
        for tag in tags.unwrap_or_default() {
            if !seen.insert(tag.key.to_lowercase()) {
                let text =
                    "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
                return Err(Error::InvalidInput(text.into()));
            }
            if tag.key.to_ascii_lowercase().starts_with("aws:") {
                let text = "Tag keys beginning with aws: are reserved.";
                return Err(Error::InvalidInput(text.into()));
            }
            parsed.0.insert(tag.key, tag.value);
        }
        if parsed.0.len() > MAX_TAGS {
            let text = format!("The number of tags has reached the maximum limit of {MAX_TAGS}.");
            return Err(Error::LimitExceeded(text));
        }
        Ok(parsed)
    }
}

/// Adds tags to an entity's. One of the same name, whatever its case, gives way (IAM user guide,
/// "Rules for tagging in IAM").
pub(super) fn add_tags(all: &mut Tags, new: Tags) -> Result<(), Error> {
    remove_tags(all, new.0.keys());
    all.0.extend(new.0);
    if all.0.len() > MAX_TAGS {
        let text = format!("The number of tags has reached the maximum limit of {MAX_TAGS}.");
        return Err(Error::LimitExceeded(text));
    }
    Ok(())
}

/// Names that are not there are passed over.
pub(super) fn remove_tags<'k>(all: &mut Tags, names: impl Iterator<Item = &'k String>) {
    for name in names {
        let name = name.to_lowercase();
        all.0.retain(|other, _| other.to_lowercase() != name);
    }
}

/// The user of this name in the caller's account, if the caller may do `action` with it. Without a
/// name, the caller itself is meant.
pub(super) async fn authorized_user(
    call: &mut Call<'_>,
    name: Option<&str>,
    action: &'static str,
) -> Result<(Arc<User>, Authorized<Resource>), Error> {
    authorized_user_if(call, name, action, Conditions::default()).await
}

/// The same, with condition keys that the request adds.
pub(super) async fn authorized_user_if(
    call: &mut Call<'_>,
    name: Option<&str>,
    action: &'static str,
    mut conditions: Conditions,
) -> Result<(Arc<User>, Authorized<Resource>), Error> {
    let own = call.principal().user_name.clone();
    let asked_by_name = name.is_some();
    let name = name.map(str::to_owned).or(own).ok_or_else(|| {
        Error::Validation("Must specify userName when calling with non-User credentials".into())
    })?;
    let account = call.account().clone();
    // Permission first, on the ARN the name would have: whoever may not ask does not learn who exists.
    let found = User::find(&mut call.tx, &account, &name).await;
    let named = Arn::new("iam", "", account.as_str(), &format!("user/{name}"));
    let resource = match &found {
        Ok(user) => Resource::user(user.arn.clone(), user.tags.clone()),
        Err(_) => Resource::user(named.clone(), Tags::default()),
    };
    if let Ok(user) = &found {
        add_boundary(&mut conditions, action, user.boundary.as_deref());
        conditions.add_tag_spellings(&user.tags);
    }
    let allowed = call
        .authorize(action, resource, conditions)
        // Somebody else's path is not for everybody; the caller knows its own.
        .map_err(|denied| if asked_by_name { denied.of(named.as_str()) } else { denied })?;
    Ok((found?, allowed))
}

/// The role of this name in the caller's account, if the caller may do `action` with it.
pub(super) async fn authorized_role(
    call: &mut Call<'_>,
    name: &str,
    action: &'static str,
    mut conditions: Conditions,
) -> Result<(Arc<Role>, Authorized<Resource>), Error> {
    let account = call.account().clone();
    let found = Role::find(&mut call.tx, &account, name).await;
    let named = Arn::new("iam", "", account.as_str(), &format!("role/{name}"));
    let resource = match &found {
        Ok(role) => Resource::role(role.arn.clone(), role.tags.clone()),
        Err(_) => Resource::role(named.clone(), Tags::default()),
    };
    if let Ok(role) = &found {
        add_boundary(&mut conditions, action, role.boundary.as_deref());
        conditions.add_tag_spellings(&role.tags);
    }
    let allowed =
        call.authorize(action, resource, conditions).map_err(|denied| denied.of(named.as_str()))?;
    Ok((found?, allowed))
}

/// The group of this name in the caller's account, if the caller may do `action` with it.
pub(super) async fn authorized_group(
    call: &mut Call<'_>,
    name: &str,
    action: &'static str,
    conditions: Conditions,
) -> Result<(Arc<Group>, Authorized<Resource>), Error> {
    let account = call.account().clone();
    let found = Group::find(&mut call.tx, &account, name).await;
    let named = Arn::new("iam", "", account.as_str(), &format!("group/{name}"));
    let resource =
        Resource::group(found.as_ref().map_or_else(|_| named.clone(), |g| g.arn.clone()));
    let allowed =
        call.authorize(action, resource, conditions).map_err(|denied| denied.of(named.as_str()))?;
    Ok((found?, allowed))
}

/// The actions that have the key `iam:PermissionsBoundary` (service authorization reference).
const BOUNDED: &[&str] = &[
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DeleteUserPermissionsBoundary",
    "iam:DeleteUserPolicy",
    "iam:DetachRolePolicy",
    "iam:DetachUserPolicy",
    "iam:PutRolePolicy",
    "iam:PutUserPolicy",
];

/// `iam:PermissionsBoundary`: the boundary that the entity has.
fn add_boundary(conditions: &mut Conditions, action: &str, arn: Option<&str>) {
    if let Some(arn) = arn
        && BOUNDED.contains(&action)
    {
        conditions.add("iam:permissionsboundary", arn);
    }
}

/// Permission to list users, which names all of them.
pub(super) fn authorize_all_users(call: &mut Call<'_>, action: &'static str) -> Result<(), Error> {
    let arn = Arn::new("iam", "", call.account().as_str(), "user/");
    let resource = Resource::user(arn, Tags::default());
    call.authorize(action, resource, Conditions::default())?;
    Ok(())
}

/// Policy documents in answers are URL-encoded; RFC 3986's unreserved characters stay as they are.
pub(super) fn url_encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

pub(super) fn page_size(max_items: Option<i64>) -> usize {
    // The model holds it between 1 and 1000.
    max_items.and_then(|n| usize::try_from(n).ok()).unwrap_or(DEFAULT_PAGE)
}

/// Part of a short list that is at hand as a whole, and the name after which the next part begins.
pub(super) fn page_of<T: Clone>(
    all: impl Iterator<Item = (String, T)>,
    after: Option<&str>,
    size: usize,
) -> (Vec<T>, Option<String>) {
    let mut rest =
        all.filter(|(name, _)| after.is_none_or(|after| name.as_str() > after)).peekable();
    let (mut page, mut last) = (Vec::new(), None);
    while page.len() < size
        && let Some((name, item)) = rest.next()
    {
        page.push(item);
        last = Some(name);
    }
    (page, last.filter(|_| rest.peek().is_some()))
}

pub(super) fn bad_marker() -> Error {
    Error::Validation("Invalid Marker.".into())
}
