//! Names that nothing has: actions and condition keys that were misspelt match no request, and nobody
//! is told.
//!
//! Source: service authorization reference; IAM user guide, "AWS global condition context keys" and
//! "IAM and AWS STS condition context keys"; KMS developer guide, "Condition keys for AWS KMS".

use super::cover::includes;
use super::written::Written;
use super::{Report, Services, Severity};

/// Actions that are no operation, and operations that are no action.
const ONLY_ACTIONS: [(&str, &[&str]); 4] = [
    (
        "iam",
        &[
            "PassRole",
            "CreateServiceLinkedRole",
            "DeleteServiceLinkedRole",
            "SetSecurityTokenServicePreferences",
        ],
    ),
    ("kms", &["ReEncryptFrom", "ReEncryptTo", "SynchronizeMultiRegionKey"]),
    ("secretsmanager", &["AcceptCrossAccountReplication"]),
    (
        "sts",
        &[
            "TagSession",
            "SetSourceIdentity",
            "SetContext",
            "GetServiceBearerToken",
            "TagGetWebIdentityToken",
        ],
    ),
];
const NO_ACTIONS: [&str; 1] = ["kms:ReEncrypt"];
/// Of IAM not all operations are known.
const IN_PART: &str = "iam";

/// Condition keys. What ends in `/` or `:` is followed by a name of the author's choice.
const GLOBAL: &str = "AssumedRoot CalledVia CalledViaFirst CalledViaLast ChatbotSourceArn \
    CurrentTime Ec2InstanceSourceVpc Ec2InstanceSourcePrivateIPv4 EpochTime FederatedProvider \
    IsMcpServiceAction MultiFactorAuthAge MultiFactorAuthPresent PrincipalAccount PrincipalArn \
    PrincipalIsAWSService PrincipalOrgID PrincipalOrgPaths PrincipalServiceName \
    PrincipalServiceNamesList PrincipalTag/ PrincipalType Referer RequestedRegion RequestTag/ \
    ResourceAccount ResourceOrgID ResourceOrgPaths ResourceTag/ SecureTransport SignInSessionArn \
    SourceAccount SourceArn SourceIdentity SourceIp SourceOrgID SourceOrgPaths SourceOwner \
    SourceVpc SourceVpcArn SourceVpce TagKeys TokenIssueTime UserAgent userid username \
    ViaAWSMCPService ViaAWSService VpceAccount VpceOrgID VpceOrgPaths VpcSourceIp";
const KMS: &str = "BypassPolicyLockoutSafetyCheck CallerAccount CustomerMasterKeySpec \
    CustomerMasterKeyUsage DataKeyPairSpec EncapsulationAlgorithm EncryptionAlgorithm \
    EncryptionContext: EncryptionContextKeys ExpirationModel GrantConstraintSourceArn \
    GrantConstraintType GrantIsForAWSResource GrantOperations GranteePrincipal \
    GranteeServicePrincipal KeyAgreementAlgorithm KeyOrigin KeySpec \
    KeyUsage MacAlgorithm MessageType MultiRegion MultiRegionKeyType PolicyName PrimaryRegion \
    ReEncryptOnSameKey RecipientAttestation: ReplicaRegion RequestAlias ResourceAliases \
    RetiringPrincipal RetiringServicePrincipal RotationPeriodInDays \
    ScheduleKeyDeletionPendingWindowInDays SigningAlgorithm TrailingDaysWithoutKeyUsage ValidTo \
    ViaService WrappingAlgorithm WrappingKeySpec";
const SECRETS: &str = "AddReplicaRegions BlockPublicPolicy Description \
    ExternalSecretRotationRoleArn ForceDeleteWithoutRecovery ForceOverwriteReplicaSecret KmsKeyArn \
    KmsKeyId ModifyRotationRules Name PolicyName RecoveryWindowInDays ResourceTag/ \
    RotateImmediately \
    RotationLambdaARN SecretId SecretPrimaryRegion Type VersionId VersionStage \
    resource/AllowRotationLambdaArn resource/Type";
const STS: &str = "AWSServiceName DurationSeconds ExternalId IdentityTokenAudience \
    RequestContext/ RequestContextProviders RoleSessionName SigningAlgorithm SourceIdentity \
    TaskPolicyArn TransitiveTagKeys";
const IAM: &str = "AWSServiceName AssociatedResourceArn DelegationDuration DelegationRequestOwner \
    FIDO-FIPS-140-2-certification FIDO-FIPS-140-3-certification FIDO-certification \
    NotificationChannel OrganizationsPolicyId PassedToService PermissionsBoundary PolicyARN \
    RegisterSecurityKey ResourceTag/ ServiceSpecificCredentialAgeDays \
    ServiceSpecificCredentialServiceName TemplateArn";
const KEYS: [(&str, &str); 5] =
    [("aws", GLOBAL), ("iam", IAM), ("kms", KMS), ("secretsmanager", SECRETS), ("sts", STS)];

/// As many changed letters are taken for a slip.
const NEAR: usize = 2;

pub(super) fn check(statement: &Written, services: &Services<'_>, report: &mut Report) {
    for pattern in &statement.actions.texts {
        if let Some((severity, message)) = action(pattern, services) {
            report.add(severity, "unknown-action", statement, "Action", message);
        }
    }
    for asked in &statement.conditions {
        if let Some(message) = condition_key(&asked.key) {
            let rule = "unknown-condition-key";
            report.add(Severity::Warning, rule, statement, "Condition", message);
        }
    }
}

fn action(pattern: &str, services: &Services<'_>) -> Option<(Severity, String)> {
    let (prefix, _) = pattern.split_once(':')?;
    let service = prefix.to_ascii_lowercase();
    if prefix == "*" {
        return None;
    }
    let Some(operations) = services.get(service.as_str()) else {
        let known = services.keys().copied();
        let message = match nearest(&service, known) {
            Some(near) => format!("{pattern}: is the service {near} meant?"),
            None => format!("{pattern}: the service {prefix} is not one that is served here"),
        };
        return Some((Severity::Note, message));
    };
    let only = ONLY_ACTIONS.iter().filter(|(name, _)| *name == service);
    let names: Vec<String> = operations
        .iter()
        .chain(only.flat_map(|(_, names)| names.iter()))
        .map(|name| format!("{service}:{name}"))
        .filter(|name| !NO_ACTIONS.contains(&name.as_str()))
        .collect();
    let wanted = pattern.to_ascii_lowercase();
    if names.iter().any(|name| includes(&wanted, &name.to_ascii_lowercase())) {
        return None;
    }
    let near = nearest(&wanted, names.iter().map(String::as_str));
    let severity = match near {
        None if service == IN_PART => Severity::Note,
        _ => Severity::Warning,
    };
    let hint = near.map_or_else(String::new, |near| format!("; {near} is"));
    Some((severity, format!("{pattern} is no action that is known{hint}")))
}

/// None if the key is known, or of a service that is not served here.
fn condition_key(key: &str) -> Option<String> {
    let (prefix, name) = key.split_once(':')?;
    let Some((_, names)) = KEYS.iter().find(|(known, _)| prefix.eq_ignore_ascii_case(known)) else {
        let near = nearest(&prefix.to_ascii_lowercase(), KEYS.iter().map(|(known, _)| *known))?;
        return Some(format!("{key} is no condition key that is known; is {near}:{name} meant?"));
    };
    let name = name.to_ascii_lowercase();
    let fits = |known: &str| {
        let known = known.to_ascii_lowercase();
        match known.ends_with(['/', ':']) {
            true => name.len() > known.len() && name.starts_with(&known),
            false => name == known,
        }
    };
    if names.split_whitespace().any(fits) {
        return None;
    }
    let begin: String = name.split_inclusive(['/', ':']).next().unwrap_or_default().to_owned();
    let near = nearest(&begin, names.split_whitespace())
        .map_or_else(String::new, |near| format!("; {prefix}:{near} is"));
    Some(format!("{key} is no condition key that is known{near}"))
}

/// The known name that this one is a slip of.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let measured = known.map(|known| (distance(name, &known.to_ascii_lowercase()), known));
    let (slips, nearest) = measured.min_by_key(|(slips, _)| *slips)?;
    // Of a short name, two other letters make another name.
    (slips <= NEAR && slips * 3 <= name.len()).then_some(nearest)
}

/// How many letters must be put in, left out or exchanged.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(256).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, c) in one.chars().take(256).enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        for (place, o) in row.iter_mut().skip(1).zip(&other) {
            let above = *place;
            let changed = diagonal + usize::from(c != *o);
            left = changed.min(above + 1).min(left + 1);
            (diagonal, *place) = (above, left);
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
