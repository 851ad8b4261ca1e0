//! What Secrets Manager should do, written as naively as possible from what AWS documents: lists and
//! loops, everything by name, no thought of speed.
use super::op::{Id, Of, Op};
use crate::support::token;
use crate::world::{ACCOUNT, REGION};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const DAY: i64 = 86_400;
/// Where an answer has an ARN that only the server knows.
pub const NEW_ARN: &str = "new";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Says(Value),
    /// The code, and the text where AWS's is known.
    Fails(&'static str, Option<String>),
}
use super::shown::written;
use Answer::{Fails, Says};

#[derive(Clone, Debug)]
pub struct Version {
    pub value: Option<Of>,
    pub labels: BTreeSet<String>,
    pub created: i64,
    pub accessed: Option<i64>,
}

#[derive(Clone, Debug)]
pub struct Secret {
    pub arn: String,
    pub name: String,
    pub description: Option<&'static str>,
    pub tags: BTreeMap<&'static str, &'static str>,
    pub created: i64,
    created_with: u16,
    pub changed: i64,
    pub accessed: Option<i64>,
    pub versions: BTreeMap<u16, Version>,
    /// When the recovery window ends.
    pub deletion: Option<i64>,
    pub rotation: Option<Rotation>,
    pub run: Option<Run>,
}

#[derive(Clone, Debug)]
pub struct Rotation {
    pub enabled: bool,
    pub last: Option<i64>,
}

/// A rotation that was asked for and is done when the scheduler looks.
#[derive(Clone, Debug)]
pub struct Run {
    pub token: u16,
    /// RotateImmediately was false.
    pub trial: bool,
}

#[derive(Debug)]
pub struct Reference {
    pub now: i64,
    pub secrets: BTreeMap<u8, Secret>,
    /// Every ARN that a name ever had, the present one last.
    arns: BTreeMap<u8, Vec<String>>,
    filled: u16,
    /// Rotations that are to be tried again.
    pub again: BTreeSet<u8>,
}

pub fn name_of(number: u8) -> String {
    format!("m{number}")
}

fn prefix(number: u8) -> String {
    format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:m{number}")
}

fn not_found() -> Answer {
    let text = "Secrets Manager can't find the specified secret.";
    Fails("ResourceNotFoundException", Some(text.into()))
}

pub fn function_arn() -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:turn")
}

fn no_version(what: String) -> Answer {
    let text = format!("Secrets Manager can't find the specified secret value for {what}");
    Fails("ResourceNotFoundException", Some(text))
}

fn scheduled() -> Answer {
    let text = "You can't perform this operation on the secret because it was marked for deletion.";
    Fails("InvalidRequestException", Some(text.into()))
}

fn invalid_parameter() -> Answer {
    Fails("InvalidParameterException", None)
}

pub fn day(now: i64) -> Option<i64> {
    Some(now - now % DAY)
}

impl Secret {
    pub fn holder(&self, label: &str) -> Option<u16> {
        self.versions.iter().find(|(_, v)| v.labels.contains(label)).map(|(token, _)| *token)
    }

    /// AWSCURRENT leaves AWSPREVIOUS where it was; every other label just moves.
    pub fn attach(&mut self, label: &str, to: u16) {
        let before = self.holder(label);
        for version in self.versions.values_mut() {
            version.labels.remove(label);
        }
        self.versions.get_mut(&to).unwrap().labels.insert(label.into());
        if label == "AWSCURRENT"
            && let Some(before) = before.filter(|before| *before != to)
        {
            self.attach("AWSPREVIOUS", before);
        }
    }

    /// Neither of those that the service moves.
    fn too_many_labels(&self) -> bool {
        let labels = self.versions.values().flat_map(|version| &version.labels);
        labels.filter(|label| !["AWSPENDING", "AWSPREVIOUS"].contains(&label.as_ref())).count() > 20
    }

    /// A new version, or what is wrong with it.
    pub fn add(
        &mut self,
        token: u16,
        value: Of,
        labels: Option<&'static [&'static str]>,
        now: i64,
    ) -> Result<(), Answer> {
        let mut next = self.clone();
        let labels = labels.unwrap_or(&["AWSCURRENT"]);
        let first = next.holder("AWSCURRENT").is_none();
        // A version that a rotation announced has its labels already.
        let kept = next.versions.remove(&token).map(|version| version.labels).unwrap_or_default();
        let version = Version { value: Some(value), labels: kept, created: now, accessed: None };
        next.versions.insert(token, version);
        for label in labels.iter().filter(|label| **label != "AWSCURRENT") {
            next.attach(label, token);
        }
        if first || labels.contains(&"AWSCURRENT") {
            next.attach("AWSCURRENT", token);
        }
        while next.versions.len() > 100 {
            let gone = next.versions.iter().filter(|(_, version)| version.labels.is_empty());
            let gone = gone.filter(|(_, version)| now - version.created > DAY);
            let Some((_, gone)) = gone.map(|(token, v)| (v.created, *token)).min() else { break };
            next.versions.remove(&gone);
        }
        if next.too_many_labels() || next.versions.len() > 150 {
            return Err(Fails("LimitExceededException", None));
        }
        next.changed = now;
        *self = next;
        Ok(())
    }

    /// PutSecretValue's and UpdateSecret's part about the value.
    fn write(
        &mut self,
        token: u16,
        value: Of,
        labels: Option<&'static [&'static str]>,
        now: i64,
    ) -> Result<(), Answer> {
        match self.versions.get(&token) {
            Some(version) if version.value == Some(value) => Ok(()),
            Some(version) if version.value.is_some() => Err(Fails("ResourceExistsException", None)),
            _ => {
                let mut next = self.clone();
                next.abandon(token);
                next.add(token, value, labels, now)?;
                *self = next;
                Ok(())
            }
        }
    }
}

impl Reference {
    pub fn new(now: i64) -> Self {
        let (secrets, arns, again) = Default::default();
        Self { now, secrets, arns, filled: 1000, again }
    }

    /// The ARN of the secret that was just made.
    pub fn made(&mut self, number: u8, arn: &str) -> Result<(), String> {
        let known = self.arns.entry(number).or_default();
        let suffix = arn.strip_prefix(&format!("{}-", prefix(number)));
        if known.iter().any(|known| known == arn) || suffix.is_none_or(|s| s.len() != 6) {
            return Err(format!("{arn} is no new ARN"));
        }
        known.push(arn.to_owned());
        self.secrets.get_mut(&number).unwrap().arn = arn.to_owned();
        Ok(())
    }

    pub fn said(&self, id: Id) -> String {
        let known = self.arns.get(&id.number());
        let none = format!("{}-Ab12Cd", prefix(id.number()));
        match id {
            Id::Name(number) => name_of(number),
            Id::Partial(number) => prefix(number),
            Id::Arn(_) => known.and_then(|all| all.last()).cloned().unwrap_or(none),
            Id::First(_) => known.and_then(|all| all.first()).cloned().unwrap_or(none),
        }
    }

    fn find(&mut self, id: Id) -> Result<&mut Secret, Answer> {
        let said = self.said(id);
        let secret = self.secrets.get_mut(&id.number()).ok_or_else(not_found)?;
        match id {
            Id::Arn(_) | Id::First(_) if said != secret.arn => Err(not_found()),
            _ => Ok(secret),
        }
    }

    /// The same for what a scheduled deletion forbids.
    pub fn alive(&mut self, id: Id) -> Result<&mut Secret, Answer> {
        let secret = self.find(id)?;
        if secret.deletion.is_some() { Err(scheduled()) } else { Ok(secret) }
    }

    /// The requests of an operation: `Fill` is many.
    pub fn requests(&mut self, op: Op) -> Vec<Op> {
        let Op::Fill { id, count, labels } = op else { return vec![op] };
        let first = self.filled;
        self.filled += count;
        let value = Of::Text("filled");
        (first..self.filled).map(|token| Op::Put { id, token, value, labels }).collect()
    }

    pub fn answer(&mut self, op: Op) -> Answer {
        self.try_answer(op).unwrap_or_else(|failure| failure)
    }

    fn try_answer(&mut self, op: Op) -> Result<Answer, Answer> {
        let now = self.now;
        match op {
            Op::Create { name, token, value } => self.create(name, token, value),
            Op::Put { id, token: version, value, labels } => {
                let secret = self.alive(id)?;
                secret.write(version, value, labels, now)?;
                let mut said = secret.said();
                said.insert("VersionId".into(), json!(token(version.into())));
                let stages = secret.stages(version);
                if !stages.is_empty() {
                    said.insert("VersionStages".into(), json!(stages));
                }
                Ok(Says(said.into()))
            }
            Op::Update { id, token: version, value, description } => {
                let secret = self.alive(id)?;
                let mut next = secret.clone();
                if let Some(value) = value {
                    next.write(version, value, None, now)?;
                }
                if description.is_some() {
                    next.description = description;
                    next.changed = now;
                }
                *secret = next;
                let mut said = secret.said();
                if value.is_some() {
                    said.insert("VersionId".into(), json!(token(version.into())));
                }
                Ok(Says(said.into()))
            }
            Op::Stage { id, label, from, to } => self.stage(id, label, from, to),
            Op::Get { id, token, label } => self.get(id, token, label),
            Op::List { id, deprecated } => Ok(Says(self.find(id)?.listed(deprecated))),
            Op::Describe { id } => Ok(Says(self.find(id)?.described())),
            Op::Delete { id, days, force } => self.delete(id, days, force),
            Op::Restore { id } => {
                let secret = self.find(id)?;
                secret.deletion = None;
                Ok(Says(secret.said().into()))
            }
            Op::Tag { id, key, value } => {
                let secret = self.alive(id)?;
                secret.tags.insert(key, value);
                secret.changed = now;
                Ok(Says(Value::Null))
            }
            Op::Untag { id, key } => {
                let secret = self.alive(id)?;
                secret.tags.remove(key);
                secret.changed = now;
                Ok(Says(Value::Null))
            }
            Op::Wait { seconds } => {
                self.now += seconds;
                let now = self.now;
                self.secrets.retain(|_, secret| secret.deletion.is_none_or(|end| end > now));
                self.rotate_what_is_due();
                Ok(Says(Value::Null))
            }
            Op::Rotate { id, token, function, now } => self.rotate(id, token, function, now),
            Op::Cancel { id } => self.cancel(id),
            Op::Fill { .. } => Ok(Says(Value::Null)),
        }
    }

    fn create(&mut self, number: u8, version: u16, value: Option<Of>) -> Result<Answer, Answer> {
        let now = self.now;
        let said = |secret: &Secret| {
            let mut said = secret.said();
            if value.is_some() {
                said.insert("VersionId".into(), json!(token(version.into())));
            }
            Ok(Says(said.into()))
        };
        if let Some(secret) = self.secrets.get(&number) {
            if secret.deletion.is_some() {
                let text = "You can't create this secret because a secret with this name is \
                            already scheduled for deletion.";
                return Err(Fails("InvalidRequestException", Some(text.into())));
            }
            // The same request again is answered again.
            let held = secret.versions.get(&version).and_then(|version| version.value);
            if secret.created_with == version && held == value {
                return said(secret);
            }
            return Err(Fails("ResourceExistsException", None));
        }
        let mut secret = Secret {
            arn: NEW_ARN.into(),
            name: name_of(number),
            description: None,
            tags: BTreeMap::new(),
            created: now,
            created_with: version,
            changed: now,
            accessed: None,
            versions: BTreeMap::new(),
            deletion: None,
            rotation: None,
            run: None,
        };
        if let Some(value) = value {
            secret.add(version, value, None, now)?;
        }
        let answer = said(&secret);
        self.secrets.insert(number, secret);
        answer
    }

    fn stage(
        &mut self,
        id: Id,
        label: &'static str,
        from: Option<u16>,
        to: Option<u16>,
    ) -> Result<Answer, Answer> {
        let now = self.now;
        let secret = self.alive(id)?;
        for version in [from, to].into_iter().flatten() {
            if !secret.versions.contains_key(&version) {
                return Err(no_version(format!("VersionId: {}", token(version.into()))));
            }
        }
        let holder = secret.holder(label);
        let mut next = secret.clone();
        match to {
            // Whoever takes it away from a version must name that one.
            Some(to) if holder == Some(to) && from.is_none_or(|from| from == to) => {}
            Some(_) if holder != from => return Err(invalid_parameter()),
            // A version that a rotation has announced.
            Some(to) if label == "AWSCURRENT" && next.versions[&to].value.is_none() => {
                return Err(Fails("InvalidRequestException", None));
            }
            Some(to) => next.attach(label, to),
            None if from.is_none() || holder != from => return Err(invalid_parameter()),
            None if label == "AWSCURRENT" => return Err(invalid_parameter()),
            None => {
                next.versions.get_mut(&from.unwrap()).unwrap().labels.remove(label);
            }
        }
        if next.too_many_labels() {
            return Err(Fails("LimitExceededException", None));
        }
        if next.holder(label) != holder {
            next.changed = now;
        }
        *secret = next;
        Ok(Says(secret.said().into()))
    }

    fn get(
        &mut self,
        id: Id,
        version: Option<u16>,
        label: Option<&'static str>,
    ) -> Result<Answer, Answer> {
        let now = self.now;
        let secret = self.alive(id)?;
        let found = match version {
            None => {
                let label = label.unwrap_or("AWSCURRENT");
                let none = || no_version(format!("staging label: {label}"));
                secret.holder(label).ok_or_else(none)?
            }
            Some(version) => version,
        };
        let none = match version {
            Some(_) => no_version(format!("VersionId: {}", token(found.into()))),
            None => no_version(format!("staging label: {}", label.unwrap_or("AWSCURRENT"))),
        };
        let Some(value) = secret.versions.get(&found).and_then(|version| version.value) else {
            return Err(none);
        };
        let stages = secret.stages(found);
        if version.is_some() && label.is_some_and(|label| !stages.iter().any(|s| s == label)) {
            let text =
                "You provided a VersionStage that is not associated to the provided VersionId.";
            return Err(Fails("InvalidRequestException", Some(text.into())));
        }
        secret.accessed = day(now);
        secret.versions.get_mut(&found).unwrap().accessed = day(now);
        let mut said = secret.said();
        said.insert("VersionId".into(), json!(token(found.into())));
        said.insert("CreatedDate".into(), json!(secret.versions[&found].created));
        if !stages.is_empty() {
            said.insert("VersionStages".into(), json!(stages));
        }
        let (member, text) = written(value);
        said.insert(member.into(), text);
        Ok(Says(said.into()))
    }

    fn delete(&mut self, id: Id, days: Option<i64>, force: bool) -> Result<Answer, Answer> {
        let (now, said) = (self.now, self.said(id));
        if force && days.is_some() {
            return Err(invalid_parameter());
        }
        let days = days.unwrap_or(30);
        let end = if force { now } else { now + days * DAY };
        let secret = match self.find(id) {
            Ok(secret) => secret,
            // What is gone is as good as deleted.
            Err(_) if force => {
                let member = if said.starts_with("arn:") { "ARN" } else { "Name" };
                return Ok(Says(json!({member: said, "DeletionDate": now})));
            }
            Err(none) => return Err(none),
        };
        if !force && !(7..=30).contains(&days) {
            return Err(invalid_parameter());
        }
        secret.deletion = Some(end);
        let mut said = secret.said();
        said.insert("DeletionDate".into(), json!(end));
        if force {
            self.secrets.remove(&id.number());
        }
        Ok(Says(said.into()))
    }
}
