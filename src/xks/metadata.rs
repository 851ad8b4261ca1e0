//! GetKeyMetadata: what KMS asks before it makes a KMS key for an external one, and when it describes
//! one.
use super::job::Context;
use super::{SOURCE, XksError};
use crate::call::{Call, Unmodelled};
use crate::external::{KeyMetadata, RequestMetadata};
use serde_json::Value;

pub(super) struct GetKeyMetadata<'a> {
    pub(super) context: Context<'a>,
    pub(super) metadata: &'a RequestMetadata,
}

impl Unmodelled for GetKeyMetadata<'_> {
    type Answer = KeyMetadata;
    type Error = XksError;
    const SOURCE: &'static str = SOURCE;
    const NAME: &'static str = "GetKeyMetadata";

    fn parameters(&self) -> Value {
        self.context.parameters()
    }

    async fn execute(&self, call: &mut Call<'_>) -> Result<(KeyMetadata, Value), XksError> {
        let key = self.context.store.key(self.context.key_id, self.metadata)?;
        let enabled = key.target.is_enabled(call, self.metadata).await?;
        let usages = [(key.encrypts, "ENCRYPT"), (key.decrypts, "DECRYPT")];
        let answer = KeyMetadata {
            key_spec: "AES_256".into(),
            key_usage: usages
                .iter()
                .filter(|(can, _)| *can)
                .map(|(_, name)| (*name).to_owned())
                .collect(),
            key_status: if enabled { "ENABLED" } else { "DISABLED" }.into(),
        };
        let shown = serde_json::to_value(&answer).unwrap_or_default();
        Ok((answer, shown))
    }
}
