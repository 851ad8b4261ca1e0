use super::common::{authorized_key, own};
use super::{Error, Kms};
use crate::authorize::Conditions;
use crate::call::{Call, Operation};
use crate::keys::{Accept, Found, import};
use crate::seal::Label;
use crate::types::{Arn, Blob, Timestamp};
use serde::{Deserialize, Serialize};

const EXPIRES: &str = "KEY_MATERIAL_EXPIRES";
const DOES_NOT_EXPIRE: &str = "KEY_MATERIAL_DOES_NOT_EXPIRE";

/// Imports key material, for the first time or again.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImportKeyMaterial {
    key_id: String,
    import_token: Blob,
    encrypted_key_material: Blob,
    valid_to: Option<Timestamp>,
    expiration_model: Option<String>,
    import_type: Option<String>,
    key_material_description: Option<String>,
    key_material_id: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImportKeyMaterialResponse {
    key_id: Arn,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_id: Option<String>,
}

impl Operation for ImportKeyMaterial {
    type Service = Kms;
    type Response = ImportKeyMaterialResponse;
    const NAME: &'static str = "ImportKeyMaterial";
    const READ_ONLY: bool = false;
    const RECORDED: &'static [&'static str] = &[
        "KeyId",
        "ValidTo",
        "ExpirationModel",
        "ImportType",
        "KeyMaterialDescription",
        "KeyMaterialId",
    ];
    const ANSWER_RECORDED: &'static [&'static str] = &["KeyId", "KeyMaterialId"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ImportKeyMaterialResponse, Error> {
        let action = "kms:ImportKeyMaterial";
        let conditions = self.conditions();
        let key = authorized_key(call, &self.key_id, Accept::Key, action, conditions).await?;
        own(call, &key)?;
        let wish = self.wish()?;
        key.plan_import(&wish, call.now)?;

        let offer = offer(call, &key, &self.import_token)?;
        let wrapping = key.wrapping_key(&mut call.tx, &offer, call.now).await?;
        let (spec, wrapped) = (key.spec, self.encrypted_key_material);
        let open = move || wrapping.unwrap(spec, &wrapped.0);
        let material = call.compute(open).await?.ok_or(Error::Primitive("unwrapping"))??;

        let now = call.now;
        let id = key.import(&mut call.tx, material, wish, now).await?;
        Ok(ImportKeyMaterialResponse {
            key_id: key.arn.clone(),
            // AWS names the materials of keys that can have more than one.
            key_material_id: Some(id).filter(|_| key.spec.is_symmetric()),
        })
    }
}

/// What the token says, if it was made for this key.
fn offer(call: &Call<'_>, key: &Found, token: &Blob) -> Result<import::Offer, Error> {
    let scope = [key.arn.as_str().as_bytes()];
    let opened = call.server.root.open_token(Label::IMPORT_TOKEN, &scope, &token.0);
    let opened = opened.ok_or(Error::InvalidImportToken)?;
    serde_json::from_slice(&opened).map_err(|_| Error::InvalidImportToken)
}

impl ImportKeyMaterial {
    fn expiration_model(&self) -> &str {
        self.expiration_model.as_deref().unwrap_or(EXPIRES)
    }

    fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::default();
        conditions.add("kms:expirationmodel", self.expiration_model());
        if let Some(end) = self.valid_to {
            conditions.add("kms:validto", end.to_string());
        }
        conditions
    }

    fn wish(&self) -> Result<import::Import, Error> {
        match (self.expiration_model(), self.valid_to) {
            (DOES_NOT_EXPIRE, Some(_)) => {
                let text = format!(
                    "A validTo date cannot be set if the ExpirationModel is {DOES_NOT_EXPIRE}"
                );
                return Err(Error::Validation(text));
            }
            (DOES_NOT_EXPIRE, None) | (_, Some(_)) => {}
            (_, None) => {
                let text =
                    format!("A validTo date must be set if the ExpirationModel is {EXPIRES}");
                return Err(Error::Validation(text));
            }
        }
        Ok(import::Import {
            valid_to: self.valid_to,
            kind: self.import_type.as_deref().map(|kind| match kind {
                "NEW_KEY_MATERIAL" => import::ImportType::New,
                // The model has two values.
                _ => import::ImportType::Existing,
            }),
            description: self.key_material_description.clone(),
            id: self.key_material_id.clone(),
        })
    }
}
