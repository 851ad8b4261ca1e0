use super::asking::asking;
use super::custom_key_store::{
    StoreType, XksProxyAuthenticationCredential, XksProxyConnectivity, allowed, needed, owner,
};
use super::{Error, Kms};
use crate::call::{Call, Operation};
use crate::keys::stores::{self, Backing, Connectivity, Proxy, external};
use crate::types::{AccountId, SecretText};
use serde::{Deserialize, Serialize};

/// Makes the record of a custom key store. A cluster must be configured, and is not asked; a
/// proxy must answer.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateCustomKeyStore {
    custom_key_store_name: String,
    cloud_hsm_cluster_id: Option<String>,
    trust_anchor_certificate: Option<String>,
    key_store_password: Option<SecretText>,
    custom_key_store_type: Option<StoreType>,
    xks_proxy_uri_endpoint: Option<String>,
    xks_proxy_uri_path: Option<String>,
    xks_proxy_vpc_endpoint_service_name: Option<String>,
    xks_proxy_vpc_endpoint_service_owner: Option<String>,
    xks_proxy_authentication_credential: Option<XksProxyAuthenticationCredential>,
    xks_proxy_connectivity: Option<XksProxyConnectivity>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateCustomKeyStoreResponse {
    custom_key_store_id: String,
}

impl Operation for CreateCustomKeyStore {
    type Service = Kms;
    type Response = CreateCustomKeyStoreResponse;
    const NAME: &'static str = "CreateCustomKeyStore";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &[
        "CustomKeyStoreName",
        "CloudHsmClusterId:clusterId",
        "CustomKeyStoreType",
        "XksProxyUriEndpoint",
        "XksProxyUriPath",
        "XksProxyVpcEndpointServiceName",
        "XksProxyVpcEndpointServiceOwner",
        "XksProxyConnectivity",
    ];
    const ANSWER_RECORDED: &'static [&'static str] = &["CustomKeyStoreId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<CreateCustomKeyStoreResponse, Error> {
        let allowed = allowed(call, "kms:CreateCustomKeyStore")?;
        let name = self.custom_key_store_name.clone();
        let backing = match self.custom_key_store_type {
            None | Some(StoreType::Cluster) => self.cluster()?,
            Some(StoreType::External) => self.external(call.account())?,
        };
        let (random, region, now) = (call.random(), call.region().clone(), call.now);
        let (account, most) = (call.account(), call.resource_quotas().custom_key_stores);
        stores::check_count(&mut call.tx, account, &region, most).await?;
        stores::check_cluster(&backing, &call.server.devices, call.account())?;
        let store =
            allowed.create_key_store(&mut call.tx, &region, name, backing, &*random, now).await?;
        if let Some(proxy) = store.proxy() {
            let asking = asking(call, Self::NAME);
            external::check_proxy(&asking, proxy, &region).await?;
        }
        Ok(CreateCustomKeyStoreResponse { custom_key_store_id: store.id.clone() })
    }
}

impl CreateCustomKeyStore {
    fn cluster(self) -> Result<Backing, Error> {
        let of_proxies = self.xks_proxy_uri_endpoint.is_some()
            || self.xks_proxy_uri_path.is_some()
            || self.xks_proxy_vpc_endpoint_service_name.is_some()
            || self.xks_proxy_vpc_endpoint_service_owner.is_some()
            || self.xks_proxy_authentication_credential.is_some()
            || self.xks_proxy_connectivity.is_some();
        if of_proxies {
            return Err(Error::Validation(
                "The XksProxy parameters are only valid when CustomKeyStoreType is \
                 EXTERNAL_KEY_STORE."
                    .into(),
            ));
        }
        Ok(Backing::Cluster {
            id: needed(self.cloud_hsm_cluster_id, "cloudHsmClusterId")?,
            trust_anchor: needed(self.trust_anchor_certificate, "trustAnchorCertificate")?,
            password: needed(self.key_store_password, "keyStorePassword")?,
        })
    }

    fn external(self, account: &AccountId) -> Result<Backing, Error> {
        let of_clusters = self.cloud_hsm_cluster_id.is_some()
            || self.trust_anchor_certificate.is_some()
            || self.key_store_password.is_some();
        if of_clusters {
            return Err(Error::Validation(
                "CloudHsmClusterId, TrustAnchorCertificate and KeyStorePassword are only valid when \
                 CustomKeyStoreType is AWS_CLOUDHSM."
                    .into(),
            ));
        }
        let service = self.xks_proxy_vpc_endpoint_service_name;
        let owner = owner(self.xks_proxy_vpc_endpoint_service_owner)?;
        let connectivity = match needed(self.xks_proxy_connectivity, "xksProxyConnectivity")? {
            XksProxyConnectivity::PublicEndpoint if service.is_some() || owner.is_some() => {
                return Err(Error::Validation(
                    "XksProxyVpcEndpointServiceName and XksProxyVpcEndpointServiceOwner are only \
                     valid when XksProxyConnectivity is VPC_ENDPOINT_SERVICE."
                        .into(),
                ));
            }
            XksProxyConnectivity::PublicEndpoint => Connectivity::PublicEndpoint,
            XksProxyConnectivity::VpcEndpointService => Connectivity::VpcEndpointService {
                name: needed(service, "xksProxyVpcEndpointServiceName")?,
                owner: owner.unwrap_or_else(|| account.clone()),
            },
        };
        let credential = self.xks_proxy_authentication_credential;
        Ok(Backing::External(Proxy {
            endpoint: needed(self.xks_proxy_uri_endpoint, "xksProxyUriEndpoint")?,
            path: needed(self.xks_proxy_uri_path, "xksProxyUriPath")?,
            credential: needed(credential, "xksProxyAuthenticationCredential")?.into(),
            connectivity,
        }))
    }
}
