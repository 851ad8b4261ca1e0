use super::common::{authorized_key, generate_pair, own};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::keys::{Accept, Found, import};
use crate::memory::SecretBytes;
use crate::primitives::{WrappingAlgorithm, WrappingKeySpec};
use crate::seal::Label;
use crate::types::{Arn, Blob, Timestamp};
use serde::{Deserialize, Serialize};

/// A public key to wrap key material for, and the token to hand in with it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetParametersForImport {
    key_id: String,
    wrapping_algorithm: String,
    wrapping_key_spec: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GetParametersForImportResponse {
    key_id: Arn,
    import_token: Blob,
    public_key: Blob,
    parameters_valid_to: Timestamp,
}

impl Operation for GetParametersForImport {
    type Service = Kms;
    type Response = GetParametersForImportResponse;
    const NAME: &'static str = "GetParametersForImport";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["KeyId", "WrappingAlgorithm", "WrappingKeySpec"];

    async fn execute(self, call: &mut Call<'_>) -> Result<GetParametersForImportResponse, Error> {
        let mut conditions = Conditions::default();
        conditions.add("kms:wrappingalgorithm", self.wrapping_algorithm.as_str());
        conditions.add("kms:wrappingkeyspec", self.wrapping_key_spec.as_str());
        let action = "kms:GetParametersForImport";
        let key = authorized_key(call, &self.key_id, Accept::Key, action, conditions).await?;
        own(call, &key)?;
        key.takes_imports(Self::NAME)?;
        let (algorithm, spec) = self.wrapping(&key)?;

        let pair = generate_pair(call, spec.key_spec()).await?;
        let (private, public) = (SecretBytes::new(&pair.private), pair.public);
        let (random, now) = (call.random(), call.now);
        let wrapping = (algorithm, spec);
        let offer = key.keep_wrapping_key(&mut call.tx, wrapping, private, &*random, now).await?;
        let payload = serde_json::to_vec(&offer).map_err(|_| Error::Primitive("import token"))?;
        let scope = [key.arn.as_str().as_bytes()];
        let root = &call.server.root;
        let token = root.seal_token(Label::IMPORT_TOKEN, &scope, &*random, &payload);
        Ok(GetParametersForImportResponse {
            key_id: key.arn.clone(),
            import_token: Blob(token),
            public_key: Blob(public),
            parameters_valid_to: offer.expires,
        })
    }
}

impl GetParametersForImport {
    /// How the material is to travel. The model's lists have what AWS has given up, and what only
    /// China's regions offer.
    fn wrapping(&self, key: &Found) -> Result<(WrappingAlgorithm, WrappingKeySpec), Error> {
        let unsupported = |name: &str| {
            Error::Unsupported(format!("{name} is not supported for importing key material."))
        };
        let algorithm: WrappingAlgorithm =
            self.wrapping_algorithm.parse().map_err(|_| unsupported(&self.wrapping_algorithm))?;
        let spec: WrappingKeySpec =
            self.wrapping_key_spec.parse().map_err(|_| unsupported(&self.wrapping_key_spec))?;
        if import::suits(key.spec, algorithm, spec) {
            return Ok((algorithm, spec));
        }
        let text = format!(
            "Wrapping algorithm {algorithm} and wrapping key spec {spec} are not supported for key \
             material of spec {}.",
            key.spec
        );
        Err(Error::Unsupported(text))
    }
}
