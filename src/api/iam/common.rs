//! What the IAM operations share.
use super::Error;
use crate::authorize::{Authorized, Conditions, Resource};
use crate::call::Call;
use crate::identity::User;
use crate::types::{Arn, Tags, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const MAX_TAGS: usize = 50;
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

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    pub key: String,
    pub value: String,
}

impl From<&User> for UserEntry {
    fn from(user: &User) -> Self {
        let tags = user.tags.0.iter();
        let tags: Vec<Tag> =
            tags.map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect();
        Self {
            path: user.path.clone(),
            user_name: user.name.clone(),
            user_id: user.id.clone(),
            arn: user.arn.clone(),
            create_date: user.created.whole_secs(),
            password_last_used: None,
            permissions_boundary: None,
            tags: (!tags.is_empty()).then_some(tags),
        }
    }
}

impl UserEntry {
    /// As ListUsers shows it: without tags.
    pub fn without_tags(self) -> Self {
        Self { tags: None, ..self }
    }
}

impl Tag {
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

/// The user of this name in the caller's account, if the caller may do `action` with it. Without a
/// name, the caller itself is meant.
pub(super) async fn authorized_user(
    call: &mut Call<'_>,
    name: Option<&str>,
    action: &'static str,
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
    let allowed = call
        .authorize(action, resource, Conditions::default())
        // Somebody else's path is not for everybody; the caller knows its own.
        .map_err(|denied| if asked_by_name { denied.of(named.as_str()) } else { denied })?;
    Ok((found?, allowed))
}

/// Permission to list users, which names all of them.
pub(super) fn authorize_all_users(call: &mut Call<'_>, action: &'static str) -> Result<(), Error> {
    let arn = Arn::new("iam", "", call.account().as_str(), "user/");
    let resource = Resource::user(arn, Tags::default());
    call.authorize(action, resource, Conditions::default())?;
    Ok(())
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
