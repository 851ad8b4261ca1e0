//! What a key in an external key store does: with its own material here, and with its external key
//! behind the proxy.
use super::{ExternalError, ExternalKey};
use crate::external::{Client, Failure, Proxies, RequestMetadata};
use crate::keys::ciphertext::{self, external::Draft};
use crate::keys::stores::{self, KeyStore, Proxy};
use crate::keys::{Bound, KeyError, Usable};
use crate::random::Random;
use crate::sigv4::Credentials;
use crate::store::{StoreError, Tx};
use crate::types::{Blob, EncryptionContext, Plaintext, Region};
use std::sync::Arc;

/// Who asks a proxy for what, and how proxies are reached.
#[derive(Clone, Debug)]
pub struct Asking {
    pub proxies: Arc<Proxies>,
    /// What the proxy is told of the call, but for the KMS key.
    pub metadata: RequestMetadata,
    pub now_secs: i64,
}

impl Asking {
    /// A client of the store's proxy. A proxy that nobody registered is not reachable.
    pub(super) fn client<'a>(
        &'a self,
        proxy: &'a Proxy,
        region: &'a Region,
    ) -> Result<Client<'a>, Failure> {
        let Some(way) = self.proxies.way(&proxy.endpoint) else {
            let endpoint = &proxy.endpoint;
            tracing::warn!(endpoint, "an external key store names a proxy that is not registered");
            return Err(Failure::Unreachable);
        };
        let credential = Credentials {
            access_key_id: proxy.credential.access_key_id.expose(),
            secret: proxy.credential.secret.expose(),
            session_token: None,
        };
        let (path, region) = (proxy.path.as_str(), region.as_str());
        Ok(Client { way, path, credential, region, now_secs: self.now_secs })
    }
}

impl Usable {
    /// The external key, and who asks, if the key is in an external key store.
    pub(in crate::keys) fn externally(&self) -> Result<Option<(&ExternalKey, &Asking)>, KeyError> {
        match (&self.external, self.asking()) {
            (None, _) => Ok(None),
            (Some(external), Some(asking)) => Ok(Some((external, asking))),
            // Whoever uses keys without a call has no proxy to ask.
            (Some(_), None) => Err(self.wrong_origin()),
        }
    }

    pub(in crate::keys) async fn encrypt_externally(
        &self,
        tx: &mut Tx<'_>,
        random: &dyn Random,
        plaintext: &[u8],
        context: &EncryptionContext,
        (external, asking): (&ExternalKey, &Asking),
    ) -> Result<Bound, KeyError> {
        let material = self.current_material(tx).await?;
        let draft = Draft::new(
            material.symmetric()?,
            self.id_bytes()?,
            material.prefix()?,
            &context.0,
            random,
            plaintext,
        );
        let store = stores::peek(tx, &self.account, &self.region, &external.store).await?;
        let proxy = proxy_of(&store)?;
        let ask = async {
            let client = asking.client(proxy, &self.region)?;
            let sealed = draft.sealed.clone();
            client.encrypt(&external.id, self.told(asking), sealed, &draft.associated).await
        };
        let outer = ask.await.map_err(ExternalError::KeyUnusable)?;
        let blob = draft.finish(&outer).map_err(|error| KeyError::Validation(error.to_string()))?;
        Ok(Bound { blob: Blob(blob), material_id: None })
    }

    /// Only what names this key and its material goes to the proxy, and only what this material sealed
    /// for this blob comes back.
    pub(in crate::keys) async fn decrypt_externally(
        &self,
        tx: &mut Tx<'_>,
        blob: &Blob,
        context: &EncryptionContext,
        (external, asking): (&ExternalKey, &Asking),
    ) -> Result<Plaintext, KeyError> {
        let invalid = |_| KeyError::InvalidCiphertext;
        let parsed = ciphertext::Blob::parse(&blob.0).map_err(invalid)?;
        if parsed.key_id() != self.id_bytes()? {
            return Err(KeyError::IncorrectKey);
        }
        let material = self.material_of(tx, &parsed).await?;
        let (outer, associated) = parsed.for_proxy(&context.0).map_err(invalid)?;
        let store = stores::peek(tx, &self.account, &self.region, &external.store).await?;
        let proxy = proxy_of(&store)?;
        let ask = async {
            let client = asking.client(proxy, &self.region)?;
            client.decrypt(&external.id, self.told(asking), outer, &associated).await
        };
        let sealed = ask.await.map_err(ExternalError::KeyUnusable)?;
        let mut opened = parsed
            .open_inner(material.symmetric()?, &context.0, sealed.expose())
            .map_err(|_| ExternalError::KeyUnusable(Failure::Inside))?;
        Ok(Plaintext::new(std::mem::take(&mut *opened)))
    }

    fn told(&self, asking: &Asking) -> crate::external::RequestMetadata {
        let kms_key_arn = Some(self.arn.to_string());
        RequestMetadata { kms_key_arn, ..asking.metadata.clone() }
    }
}

fn proxy_of(store: &KeyStore) -> Result<&Proxy, StoreError> {
    store.proxy().ok_or_else(|| StoreError::Corrupt(format!("{} has no proxy", store.id)))
}
