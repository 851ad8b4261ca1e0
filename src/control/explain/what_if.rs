//! The recent past with another policy: whose answers would change.
use super::event::{Retelling, outcome, retell};
use super::report::Report;
use super::{ControlError, checked, refused};
use crate::audit::{self, AuditError, Event};
use crate::authorize::NamedPolicy;
use crate::call::Server;
use crate::control::Progress;
use crate::identity::{self, Account, BindError, Entity, EntityKind, IdentityError, User};
use crate::keys::KeyOfAccount;
use crate::policy::Kind;
use crate::simulate::{Hypothetical, Target};
use crate::store::Tx;
use crate::types::{AccountId, Arn, PrincipalKind, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Events that are read ahead of those that are evaluated.
const AHEAD: usize = 256;
const TELL_EVERY: u64 = 1000;
/// Event ids that a group names.
const NAMED: usize = 10;
/// Groups that an answer has. One who changes more than that asks about less.
const MOST_GROUPS: usize = 1000;
/// Accounts in which a name is looked for.
const MOST_ACCOUNTS: usize = 100_000;

/// What the events of a group have in common: now allowed or not, principal, action, resource.
type Like = (bool, String, String, String);

#[derive(Debug, Serialize, Deserialize)]
pub struct WhatIf {
    /// The policy's text.
    pub policy: String,
    pub attach_to: Attach,
    /// The name, or the ARN, of the policy whose place it takes.
    pub replace: Option<String>,
    pub span: Span,
}

/// What the policy would be attached to.
#[derive(Debug, Serialize, Deserialize)]
pub enum Attach {
    User(String),
    Role(String),
    Group(String),
    /// As its key policy.
    Key(String),
}

/// Which events are looked at.
#[derive(Debug, Serialize, Deserialize)]
pub enum Span {
    Last(u64),
    Since(Timestamp),
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Changed {
    pub examined: u64,
    pub evaluated: u64,
    /// How many would be answered otherwise.
    pub changed: u64,
    /// How many are decided otherwise already now than they were then: the policies are others, or
    /// the event does not hold what decided.
    pub unlike_then: u64,
    pub groups: Vec<Grouped>,
}

/// Events that are alike and would change alike.
#[derive(Debug, Serialize, Deserialize)]
pub struct Grouped {
    /// Allowed with the policies as they are, and so denied with the new one; or the reverse.
    pub now_allowed: bool,
    pub principal: String,
    pub action: String,
    pub resource: String,
    /// What would decide.
    pub because: String,
    pub count: u64,
    /// The first of them.
    pub events: Vec<String>,
}

/// The change, ready to be made to a hypothetical request.
struct Change {
    policy: NamedPolicy,
    to: Subject,
    /// The name of the policy whose place it takes.
    former: Option<String>,
}

enum Subject {
    User(Arn),
    Role(Arn),
    /// The ARNs of its members.
    Group(Vec<Arn>),
    Key(Arn),
}

impl Subject {
    /// Whether the policies of whoever this is are the caller's.
    fn is_behind(&self, caller: &PrincipalKind, arn: &Arn) -> bool {
        let user = match caller {
            PrincipalKind::User => Some(arn),
            PrincipalKind::FederatedUser { by, .. } => Some(by),
            _ => None,
        };
        match (self, caller) {
            (Self::User(named), _) => user == Some(named),
            (Self::Group(members), _) => user.is_some_and(|user| members.contains(user)),
            (Self::Role(named), PrincipalKind::AssumedRole { role, .. }) => role == named,
            _ => false,
        }
    }
}

impl Change {
    fn make(&self, asked: &mut Hypothetical) {
        if let (Subject::Key(arn), Target::Key(key)) = (&self.to, &asked.target) {
            if key.arn == *arn {
                asked.resource_policy = Some(self.policy.policy.clone());
            }
            return;
        }
        let caller = &mut asked.caller;
        if !self.to.is_behind(&caller.principal.kind, &caller.principal.arn) {
            return;
        }
        if let Some(name) = &self.former {
            let named = |policy: &NamedPolicy| policy.name == *name;
            // The caller's own come first, its groups' after them.
            let at = match self.to {
                Subject::Group(_) => caller.policies.iter().rposition(named),
                _ => caller.policies.iter().position(named),
            };
            if let Some(at) = at {
                caller.policies.remove(at);
            }
        }
        caller.policies.push(self.policy.clone());
    }
}

impl WhatIf {
    pub(in crate::control) async fn replay(
        self,
        server: &Server,
        log: &Path,
        progress: Progress<'_>,
    ) -> Result<Changed, ControlError> {
        let mut tx = server.store.begin();
        let change = self.change(&mut tx).await?;
        let mut events = read(log.to_owned(), self.span);
        let (mut result, mut groups) = (Changed::default(), BTreeMap::new());
        while let Some(event) = events.recv().await {
            let event = event?;
            result.examined += 1;
            if result.examined.is_multiple_of(TELL_EVERY) {
                progress(result.examined);
            }
            let mut tx = server.store.begin();
            let Retelling::Call(call) = retell(&mut tx, &server.services, &event).await? else {
                continue;
            };
            let Some((_, now)) = call.decide(&mut tx, &|_| {}).await? else { continue };
            let applied = |asked: &mut Hypothetical| change.make(asked);
            let Some((asked, then)) = call.decide(&mut tx, &applied).await? else { continue };
            result.evaluated += 1;
            result.unlike_then += u64::from(outcome(&event).is_some_and(|o| o != now.is_allowed()));
            if now.is_allowed() != then.is_allowed() {
                result.changed += 1;
                let report = Report::of(&asked, then, Vec::new());
                note(&mut groups, now.is_allowed(), report, event.event_id.into());
            }
        }
        result.groups = groups.into_values().collect();
        result.groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        Ok(result)
    }

    async fn change(&self, tx: &mut Tx<'_>) -> Result<Change, ControlError> {
        let (kind, named) = match &self.attach_to {
            Attach::Key(named) => return self.of_key(tx, named).await,
            Attach::User(named) => (EntityKind::User, named),
            Attach::Role(named) => (EntityKind::Role, named),
            Attach::Group(named) => (EntityKind::Group, named),
        };
        let policy = checked("the policy", &self.policy, Kind::Identity)?;
        let policy = NamedPolicy { name: "what if".into(), policy };
        let entity = entity(tx, kind, named).await?;
        let former = match &self.replace {
            None => None,
            Some(name) => Some(former(&entity, name)?),
        };
        let to = match &entity {
            Entity::User(user) => Subject::User(user.arn.clone()),
            Entity::Role(role) => Subject::Role(role.arn.clone()),
            Entity::Group(group) => {
                let mut members = Vec::new();
                for name in &group.members {
                    let user = User::load(tx, &group.account, name).await?;
                    members.extend(user.map(|user| user.arn.clone()));
                }
                Subject::Group(members)
            }
        };
        Ok(Change { policy, to, former })
    }

    async fn of_key(&self, tx: &mut Tx<'_>, named: &str) -> Result<Change, ControlError> {
        if self.replace.is_some() {
            return Err(refused("a key has one policy, which the new one replaces".into()));
        }
        let policy = checked("the policy", &self.policy, Kind::Resource)?;
        // As it would be stored: by the unique ids of those whom it names.
        let bound = identity::bind(tx, self.policy.clone(), &policy).await;
        let bound = bound.map_err(|error| match error {
            BindError::Store(error) => ControlError::Store(error),
            error @ BindError::Unknown(_) => refused(error.to_string()),
        })?;
        let policy = Arc::new(bound.compile(Kind::Resource));
        let policy = NamedPolicy { name: "what if".into(), policy };
        let to = Subject::Key(key(tx, named).await?);
        Ok(Change { policy, to, former: None })
    }
}

/// The name by which evaluation knows the policy that an operator means: its own, or of a managed one
/// the ARN.
fn former(entity: &Entity, name: &str) -> Result<String, ControlError> {
    let policies = entity.policies();
    let inline = policies.inline.keys().find(|inline| *inline == name);
    let is_meant = |arn: &&String| *arn == name || arn.rsplit('/').next() == Some(name);
    let found = inline.or_else(|| policies.attached.iter().find(is_meant)).cloned();
    let none = || refused(format!("{} has no policy {name}", entity.arn()));
    found.ok_or_else(none)
}

/// The one that a name or an ARN means. A name that two accounts use says too little.
async fn entity(tx: &mut Tx<'_>, kind: EntityKind, named: &str) -> Result<Entity, ControlError> {
    let word = kind.word();
    let unknown = || refused(format!("there is no {word} {named}"));
    let (accounts, name) = match named.parse::<Arn>() {
        Ok(arn) => {
            let account = arn.account().parse::<AccountId>().map_err(|_| unknown())?;
            (vec![account], arn.resource().rsplit('/').next().unwrap_or_default().to_owned())
        }
        Err(_) => {
            let all = Account::list(tx, None, MOST_ACCOUNTS).await?.records;
            (all.into_iter().map(|(_, account)| account.id.clone()).collect(), named.to_owned())
        }
    };
    let mut found = None;
    for account in accounts {
        let one = match kind.find(tx, &account, &name).await {
            Ok(one) => one,
            Err(IdentityError::NoSuchEntity(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        if named.starts_with("arn:") && one.arn().as_str() != named {
            continue;
        }
        if found.replace(one).is_some() {
            let text = format!("more than one account has a {word} {named}: give its ARN");
            return Err(refused(text));
        }
    }
    found.ok_or_else(unknown)
}

/// Read together, of all keys that there are.
const KEYS_PAGE: usize = 1000;

/// The ARN of the key that an ARN means, or an id, which is looked for in all regions.
async fn key(tx: &mut Tx<'_>, named: &str) -> Result<Arn, ControlError> {
    let arn = named.parse::<Arn>().ok();
    let id = named.rsplit('/').next().unwrap_or_default();
    let (mut found, mut after) = (None, Vec::<String>::new());
    loop {
        let from: Vec<&str> = after.iter().map(String::as_str).collect();
        let page = tx.list_deep::<KeyOfAccount>(&[], &from, KEYS_PAGE).await?;
        for (_, key) in &page.records {
            let is_meant = key.arn.resource().strip_prefix("key/") == Some(id)
                && arn.as_ref().is_none_or(|arn| *arn == key.arn);
            if is_meant && found.replace(key.arn.clone()).is_some() {
                let text = format!("the key {named} is in more than one region: give its ARN");
                return Err(refused(text));
            }
        }
        match page.records.into_iter().next_back() {
            Some((last, _)) if page.more => after = last,
            _ => break,
        }
    }
    found.ok_or_else(|| refused(format!("there is no key {named}")))
}

/// Adds an event to its like.
fn note(groups: &mut BTreeMap<Like, Grouped>, now_allowed: bool, then: Report, event: String) {
    let like = (now_allowed, then.principal.clone(), then.action.clone(), then.resource.clone());
    if groups.len() >= MOST_GROUPS && !groups.contains_key(&like) {
        return;
    }
    let group = groups.entry(like).or_insert_with(|| Grouped {
        now_allowed,
        because: then.because.join("; "),
        principal: then.principal,
        action: then.action,
        resource: then.resource,
        count: 0,
        events: Vec::new(),
    });
    group.count += 1;
    if group.events.len() < NAMED {
        group.events.push(event);
    }
}

/// Reads the log on a thread of its own, as files are read. It ends when nobody takes the events.
fn read(log: PathBuf, span: Span) -> mpsc::Receiver<Result<Event, AuditError>> {
    let (send, events) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = read_into(&log, &span, &send) {
            // Fails only when nobody takes it.
            let _ = send.blocking_send(Err(error));
        }
    });
    events
}

fn read_into(
    log: &Path,
    span: &Span,
    send: &mpsc::Sender<Result<Event, AuditError>>,
) -> Result<(), AuditError> {
    let (from, since) = match span {
        Span::Last(count) => {
            let last = audit::last_number(log)?.unwrap_or_default();
            (last.saturating_sub(*count).saturating_add(1), None)
        }
        Span::Since(moment) => (0, Some(*moment)),
    };
    for record in audit::read_from(log, from)? {
        let (_, json) = record?;
        let event: Event =
            serde_json::from_slice(&json).map_err(|e| AuditError::Encode(e.into()))?;
        let wanted = since.is_none_or(|since| event.event_time >= since);
        if wanted && send.blocking_send(Ok(event)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
