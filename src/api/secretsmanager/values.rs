//! Reading and writing versions' values: the store's part and KMS's together.
use super::kms::{data_key, open_data_key};
use super::{Error, rotations};
use crate::call::Call;
use crate::secrets::rotation::{Outcome, Run};
use crate::secrets::{Edit, SealedValue, Secret, SecretValue, Version};
use crate::types::SecretText;
use subtle::ConstantTimeEq;

/// Opens the value of a version that the secret has.
pub(super) async fn open_value(
    call: &mut Call<'_>,
    secret: &Secret,
    version_id: &str,
) -> Result<SecretValue, Error> {
    let version = Version::load(&mut call.tx, secret, version_id).await?;
    let data_key = open_data_key(call, None, &secret.arn, &version.data_key, version_id).await?;
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
    if secret.versions.get(token).is_some_and(|version| version.has_value) {
        return check_repeated(call, secret, token, value).await;
    }
    let sealed = seal_value(call, secret, token, value).await?;
    abandon_rotation(call, secret, token).await?;
    let now = call.now;
    secret.add_version(&mut call.tx, token, sealed, labels, now)
}

/// Ends the rotation of a secret that gets another value than the one the rotation is to make. (Secrets
/// Manager user guide, "Log AWS Secrets Manager events": RotationAbandoned.)
async fn abandon_rotation(
    call: &mut Call<'_>,
    secret: &mut Edit,
    token: &str,
) -> Result<(), Error> {
    if secret.rotation.is_none() {
        return Ok(());
    }
    let run = Run::of(&mut call.tx, secret).await?;
    // Once all steps are done there is nothing to abandon.
    let under_way = run.is_some_and(|run| run.token != token && run.finished.is_none());
    if !secret.abandon_rotation(&mut call.tx, token, under_way)? {
        return Ok(());
    }
    rotations::end(call, secret, Outcome::Abandoned).await?;
    let which = (&secret.account, &secret.region, &secret.arn);
    let event = rotations::rotation_event(call.server, "RotationAbandoned", which);
    call.record_event(event);
    Ok(())
}

/// Whether a token is the one that the function of the rotation under way was given to make this
/// version.
pub(super) async fn is_rotation_token(
    call: &mut Call<'_>,
    secret: &Secret,
    version_id: &str,
    shown: &SecretText,
) -> Result<bool, Error> {
    let Some(run) = Run::of(&mut call.tx, secret).await? else { return Ok(false) };
    let (wanted, shown) = (run.rotation_token.expose().as_bytes(), shown.expose().as_bytes());
    // In constant time.
    Ok(run.token == version_id && bool::from(wanted.ct_eq(shown)))
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
