//! How Secrets Manager uses KMS: for the caller and with the caller's own permissions, bound to the
//! secret and its version, each use an audit event of its own. (Secrets Manager user guide, "Secret
//! encryption and decryption in AWS Secrets Manager".)
use super::Error;
use super::cross_account_keys::by_role;
use crate::api::kms;
use crate::authorize::{Caller, Conditions};
use crate::call::{Call, Service, Via};
use crate::keys::{self, Accept, Missing, SECRETS_MANAGER_ALIAS};
use crate::primitives::EncryptionAlgorithm;
use crate::secrets::DataKey;
use crate::types::{Arn, Blob, EncryptionContext};
use serde_json::json;
use std::borrow::Cow;

/// Secrets are encrypted under symmetric keys only.
const SYMMETRIC: EncryptionAlgorithm = EncryptionAlgorithm::SymmetricDefault;

/// The version id under which AWS tries out a key that a secret is to use.
pub(super) const TRIAL: &str = "RequestToValidateKeyAccess";

/// A data key: open, encrypted, and the KMS key that did it (none for `aws/secretsmanager`).
#[derive(Debug)]
pub(super) struct NewDataKey {
    pub open: DataKey,
    pub wrapped: Blob,
    pub key: Option<Arn>,
}

pub(super) fn context(secret: &Arn, version_id: &str) -> EncryptionContext {
    [("SecretARN", secret.as_str()), ("SecretVersionId", version_id)].into()
}

/// Has KMS make the data key of a version, under the key `named` as the caller names keys.
pub(super) async fn data_key(
    call: &mut Call<'_>,
    secret: &Arn,
    named: Option<&str>,
    version_id: &str,
) -> Result<NewDataKey, Error> {
    // The caller's own default key would be another one than the secret's.
    if named.is_none() && secret.account() != call.account().as_str() {
        return Err(Error::KmsDenied);
    }
    let named = named.map(|named| in_the_words_of(secret, call, named));
    let named = named.as_deref();
    let context = context(secret, version_id);
    let parameters = json!({
        "keyId": named.unwrap_or(SECRETS_MANAGER_ALIAS),
        "keySpec": "AES_256",
        "encryptionContext": context,
    });
    let generate = async |call: &mut Call<'_>| generate(call, named, &context).await;
    let source = kms::Kms::SOURCE;
    call.on_behalf(Via::SecretsManager, "GenerateDataKey", source, parameters, generate)
        .await
        .map_err(Error::on_encrypt)
}

/// The key that the secret's account means by this name, which may mean another one to an account that
/// writes a value into a secret of others.
fn in_the_words_of<'n>(secret: &Arn, call: &Call<'_>, named: &'n str) -> Cow<'n, str> {
    if secret.account() == call.account().as_str() {
        named.into()
    } else {
        qualified(secret, named)
    }
}

/// The ARN of the key that the secret's account means by this name.
pub(super) fn qualified<'n>(secret: &Arn, named: &'n str) -> Cow<'n, str> {
    if named.starts_with("arn:") {
        return named.into();
    }
    let resource = match named.starts_with("alias/") {
        true => named.to_owned(),
        false => format!("key/{named}"),
    };
    Arn::new("kms", secret.region(), secret.account(), &resource).to_string().into()
}

async fn generate(
    call: &mut Call<'_>,
    named: Option<&str>,
    context: &EncryptionContext,
) -> Result<NewDataKey, kms::Error> {
    let action = "kms:GenerateDataKey";
    let conditions = kms::crypto_conditions(SYMMETRIC.as_str(), context);
    let key = match named {
        Some(named) => {
            kms::authorized_key(call, named, Accept::KeyOrAlias, action, conditions).await?
        }
        None => {
            let found = kms::service_key(call).await?;
            kms::authorized_found(call, found, action, conditions).await?
        }
    };
    let key = kms::ready(call, key, "GenerateDataKey")?;
    kms::wraps_data_keys(&key, context, "GenerateDataKey")?;
    let random = call.random();
    let open = DataKey::generate(&*random);
    let sealed = key.encrypt(&mut call.tx, &*random, SYMMETRIC, open.expose(), context).await?;
    call.record_material("keyMaterialId", sealed.material_id);
    Ok(NewDataKey { open, wrapped: sealed.blob, key: named.map(|_| key.arn.clone()) })
}

/// Has KMS decrypt the data key of a version, for the caller or for a role in the caller's stead. The
/// blob says which key made it.
pub(super) async fn open_data_key(
    call: &mut Call<'_>,
    role: Option<&Caller>,
    secret: &Arn,
    wrapped: &Blob,
    version_id: &str,
) -> Result<DataKey, Error> {
    let context = context(secret, version_id);
    let parameters = json!({ "encryptionAlgorithm": SYMMETRIC, "encryptionContext": context });
    let decrypt = async |call: &mut Call<'_>| {
        let conditions = kms::crypto_conditions(SYMMETRIC.as_str(), &context);
        let action = "kms:Decrypt";
        let key = match role {
            None => kms::authorized_key_of(call, wrapped, action, conditions).await?,
            Some(role) => {
                let (account, region) = (role.principal.account.clone(), call.region().clone());
                let found = keys::find_for(&mut call.tx, &account, &region, wrapped).await;
                by_role(call, role, found, action, conditions)?
            }
        };
        let key = kms::ready(call, key, "Decrypt")?;
        let (plaintext, material_id) =
            key.decrypt(&mut call.tx, SYMMETRIC, wrapped, &context).await?;
        call.record_material("keyMaterialId", material_id);
        Ok::<_, kms::Error>(plaintext)
    };
    let plaintext = call
        .on_behalf(Via::SecretsManager, "Decrypt", kms::Kms::SOURCE, parameters, decrypt)
        .await
        .map_err(Error::on_decrypt)?;
    DataKey::opened(&plaintext)
}

/// Tries out a key that a secret is to use, both ways, and says which one it is.
pub(super) async fn try_key(
    call: &mut Call<'_>,
    secret: &Arn,
    named: &str,
) -> Result<Option<Arn>, Error> {
    let made = data_key(call, secret, Some(named), TRIAL).await?;
    open_data_key(call, None, secret, &made.wrapped, TRIAL).await?;
    Ok(made.key)
}

/// A request's `KmsKeyId`; none for `aws/secretsmanager`, which AWS also takes for the empty text
/// and for that key's own alias.
pub(super) fn parse_key_id(call: &Call<'_>, named: String) -> Option<String> {
    let default = named.is_empty() || kms::names_service_key(call, &named);
    (!default).then_some(named)
}

/// Adds the condition keys that say which key a secret is to use.
pub(super) async fn describe_key(
    call: &mut Call<'_>,
    named: Option<&str>,
    conditions: &mut Conditions,
) -> Result<(), Error> {
    let Some(named) = named else { return Ok(()) };
    conditions.add("secretsmanager:kmskeyid", named);
    let (account, region) = (call.account().clone(), call.region().clone());
    match keys::find(&mut call.tx, &account, &region, named, Accept::KeyOrAlias).await {
        Ok(key) if key.account == account => {
            conditions.add("secretsmanager:kmskeyarn", key.arn.as_str());
        }
        // Of another account's key only what the caller said itself, whether it exists or not: a
        // condition must not tell which keys and aliases there are elsewhere.
        Ok(_) | Err(Missing::Foreign(_)) if named.contains(":key/") => {
            conditions.add("secretsmanager:kmskeyarn", named);
        }
        // A key that is not there is KMS's to refuse, after the secret's own permission.
        Err(Missing::Own(kms::Error::Store(error))) => return Err(error.into()),
        Ok(_) | Err(Missing::Own(_) | Missing::Foreign(_)) => {}
    }
    Ok(())
}
