//! A sequence, played against a server and the reference side by side.
use super::op::{Id, Of, Op};
use super::reference::{Answer, NEW_ARN, Reference, Secret, function_arn};
use super::rotations::Turn;
use super::shown::written;
use crate::support::{policy, token};
use crate::world::{ACCOUNT, Failed, NOW_SECS, World, allow};
use claviger::rotation::Scheduler;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What was seen of a secret last, to be compared with what is seen next.
#[derive(Debug, Default)]
struct Seen {
    arn: String,
    /// Version ids by label.
    holders: BTreeMap<String, String>,
}

pub struct Played {
    world: World,
    scheduler: Scheduler,
    reference: Reference,
    seen: BTreeMap<u8, Seen>,
    /// The value that each version of each secret was seen to have.
    values: BTreeMap<(String, String), Value>,
    pub requests: usize,
    /// What was answered at least once: the operation and the code, or `rotated`.
    pub outcomes: BTreeSet<String>,
}

/// Plays a whole sequence in a world of its own.
pub async fn play(ops: &[Op]) -> Result<Played, String> {
    let world = rotating_world("").await;
    let turn = Arc::new(Turn(world.server.clone()));
    let mut played = Played {
        scheduler: Scheduler::new(world.server.clone(), "model".into(), turn),
        world,
        reference: Reference::new(NOW_SECS),
        seen: BTreeMap::new(),
        values: BTreeMap::new(),
        requests: 0,
        outcomes: BTreeSet::new(),
    };
    for (at, op) in ops.iter().enumerate() {
        let outcome = played.step(*op).await;
        outcome.map_err(|what| format!("operation {at}, {op:?}: {what}"))?;
    }
    played.read_everything().await.map_err(|what| format!("at the end: {what}"))?;
    Ok(played)
}

/// A world with a function that rotates, which has more options.
pub async fn rotating_world(more: &str) -> World {
    let function = format!(
        "[[function]]\narn = {:?}\nrole = 'arn:aws:iam::{ACCOUNT}:role/rotation'\n\
         url = 'http://127.0.0.1:1'\n{more}\n",
        function_arn()
    );
    let world = World::with_functions(&function).await;
    let trust = policy(&[json!({
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole"
    })]);
    let body = json!({"RoleName": "rotation", "AssumeRolePolicyDocument": trust.to_string()});
    world.iam("CreateRole", body).await;
    let may = allow(&["secretsmanager:*"]).to_string();
    let body = json!({"RoleName": "rotation", "PolicyName": "p", "PolicyDocument": may});
    world.iam("PutRolePolicy", body).await;
    world
}

impl Played {
    async fn step(&mut self, op: Op) -> Result<(), String> {
        for request in self.reference.requests(op) {
            self.request(request).await?;
        }
        let numbers = match number_of(op) {
            Some(number) => vec![number],
            None => self.reference.secrets.keys().copied().collect(),
        };
        for number in numbers {
            self.observe(number, op).await?;
        }
        Ok(())
    }

    /// One request to both.
    async fn request(&mut self, op: Op) -> Result<(), String> {
        let request = asked(&self.reference, op);
        let expected = self.reference.answer(op);
        let Some((name, body)) = request else {
            if let Op::Wait { seconds } = op {
                self.world.advance(seconds).await;
                self.scheduler.sweep().await;
            }
            return Ok(());
        };
        let answer = self.ask(name, body).await?;
        let (Op::Create { name: number, .. }, Answer::Says(said)) = (op, &expected) else {
            return self.same(&expected, &answer);
        };
        // Of a secret that is made only the server knows the ARN.
        let mut said = said.clone();
        if said["ARN"] == NEW_ARN
            && let Ok(made) = &answer
        {
            self.reference.made(number, made["ARN"].as_str().unwrap_or_default())?;
            said["ARN"] = made["ARN"].clone();
        }
        self.same(&Answer::Says(said), &answer)
    }

    fn same(&mut self, expected: &Answer, answer: &Result<Value, Failed>) -> Result<(), String> {
        let wrong = || Err(differing(expected, answer));
        match (expected, answer) {
            (Answer::Says(said), Ok(answer)) if said == answer => self.remember(answer),
            (Answer::Fails(code, None), Err(failed)) if *code == failed.code => Ok(()),
            (Answer::Fails(code, Some(text)), Err(failed))
                if *code == failed.code && *text == failed.message =>
            {
                Ok(())
            }
            _ => wrong(),
        }
    }

    /// The value of a version never changes.
    fn remember(&mut self, answer: &Value) -> Result<(), String> {
        let value = ["SecretString", "SecretBinary"].map(|member| &answer[member]);
        let Some(value) = value.into_iter().find(|value| !value.is_null()) else { return Ok(()) };
        let key = ["ARN", "VersionId"].map(|member| answer[member].to_string());
        let known = self.values.entry(key.into()).or_insert_with(|| value.clone());
        if known == value { Ok(()) } else { Err(format!("{answer}: the value was {known}")) }
    }

    /// A whole answer, all its pages together.
    async fn ask(&mut self, name: &str, mut body: Value) -> Result<Result<Value, Failed>, String> {
        // The background writes when secrets were read, as soon as it looks.
        self.world.write_reads().await;
        let mut answer = match self.page(name, &body).await? {
            Ok(answer) => answer,
            failed => return Ok(failed),
        };
        while let Some(next) = answer.get_mut("NextToken").map(Value::take) {
            answer.as_object_mut().unwrap().remove("NextToken");
            body["NextToken"] = next;
            let mut page = self.page(name, &body).await?.map_err(|error| format!("{error:?}"))?;
            let more = page["Versions"].as_array_mut().ok_or("a page of nothing")?;
            answer["Versions"].as_array_mut().ok_or("a page of nothing")?.append(more);
            if let Some(next) = page.get_mut("NextToken").map(Value::take) {
                answer["NextToken"] = next;
            }
        }
        Ok(Ok(answer))
    }

    async fn page(&mut self, name: &str, body: &Value) -> Result<Result<Value, Failed>, String> {
        self.requests += 1;
        let body = body.to_string();
        let root = &self.world.root;
        let answer = match self.world.raw(root, "secretsmanager", name, body.as_bytes()).await {
            Ok(answer) if answer.is_empty() => Ok(Value::Null),
            Ok(answer) => Ok(serde_json::from_slice(&answer).map_err(|error| error.to_string())?),
            Err(fault) if fault.status >= 500 => {
                return Err(format!("{name} {body} failed inside"));
            }
            Err(fault) => {
                Err(Failed { code: fault.code.into(), message: fault.message().to_owned() })
            }
        };
        let code = answer.as_ref().err().map_or("ok", |failed| &failed.code);
        self.outcomes.insert(format!("{name} {code}"));
        Ok(answer)
    }

    /// Looks at a secret and holds it against the reference, the invariants and what was seen before.
    async fn observe(&mut self, number: u8, op: Op) -> Result<(), String> {
        let Some(secret) = self.reference.secrets.get(&number).cloned() else {
            self.seen.remove(&number);
            return Ok(());
        };
        let described = self.ask("DescribeSecret", json!({"SecretId": secret.arn})).await?;
        self.same(&Answer::Says(secret.described()), &described)?;
        let list = json!({"SecretId": secret.arn, "IncludeDeprecated": true});
        let listed = self.ask("ListSecretVersionIds", list).await?;
        self.same(&Answer::Says(secret.listed(true)), &listed)?;
        let listed = listed.unwrap_or_default();
        let described = described.unwrap_or_default();
        if described["LastRotatedDate"].is_number() {
            self.outcomes.insert("rotated".into());
        }
        if !described["DeletedDate"].is_null() {
            let read = Op::Get { id: Id::Arn(number), token: None, label: None };
            self.request(read).await?;
        }
        self.invariants((number, op), &described, &listed)
    }

    /// What holds whatever happened, from the answers alone.
    fn invariants(
        &mut self,
        (number, op): (u8, Op),
        described: &Value,
        listed: &Value,
    ) -> Result<(), String> {
        let mut holders = BTreeMap::new();
        let labelled = described["VersionIdsToStages"].as_object();
        for (id, stages) in labelled.into_iter().flatten() {
            for stage in stages.as_array().into_iter().flatten() {
                let label = stage.as_str().unwrap_or_default().to_owned();
                if let Some(other) = holders.insert(label, id.clone()) {
                    return Err(format!("{stage} is on {other} and on {id}"));
                }
            }
        }
        let ids = listed["Versions"].as_array().into_iter().flatten();
        let ids: BTreeSet<&str> = ids.filter_map(|version| version["VersionId"].as_str()).collect();
        let current = holders.get("AWSCURRENT");
        if current.is_none() && !ids.is_empty() {
            return Err("there are values and none is current".into());
        }
        if current.is_some_and(|current| !ids.contains(current.as_str())) {
            return Err("the current version has no value".into());
        }
        let seen = Seen { arn: described["ARN"].to_string(), holders };
        let before = self.seen.insert(number, seen).unwrap_or_default();
        let seen = &self.seen[&number];
        if before.arn != seen.arn {
            return Ok(());
        }
        let moved = before
            .holders
            .get("AWSCURRENT")
            .filter(|was| Some(*was) != seen.holders.get("AWSCURRENT"));
        // Many requests of one operation may move it on.
        let one = number_of_moves(&before, seen) == 1;
        if let Some(was) = moved.filter(|_| one)
            && seen.holders.get("AWSPREVIOUS") != Some(was)
        {
            return Err(format!("AWSCURRENT was on {was}, and AWSPREVIOUS is not"));
        }
        // A label goes only when it is taken off: no version that has one is pruned. AWSPENDING goes with
        // the rotation.
        for (label, on) in before.holders.iter().filter(|(label, _)| *label != "AWSPENDING") {
            let taken = matches!(op, Op::Stage { label: off, to: None, .. } if off == label);
            if !(taken || seen.holders.contains_key(label)) {
                return Err(format!("{label} was on {on} and is gone"));
            }
        }
        // A version that was pruned may come again with another value.
        let arn = &seen.arn;
        self.values.retain(|(of, id), _| of != arn || ids.contains(id.trim_matches('"')));
        Ok(())
    }

    /// Reads every version once more.
    async fn read_everything(&mut self) -> Result<(), String> {
        let secrets: Vec<(u8, Secret)> =
            self.reference.secrets.iter().map(|(n, secret)| (*n, secret.clone())).collect();
        for (number, secret) in secrets {
            for version in secret.versions.keys() {
                let op = Op::Get { id: Id::Arn(number), token: Some(*version), label: None };
                self.request(op).await?;
            }
        }
        Ok(())
    }
}

/// What was expected and what came: the members in which they differ, if both are answers.
fn differing(expected: &Answer, answer: &Result<Value, Failed>) -> String {
    let (Answer::Says(Value::Object(said)), Ok(Value::Object(got))) = (expected, answer) else {
        return short(&format!("expected {expected:?}, got {answer:?}"));
    };
    let names: BTreeSet<&String> = said.keys().chain(got.keys()).collect();
    let differ = names.into_iter().filter(|name| said.get(*name) != got.get(*name));
    let both = differ.map(|name| {
        let text = |of: Option<&Value>| of.map_or("nothing".into(), Value::to_string);
        short(&format!("{name}: expected {}, got {}", text(said.get(name)), text(got.get(name))))
    });
    both.collect::<Vec<_>>().join("; ")
}

fn short(text: &str) -> String {
    text.chars().take(1500).collect()
}

/// How many steps AWSCURRENT went at the least: one, if the version it went to is not one of those that
/// `Fill` makes.
fn number_of_moves(before: &Seen, after: &Seen) -> usize {
    let filled =
        |seen: &Seen| seen.holders.get("AWSCURRENT").is_some_and(|id| id[24..] >= *"000000001000");
    if filled(before) || filled(after) { 2 } else { 1 }
}

fn number_of(op: Op) -> Option<u8> {
    match op {
        Op::Create { name, .. } => Some(name),
        _ => id_of(op).map(Id::number),
    }
}

/// The request that an operation is; none for what is no request.
fn asked(reference: &Reference, op: Op) -> Option<(&'static str, Value)> {
    let version = |n: u16| token(n.into());
    let with = |mut body: Value, value: Option<Of>| {
        if let Some((member, value)) = value.map(written) {
            body[member] = value;
        }
        body
    };
    let id = id_of(op).map(|id| reference.said(id));
    let mut body = match op {
        Op::Wait { .. } | Op::Fill { .. } => return None,
        Op::Rotate { token, function, now, .. } => json!({
            "ClientRequestToken": version(token),
            "RotationLambdaARN": function.then(function_arn),
            "RotateImmediately": (!now).then_some(false),
        }),
        Op::Create { name, token, value } => {
            let name = super::reference::name_of(name);
            with(json!({"Name": name, "ClientRequestToken": version(token)}), value)
        }
        Op::Put { token, value, labels, .. } => {
            let body = json!({"ClientRequestToken": version(token), "VersionStages": labels});
            with(body, Some(value))
        }
        Op::Update { token, value, description, .. } => {
            let body = json!({"ClientRequestToken": version(token), "Description": description});
            with(body, value)
        }
        Op::Stage { label, from, to, .. } => json!({
            "VersionStage": label,
            "RemoveFromVersionId": from.map(version),
            "MoveToVersionId": to.map(version),
        }),
        Op::Get { token, label, .. } => {
            json!({"VersionId": token.map(version), "VersionStage": label})
        }
        Op::List { deprecated, .. } => json!({"IncludeDeprecated": deprecated}),
        Op::Describe { .. } | Op::Restore { .. } | Op::Cancel { .. } => json!({}),
        Op::Delete { days, force, .. } => {
            json!({"RecoveryWindowInDays": days, "ForceDeleteWithoutRecovery": force})
        }
        Op::Tag { key, value, .. } => json!({"Tags": [{"Key": key, "Value": value}]}),
        Op::Untag { key, .. } => json!({"TagKeys": [key]}),
    };
    if let Some(id) = id {
        body["SecretId"] = json!(id);
    }
    let members = body.as_object_mut().unwrap();
    members.retain(|_, member| !member.is_null());
    Some((api_name(op), body))
}

fn id_of(op: Op) -> Option<Id> {
    match op {
        Op::Create { .. } | Op::Wait { .. } => None,
        Op::Put { id, .. }
        | Op::Fill { id, .. }
        | Op::Update { id, .. }
        | Op::Stage { id, .. }
        | Op::Get { id, .. }
        | Op::List { id, .. }
        | Op::Describe { id }
        | Op::Delete { id, .. }
        | Op::Restore { id }
        | Op::Rotate { id, .. }
        | Op::Cancel { id }
        | Op::Tag { id, .. }
        | Op::Untag { id, .. } => Some(id),
    }
}

fn api_name(op: Op) -> &'static str {
    match op {
        Op::Create { .. } => "CreateSecret",
        Op::Put { .. } | Op::Fill { .. } => "PutSecretValue",
        Op::Update { .. } => "UpdateSecret",
        Op::Stage { .. } => "UpdateSecretVersionStage",
        Op::Get { .. } => "GetSecretValue",
        Op::List { .. } => "ListSecretVersionIds",
        Op::Describe { .. } => "DescribeSecret",
        Op::Delete { .. } => "DeleteSecret",
        Op::Restore { .. } => "RestoreSecret",
        Op::Rotate { .. } => "RotateSecret",
        Op::Cancel { .. } => "CancelRotateSecret",
        Op::Tag { .. } => "TagResource",
        Op::Untag { .. } => "UntagResource",
        Op::Wait { .. } => "nothing",
    }
}
