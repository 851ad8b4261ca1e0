//! Decrypt. Whatever is wrong with a ciphertext is the same refusal.
use super::job::Context;
use super::{MAX_PLAINTEXT_BYTES, SOURCE, XksError};
use crate::call::{Call, Unmodelled};
use crate::external::{DecryptAnswer, DecryptRequest, MAX_ASSOCIATED_BYTES, MAX_METADATA_BYTES};
use crate::store::Freshness;
use crate::types::Sealed;
use serde_json::Value;

pub(super) struct Decrypt<'a> {
    pub(super) context: Context<'a>,
    pub(super) request: &'a DecryptRequest,
}

impl Unmodelled for Decrypt<'_> {
    type Answer = DecryptAnswer;
    type Error = XksError;
    const SOURCE: &'static str = SOURCE;
    const NAME: &'static str = "Decrypt";
    const FRESHNESS: Freshness = Freshness::Bounded;

    fn parameters(&self) -> Value {
        self.context.parameters()
    }

    async fn execute(&self, call: &mut Call<'_>) -> Result<(DecryptAnswer, Value), XksError> {
        let request = self.request;
        let metadata = &request.request_metadata;
        let key = self.context.store.key(self.context.key_id, metadata)?;
        if !key.decrypts {
            return Err(XksError::InvalidKeyUsage("DECRYPT"));
        }
        let aad = request.additional_authenticated_data.as_ref();
        let aad: &[u8] = aad.map_or(&[], |aad| &aad.0);
        if request.ciphertext.0.len() > MAX_PLAINTEXT_BYTES {
            return Err(XksError::Unsupported("ciphertext is longer than 16384 bytes."));
        }
        if aad.len() > MAX_ASSOCIATED_BYTES {
            let text = "additionalAuthenticatedData is longer than 8192 bytes.";
            return Err(XksError::Unsupported(text));
        }
        let sealed = sealed(request).ok_or(XksError::InvalidCiphertext)?;
        let plaintext = key.target.decrypt(call, metadata, &sealed, aad).await?;
        key.target.note_use(call, "Decrypt");
        Ok((DecryptAnswer { plaintext }, Value::Null))
    }
}

fn sealed(request: &DecryptRequest) -> Option<Sealed> {
    let metadata = request.ciphertext_metadata.clone().unwrap_or_default().0;
    let iv = request.initialization_vector.0.clone();
    let good = metadata.len() <= MAX_METADATA_BYTES && matches!(iv.len(), 12 | 16);
    let tag = request.authentication_tag.0.as_slice().try_into().ok()?;
    good.then(|| Sealed { metadata, iv, ciphertext: request.ciphertext.0.clone(), tag })
}
