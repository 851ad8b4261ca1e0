//! Encrypt. If KMS wants an integrity value, it is made before the ciphertext is opened again for proof:
//! in the other order, a bit that flips in between would be vouched for.
use super::job::Context;
use super::{MAX_PLAINTEXT_BYTES, SOURCE, XksError};
use crate::call::{Call, Unmodelled};
use crate::external::{EncryptAnswer, EncryptRequest, MAX_ASSOCIATED_BYTES, integrity_value};
use crate::store::Freshness;
use crate::types::Blob;
use serde_json::Value;

pub(super) struct Encrypt<'a> {
    pub(super) context: Context<'a>,
    pub(super) request: &'a EncryptRequest,
}

impl Unmodelled for Encrypt<'_> {
    type Answer = EncryptAnswer;
    type Error = XksError;
    const SOURCE: &'static str = SOURCE;
    const NAME: &'static str = "Encrypt";
    const FRESHNESS: Freshness = Freshness::Bounded;

    fn parameters(&self) -> Value {
        self.context.parameters()
    }

    async fn execute(&self, call: &mut Call<'_>) -> Result<(EncryptAnswer, Value), XksError> {
        let request = self.request;
        let vouched = request.ciphertext_data_integrity_value_algorithm.is_some();
        let metadata = &request.request_metadata;
        let key = self.context.store.key(self.context.key_id, metadata)?;
        if !key.encrypts {
            return Err(XksError::InvalidKeyUsage("ENCRYPT"));
        }
        if vouched && !key.decrypts {
            let what = "DECRYPT, which a ciphertextDataIntegrityValue takes";
            return Err(XksError::InvalidKeyUsage(what));
        }
        let aad = request.additional_authenticated_data.as_ref();
        let aad: &[u8] = aad.map_or(&[], |aad| &aad.0);
        let plaintext = request.plaintext.expose();
        if plaintext.len() > MAX_PLAINTEXT_BYTES {
            return Err(XksError::Unsupported("plaintext is longer than 16384 bytes."));
        }
        if aad.len() > MAX_ASSOCIATED_BYTES {
            let text = "additionalAuthenticatedData is longer than 8192 bytes.";
            return Err(XksError::Unsupported(text));
        }
        let sealed = key.target.encrypt(call, metadata, plaintext, aad).await?;
        let value = vouched.then(|| integrity_value(aad, &sealed));
        if vouched {
            let opened = key.target.decrypt(call, metadata, &sealed, aad).await;
            // In constant time: `Plaintext` compares so.
            if !opened.is_ok_and(|opened| opened == request.plaintext) {
                let text = "what was encrypted does not decrypt";
                return Err(XksError::Internal(text.into()));
            }
        }
        key.target.note_use(call, "Encrypt");
        let answer = EncryptAnswer {
            ciphertext: Blob(sealed.ciphertext),
            ciphertext_metadata: Some(Blob(sealed.metadata)),
            initialization_vector: Blob(sealed.iv),
            authentication_tag: Blob(sealed.tag.to_vec()),
            ciphertext_data_integrity_value: value.map(|value| Blob(value.to_vec())),
        };
        Ok((answer, Value::Null))
    }
}
