use super::common::{authorized_key, own};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::keys::Accept;
use crate::types::Arn;
use serde::{Deserialize, Serialize};

/// Deletes imported key material. The same material can be imported again.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteImportedKeyMaterial {
    key_id: String,
    key_material_id: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeleteImportedKeyMaterialResponse {
    key_id: Arn,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_id: Option<String>,
}

impl Operation for DeleteImportedKeyMaterial {
    type Service = Kms;
    type Response = DeleteImportedKeyMaterialResponse;
    const NAME: &'static str = "DeleteImportedKeyMaterial";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &["KeyId", "KeyMaterialId"];
    const ANSWER_RECORDED: &'static [&'static str] = &["KeyId", "KeyMaterialId"];

    async fn execute(
        self,
        call: &mut Call<'_>,
    ) -> Result<DeleteImportedKeyMaterialResponse, Error> {
        let (action, none) = ("kms:DeleteImportedKeyMaterial", Conditions::default());
        let key = authorized_key(call, &self.key_id, Accept::Key, action, none).await?;
        own(call, &key)?;
        let id = key.delete_imported(&mut call.tx, self.key_material_id.as_deref()).await?;
        Ok(DeleteImportedKeyMaterialResponse {
            key_id: key.arn.clone(),
            key_material_id: id.filter(|_| key.spec.is_symmetric()),
        })
    }
}
