//! The AWS managed key of Secrets Manager: made on first use, used only through that service.
use super::lifecycle::insert;
use super::{Accept, Alias, Found, Key, KeyError, KeyManager, Missing, NewKey, Origin, find};
use crate::memory::LockedKey;
use crate::policy::BoundPolicy;
use crate::primitives::{KeySpec, KeyUsage};
use crate::store::Tx;
use crate::types::{AccountId, Region, Timestamp};

pub const SECRETS_MANAGER_ALIAS: &str = "alias/aws/secretsmanager";

/// The policy AWS documents for `aws/secretsmanager` (Secrets Manager user guide, "Secret
/// encryption and decryption"): anyone in the account, but only through Secrets Manager.
pub fn secrets_manager_policy(account: &AccountId, region: &Region) -> String {
    let policy = serde_json::json!({
        "Version": "2012-10-17",
        "Id": "auto-secretsmanager-1",
        "Statement": [
            {
                "Sid": "Allow access through AWS Secrets Manager for all principals in the account \
                        that are authorized to use AWS Secrets Manager",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [
                    "kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*",
                    "kms:CreateGrant", "kms:DescribeKey"
                ],
                "Resource": "*",
                "Condition": {"StringEquals": {
                    "kms:ViaService": format!("secretsmanager.{region}.amazonaws.com"),
                    "kms:CallerAccount": account.as_str()
                }}
            },
            {
                "Sid": "Allow direct access to key metadata to the account",
                "Effect": "Allow",
                "Principal": {"AWS": format!("arn:aws:iam::{account}:root")},
                "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
                "Resource": "*"
            }
        ]
    });
    format!("{policy:#}")
}

/// The account's `aws/secretsmanager` key in a region. `fresh` gives the id and the material of a
/// new one, in case it does not exist yet.
pub async fn secrets_manager_key(
    tx: &mut Tx<'_>,
    account: &AccountId,
    region: &Region,
    now: Timestamp,
    fresh: impl AsyncFnOnce() -> Result<(String, LockedKey), KeyError>,
) -> Result<Found, KeyError> {
    match find(tx, account, region, SECRETS_MANAGER_ALIAS, Accept::KeyOrAlias).await {
        // Named by its id from here on: the caller did not ask by alias.
        Ok(found) => return Ok(Found { alias: None, ..found }),
        Err(Missing::Own(KeyError::NotFound(_))) => {}
        Err(Missing::Own(error)) => return Err(error),
        Err(Missing::Foreign(arn)) => return Err(KeyError::NotFound(arn.to_string())),
    }
    let (id, material) = fresh().await?;
    let new = NewKey {
        id,
        account: account.clone(),
        region: region.clone(),
        manager: KeyManager::Aws,
        description:
            "Default key that protects my Secrets Manager data when no other key is defined".into(),
        policy: BoundPolicy::of_nobody(secrets_manager_policy(account, region)),
        tags: crate::types::Tags::default(),
        spec: KeySpec::SymmetricDefault,
        usage: KeyUsage::EncryptDecrypt,
        origin: Origin::AwsKms,
        custom_key_store: None,
        multi_region: false,
        material: Some(material.into()),
    };
    let key = insert(tx, new, now)?;
    let alias = Alias::of_service(&key, SECRETS_MANAGER_ALIAS, now);
    alias.save(tx)?;
    let mut key = Key::clone(&key);
    key.aliases.insert(SECRETS_MANAGER_ALIAS.into());
    let key = key.save(tx)?;
    Ok(Found::of(tx, key, None).await?)
}
