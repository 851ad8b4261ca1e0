//! `KeyMetadata`, as CreateKey and DescribeKey answer it.
use crate::keys::{ALGORITHM, Key, KeyManager, KeyState, ORIGIN, SPEC, USAGE};
use crate::types::{Arn, Timestamp};
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

impl From<&Key> for KeyMetadata {
    /// What a member does not apply to, AWS leaves out (AWS KMS API reference, KeyMetadata).
    fn from(key: &Key) -> Self {
        let state = match key.state {
            KeyState::Enabled => "Enabled",
            KeyState::Disabled => "Disabled",
            KeyState::PendingDeletion => "PendingDeletion",
        };
        Self {
            account: Some(key.account.to_string()),
            key_id: key.id.clone(),
            arn: Some(key.arn.clone()),
            creation_date: Some(key.created),
            enabled: Some(key.state == KeyState::Enabled),
            description: Some(key.description.clone()),
            key_usage: Some(USAGE.into()),
            key_state: Some(state.into()),
            deletion_date: key.deletion,
            valid_to: None,
            origin: Some(ORIGIN.into()),
            custom_key_store_id: None,
            cloud_hsm_cluster_id: None,
            expiration_model: None,
            key_manager: Some(key.manager),
            customer_master_key_spec: Some(SPEC.into()),
            key_spec: Some(SPEC.into()),
            encryption_algorithms: Some(vec![ALGORITHM.into()]),
            signing_algorithms: None,
            key_agreement_algorithms: None,
            encapsulation_algorithms: None,
            multi_region: Some(false),
            multi_region_configuration: None,
            pending_deletion_window_in_days: None,
            mac_algorithms: None,
            xks_key_configuration: None,
            current_key_material_id: Some(key.material.clone()),
        }
    }
}
