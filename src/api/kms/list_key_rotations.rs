use super::common::{authorized_key, own, page_size};
use super::metadata::expiration_model;
use super::{Error, Kms};
use crate::authorize::{Authorized, Conditions};
use crate::call::{Call, Operation};
use crate::keys::{Accept, Found, KeyMaterial, MaterialState, Origin, RotationType};
use crate::store::Tx;
use crate::types::Timestamp;
use serde::{Deserialize, Serialize};

/// Lists a key's rotations, or all the material it has, oldest first.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListKeyRotations {
    key_id: String,
    include_key_material: Option<String>,
    limit: Option<i64>,
    marker: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListKeyRotationsResponse {
    rotations: Vec<RotationsListEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RotationsListEntry {
    key_id: String,
    key_material_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_material_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    import_state: Option<String>,
    key_material_state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration_model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_to: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_type: Option<RotationType>,
}

impl Operation for ListKeyRotations {
    type Service = Kms;
    type Response = ListKeyRotationsResponse;
    const NAME: &'static str = "ListKeyRotations";
    const READ_ONLY: bool = true;
    const RECORDED: &'static [&'static str] = &["KeyId", "IncludeKeyMaterial", "Limit", "Marker"];

    async fn execute(self, call: &mut Call<'_>) -> Result<ListKeyRotationsResponse, Error> {
        let action = "kms:ListKeyRotations";
        let key =
            authorized_key(call, &self.key_id, Accept::Key, action, Conditions::default()).await?;
        own(call, &key)?;
        key.lists_rotations()?;
        let size = page_size(self.limit, 100, 1000)?;
        let all = self.include_key_material.as_deref() == Some("ALL_KEY_MATERIAL");
        let list = format!("ListKeyRotations {} {all}", key.arn);
        let after = call.resume(&list, self.marker.as_deref()).ok_or(Error::InvalidMarker)?;
        // A page begins behind the place of the last one's end: what has a place keeps it, but for
        // material that was imported and never used, and that is the last.
        let from = match after.map(|place| place.parse::<usize>()) {
            None => 0,
            Some(Ok(place)) => place.saturating_add(1),
            Some(Err(_)) => return Err(Error::InvalidMarker),
        };
        let listed = |(_, material): &(usize, &KeyMaterial)| all || material.rotation.is_some();
        let mut rest = key.materials.iter().enumerate().skip(from).filter(listed).peekable();
        let (mut rotations, mut last) = (Vec::new(), None);
        while rotations.len() < size
            && let Some((place, material)) = rest.next()
        {
            rotations.push(RotationsListEntry::of(&mut call.tx, &key, material).await?);
            last = Some(place.to_string());
        }
        let last = last.filter(|_| rest.peek().is_some());
        let next_marker = last.map(|place| call.marker_after(&list, &place));
        Ok(ListKeyRotationsResponse { rotations, truncated: next_marker.is_some(), next_marker })
    }
}

impl RotationsListEntry {
    /// Only imported material has a description, and can be away or expire. (AWS KMS API reference,
    /// RotationsListEntry.)
    async fn of(
        tx: &mut Tx<'_>,
        key: &Authorized<Found>,
        material: &KeyMaterial,
    ) -> Result<Self, Error> {
        let imported = key.origin == Origin::External;
        let here = imported && material.present;
        let (date, kind) = material.rotation.unzip();
        let state = match material.state {
            MaterialState::Current => "CURRENT",
            MaterialState::NonCurrent => "NON_CURRENT",
            MaterialState::PendingRotation if key.is_everywhere(tx, material).await? => {
                "PENDING_ROTATION"
            }
            MaterialState::PendingRotation => "PENDING_MULTI_REGION_IMPORT_AND_ROTATION",
        };
        Ok(Self {
            key_id: key.id.clone(),
            key_material_id: material.id.clone(),
            key_material_description: material.description.clone().filter(|_| imported),
            import_state: imported
                .then(|| if here { "IMPORTED" } else { "PENDING_IMPORT" }.to_owned()),
            key_material_state: state.to_owned(),
            expiration_model: here.then(|| expiration_model(material).to_owned()),
            valid_to: material.valid_to.filter(|_| here),
            rotation_date: date,
            rotation_type: kind,
        })
    }
}
