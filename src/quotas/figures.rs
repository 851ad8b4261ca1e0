//! Every request quota, with AWS's figure in requests per second. (KMS developer guide, "Request
//! quotas"; Secrets Manager user guide, "AWS Secrets Manager quotas"; IAM user guide, "IAM and AWS
//! STS quotas".)
use super::Quota;

/// A row of the table.
#[derive(Debug)]
pub struct Figure {
    pub quota: Quota,
    /// None where AWS publishes none: not limited unless the configuration says so.
    pub per_second: Option<f64>,
    /// The operations that share it; empty if it is that of the operation it is named after.
    shared_by: &'static [&'static str],
}

impl Figure {
    /// The operations whose every request counts here. `*` is all of the service.
    pub fn operations(&self) -> impl Iterator<Item = &'static str> {
        let own = self.shared_by.is_empty().then_some(self.quota.name);
        own.into_iter().chain(self.shared_by.iter().copied()).filter(|name| *name != BY_KEY)
    }
}

/// Counted once the key or its spec is known, see `Quota::of_use` and `Quota::of_pair`.
const BY_KEY: &str = "";

const fn kms(operation: &'static str, per_second: f64) -> Figure {
    let quota = Quota { service: "kms", name: operation };
    Figure { quota, per_second: Some(per_second), shared_by: &[] }
}

const fn by_key(quota: Quota, per_second: f64) -> Figure {
    Figure { quota, per_second: Some(per_second), shared_by: &[BY_KEY] }
}

const fn pair(name: &'static str, per_second: f64) -> Figure {
    by_key(Quota { service: "kms", name }, per_second)
}

const fn secrets(
    name: &'static str,
    per_second: f64,
    shared_by: &'static [&'static str],
) -> Figure {
    let quota = Quota { service: "secretsmanager", name };
    Figure { quota, per_second: Some(per_second), shared_by }
}

const fn whole_service(service: &'static str, per_second: Option<f64>) -> Figure {
    Figure { quota: Quota { service, name: "Requests" }, per_second, shared_by: &["*"] }
}

pub static FIGURES: &[Figure] = &[
    // More in some regions: `Quota::figure`.
    Figure {
        quota: Quota::SYMMETRIC,
        per_second: Some(10_000.0),
        shared_by: &["GenerateRandom", BY_KEY],
    },
    by_key(Quota::RSA, 1000.0),
    by_key(Quota::ECC, 1000.0),
    by_key(Quota::ML_DSA, 1000.0),
    // AWS has published none for ML-KEM yet; these are those of its siblings.
    by_key(Quota::ML_KEM, 1000.0),
    pair("GenerateDataKeyPair_ECC_NIST_P256", 100.0),
    pair("GenerateDataKeyPair_ECC_NIST_P384", 100.0),
    pair("GenerateDataKeyPair_ECC_NIST_P521", 100.0),
    pair("GenerateDataKeyPair_ECC_SECG_P256K1", 100.0),
    pair("GenerateDataKeyPair_ECC_NIST_EDWARDS25519", 100.0),
    pair("GenerateDataKeyPair_ML_KEM_512", 100.0),
    pair("GenerateDataKeyPair_ML_KEM_768", 100.0),
    pair("GenerateDataKeyPair_ML_KEM_1024", 100.0),
    pair("GenerateDataKeyPair_RSA_2048", 20.0),
    pair("GenerateDataKeyPair_RSA_3072", 4.0),
    pair("GenerateDataKeyPair_RSA_4096", 1.0),
    kms("CancelKeyDeletion", 5.0),
    kms("ConnectCustomKeyStore", 5.0),
    kms("CreateAlias", 5.0),
    kms("CreateCustomKeyStore", 5.0),
    kms("CreateGrant", 50.0),
    kms("CreateKey", 5.0),
    kms("DeleteAlias", 15.0),
    kms("DeleteCustomKeyStore", 5.0),
    kms("DeleteImportedKeyMaterial", 15.0),
    kms("DescribeCustomKeyStores", 5.0),
    kms("DescribeKey", 2000.0),
    kms("DisableKey", 5.0),
    kms("DisableKeyRotation", 5.0),
    kms("DisconnectCustomKeyStore", 5.0),
    kms("EnableKey", 5.0),
    kms("EnableKeyRotation", 15.0),
    kms("GetKeyLastUsage", 5.0),
    kms("GetKeyPolicy", 1000.0),
    kms("GetKeyRotationStatus", 1000.0),
    kms("GetParametersForImport", 1.0),
    kms("GetPublicKey", 2000.0),
    kms("ImportKeyMaterial", 15.0),
    kms("ListAliases", 500.0),
    kms("ListGrants", 100.0),
    kms("ListKeyPolicies", 100.0),
    kms("ListKeyRotations", 100.0),
    kms("ListKeys", 500.0),
    kms("ListResourceTags", 2000.0),
    kms("ListRetirableGrants", 100.0),
    kms("PutKeyPolicy", 15.0),
    // Also counts as two CreateKey in the replica's region.
    kms("ReplicateKey", 5.0),
    kms("RetireGrant", 50.0),
    kms("RevokeGrant", 50.0),
    kms("RotateKeyOnDemand", 5.0),
    kms("ScheduleKeyDeletion", 15.0),
    kms("TagResource", 10.0),
    kms("UntagResource", 5.0),
    kms("UpdateAlias", 5.0),
    kms("UpdateCustomKeyStore", 5.0),
    kms("UpdateKeyDescription", 5.0),
    // Counts in both regions.
    kms("UpdatePrimaryRegion", 5.0),
    secrets("BatchGetSecretValue", 100.0, &[]),
    secrets(
        "ChangeSecret",
        50.0,
        &[
            "AssociateCrossAccountReplica",
            "DisassociateCrossAccountReplica",
            "PutSecretValue",
            "RemoveRegionsFromReplication",
            "ReplicateSecretToRegions",
            "StopReplicationToReplica",
            "UpdateSecret",
            "UpdateSecretVersionStage",
        ],
    ),
    secrets("CreateSecret", 50.0, &[]),
    secrets("DeleteSecret", 50.0, &[]),
    secrets("GetRandomPassword", 50.0, &[]),
    secrets("ListSecretVersionIds", 50.0, &[]),
    secrets("ListSecrets", 100.0, &[]),
    secrets("ReadSecret", 10_000.0, &["DescribeSecret", "GetSecretValue"]),
    secrets(
        "ResourcePolicies",
        50.0,
        &[
            "DeleteResourcePolicy",
            "GetResourcePolicy",
            "ListResourcePolicies",
            "PutResourcePolicy",
            "ValidateResourcePolicy",
        ],
    ),
    secrets("RestoreSecret", 50.0, &[]),
    secrets("Rotation", 50.0, &["CancelRotateSecret", "RotateSecret"]),
    secrets("Tags", 50.0, &["TagResource", "UntagResource"]),
    whole_service("iam", None),
    whole_service("sts", Some(600.0)),
];
