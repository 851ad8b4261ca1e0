//! How a value passes from the key of one account to the key of another: as two uses of KMS by the
//! caller, or by a role in the caller's stead.
use super::Error;
use super::kms::{context, qualified};
use crate::api::kms;
use crate::authorize::{AccessDenied, Authorized, Caller, Conditions};
use crate::call::{Call, Service, Via};
use crate::keys::{self, Accept, Found, Missing};
use crate::primitives::EncryptionAlgorithm;
use crate::secrets::{DataKey, Secret};
use crate::types::{Arn, Blob};
use serde_json::json;

const SYMMETRIC: EncryptionAlgorithm = EncryptionAlgorithm::SymmetricDefault;

/// The key, if the role may do `action` with it. By policies: no grant to the role is looked for.
pub(super) fn by_role(
    call: &mut Call<'_>,
    role: &Caller,
    found: Result<Found, Missing>,
    action: &'static str,
    mut conditions: Conditions,
) -> Result<Authorized<Found>, kms::Error> {
    let found = found.map_err(|missing| match missing {
        Missing::Own(error) => error,
        Missing::Foreign(_) => {
            AccessDenied::unknown_resource(&role.principal, action, "this resource").into()
        }
    })?;
    conditions.add("kms:calleraccount", role.principal.account.as_str());
    Ok(call.authorize_as(role, action, found, conditions)?)
}

/// Has KMS encrypt a data key under the key of a replica, and says which one that is.
pub(super) async fn seal_under(
    call: &mut Call<'_>,
    role: Option<&Caller>,
    replica: &Secret,
    version_id: &str,
    data_key: &DataKey,
) -> Result<(Blob, Option<Arn>), Error> {
    // A replica is never under `aws/secretsmanager`: that key is its account's alone.
    let named = replica.kms_key_id.as_deref().ok_or(Error::KmsDenied)?;
    let named = qualified(&replica.arn, named);
    let context = context(&replica.arn, version_id);
    let parameters = json!({
        "keyId": named,
        "encryptionAlgorithm": SYMMETRIC,
        "encryptionContext": context,
    });
    let encrypt = async |call: &mut Call<'_>| {
        let conditions = kms::crypto_conditions(SYMMETRIC.as_str(), &context);
        let (action, accept) = ("kms:Encrypt", Accept::KeyOrAlias);
        let key = match role {
            None => kms::authorized_key(call, &named, accept, action, conditions).await?,
            Some(role) => {
                let (account, region) = (role.principal.account.clone(), call.region().clone());
                let found = keys::find(&mut call.tx, &account, &region, &named, accept).await;
                by_role(call, role, found, action, conditions)?
            }
        };
        let key = kms::ready(call, key, "Encrypt")?;
        kms::wraps_data_keys(&key, &context, "Encrypt")?;
        let random = call.random();
        let sealed =
            key.encrypt(&mut call.tx, &*random, SYMMETRIC, data_key.expose(), &context).await?;
        call.record_material("keyMaterialId", sealed.material_id.clone());
        Ok::<_, kms::Error>((sealed.blob, Some(key.arn.clone())))
    };
    call.on_behalf(Via::SecretsManager, "Encrypt", kms::Kms::SOURCE, parameters, encrypt)
        .await
        .map_err(Error::on_encrypt)
}

/// Tries out the key of a replica: a secret without a value has nothing else to try it with.
pub(super) async fn try_replica_key(
    call: &mut Call<'_>,
    role: Option<&Caller>,
    replica: &Secret,
) -> Result<(), Error> {
    let random = call.random();
    let data_key = DataKey::generate(&*random);
    seal_under(call, role, replica, super::kms::TRIAL, &data_key).await?;
    Ok(())
}
