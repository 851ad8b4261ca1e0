//! The policies that AWS manages and that tutorials and modules attach by their ARN
//! (`arn:aws:iam::aws:policy/…`). Each says what AWS's says about the services served here; actions of
//! other services are left out, since nothing here asks for them (AWS managed policy reference guide).
use super::ManagedPolicy;
use super::managed_policy::PolicyVersion;
use crate::types::{Arn, Tags, Timestamp};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, OnceLock};

/// Path, name, description, text.
const POLICIES: &[(&str, &str, &str, &str)] = &[
    (
        "/",
        "AWSKeyManagementServicePowerUser",
        "Keys are made, named, tagged and seen, but not used.",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["kms:CreateAlias",
        "kms:CreateKey","kms:DeleteAlias","kms:Describe*","kms:GenerateRandom","kms:Get*","kms:List*",
        "kms:TagResource","kms:UntagResource","iam:ListGroups","iam:ListRoles","iam:ListUsers"],
        "Resource":"*"}]}"#,
    ),
    (
        "/service-role/",
        "AWSLambdaBasicExecutionRole",
        "A function writes its log.",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup",
        "logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}"#,
    ),
    (
        "/",
        "AWSSecretsManagerClientReadOnlyAccess",
        "Secrets are read, and decrypted for that.",
        r#"{"Version":"2012-10-17","Statement":[
        {"Sid":"Secrets","Effect":"Allow","Action":["secretsmanager:DescribeSecret",
        "secretsmanager:GetSecretValue"],"Resource":"arn:aws:secretsmanager:*:*:secret:*"},
        {"Sid":"Keys","Effect":"Allow","Action":"kms:Decrypt","Resource":"arn:aws:kms:*:*:key/*",
        "Condition":{"StringLike":{
        "kms:EncryptionContext:SecretARN":"arn:aws:secretsmanager:*:*:secret:*",
        "kms:ViaService":"secretsmanager.*.amazonaws.com"}}}]}"#,
    ),
    (
        "/",
        "AdministratorAccess",
        "Everything.",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    ),
    (
        "/",
        "IAMFullAccess",
        "Everything in IAM.",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"}]}"#,
    ),
    (
        "/",
        "IAMReadOnlyAccess",
        "Seeing everything in IAM, and simulating policies.",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:Get*","iam:List*",
        "iam:GenerateCredentialReport","iam:GenerateServiceLastAccessedDetails",
        "iam:SimulateCustomPolicy","iam:SimulatePrincipalPolicy"],"Resource":"*"}]}"#,
    ),
    (
        "/",
        "PowerUserAccess",
        "Everything but users, accounts and organisations.",
        r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","NotAction":["iam:*","organizations:*","account:*"],"Resource":"*"},
        {"Effect":"Allow","Action":["iam:CreateServiceLinkedRole","iam:DeleteServiceLinkedRole",
        "iam:ListRoles"],"Resource":"*"}]}"#,
    ),
    (
        "/",
        "ReadOnlyAccess",
        "Seeing what there is, but no secrets.",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:Generate*","iam:Get*",
        "iam:List*","iam:Simulate*","kms:Describe*","kms:Get*","kms:List*",
        "secretsmanager:DescribeSecret","secretsmanager:GetResourcePolicy","secretsmanager:List*",
        "sts:GetAccessKeyInfo","sts:GetCallerIdentity","sts:GetSessionToken"],"Resource":"*"}]}"#,
    ),
    (
        "/",
        "SecretsManagerReadWrite",
        "Everything in Secrets Manager, and seeing keys.",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["secretsmanager:*",
        "kms:DescribeKey","kms:ListAliases","kms:ListKeys"],"Resource":"*"}]}"#,
    ),
    (
        "/",
        "SecurityAudit",
        "Seeing how things are set up.",
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:Get*","iam:List*","iam:GenerateCredentialReport",
        "iam:GenerateServiceLastAccessedDetails","iam:SimulateCustomPolicy",
        "iam:SimulatePrincipalPolicy",
        "kms:Describe*","kms:Get*","kms:List*","secretsmanager:DescribeSecret",
        "secretsmanager:GetResourcePolicy","secretsmanager:ListSecretVersionIds",
        "secretsmanager:ListSecrets"],"Resource":"*"}]}"#,
    ),
];

static ALL: LazyLock<BTreeMap<String, Arc<ManagedPolicy>>> = LazyLock::new(|| {
    let policy = |(path, name, description, text): &(&str, &str, &str, &str)| {
        let arn = Arn::new("iam", "", "aws", &format!("policy{path}{name}"));
        let version = PolicyVersion { text: (*text).to_owned(), created: Timestamp(0) };
        let policy = ManagedPolicy {
            account: None,
            name: (*name).to_owned(),
            id: format!("ANPA{name:A<17.17}").to_uppercase(),
            path: (*path).to_owned(),
            arn: arn.clone(),
            description: (*description).to_owned(),
            created: Timestamp(0),
            updated: Timestamp(0),
            versions: [(1, version)].into(),
            default: 1,
            last: 1,
            tags: Tags::default(),
            attachments: 0,
            boundaries: 0,
            compiled: OnceLock::new(),
        };
        (arn.to_string(), Arc::new(policy))
    };
    POLICIES.iter().map(policy).collect()
});

pub(super) fn find(arn: &str) -> Option<Arc<ManagedPolicy>> {
    ALL.get(arn).cloned()
}

/// All of them, by ARN.
pub fn all() -> impl Iterator<Item = &'static Arc<ManagedPolicy>> {
    ALL.values()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Kind, Policy};
    use std::collections::BTreeSet;

    #[test]
    fn all_can_be_read_and_none_has_the_id_of_another() {
        let mut ids = BTreeSet::new();
        for policy in all() {
            assert!(Policy::parse(policy.text(), Kind::Identity).is_ok(), "{}", policy.arn);
            assert!(policy.id.len() == 21 && ids.insert(&policy.id), "{}", policy.id);
            assert!(find(policy.arn.as_str()).is_some());
        }
        assert_eq!(ids.len(), 10);
    }
}
