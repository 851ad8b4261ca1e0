//! The encoded message of a refusal: what was asked and what decided, sealed for those of the caller's
//! account who may decode it (STS DecodeAuthorizationMessage). AWS's texts stay as they are, so it
//! travels in a header of the answer.
//!
//! All messages are of one length, or a caller could read from it how much there is to know. None is
//! made for a resource of another account: whether that exists is not for this account to learn.
use super::Server;
use crate::authorize::{AccessDenied, Caller};
use crate::policy::{Effect, Reason};
use crate::root_of_trust::RootOfTrust;
use crate::seal::Label;
use crate::types::AccountId;
use crate::wire::Fault;
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde_json::{Value, json};

/// Bytes of a message before it is sealed: what a header can carry past every client's limit.
const PLAIN_BYTES: usize = 2048;

/// What there is to say about a refusal, in the form that AWS's example of
/// `sts decode-authorization-message` has, with the policy's kind and name added to the statement that
/// denied; and where nothing allowed, with what is missing among the failures. None if it is not for
/// the caller's account.
pub(super) fn explain(caller: &Caller, action: &str, denied: &AccessDenied) -> Option<String> {
    let grounds = denied.grounds()?;
    if grounds.owner != caller.principal.account.as_str() {
        return None;
    }
    let explicit = grounds.decision.effect == Effect::ExplicitDeny;
    let decided: Vec<Value> =
        grounds.decision.reasons.iter().map(|reason| outline(reason, explicit)).collect();
    let (matched, missing) = if explicit { (decided, vec![]) } else { (vec![], decided) };
    let mut message = json!({
        "allowed": false,
        "explicitDeny": explicit,
        "matchedStatements": {"items": matched},
        "failures": {"items": missing},
        "context": {
            "principal": {
                "id": caller.principal.unique_id,
                "arn": caller.principal.arn.as_str(),
            },
            "action": action,
            "resource": grounds.resource,
            "conditions": {"items": []},
        },
    });
    let room = PLAIN_BYTES.checked_sub(message.to_string().len())?;
    // What is left of the statement's half goes to the conditions.
    let mut half = room / 2;
    let given = half;
    for (n, reason) in grounds.decision.reasons.iter().enumerate() {
        if let Some(written) = &reason.written
            && let Some(item) = message.pointer_mut(&format!("/matchedStatements/items/{n}"))
        {
            fill(item, written, &caller.principal.unique_id, &mut half);
        }
    }
    let mut left = room - (given - half);
    let conditions = grounds.conditions.all().map(|(key, values)| {
        condition(key, &mut values.iter().map(|value| Value::from(value.as_str())))
    });
    *message.pointer_mut("/context/conditions")? = items(conditions, &mut left);
    Some(message.to_string())
}

/// The part of a policy in the decision; of a statement that denied, everything but its lists.
fn outline(reason: &Reason, denied: bool) -> Value {
    let sid = reason.sid.as_deref().unwrap_or_default();
    if !denied {
        return json!({
            "policyType": reason.kind.name(),
            "policy": reason.policy,
            "statementId": sid,
            "statementIndex": reason.statement,
        });
    }
    json!({
        "policyType": reason.kind.name(),
        "policy": reason.policy,
        "statementId": sid,
        "statementIndex": reason.statement,
        "effect": "DENY",
        "principals": {"items": []},
        "principalGroups": {"items": []},
        "actions": {"items": []},
        "resources": {"items": []},
        "conditions": {"items": []},
    })
}

/// Puts what the statement says into its lists, as much as there is room for. A Not-form stands beside
/// the list that it is the opposite of: `notActions`.
fn fill(item: &mut Value, written: &str, caller: &str, room: &mut usize) {
    let Ok(statement) = serde_json::from_str::<Value>(written) else { return };
    let Some(lists_of) = item.as_object_mut() else { return };
    let part = |name: &str| statement.get(name).unwrap_or(&Value::Null);
    let named = |texts: Vec<&str>| texts.into_iter().map(|text| json!({"value": text})).collect();
    let mut lists: Vec<(&str, Vec<Value>)> = vec![
        ("actions", named(texts(part("Action")))),
        ("notActions", named(texts(part("NotAction")))),
        ("resources", named(texts(part("Resource")))),
        ("notResources", named(texts(part("NotResource")))),
        ("notPrincipals", named(principals(part("NotPrincipal")))),
    ];
    let meant = principals(part("Principal"));
    // A policy of an identity names nobody: it is about whom it is attached to.
    let meant = if meant.is_empty() { vec![caller] } else { meant };
    lists.push(("principals", named(meant)));
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let asked = members(part("Condition")).into_values().flat_map(|keys| members(&keys));
    let asked = asked.map(|(key, values)| match values {
        Value::Array(values) => condition(&key, &mut values.into_iter()),
        value => condition(&key, &mut std::iter::once(value)),
    });
    lists.push(("conditions", asked.collect()));
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        // The name of a Not-form is not in the outline.
        let Some(rest) = room.checked_sub(name.len() + "\"\":{\"items\":[]},".len()) else {
            return;
        };
        *room = rest;
        lists_of.insert(name.to_owned(), items(list.into_iter(), room));
    }
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

/// `*`, or the values of all types.
fn principals(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(types) => types.values().flat_map(texts).collect(),
        one => texts(one),
    }
}

fn condition(key: &str, values: &mut dyn Iterator<Item = Value>) -> Value {
    let values: Vec<Value> = values.map(|value| json!({"value": value})).collect();
    json!({"key": key, "values": {"items": values}})
}

/// A list of those that there is room for. One that is too long must not keep the short ones behind it
/// out.
fn items(all: impl Iterator<Item = Value>, room: &mut usize) -> Value {
    let fits = |item: &Value| {
        let rest = room.checked_sub(item.to_string().len() + 1);
        *room = rest.unwrap_or(*room);
        rest.is_some()
    };
    json!({"items": all.filter(fits).collect::<Vec<_>>()})
}

/// Puts the sealed message beside the fault, if it is a refusal.
pub(super) fn attach(server: &Server, caller: &Caller, fault: &mut Fault, message: Option<String>) {
    let Some(message) = message.filter(|_| fault.code.starts_with("AccessDenied")) else { return };
    let mut padded = message.into_bytes();
    padded.resize(PLAIN_BYTES, b' ');
    let context = [caller.principal.account.as_str().as_bytes()];
    let label = Label::AUTHORIZATION_MESSAGE;
    let sealed = server.root.seal_token(label, &context, &*server.random, &padded);
    fault.encoded = Some(B64.encode(sealed));
}

/// The message, if it was made for somebody of this account.
pub fn open(root: &RootOfTrust, account: &AccountId, encoded: &str) -> Option<String> {
    let sealed = B64.decode(encoded).ok()?;
    let context = [account.as_str().as_bytes()];
    let plain = root.open_token(Label::AUTHORIZATION_MESSAGE, &context, &sealed)?;
    Some(std::str::from_utf8(&plain).ok()?.trim_end().to_owned())
}
