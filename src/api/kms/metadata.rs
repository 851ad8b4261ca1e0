//! `KeyMetadata`, as CreateKey and DescribeKey answer it.
use crate::keys::{self, Found, Key, KeyManager, KeyMaterial, KeyState, MultiRegion, Origin};
use crate::primitives::{ECDH, KeyUsage, ML_KEM};
use crate::types::{Arn, Region, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct KeyMetadata {
    #[serde(rename = "AWSAccountId", skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    key_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<Arn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creation_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_usage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_state: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_to: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_key_store_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_hsm_cluster_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_manager: Option<KeyManager>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_master_key_spec: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_spec: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_algorithms: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signing_algorithms: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_agreement_algorithms: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encapsulation_algorithms: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_region: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_region_configuration: Option<MultiRegionConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_deletion_window_in_days: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac_algorithms: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xks_key_configuration: Option<XksKeyConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_key_material_id: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct MultiRegionConfiguration {
    multi_region_key_type: Option<String>,
    primary_key: Option<MultiRegionKey>,
    replica_keys: Option<Vec<MultiRegionKey>>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct MultiRegionKey {
    arn: Option<String>,
    region: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct XksKeyConfiguration {
    id: Option<String>,
}

/// The algorithms that a key takes: of these lists AWS answers the one that its usage gives it.
#[derive(Debug, Default)]
pub(super) struct Algorithms {
    pub encryption: Option<Vec<String>>,
    pub signing: Option<Vec<String>>,
    pub mac: Option<Vec<String>>,
    pub agreement: Option<Vec<String>>,
    pub encapsulation: Option<Vec<String>>,
}

impl Algorithms {
    pub(super) fn of(key: &Found) -> Self {
        fn words<A: ToString>(all: &[A]) -> Option<Vec<String>> {
            Some(all.iter().map(ToString::to_string).collect())
        }
        let (spec, none) = (key.spec, Self::default());
        match key.usage {
            KeyUsage::EncryptDecrypt => {
                Self { encryption: words(key.encryption_algorithms()), ..none }
            }
            KeyUsage::SignVerify => Self { signing: words(key.signing_algorithms()), ..none },
            KeyUsage::GenerateVerifyMac => Self { mac: words(spec.mac_algorithms()), ..none },
            KeyUsage::KeyAgreement => Self { agreement: words(&[ECDH]), ..none },
            KeyUsage::EncapsulateDecapsulate => Self { encapsulation: words(&[ML_KEM]), ..none },
        }
    }
}

impl MultiRegionConfiguration {
    fn of(key: &Key, all: &MultiRegion) -> Self {
        let place = |region: &Region| MultiRegionKey {
            arn: Some(keys::arn(&key.account, region, &key.id).to_string()),
            region: Some(region.to_string()),
        };
        Self {
            multi_region_key_type: Some(
                if key.is_primary() { "PRIMARY" } else { "REPLICA" }.into(),
            ),
            primary_key: Some(place(&all.primary)),
            replica_keys: Some(all.replicas.iter().map(place).collect()),
        }
    }
}

/// Of imported material: whether it expires.
pub(super) fn expiration_model(material: &KeyMaterial) -> &'static str {
    match material.valid_to {
        Some(_) => "KEY_MATERIAL_EXPIRES",
        None => "KEY_MATERIAL_DOES_NOT_EXPIRE",
    }
}

impl From<&Found> for KeyMetadata {
    /// What a member does not apply to, AWS leaves out (AWS KMS API reference, KeyMetadata).
    fn from(key: &Found) -> Self {
        let (algorithms, state) = (Algorithms::of(key), key.state());
        // Of imported material, the state of what encrypts now.
        let imported = key.current().filter(|m| key.origin == Origin::External && m.present);
        Self {
            account: Some(key.account.to_string()),
            key_id: key.id.clone(),
            arn: Some(key.arn.clone()),
            creation_date: Some(key.created),
            enabled: Some(state == KeyState::Enabled),
            description: Some(key.description.clone()),
            key_usage: Some(key.usage.to_string()),
            key_state: Some(state.as_str().into()),
            deletion_date: key.deletion,
            valid_to: imported.and_then(|m| m.valid_to),
            origin: Some(key.origin.as_str().into()),
            custom_key_store_id: key.custom_key_store.clone(),
            cloud_hsm_cluster_id: key.link.as_ref().and_then(|link| link.cluster.clone()),
            expiration_model: imported.map(|m| expiration_model(m).into()),
            key_manager: Some(key.manager),
            customer_master_key_spec: Some(key.spec.to_string()),
            key_spec: Some(key.spec.to_string()),
            encryption_algorithms: algorithms.encryption,
            signing_algorithms: algorithms.signing,
            key_agreement_algorithms: algorithms.agreement,
            encapsulation_algorithms: algorithms.encapsulation,
            multi_region: Some(key.multi_region.is_some()),
            multi_region_configuration: key
                .multi_region
                .as_ref()
                .map(|all| MultiRegionConfiguration::of(key, all)),
            pending_deletion_window_in_days: key.deletion_window_days,
            mac_algorithms: algorithms.mac,
            xks_key_configuration: key
                .external
                .as_ref()
                .map(|external| XksKeyConfiguration { id: Some(external.id.clone()) }),
            current_key_material_id: key
                .current()
                .filter(|_| key.spec.is_symmetric() && key.custom_key_store.is_none())
                .map(|m| m.id.clone()),
        }
    }
}
