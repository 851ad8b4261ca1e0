//! What is there, as the API shows it. Reading an object also asks what must agree with it.
#![expect(clippy::indexing_slicing, reason = "a member that JSON lacks reads as null")]
use super::choice::token;
use super::client::{Client, elements, found, ok};
use super::operation::{Ids, SHARED};
use super::{Trouble, promise, text_of};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// All pages of a KMS list.
pub(super) fn pages(
    client: &mut Client,
    name: &str,
    member: &str,
    mut body: Value,
) -> Result<Vec<Value>, Trouble> {
    let mut all = Vec::new();
    loop {
        let page = ok(name, client.kms(name, &body))?;
        all.extend(page[member].as_array().into_iter().flatten().cloned());
        if page["Truncated"] != json!(true) {
            return Ok(all);
        }
        body["Marker"] = page["NextMarker"].clone();
    }
}

/// Learns the ids of keys whose making was not acknowledged.
pub(super) fn adopt(client: &mut Client, ids: &Ids) -> Result<(), Trouble> {
    let known: HashSet<String> = ids.all().values().cloned().collect();
    for key in pages(client, "ListKeys", "Keys", json!({}))? {
        let id = text_of(&key, "KeyId")?;
        if !known.contains(&id) {
            let key = ok("DescribeKey", client.kms("DescribeKey", &this(&id)))?;
            let name = text_of(&key["KeyMetadata"], "Description")?;
            let other = ids.all().insert(name, id);
            promise(other.is_none(), || format!("two keys of one call: {key}"))?;
        }
    }
    Ok(())
}

/// An object as the API shows it; null if it is not there.
pub(super) fn object(client: &mut Client, ids: &Ids, object: &str) -> Result<Value, Trouble> {
    let (kind, name) = object.split_once('/').unwrap_or((object, ""));
    match (kind, ids.of(if kind == "tag" { SHARED } else { name })) {
        ("key", None) => Ok(Value::Null),
        ("key", Some(id)) => key(client, &id),
        ("tag", Some(id)) => Ok(tags(client, &id)?.get(name).cloned().unwrap_or_default()),
        ("alias", _) => alias(client, object),
        ("user", _) => user(client, name),
        ("secret", _) => secret(client, name),
        _ => Err(Trouble::Violation(format!("{object} cannot be looked at"))),
    }
}

fn key(client: &mut Client, id: &str) -> Result<Value, Trouble> {
    let key = found("DescribeKey", client.kms("DescribeKey", &this(id)))?;
    let Some(key) = key else { return Ok(Value::Null) };
    let state = key["KeyMetadata"]["KeyState"].clone();
    let is_dated = key["KeyMetadata"]["DeletionDate"].is_number();
    promise((state == "PendingDeletion") == is_dated, || format!("half a deletion: {key}"))?;
    let policy = ok("GetKeyPolicy", client.kms("GetKeyPolicy", &this(id)))?;
    if state == "Enabled" {
        // Its material came with it.
        let sealed = sealed(client, id)?;
        opens(client, &sealed)?;
    }
    let rotation = client.kms("GetKeyRotationStatus", &this(id));
    let rotation = ok("GetKeyRotationStatus", rotation)?;
    Ok(json!({
        "state": state,
        "policy": policy["Policy"],
        "tags": tags(client, id)?,
        // Not said of a key that is to be deleted; which rotations it had is said of every key.
        "period": rotation["RotationPeriodInDays"],
        "materials": materials(client, id)?,
    }))
}

fn this(id: &str) -> Value {
    json!({"KeyId": id})
}

/// How many materials a key has: one more than it had rotations.
pub(super) fn materials(client: &mut Client, id: &str) -> Result<usize, Trouble> {
    let body = json!({"KeyId": id, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
    Ok(pages(client, "ListKeyRotations", "Rotations", body)?.len())
}

/// A ciphertext of a known text.
pub(super) fn sealed(client: &mut Client, id: &str) -> Result<Value, Trouble> {
    let sealed = client.kms("Encrypt", &json!({"KeyId": id, "Plaintext": "YQ=="}));
    Ok(ok("Encrypt", sealed)?["CiphertextBlob"].clone())
}

/// It decrypts to the known text.
pub(super) fn opens(client: &mut Client, blob: &Value) -> Result<(), Trouble> {
    let opened = client.kms("Decrypt", &json!({"CiphertextBlob": blob}));
    let opened = ok("Decrypt", opened)?;
    promise(opened["Plaintext"] == "YQ==", || format!("{blob} decrypts to another text"))
}

fn tags(client: &mut Client, id: &str) -> Result<Map<String, Value>, Trouble> {
    let tags = pages(client, "ListResourceTags", "Tags", this(id))?;
    tags.iter().map(|tag| Ok((text_of(tag, "TagKey")?, tag["TagValue"].clone()))).collect()
}

fn alias(client: &mut Client, name: &str) -> Result<Value, Trouble> {
    let key = found("DescribeKey", client.kms("DescribeKey", &this(name)))?;
    Ok(key.map_or(Value::Null, |key| json!({"target": key["KeyMetadata"]["Description"]})))
}

fn user(client: &mut Client, name: &str) -> Result<Value, Trouble> {
    let mut call = |operation: &str, more: &[(&str, &str)]| {
        let parameters = [&[("UserName", name)], more].concat();
        found(operation, client.iam(operation, &parameters).map(|done| done.value))
    };
    if call("GetUser", &[])?.is_none() {
        return Ok(Value::Null);
    }
    let gone = || Trouble::Violation(format!("the user {name} is there and is not"));
    let listed = call("ListUserPolicies", &[])?.ok_or_else(gone)?;
    let mut policies = Map::new();
    for policy in elements(&listed, "member") {
        let xml = call("GetUserPolicy", &[("PolicyName", policy.as_str())])?.ok_or_else(gone)?;
        let text = elements(&xml, "PolicyDocument").into_iter().next().unwrap_or_default();
        let text = percent_encoding::percent_decode_str(&text).decode_utf8_lossy();
        policies.insert(policy, json!(text));
    }
    Ok(Value::Object(policies))
}

fn secret(client: &mut Client, name: &str) -> Result<Value, Trouble> {
    let mut value = |stage: &str| {
        let body = json!({"SecretId": name, "VersionStage": stage});
        found("GetSecretValue", client.secrets("GetSecretValue", &body))
    };
    let (current, previous) = (value("AWSCURRENT")?, value("AWSPREVIOUS")?);
    let Some(current) = current else {
        let described = client.secrets("DescribeSecret", &json!({"SecretId": name}));
        let described = found("DescribeSecret", described)?;
        promise(described.is_none(), || format!("half a secret: {described:?}"))?;
        return Ok(Value::Null);
    };
    // One page holds them all: nobody puts more than that.
    let listed = client.secrets(
        "ListSecretVersionIds",
        &json!({"SecretId": name, "IncludeDeprecated": true, "MaxResults": 100}),
    );
    let listed = ok("ListSecretVersionIds", listed)?;
    let versions = listed["Versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    promise(labelled(versions, &current, previous.as_ref()), || {
        format!(
            "the secret {name} has a version or a label too much: {listed}; {current}; {previous:?}"
        )
    })?;
    let mut values = BTreeSet::new();
    for version in versions {
        let id = text_of(version, "VersionId")?;
        let read = client.secrets("GetSecretValue", &json!({"SecretId": name, "VersionId": id}));
        let value = text_of(&ok("GetSecretValue", read)?, "SecretString")?;
        promise(id == token(&value), || {
            format!("version {id} of {name} holds another one's value: {value}")
        })?;
        values.insert(value);
    }
    let text = |value: Value| value["SecretString"].clone();
    Ok(json!({"current": text(current), "previous": previous.map(text), "values": values}))
}

/// Whether no version is there twice, and each label is at the one version that it is read by.
fn labelled(versions: &[Value], current: &Value, previous: Option<&Value>) -> bool {
    let ids: BTreeSet<&str> =
        versions.iter().filter_map(|version| version["VersionId"].as_str()).collect();
    let holders = |label: &str| -> Vec<&Value> {
        let has = |version: &&Value| {
            version["VersionStages"].as_array().is_some_and(|all| all.iter().any(|l| l == label))
        };
        versions.iter().filter(has).map(|version| &version["VersionId"]).collect()
    };
    let ids_of = |value: Option<&Value>| -> Vec<Value> {
        value.map(|value| value["VersionId"].clone()).into_iter().collect()
    };
    ids.len() == versions.len()
        && holders("AWSCURRENT") == ids_of(Some(current)).iter().collect::<Vec<_>>()
        && holders("AWSPREVIOUS") == ids_of(previous).iter().collect::<Vec<_>>()
}

/// The lists of aliases, users and secrets hold `known` and nothing else of ours, whose names begin with the
/// era's number: what was removed stays away.
pub(super) fn nothing_else(client: &mut Client, known: &BTreeSet<String>) -> Result<(), Trouble> {
    let mut listed = Vec::new();
    for alias in pages(client, "ListAliases", "Aliases", json!({}))? {
        listed.push(text_of(&alias, "AliasName")?);
    }
    // As many as there can be, so that there is one page.
    let users = ok("ListUsers", client.iam("ListUsers", &[("MaxItems", "1000")]))?.value;
    listed.extend(elements(&users, "UserName").into_iter().map(|name| format!("user/{name}")));
    let mut body = json!({"MaxResults": 100});
    loop {
        let page = ok("ListSecrets", client.secrets("ListSecrets", &body))?;
        for secret in page["SecretList"].as_array().into_iter().flatten() {
            listed.push(format!("secret/{}", text_of(secret, "Name")?));
        }
        if page["NextToken"].is_null() {
            break;
        }
        body["NextToken"] = page["NextToken"].clone();
    }
    listed.retain(|name| {
        name.split_once('/').is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    let count = listed.len();
    let listed: BTreeSet<String> = listed.into_iter().collect();
    promise(count == listed.len() && listed == *known, || {
        let (more, fewer) = (listed.difference(known), known.difference(&listed));
        format!(
            "of {count} things, these should not be there: {:?}, these are missing: {:?}",
            more.collect::<Vec<_>>(),
            fewer.collect::<Vec<_>>()
        )
    })
}

/// The lists show the same as the single objects, and a key's list of aliases the same as the
/// aliases do.
pub(super) fn lists(client: &mut Client, ids: &Ids) -> Result<(), Trouble> {
    let known: BTreeSet<String> = ids.all().values().cloned().collect();
    let keys = pages(client, "ListKeys", "Keys", json!({"Limit": 30}))?;
    let listed: Vec<String> =
        keys.iter().map(|key| text_of(key, "KeyId")).collect::<Result<_, _>>()?;
    let count = listed.len();
    let listed: BTreeSet<String> = listed.into_iter().collect();
    promise(count == known.len() && listed == known, || {
        format!("a key is listed twice, missing or unknown: {keys:?}, known are {known:?}")
    })?;
    let mut of_keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for alias in pages(client, "ListAliases", "Aliases", json!({"Limit": 10}))? {
        // Nobody has used the key of Secrets Manager yet.
        if alias["AliasName"] == "alias/aws/secretsmanager" && alias.get("TargetKeyId").is_none() {
            continue;
        }
        let aliases = of_keys.entry(text_of(&alias, "TargetKeyId")?).or_default();
        aliases.insert(text_of(&alias, "AliasName")?);
    }
    of_keys.entry(ids.of(SHARED).unwrap_or_default()).or_default();
    for (key, aliases) in of_keys {
        let listed = pages(client, "ListAliases", "Aliases", this(&key))?;
        let names: BTreeSet<String> =
            listed.iter().map(|alias| text_of(alias, "AliasName")).collect::<Result<_, _>>()?;
        promise(names == aliases, || format!("aliases of {key}: {names:?}, or {aliases:?}?"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_or_a_label_too_much_is_noticed() {
        let version = |text: &str, labels: &[&str]| json!({"VersionId": token(text), "VersionStages": labels});
        let value = |text: &str| json!({"VersionId": token(text), "SecretString": text});
        let (a, b) = (version("a", &["AWSPREVIOUS"]), version("b", &["AWSCURRENT"]));
        let good = [a.clone(), b.clone(), version("c", &[])];
        assert!(labelled(&good, &value("b"), Some(&value("a"))));
        assert!(labelled(std::slice::from_ref(&b), &value("b"), None));
        for bad in [
            vec![a.clone(), b.clone(), b.clone()],
            vec![a.clone(), b.clone(), version("c", &["AWSCURRENT"])],
            vec![a.clone(), b.clone(), version("c", &["AWSPREVIOUS"])],
            vec![a, version("b", &[])],
            vec![b],
        ] {
            assert!(!labelled(&bad, &value("b"), Some(&value("a"))), "{bad:?}");
        }
        assert!(!labelled(&good, &value("a"), Some(&value("b"))), "labels the other way round");
    }
}
