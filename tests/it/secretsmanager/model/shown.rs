//! How the reference's secrets look in answers.
use super::op::Of;
use super::reference::{Secret, function_arn};
use crate::support::token;
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl Secret {
    pub fn stages(&self, token: u16) -> Vec<String> {
        self.versions[&token].labels.iter().cloned().collect()
    }

    pub fn said(&self) -> serde_json::Map<String, Value> {
        let said = json!({"ARN": self.arn, "Name": self.name});
        said.as_object().unwrap().clone()
    }

    pub fn listed(&self, deprecated: bool) -> Value {
        let versions = self.versions.iter().filter(|(_, version)| version.value.is_some());
        let versions = versions.filter(|(_, v)| deprecated || !v.labels.is_empty());
        let entries = versions.map(|(id, version)| {
            let mut entry = json!({
                "VersionId": token((*id).into()),
                "CreatedDate": version.created,
                "KmsKeyIds": ["DefaultEncryptionKey"],
            });
            if !version.labels.is_empty() {
                entry["VersionStages"] = json!(version.labels);
            }
            if let Some(day) = version.accessed {
                entry["LastAccessedDate"] = json!(day);
            }
            entry
        });
        let mut said = self.said();
        said.insert("Versions".into(), entries.collect());
        Value::Object(said)
    }

    pub fn described(&self) -> Value {
        let mut said = json!({
            "ARN": self.arn,
            "Name": self.name,
            "CreatedDate": self.created,
            "LastChangedDate": self.changed,
        });
        if let Some(text) = self.description.filter(|text| !text.is_empty()) {
            said["Description"] = json!(text);
        }
        if let Some(day) = self.accessed {
            said["LastAccessedDate"] = json!(day);
        }
        if let Some(end) = self.deletion {
            said["DeletedDate"] = json!(end);
        }
        if let Some(rotation) = &self.rotation {
            said["RotationEnabled"] = json!(rotation.enabled);
            said["RotationLambdaARN"] = json!(function_arn());
            if let Some(last) = rotation.last {
                said["LastRotatedDate"] = json!(last);
            }
        }
        if !self.tags.is_empty() {
            let tags = self.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value}));
            said["Tags"] = tags.collect();
        }
        let labelled: BTreeMap<String, _> = self
            .versions
            .iter()
            .filter(|(_, version)| !version.labels.is_empty())
            .map(|(id, version)| (token((*id).into()), &version.labels))
            .collect();
        if !labelled.is_empty() {
            said["VersionIdsToStages"] = json!(labelled);
        }
        said
    }
}

/// A value as requests and answers have it.
pub fn written(value: Of) -> (&'static str, Value) {
    use base64::Engine;
    match value {
        Of::Text(text) => ("SecretString", json!(text)),
        Of::Bytes(text) => {
            let bytes = base64::engine::general_purpose::STANDARD.encode(text);
            ("SecretBinary", json!(bytes))
        }
    }
}
