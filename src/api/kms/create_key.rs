use super::asking::asking;
use super::common::{Tag, fresh_material};
use super::get_key_policy::DEFAULT;
use super::metadata::KeyMetadata;
use super::put_key_policy::bind_policy;
use super::{Error, Kms};
use crate::authorize::{Account, Authorized, Conditions};
use crate::call::{Call, Operation};
use crate::keys::stores::{self, ExternalKey, KeyStore, external};
use crate::keys::{self, Found, KeyManager, NewKey, Origin, resident};
use crate::policy::BoundPolicy;
use crate::primitives::{KeySpec, KeyUsage};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Creates a KMS key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateKey {
    pub(super) policy: Option<String>,
    pub(super) description: Option<String>,
    pub(super) key_usage: Option<String>,
    pub(super) customer_master_key_spec: Option<String>,
    pub(super) key_spec: Option<String>,
    pub(super) origin: Option<String>,
    pub(super) custom_key_store_id: Option<String>,
    pub(super) bypass_policy_lockout_safety_check: Option<bool>,
    pub(super) tags: Option<Vec<Tag>>,
    pub(super) multi_region: Option<bool>,
    pub(super) xks_key_id: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateKeyResponse {
    pub(super) key_metadata: KeyMetadata,
}

impl Operation for CreateKey {
    type Service = Kms;
    type Response = CreateKeyResponse;
    const NAME: &'static str = "CreateKey";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &[
        "Policy",
        "Description",
        "KeyUsage",
        "CustomerMasterKeySpec",
        "KeySpec",
        "Origin",
        "CustomKeyStoreId",
        "BypassPolicyLockoutSafetyCheck",
        "Tags",
        "MultiRegion",
        "XksKeyId",
    ];
    const ANSWER_RECORDED: &'static [&'static str] = &["KeyMetadata"];

    async fn execute(self, call: &mut Call<'_>) -> Result<CreateKeyResponse, Error> {
        let (spec, usage) = self.kind()?;
        let origin = self.origin()?;
        check_spec(origin, spec)?;
        let multi_region = self.multi_region.unwrap_or(false);
        let tags = Tag::parse(self.tags)?;
        let bypass = self.bypass_policy_lockout_safety_check.unwrap_or(false);
        let mut conditions = conditions(multi_region, bypass);
        keys::describe(&mut conditions, spec, usage, origin);
        conditions.add("kms:calleraccount", call.account().as_str());
        conditions.add_request_tags(&tags);
        if !tags.0.is_empty() {
            call.authorize("kms:TagResource", call.whole_account(), conditions.clone())?;
        }
        let allowed = call.authorize("kms:CreateKey", call.whole_account(), conditions.clone())?;
        let store = match &self.custom_key_store_id {
            Some(store) => Some(connected(call, store, origin, multi_region).await?),
            None => None,
        };
        // Before anything is read that others change all the time: each of them would have it asked anew.
        let external = match &store {
            Some(store) if origin == Origin::ExternalKeyStore => {
                Some(external_key(call, store, self.xks_key_id).await?)
            }
            _ => None,
        };
        let id = call.random().uuid();
        let id = if multi_region { format!("mrk-{}", id.simple()) } else { id.to_string() };
        let policy = match self.policy {
            Some(text) => {
                conditions.add_tags("aws:resourcetag/", &tags);
                own_policy(call, text, &id, (!bypass).then_some(conditions)).await?
            }
            None => keys::default_policy(call.account()),
        };
        let (account, region, most) = (call.account(), call.region(), call.resource_quotas().keys);
        keys::check_count(&mut call.tx, account, region, most).await?;
        let material = match origin {
            // A key in an external key store seals first itself.
            Origin::AwsKms | Origin::ExternalKeyStore => Some(fresh_material(call, spec).await?),
            _ => None,
        };
        let new = NewKey {
            id,
            account: call.account().clone(),
            region: call.region().clone(),
            manager: KeyManager::Customer,
            description: self.description.unwrap_or_default(),
            policy,
            tags,
            spec,
            usage,
            origin,
            custom_key_store: store.as_ref().map(|store| store.id.clone()),
            multi_region,
            material,
        };
        let key = made(call, &allowed, new, (store, external)).await?;
        call.touched("AWS::KMS::Key", &key.arn);
        Ok(CreateKeyResponse { key_metadata: KeyMetadata::from(&key) })
    }
}

/// Makes the key: here, in its store's device, or for the external key behind its store's proxy.
async fn made(
    call: &mut Call<'_>,
    allowed: &Authorized<Account>,
    new: NewKey,
    place: (Option<Arc<KeyStore>>, Option<ExternalKey>),
) -> Result<Found, Error> {
    let now = call.now;
    match place {
        (Some(store), Some(external)) => {
            Ok(external::create(allowed, &mut call.tx, new, (&store, external), now).await?)
        }
        (Some(store), None) => {
            let object = object(call, &store, &new).await?;
            Ok(keys::create_in_device(allowed, &mut call.tx, new, object, now).await?)
        }
        (None, _) => {
            let key = keys::create(allowed, &mut call.tx, new, now)?;
            Ok(Found::of(&mut call.tx, key, None).await?)
        }
    }
}

/// Material of others, and external keys, are of some specs only.
fn check_spec(origin: Origin, spec: KeySpec) -> Result<(), Error> {
    let good = match origin {
        Origin::External => keys::import::importable(spec),
        Origin::ExternalKeyStore => spec.is_symmetric(),
        Origin::AwsKms | Origin::AwsCloudhsm => true,
    };
    if good {
        return Ok(());
    }
    let origin = origin.as_str();
    Err(Error::Unsupported(format!("KeySpec {spec} is not supported for Origin {origin}")))
}

/// The key's policy. With `conditions`, it must let the caller change it later.
async fn own_policy(
    call: &mut Call<'_>,
    text: String,
    id: &str,
    conditions: Option<Conditions>,
) -> Result<BoundPolicy, Error> {
    let arn = keys::arn(call.account(), call.region(), id);
    let next_time = conditions.map(|mut conditions| {
        conditions.add("kms:policyname", DEFAULT);
        (&arn, conditions)
    });
    bind_policy(call, text, next_time).await
}

/// What policies know of two members of the request.
fn conditions(multi_region: bool, bypass: bool) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.add("kms:multiregion", if multi_region { "true" } else { "false" });
    if multi_region {
        conditions.add("kms:multiregionkeytype", "PRIMARY");
    }
    conditions.add("kms:bypasspolicylockoutsafetycheck", if bypass { "true" } else { "false" });
    conditions
}

/// The store that the key is to be in. Its keys are of one Region, as AWS has it.
async fn connected(
    call: &mut Call<'_>,
    id: &str,
    origin: Origin,
    multi_region: bool,
) -> Result<Arc<KeyStore>, Error> {
    let (account, region) = (call.account().clone(), call.region().clone());
    let store = match origin {
        Origin::ExternalKeyStore => {
            stores::connected(&mut call.tx.apart(), &account, &region, id).await?
        }
        _ => stores::connected(&mut call.tx, &account, &region, id).await?,
    };
    if multi_region {
        let text = "Keys in custom key stores cannot be multi-Region keys.";
        return Err(Error::Unsupported(text.into()));
    }
    if store.cluster().is_some() != (origin == Origin::AwsCloudhsm) {
        let text = format!("Origin {} does not fit the custom key store {id}.", origin.as_str());
        return Err(Error::Validation(text));
    }
    Ok(store)
}

/// Asks the store's proxy whether it has the external key, and whether that is what it must be.
async fn external_key(
    call: &mut Call<'_>,
    store: &KeyStore,
    id: Option<String>,
) -> Result<ExternalKey, Error> {
    let missing =
        || Error::Validation("XksKeyId is required for keys in an external key store.".into());
    let id = id.ok_or_else(missing)?;
    let unusable = || Error::Unsupported(format!("{} is no external key store.", store.id));
    let proxy = store.proxy().ok_or_else(unusable)?;
    let what = format!("{}{} {id}", proxy.endpoint, proxy.path);
    if !call.was_told(&what) {
        let asking = asking(call, CreateKey::NAME);
        external::check_key(&asking, proxy, &store.region, &id).await?;
        call.note_told(what);
    }
    Ok(ExternalKey { store: store.id.clone(), id })
}

/// Makes the key in the store's device. Everything else was checked.
async fn object(
    call: &Call<'_>,
    store: &KeyStore,
    new: &NewKey,
) -> Result<resident::NewResident, Error> {
    let device = store.device(&call.server.devices)?;
    let place = resident::Place {
        store: &call.server.store,
        device,
        cluster: store.cluster().unwrap_or_default(),
        key_store: &store.id,
        deployment: call.server.root.cluster(),
    };
    let wanted = resident::Wanted {
        key_id: &new.id,
        account: &new.account,
        region: &new.region,
        spec: new.spec,
        usage: new.usage,
    };
    resident::make(&place, &wanted, &*call.random(), call.now).await
}

impl CreateKey {
    /// What the key is to be, and what for (AWS KMS API reference, CreateKey).
    fn kind(&self) -> Result<(KeySpec, KeyUsage), Error> {
        let spec = match (&self.key_spec, &self.customer_master_key_spec) {
            (Some(_), Some(_)) => {
                let text =
                    "You cannot specify KeySpec and CustomerMasterKeySpec in the same request.";
                return Err(Error::Validation(text.into()));
            }
            (spec, older) => spec.as_deref().or(older.as_deref()),
        };
        // The model's list has what only China's regions offer.
        let unknown = |name: &str| Error::Unsupported(format!("KeySpec {name} is not supported."));
        let spec = match spec {
            Some(name) => name.parse().map_err(|_| unknown(name))?,
            None => KeySpec::SymmetricDefault,
        };
        let usage: KeyUsage = match &self.key_usage {
            Some(name) => name
                .parse()
                .map_err(|_| Error::Validation(format!("KeyUsage {name} is unknown.")))?,
            None if spec.is_symmetric() => KeyUsage::EncryptDecrypt,
            None => {
                let text = "You must specify a KeyUsage value for all KMS keys except for symmetric \
                            encryption keys.";
                return Err(Error::Validation(text.into()));
            }
        };
        if !spec.usages().contains(&usage) {
            let text = format!("KeyUsage {usage} is not compatible with KeySpec {spec}");
            return Err(Error::Validation(text));
        }
        Ok((spec, usage))
    }

    /// Where its material is to come from.
    fn origin(&self) -> Result<Origin, Error> {
        let origin = match self.origin.as_deref() {
            None | Some("AWS_KMS") => Origin::AwsKms,
            Some("EXTERNAL") => Origin::External,
            Some("AWS_CLOUDHSM") => Origin::AwsCloudhsm,
            Some("EXTERNAL_KEY_STORE") => Origin::ExternalKeyStore,
            Some(other) => return Err(Error::Validation(format!("Origin {other} is unknown."))),
        };
        match (&self.custom_key_store_id, origin) {
            (None, Origin::AwsKms | Origin::External)
            | (Some(_), Origin::AwsCloudhsm | Origin::ExternalKeyStore) => {}
            (None, _) => {
                let text = format!("Origin {} needs a CustomKeyStoreId.", origin.as_str());
                return Err(Error::Validation(text));
            }
            (Some(_), _) => {
                let text = "A key in a custom key store has the Origin AWS_CLOUDHSM or \
                            EXTERNAL_KEY_STORE.";
                return Err(Error::Validation(text.into()));
            }
        }
        if self.xks_key_id.is_some() && origin != Origin::ExternalKeyStore {
            let text = "XksKeyId is only for keys in an external key store.";
            return Err(Error::Validation(text.into()));
        }
        Ok(origin)
    }
}
