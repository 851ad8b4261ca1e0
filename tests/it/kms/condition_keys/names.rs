//! No condition key is forgotten: neither one of AWS's nor one that the server adds.
use super::rows::rows;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// AWS KMS developer guide, "AWS KMS condition keys".
const NAMES: [&str; 46] = [
    "kms:BypassPolicyLockoutSafetyCheck",
    "kms:CallerAccount",
    "kms:CustomerMasterKeySpec",
    "kms:CustomerMasterKeyUsage",
    "kms:DataKeyPairSpec",
    // Expected by the names of its neighbours: not yet in the guide.
    "kms:EncapsulationAlgorithm",
    "kms:EncryptionAlgorithm",
    "kms:EncryptionContext:",
    "kms:EncryptionContextKeys",
    "kms:ExpirationModel",
    "kms:GrantConstraintSourceArn",
    "kms:GrantConstraintType",
    "kms:GrantIsForAWSResource",
    "kms:GrantOperations",
    "kms:GranteePrincipal",
    "kms:GranteeServicePrincipal",
    "kms:KeyAgreementAlgorithm",
    "kms:KeyOrigin",
    "kms:KeySpec",
    "kms:KeyUsage",
    "kms:MacAlgorithm",
    "kms:MessageType",
    "kms:MultiRegion",
    "kms:MultiRegionKeyType",
    "kms:PolicyName",
    "kms:PrimaryRegion",
    "kms:ReEncryptOnSameKey",
    "kms:RecipientAttestation:ImageSha384",
    "kms:RecipientAttestation:NitroTPMPCR",
    "kms:RecipientAttestation:PCR",
    "kms:ReplicaRegion",
    "kms:RequestAlias",
    "kms:ResourceAliases",
    "kms:RetiringPrincipal",
    "kms:RetiringServicePrincipal",
    "kms:RotationPeriodInDays",
    "kms:ScheduleKeyDeletionPendingWindowInDays",
    "kms:SigningAlgorithm",
    "kms:TrailingDaysWithoutKeyUsage",
    "kms:ValidTo",
    "kms:ViaService",
    "kms:WrappingAlgorithm",
    "kms:WrappingKeySpec",
    // Of all services, where KMS sets them.
    "aws:RequestTag/",
    "aws:ResourceTag/",
    "aws:TagKeys",
];

/// Those without a row, and why.
const ELSEWHERE: [(&str, &str); 2] = [
    ("kms:RecipientAttestation:", "Recipient is refused, so there never is an attestation."),
    ("kms:ViaService", "A service has to call: via_service.rs."),
];

#[test]
fn every_name_has_its_row() {
    let rows: BTreeSet<&str> = rows().iter().map(|row| row.key).collect();
    let has_row = |name: &str| {
        let pair = name.ends_with([':', '/']);
        rows.iter().any(|key| *key == name || pair && key.starts_with(name))
    };
    for name in NAMES {
        let elsewhere = ELSEWHERE.iter().any(|(prefix, _)| name.starts_with(prefix));
        assert_ne!(has_row(name), elsewhere, "{name}");
    }
    for key in rows {
        let known = NAMES.iter().any(|name| *name == key || key.starts_with(*name));
        assert!(known, "{key} is no condition key");
    }
}

#[test]
fn the_server_adds_no_other() {
    let names: BTreeSet<String> = NAMES.iter().map(|name| name.to_lowercase()).collect();
    let mut found = BTreeSet::new();
    for folder in ["api/kms", "authorize", "keys", "call"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
        collect(&folder, &mut found);
    }
    collect_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/authorize.rs"), &mut found);
    assert!(found.len() > 35, "{found:?}");
    for key in &found {
        assert!(names.contains(key), "{key} has no row");
    }
    for name in names.iter().filter(|name| name.starts_with("kms:")) {
        let refused = name.starts_with("kms:recipientattestation:");
        assert_ne!(found.contains(name), refused, "{name} is added nowhere");
    }
}

fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            collect_file(&path, found);
        }
    }
}

/// The literals `"kms:…"` in lower case; actions have capitals.
fn collect_file(path: &Path, found: &mut BTreeSet<String>) {
    let text = fs::read_to_string(path).unwrap();
    for rest in text.split("\"kms:").skip(1) {
        let name: String =
            rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == ':').collect();
        if !name.is_empty() {
            found.insert(format!("kms:{name}"));
        }
    }
}
