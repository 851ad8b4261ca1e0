//! Reading and writing versions' values: the store's part and KMS's together.
use super::Error;
use super::kms::{data_key, open_data_key};
use crate::call::Call;
use crate::secrets::{Edit, SealedValue, Secret, SecretValue, Version};

/// Opens the value of a version that the secret has.
pub(super) async fn open_value(
    call: &mut Call<'_>,
    secret: &Secret,
    version_id: &str,
) -> Result<SecretValue, Error> {
    let version = Version::load(&mut call.tx, secret, version_id).await?;
    let data_key = open_data_key(call, &secret.arn, &version.data_key, version_id).await?;
    version.open(&secret.arn, version_id, &data_key)
}

/// Seals a value for a version under the secret's key.
async fn seal_value(
    call: &mut Call<'_>,
    secret: &Secret,
    version_id: &str,
    value: &SecretValue,
) -> Result<SealedValue, Error> {
    let named = secret.kms_key_id.as_deref();
    let made = data_key(call, &secret.arn, named, version_id).await?;
    let (random, now) = (call.random(), call.now);
    let wrapped = (made.wrapped, made.key);
    Ok(SealedValue::seal(value, &secret.arn, version_id, &made.open, wrapped, &*random, now))
}

/// Gives the secret a version with this value. A repeated request changes nothing; a token that was
/// used for another value is refused.
pub(super) async fn write_value(
    call: &mut Call<'_>,
    secret: &mut Edit,
    token: &str,
    value: &SecretValue,
    labels: Option<&[String]>,
) -> Result<(), Error> {
    if secret.versions.contains(token) {
        return check_repeated(call, secret, token, value).await;
    }
    let sealed = seal_value(call, secret, token, value).await?;
    let now = call.now;
    secret.add_version(&mut call.tx, token, sealed, labels, now)
}

/// Whether a version has this value already. Asked by decrypting it, as AWS does, so that nobody
/// can try out guesses who may not read the secret's key.
pub(super) async fn check_repeated(
    call: &mut Call<'_>,
    secret: &Secret,
    token: &str,
    value: &SecretValue,
) -> Result<(), Error> {
    if open_value(call, secret, token).await?.is(value) {
        return Ok(());
    }
    Err(Error::Exists(format!(
        "You can't use ClientRequestToken {token} because that value is already in use for a \
         version of secret {}.",
        secret.arn
    )))
}

/// Seals the versions in use anew, where it was not the secret's present key that sealed them.
pub(super) async fn rekey(
    call: &mut Call<'_>,
    secret: &mut Edit,
    key: Option<&crate::types::Arn>,
) -> Result<(), Error> {
    let other = secret.versions.in_use().filter(|(_, version)| version.key.as_ref() != key);
    let ids: Vec<String> = other.map(|(id, _)| id.to_owned()).collect();
    for id in &ids {
        let value = open_value(call, secret, id).await?;
        let sealed = seal_value(call, secret, id, &value).await?;
        secret.rekey(&mut call.tx, id, sealed)?;
    }
    Ok(())
}
