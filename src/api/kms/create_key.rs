use super::common::{Tag, fresh_material};
use super::get_key_policy::DEFAULT;
use super::metadata::KeyMetadata;
use super::put_key_policy::bind_policy;
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::keys::{self, KeyManager, NewKey, Origin};
use crate::primitives::{KeySpec, KeyUsage};
use serde::{Deserialize, Serialize};

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
        if origin == Origin::External && !keys::import::importable(spec) {
            let text = format!("KeySpec {spec} is not supported for Origin EXTERNAL");
            return Err(Error::Unsupported(text));
        }
        let multi_region = self.multi_region.unwrap_or(false);
        let tags = Tag::parse(self.tags)?;
        let bypass = self.bypass_policy_lockout_safety_check.unwrap_or(false);
        let mut conditions = Conditions::default();
        keys::describe(&mut conditions, spec, usage, origin);
        conditions.add("kms:multiregion", if multi_region { "true" } else { "false" });
        if multi_region {
            conditions.add("kms:multiregionkeytype", "PRIMARY");
        }
        conditions.add("kms:bypasspolicylockoutsafetycheck", if bypass { "true" } else { "false" });
        conditions.add("kms:calleraccount", call.account().as_str());
        conditions.add_request_tags(&tags);
        if !tags.0.is_empty() {
            call.authorize("kms:TagResource", call.whole_account(), conditions.clone())?;
        }
        let allowed = call.authorize("kms:CreateKey", call.whole_account(), conditions.clone())?;
        if let Some(store) = &self.custom_key_store_id {
            // No store has a device behind it yet; what AWS says of one that is not connected.
            let (account, region) = (call.account().clone(), call.region().clone());
            let store = keys::stores::connected(&mut call.tx, &account, &region, store).await?;
            return Err(store.without_driver());
        }
        let id = call.random().uuid();
        let id = if multi_region { format!("mrk-{}", id.simple()) } else { id.to_string() };
        let policy = match self.policy {
            Some(text) => {
                conditions.add("kms:policyname", DEFAULT);
                conditions.add_tags("aws:resourcetag/", &tags);
                let arn = keys::arn(call.account(), call.region(), &id);
                bind_policy(call, text, (!bypass).then_some((&arn, conditions))).await?
            }
            None => keys::default_policy(call.account()),
        };
        let (account, region, most) = (call.account(), call.region(), call.resource_quotas().keys);
        keys::check_count(&mut call.tx, account, region, most).await?;
        let material = match origin {
            Origin::AwsKms => Some(fresh_material(call, spec).await?),
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
            custom_key_store: None,
            multi_region,
            material,
        };
        let now = call.now;
        let key = keys::create(&allowed, &mut call.tx, new, now)?;
        call.touched("AWS::KMS::Key", &key.arn);
        Ok(CreateKeyResponse { key_metadata: KeyMetadata::from(&*key) })
    }
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
