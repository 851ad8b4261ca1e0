//! From what an audit event says of a request to the condition keys that the request had.
use crate::audit::Event;
use crate::simulate::Context;
use serde_json::Value;

/// Which member of a request is which condition key: of the operations whose names begin so.
const KEYS: &[(&str, &str, &str)] = &[
    ("", "signingAlgorithm", "kms:SigningAlgorithm"),
    ("", "macAlgorithm", "kms:MacAlgorithm"),
    ("", "keyAgreementAlgorithm", "kms:KeyAgreementAlgorithm"),
    ("", "encapsulationAlgorithm", "kms:EncapsulationAlgorithm"),
    ("", "keyPairSpec", "kms:DataKeyPairSpec"),
    ("", "wrappingAlgorithm", "kms:WrappingAlgorithm"),
    ("", "wrappingKeySpec", "kms:WrappingKeySpec"),
    ("", "replicaRegion", "kms:ReplicaRegion"),
    ("", "primaryRegion", "kms:PrimaryRegion"),
    ("", "operations", "kms:GrantOperations"),
    ("CreateGrant", "granteePrincipal", "kms:GranteePrincipal"),
    ("CreateGrant", "retiringPrincipal", "kms:RetiringPrincipal"),
    ("CreateKey", "keySpec", "kms:KeySpec"),
    ("CreateKey", "keyUsage", "kms:KeyUsage"),
    ("CreateKey", "origin", "kms:KeyOrigin"),
    ("ImportKeyMaterial", "expirationModel", "kms:ExpirationModel"),
    ("CreateSecret", "name", "secretsmanager:Name"),
    ("CreateSecret", "description", "secretsmanager:Description"),
    ("UpdateSecret", "description", "secretsmanager:Description"),
    ("CreateSecret", "kmsKeyId", "secretsmanager:KmsKeyId"),
    ("UpdateSecret", "kmsKeyId", "secretsmanager:KmsKeyId"),
    ("GetSecretValue", "versionId", "secretsmanager:VersionId"),
    ("GetSecretValue", "versionStage", "secretsmanager:VersionStage"),
    ("", "roleSessionName", "sts:RoleSessionName"),
    ("", "externalId", "sts:ExternalId"),
    ("", "durationSeconds", "sts:DurationSeconds"),
    ("AssumeRole", "sourceIdentity", "sts:SourceIdentity"),
    ("", "transitiveTagKeys", "sts:TransitiveTagKeys"),
    ("", "permissionsBoundary", "iam:PermissionsBoundary"),
    ("AttachUserPolicy", "policyArn", "iam:PolicyARN"),
    ("AttachGroupPolicy", "policyArn", "iam:PolicyARN"),
    ("AttachRolePolicy", "policyArn", "iam:PolicyARN"),
    ("DetachUserPolicy", "policyArn", "iam:PolicyARN"),
    ("DetachGroupPolicy", "policyArn", "iam:PolicyARN"),
    ("DetachRolePolicy", "policyArn", "iam:PolicyARN"),
    ("", "tagKeys", "aws:TagKeys"),
];

/// What a request has that does not name it.
const DEFAULTS: &[(&str, &str, &str, &str)] = &[
    ("Encrypt", "encryptionAlgorithm", "kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT"),
    ("Decrypt", "encryptionAlgorithm", "kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT"),
    ("GenerateDataKey", "encryptionAlgorithm", "kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT"),
    ("Sign", "messageType", "kms:MessageType", "RAW"),
    ("Verify", "messageType", "kms:MessageType", "RAW"),
    ("EnableKeyRotation", "rotationPeriodInDays", "kms:RotationPeriodInDays", "365"),
    (
        "ScheduleKeyDeletion",
        "pendingWindowInDays",
        "kms:ScheduleKeyDeletionPendingWindowInDays",
        "30",
    ),
    ("PutKeyPolicy", "policyName", "kms:PolicyName", "default"),
    ("GetKeyPolicy", "policyName", "kms:PolicyName", "default"),
    (
        "PutKeyPolicy",
        "bypassPolicyLockoutSafetyCheck",
        "kms:BypassPolicyLockoutSafetyCheck",
        "false",
    ),
    ("CreateKey", "bypassPolicyLockoutSafetyCheck", "kms:BypassPolicyLockoutSafetyCheck", "false"),
    ("CreateKey", "multiRegion", "kms:MultiRegion", "false"),
    ("CreateKey", "keySpec", "kms:KeySpec", "SYMMETRIC_DEFAULT"),
    ("CreateKey", "keyUsage", "kms:KeyUsage", "ENCRYPT_DECRYPT"),
    ("CreateKey", "origin", "kms:KeyOrigin", "AWS_KMS"),
];

/// The condition keys that come from the members of a request.
pub(super) fn context(event: &Event) -> Context {
    let name = event.event_name.as_str();
    let mut context = Context::new();
    let Some(request) = &event.request_parameters else {
        defaults(name, &Value::Null, &mut context);
        return context;
    };
    for (operation, member, key) in KEYS {
        if name.starts_with(operation)
            && let Some(values) = request.get(member).map(texts).filter(|v| !v.is_empty())
        {
            context.push(((*key).to_owned(), values));
        }
    }
    defaults(name, request, &mut context);
    encryption_context(request.get("encryptionContext"), &mut context);
    tags(request.get("tags"), &mut context);
    let asked = request.get("keyId").and_then(Value::as_str).unwrap_or_default();
    if let Some(at) = asked.find("alias/")
        && (at == 0 || asked.starts_with("arn:"))
    {
        let alias = asked.get(at..).unwrap_or_default().to_owned();
        context.push(("kms:RequestAlias".into(), vec![alias]));
    }
    context
}

/// ReEncrypt's two sides.
pub(super) fn of_side(event: &Event, side: &str, same_key: bool) -> Context {
    let mut context = Context::new();
    let request = event.request_parameters.as_ref();
    let member = |name: &str| request.and_then(|request| request.get(format!("{side}{name}")));
    let algorithm = member("EncryptionAlgorithm").and_then(Value::as_str);
    let algorithm = algorithm.unwrap_or("SYMMETRIC_DEFAULT").to_owned();
    context.push(("kms:EncryptionAlgorithm".into(), vec![algorithm]));
    context.push(("kms:ReEncryptOnSameKey".into(), vec![same_key.to_string()]));
    encryption_context(member("EncryptionContext"), &mut context);
    context
}

pub(super) fn has(event: &Event, member: &str) -> bool {
    let value = event.request_parameters.as_ref().and_then(|request| request.get(member));
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    }
}

fn defaults(name: &str, request: &Value, context: &mut Context) {
    for (operation, member, key, default) in DEFAULTS {
        let said = context.iter().any(|(known, _)| known == key);
        if name.starts_with(operation) && !said {
            let values = request.get(member).map(texts).filter(|v| !v.is_empty());
            let values = values.unwrap_or_else(|| vec![(*default).to_owned()]);
            context.push(((*key).to_owned(), values));
        }
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Null | Value::Object(_) => Vec::new(),
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
    }
}

fn encryption_context(pairs: Option<&Value>, context: &mut Context) {
    let Some(Value::Object(pairs)) = pairs else { return };
    for (name, value) in pairs {
        context.push((format!("kms:EncryptionContext:{name}"), texts(value)));
    }
    if !pairs.is_empty() {
        let names = pairs.keys().cloned().collect();
        context.push(("kms:EncryptionContextKeys".into(), names));
    }
}

/// The services do not agree on how a tag is written.
fn tags(tags: Option<&Value>, context: &mut Context) {
    let Some(Value::Array(tags)) = tags else { return };
    let mut names = Vec::new();
    for tag in tags {
        let member = |one: &str, other: &str| {
            let value = tag.get(one).or_else(|| tag.get(other))?;
            value.as_str().map(str::to_owned)
        };
        let Some(name) = member("key", "tagKey") else { continue };
        let value = member("value", "tagValue").unwrap_or_default();
        context.push((format!("aws:RequestTag/{name}"), vec![value]));
        names.push(name);
    }
    if !names.is_empty() {
        context.push(("aws:TagKeys".into(), names));
    }
}
