use super::common::page_size;
use super::custom_key_store::{StoreType, XksProxyConnectivity, allowed};
use super::{Error, Kms};
use crate::call::{Call, Operation};
use crate::keys::stores::{self, Backing, Connectivity, KeyStore, Proxy};
use crate::types::{AccountId, SecretText, Timestamp};
use serde::{Deserialize, Serialize};

/// AWS KMS: the largest page, and the page of a caller who names none.
const PAGE: usize = 1000;

/// Shows the account's custom key stores in the region, or one of them. Never their secrets.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeCustomKeyStores {
    custom_key_store_id: Option<String>,
    custom_key_store_name: Option<String>,
    limit: Option<i64>,
    marker: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DescribeCustomKeyStoresResponse {
    custom_key_stores: Vec<CustomKeyStoresListEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct CustomKeyStoresListEntry {
    custom_key_store_id: String,
    custom_key_store_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_hsm_cluster_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_anchor_certificate: Option<String>,
    connection_state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_error_code: Option<String>,
    creation_date: Timestamp,
    custom_key_store_type: StoreType,
    #[serde(skip_serializing_if = "Option::is_none")]
    xks_proxy_configuration: Option<XksProxyConfiguration>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct XksProxyConfiguration {
    connectivity: XksProxyConnectivity,
    access_key_id: SecretText,
    uri_endpoint: String,
    uri_path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_endpoint_service_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_endpoint_service_owner: Option<AccountId>,
}

impl From<&KeyStore> for CustomKeyStoresListEntry {
    fn from(store: &KeyStore) -> Self {
        let (kind, cluster, certificate) = match &store.backing {
            Backing::Cluster { id, trust_anchor, .. } => {
                (StoreType::Cluster, Some(id), Some(trust_anchor))
            }
            Backing::External(_) => (StoreType::External, None, None),
        };
        Self {
            custom_key_store_id: store.id.clone(),
            custom_key_store_name: store.name.clone(),
            cloud_hsm_cluster_id: cluster.cloned(),
            trust_anchor_certificate: certificate.cloned(),
            connection_state: store.connection.as_str().into(),
            connection_error_code: store.connection.error().map(|e| e.as_str().into()),
            creation_date: store.created,
            custom_key_store_type: kind,
            xks_proxy_configuration: store.proxy().map(Into::into),
        }
    }
}

impl From<&Proxy> for XksProxyConfiguration {
    fn from(proxy: &Proxy) -> Self {
        let (connectivity, service) = match &proxy.connectivity {
            Connectivity::PublicEndpoint => (XksProxyConnectivity::PublicEndpoint, None),
            Connectivity::VpcEndpointService { name, owner } => {
                (XksProxyConnectivity::VpcEndpointService, Some((name.clone(), owner.clone())))
            }
        };
        let (name, owner) = service.unzip();
        Self {
            connectivity,
            access_key_id: proxy.credential.access_key_id.clone(),
            uri_endpoint: proxy.endpoint.clone(),
            uri_path: proxy.path.clone(),
            vpc_endpoint_service_name: name,
            vpc_endpoint_service_owner: owner,
        }
    }
}

impl Operation for DescribeCustomKeyStores {
    type Service = Kms;
    type Response = DescribeCustomKeyStoresResponse;
    const NAME: &'static str = "DescribeCustomKeyStores";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] =
        &["CustomKeyStoreId", "CustomKeyStoreName", "Limit", "Marker"];

    async fn execute(self, call: &mut Call<'_>) -> Result<DescribeCustomKeyStoresResponse, Error> {
        allowed(call, "kms:DescribeCustomKeyStores")?;
        let (account, region) = (call.account().clone(), call.region().clone());
        let one = match (&self.custom_key_store_id, &self.custom_key_store_name) {
            (None, None) => None,
            (Some(id), None) => Some(stores::find(&mut call.tx, &account, &region, id).await?),
            (None, Some(name)) => {
                Some(stores::find_named(&mut call.tx, &account, &region, name).await?)
            }
            (Some(_), Some(_)) => {
                return Err(Error::Validation(
                    "Specify either CustomKeyStoreId or CustomKeyStoreName, but not both.".into(),
                ));
            }
        };
        let size = page_size(self.limit, PAGE, PAGE)?;
        if let Some(store) = one {
            // One store is one page: no marker leads to it.
            if self.marker.is_some() {
                return Err(Error::InvalidMarker);
            }
            let custom_key_stores = vec![(&*store).into()];
            return Ok(DescribeCustomKeyStoresResponse {
                custom_key_stores,
                next_marker: None,
                truncated: false,
            });
        }
        let after = call.resume(Self::NAME, self.marker.as_deref()).ok_or(Error::InvalidMarker)?;
        let page = stores::list(&call.tx, &account, &region, after.as_deref(), size).await?;
        let next_marker = call.marker(Self::NAME, &page);
        let custom_key_stores = page.records.iter().map(|(_, store)| (&**store).into()).collect();
        let truncated = next_marker.is_some();
        Ok(DescribeCustomKeyStoresResponse { custom_key_stores, next_marker, truncated })
    }
}
