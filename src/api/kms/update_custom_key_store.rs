use super::asking::asking;
use super::custom_key_store::{
    XksProxyAuthenticationCredential, XksProxyConnectivity, allowed, owner, record,
};
use super::{Error, Kms};
use crate::call::{Call, Empty, Operation};
use crate::keys::stores::{self, Change, ProxyChange, external};
use crate::types::SecretText;
use serde::{Deserialize, Serialize};

/// Changes the properties of a custom key store.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct UpdateCustomKeyStore {
    custom_key_store_id: String,
    new_custom_key_store_name: Option<String>,
    key_store_password: Option<SecretText>,
    cloud_hsm_cluster_id: Option<String>,
    xks_proxy_uri_endpoint: Option<String>,
    xks_proxy_uri_path: Option<String>,
    xks_proxy_vpc_endpoint_service_name: Option<String>,
    xks_proxy_vpc_endpoint_service_owner: Option<String>,
    xks_proxy_authentication_credential: Option<XksProxyAuthenticationCredential>,
    xks_proxy_connectivity: Option<XksProxyConnectivity>,
}

impl Operation for UpdateCustomKeyStore {
    type Service = Kms;
    type Response = Empty;
    const NAME: &'static str = "UpdateCustomKeyStore";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &[
        "CustomKeyStoreId",
        "NewCustomKeyStoreName",
        "CloudHsmClusterId:clusterId",
        "XksProxyUriEndpoint",
        "XksProxyUriPath",
        "XksProxyVpcEndpointServiceName",
        "XksProxyVpcEndpointServiceOwner",
        "XksProxyConnectivity",
    ];

    async fn execute(self, call: &mut Call<'_>) -> Result<Empty, Error> {
        let allowed = allowed(call, "kms:UpdateCustomKeyStore")?;
        let through_vpc = self
            .xks_proxy_connectivity
            .map(|connectivity| connectivity == XksProxyConnectivity::VpcEndpointService);
        let asks_anew = self.xks_proxy_uri_endpoint.is_some()
            || self.xks_proxy_uri_path.is_some()
            || self.xks_proxy_authentication_credential.is_some()
            || self.xks_proxy_connectivity.is_some();
        let change = Change {
            name: self.new_custom_key_store_name,
            cluster: self.cloud_hsm_cluster_id,
            password: self.key_store_password,
            proxy: ProxyChange {
                endpoint: self.xks_proxy_uri_endpoint,
                path: self.xks_proxy_uri_path,
                credential: self.xks_proxy_authentication_credential.map(Into::into),
                through_vpc,
                service: self.xks_proxy_vpc_endpoint_service_name,
                owner: owner(self.xks_proxy_vpc_endpoint_service_owner)?,
            },
        };
        let (region, id) = (call.region().clone(), self.custom_key_store_id);
        let devices = call.server.devices.clone();
        let before = allowed.update_key_store(&mut call.tx, &devices, &region, &id, change).await?;
        record(call, &before);
        let account = call.account().clone();
        let after = stores::find(&mut call.tx, &account, &region, &id).await?;
        if let Some(proxy) = after.proxy().filter(|_| asks_anew) {
            let asking = asking(call, Self::NAME);
            external::check_proxy(&asking, proxy, &region).await?;
        }
        Ok(Empty)
    }
}
