//! Why an error of the model cannot occur here.
use crate::modelled::Reason;

const DEVICE: &str = "The device and the store are asked without a time limit of their own: a store \
    that fails is KMSInternalException, and the device is asked only where keys are made.";
const PRESENT: &str = "The material of a key is in the store beside it; if it is in a device that does \
    not answer, that is KMSInvalidStateException, and no fault of the server.";
const KEY_ARN: &str = "An ARN that is no key's, or another Region's, is answered with \
    NotFoundException (\"Invalid arn …\"), as AWS answers it.";
const ALWAYS: &str =
    "AWS's table of key states permits it in every state of the keys that it is for.";
const CLUSTER: &str = "No cluster is asked anything before ConnectCustomKeyStore connects it, and only \
    one that can keep keys is connected.";
const AWAY: &str = "A device that does not answer is CustomKeyStoreInvalidStateException: it is the \
    store's, and no fault of the server.";
const PROXY: &str = "There are no VPC endpoint services here: a proxy is where the operator registered \
    that it is, whatever the store names beside it.";

pub const REASONS: &[Reason] = &[
    Reason(
        &["DependencyTimeoutException"],
        &[
            "CancelKeyDeletion",
            "CreateAlias",
            "CreateGrant",
            "Decapsulate",
            "Decrypt",
            "DeleteAlias",
            "DeleteImportedKeyMaterial",
            "DeriveSharedSecret",
            "DisableKey",
            "DisableKeyRotation",
            "EnableKey",
            "EnableKeyRotation",
            "Encapsulate",
            "Encrypt",
            "GenerateDataKey",
            "GenerateDataKeyPair",
            "GenerateDataKeyPairWithoutPlaintext",
            "GenerateDataKeyWithoutPlaintext",
            "GetKeyLastUsage",
            "GetKeyPolicy",
            "GetKeyRotationStatus",
            "GetParametersForImport",
            "GetPublicKey",
            "ImportKeyMaterial",
            "ListAliases",
            "ListGrants",
            "ListKeyPolicies",
            "ListKeys",
            "ListRetirableGrants",
            "PutKeyPolicy",
            "ReEncrypt",
            "RetireGrant",
            "RevokeGrant",
            "ScheduleKeyDeletion",
            "Sign",
            "UpdateAlias",
            "UpdateKeyDescription",
            "Verify",
        ],
        DEVICE,
    ),
    Reason(
        &["KeyUnavailableException"],
        &[
            "Decapsulate",
            "Decrypt",
            "DeriveSharedSecret",
            "Encapsulate",
            "Encrypt",
            "GenerateDataKey",
            "GenerateDataKeyPair",
            "GenerateDataKeyPairWithoutPlaintext",
            "GenerateDataKeyWithoutPlaintext",
            "GenerateMac",
            "GetPublicKey",
            "ReEncrypt",
            "Sign",
            "Verify",
            "VerifyMac",
        ],
        PRESENT,
    ),
    Reason(
        &["InvalidArnException"],
        &[
            "CancelKeyDeletion",
            "DeleteImportedKeyMaterial",
            "DescribeKey",
            "DisableKey",
            "DisableKeyRotation",
            "EnableKey",
            "EnableKeyRotation",
            "GetKeyLastUsage",
            "GetKeyPolicy",
            "GetKeyRotationStatus",
            "GetParametersForImport",
            "GetPublicKey",
            "ImportKeyMaterial",
            "ListAliases",
            "ListKeyPolicies",
            "ListKeyRotations",
            "ListResourceTags",
            "PutKeyPolicy",
            "ReplicateKey",
            "RetireGrant",
            "RevokeGrant",
            "RotateKeyOnDemand",
            "ScheduleKeyDeletion",
            "TagResource",
            "UntagResource",
            "UpdateKeyDescription",
            "UpdatePrimaryRegion",
        ],
        KEY_ARN,
    ),
    Reason(
        &["InvalidArnException"],
        &["CreateKey"],
        "It takes no ARN but those of principals in its policy, which are \
         MalformedPolicyDocumentException.",
    ),
    Reason(
        &["KMSInvalidStateException"],
        &[
            "DeleteAlias",
            "GetKeyPolicy",
            "GetKeyRotationStatus",
            "ListGrants",
            "ListKeyPolicies",
            "ListKeyRotations",
            "PutKeyPolicy",
            "RetireGrant",
            "RevokeGrant",
        ],
        ALWAYS,
    ),
    Reason(
        &["NotFoundException"],
        &["ListRetirableGrants"],
        "It names a principal, and one that there is not is InvalidArnException.",
    ),
    Reason(
        &["InvalidKeyUsageException"],
        &["GetPublicKey"],
        "It takes key pairs of every usage; keys without a public key are \
         UnsupportedOperationException.",
    ),
    Reason(
        &["UnsupportedOperationException"],
        &["PutKeyPolicy"],
        "Only AWS managed keys would be refused so, and their policies let nobody get as far.",
    ),
    Reason(
        &["LimitExceededException"],
        &["EnableKey"],
        "Enabled keys are not counted apart from keys, which are counted when they are made.",
    ),
    Reason(
        &["TagException"],
        &["UntagResource"],
        "It takes any names, also those that the key has not: none that it could refuse can be there.",
    ),
    Reason(
        &["CloudHsmClusterInvalidConfigurationException"],
        &["CreateCustomKeyStore", "CreateKey", "UpdateCustomKeyStore"],
        CLUSTER,
    ),
    Reason(
        &["CloudHsmClusterNotActiveException"],
        &["CreateCustomKeyStore", "UpdateCustomKeyStore"],
        CLUSTER,
    ),
    Reason(&["DependencyTimeoutException"], &["GenerateRandom"], AWAY),
    Reason(&["IncorrectTrustAnchorException"], &["CreateCustomKeyStore"], CLUSTER),
    Reason(
        &[
            "XksProxyVpcEndpointServiceNotFoundException",
            "XksProxyVpcEndpointServiceInvalidConfigurationException",
        ],
        &["CreateCustomKeyStore", "UpdateCustomKeyStore"],
        PROXY,
    ),
];
