//! No condition key is forgotten: neither one of AWS's nor one that the server adds.
use super::{identity, policies, replicas, requests, rotation, rows, secrets};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

/// IAM user guide, "AWS global condition context keys". A name that ends in `/` has tags behind it.
const GLOBAL: [&str; 43] = [
    "aws:AssumedRoot",
    "aws:CalledVia",
    "aws:CalledViaFirst",
    "aws:CalledViaLast",
    "aws:ChatbotSourceArn",
    "aws:CurrentTime",
    "aws:Ec2InstanceSourcePrivateIPv4",
    "aws:Ec2InstanceSourceVpc",
    "aws:EpochTime",
    "aws:FederatedProvider",
    "aws:MultiFactorAuthAge",
    "aws:MultiFactorAuthPresent",
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:PrincipalServiceName",
    "aws:PrincipalServiceNamesList",
    "aws:PrincipalTag/",
    "aws:PrincipalType",
    "aws:RequestTag/",
    "aws:RequestedRegion",
    "aws:ResourceAccount",
    "aws:ResourceOrgID",
    "aws:ResourceOrgPaths",
    "aws:ResourceTag/",
    "aws:SecureTransport",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceIdentity",
    "aws:SourceIp",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:SourceVpc",
    "aws:SourceVpce",
    "aws:TagKeys",
    "aws:TokenIssueTime",
    "aws:UserAgent",
    "aws:ViaAWSService",
    "aws:VpcSourceIp",
    "aws:userid",
    "aws:username",
];

/// Beside those: the one that says what a browser says, and those of endpoints.
const GLOBAL_TOO: [&str; 4] =
    ["aws:Referer", "aws:VpceAccount", "aws:VpceOrgID", "aws:VpceOrgPaths"];

/// AWS service authorization reference, "Condition keys for AWS Secrets Manager".
const SECRETS: [&str; 23] = [
    "secretsmanager:AddReplicaRegions",
    "secretsmanager:BlockPublicPolicy",
    "secretsmanager:Description",
    "secretsmanager:ExternalSecretRotationRoleArn",
    "secretsmanager:ForceDeleteWithoutRecovery",
    "secretsmanager:ForceOverwriteReplicaSecret",
    "secretsmanager:KmsKeyArn",
    "secretsmanager:KmsKeyId",
    "secretsmanager:ModifyRotationRules",
    "secretsmanager:Name",
    "secretsmanager:PolicyName",
    "secretsmanager:RecoveryWindowInDays",
    "secretsmanager:ResourceTag/",
    "secretsmanager:RotateImmediately",
    "secretsmanager:RotationLambdaARN",
    "secretsmanager:SecretId",
    "secretsmanager:SecretPrimaryRegion",
    "secretsmanager:Type",
    "secretsmanager:VersionId",
    "secretsmanager:VersionStage",
    "secretsmanager:resource/AllowRotationLambdaArn",
    "secretsmanager:resource/ExternalSecretRotationRoleArn",
    "secretsmanager:resource/Type",
];

/// The same, "Condition keys for AWS Security Token Service" and "… AWS Identity and Access Management",
/// without those of operations that are not served.
const IDENTITY: [&str; 12] = [
    "iam:PassedToService",
    "iam:PermissionsBoundary",
    "iam:PolicyARN",
    "iam:ResourceTag/",
    "sts:DurationSeconds",
    "sts:ExternalId",
    "sts:IdentityTokenAudience",
    "sts:RequestContext/",
    "sts:RoleSessionName",
    "sts:SigningAlgorithm",
    "sts:SourceIdentity",
    "sts:TransitiveTagKeys",
];

const ORGANISATIONS: &str = "There are no organisations: nobody and nothing belongs to one.";
const EC2: &str = "There are no instances, and so no credentials of one.";

/// Those that no request has, and why. A condition on one of them holds as on any absent key.
pub const NOT_SERVED: [(&str, &str); 16] = [
    ("aws:AssumedRoot", "There is no AssumeRoot."),
    ("aws:ChatbotSourceArn", "There is no chat application."),
    ("aws:Ec2InstanceSourcePrivateIPv4", EC2),
    ("aws:Ec2InstanceSourceVpc", EC2),
    ("aws:PrincipalOrgID", ORGANISATIONS),
    ("aws:PrincipalOrgPaths", ORGANISATIONS),
    ("aws:PrincipalServiceNamesList", "A service has one name here: aws:PrincipalServiceName."),
    ("aws:ResourceOrgID", ORGANISATIONS),
    ("aws:ResourceOrgPaths", ORGANISATIONS),
    ("aws:SourceOrgID", ORGANISATIONS),
    ("aws:SourceOrgPaths", ORGANISATIONS),
    ("aws:Referer", "Whoever asks can write into it what they like, and no AWS client sends one."),
    ("aws:VpceAccount", "Endpoints are the deployment's, of no account."),
    ("aws:VpceOrgID", ORGANISATIONS),
    ("aws:VpceOrgPaths", ORGANISATIONS),
    ("sts:RequestContext/", "ProvidedContexts is refused."),
];

/// Those that need a listener or a client of their own: in which folder of these tests they are.
const ELSEWHERE: [(&str, &str); 9] = [
    ("aws:PrincipalServiceName", "machines"),
    ("aws:SourceAccount", "machines"),
    ("aws:SourceArn", "secretsmanager"),
    ("aws:SourceVpc", "endpoints"),
    ("aws:SourceVpce", "endpoints"),
    ("aws:VpcSourceIp", "endpoints"),
    ("iam:PassedToService", "secretsmanager/cross_account"),
    ("sts:IdentityTokenAudience", "sts"),
    ("sts:SigningAlgorithm", "sts"),
];

fn all() -> impl Iterator<Item = &'static str> {
    GLOBAL.into_iter().chain(GLOBAL_TOO).chain(SECRETS).chain(IDENTITY)
}

fn belongs(key: &str, name: &str) -> bool {
    key == name || name.ends_with('/') && key.starts_with(name)
}

#[tokio::test]
async fn every_name_has_its_row_or_a_reason() {
    let scene = super::Scene::new().await;
    let rows = rows::rows(&scene.callers);
    let mut tested: BTreeSet<&str> = rows.iter().map(|row| row.key).collect();
    tested.extend(requests::KEYS);
    tested.extend(secrets::keys());
    tested.extend(policies::keys());
    tested.extend(replicas::keys());
    tested.extend(rotation::keys());
    tested.extend(identity::keys());
    for name in all() {
        let found = tested.iter().any(|key| belongs(key, name));
        let reason = NOT_SERVED.iter().any(|(other, _)| *other == name);
        let elsewhere = ELSEWHERE.iter().any(|(other, folder)| {
            *other == name && texts_of(folder).contains(&format!("\"{name}\""))
        });
        let places = [found, reason, elsewhere];
        assert_eq!(places.iter().filter(|is| **is).count(), 1, "{name}: {places:?}");
    }
    for key in tested {
        // What a provider's token says has the provider's name.
        let claim = key.contains(".com/");
        assert!(claim || all().any(|name| belongs(key, name)), "{key} is no condition key");
    }
    for (name, _) in NOT_SERVED {
        assert!(all().any(|other| other == name), "{name} is no condition key");
    }
}

/// All tests of a folder, one after the other.
fn texts_of(folder: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn the_server_adds_no_other() {
    let mut found = HashMap::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 35, "{found:?}");
    let not_served = |name: &str| NOT_SERVED.iter().any(|(other, _)| *other == name);
    for (key, place) in &found {
        let known = all().any(|name| belongs(key, &name.to_lowercase()) && !not_served(name));
        assert!(known, "{key} in {place} has no row");
    }
    for name in all().filter(|name| !not_served(name)) {
        assert!(found.contains_key(&name.to_lowercase()), "{name} is added nowhere");
    }
}

/// What is added to the conditions of requests, anywhere.
fn collect(folder: &Path, found: &mut HashMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let place = path.display().to_string();
        if path.is_dir() {
            if !["policy", "simulate", "tests"].iter().any(|other| path.ends_with(other)) {
                collect(&path, found);
            }
            continue;
        }
        if path.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        let text: String = text.split_whitespace().collect();
        for service in ["aws", "iam", "sts", "secretsmanager"] {
            for call in ["add", "add_all", "add_tags"] {
                for rest in text.split(&format!(".{call}(\"{service}:")).skip(1) {
                    let name: String = rest.chars().take_while(|c| *c != '"').collect();
                    found.insert(format!("{service}:{name}"), place.clone());
                }
            }
        }
    }
}
