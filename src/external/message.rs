//! The bodies of requests to a proxy and of its answers. Members that are not known are passed over, as
//! AWS may add some.
use crate::types::{Blob, Plaintext};
use serde::{Deserialize, Serialize};

/// On whose behalf KMS asks. Nothing in it is validated; what an API needs is there or is not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestMetadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_principal_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_source_vpc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_source_vpce: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_via_service: Option<String>,
}

/// GetKeyMetadata.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetadataRequest {
    pub request_metadata: RequestMetadata,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyMetadata {
    /// `AES_256`.
    pub key_spec: String,
    /// `ENCRYPT`, `DECRYPT` and what else a key can do.
    pub key_usage: Vec<String>,
    /// `ENABLED` or `DISABLED`.
    pub key_status: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EncryptRequest {
    pub request_metadata: RequestMetadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_authenticated_data: Option<Blob>,
    pub plaintext: Plaintext,
    pub encryption_algorithm: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ciphertext_data_integrity_value_algorithm: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EncryptAnswer {
    pub ciphertext: Blob,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ciphertext_metadata: Option<Blob>,
    pub initialization_vector: Blob,
    pub authentication_tag: Blob,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ciphertext_data_integrity_value: Option<Blob>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DecryptRequest {
    pub request_metadata: RequestMetadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_authenticated_data: Option<Blob>,
    pub ciphertext: Blob,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ciphertext_metadata: Option<Blob>,
    pub encryption_algorithm: String,
    pub initialization_vector: Blob,
    pub authentication_tag: Blob,
}

#[derive(Debug, Deserialize, Serialize)]
pub struct DecryptAnswer {
    pub plaintext: Plaintext,
}

/// GetHealthStatus.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthRequest {
    pub request_metadata: RequestMetadata,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthAnswer {
    /// At least one.
    pub xks_proxy_fleet_size: u32,
    pub xks_proxy_vendor: String,
    pub xks_proxy_model: String,
    pub ekm_vendor: String,
    /// One to ten.
    pub ekm_fleet_details: Vec<FleetMember>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetMember {
    pub id: String,
    pub model: String,
    /// `ACTIVE`, `DEGRADED` or `UNAVAILABLE`.
    pub health_status: String,
}

/// Any answer that is not a 200.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    pub error_name: String,
    /// Printable ASCII, fewer than 512 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The example of the specification, its unknown members and all.
    #[test]
    fn a_request_is_read_and_written() {
        let body = json!({
            "requestMetadata": {
                "awsPrincipalArn": "arn:aws:iam::123456789012:user/Alice",
                "kmsKeyArn": "arn:aws:kms:us-east-2:123456789012:/key/1234abcd",
                "kmsOperation": "Encrypt",
                "kmsRequestId": "4112f4d6-db54-4af4-ae30-c55a22a8dfae",
                "kmsViaService": "ebs",
                "kmsLater": 1,
            },
            "additionalAuthenticatedData": "cHJvamVjdD1uaWxl",
            "plaintext": "SGVsbG8gV29ybGQh",
            "encryptionAlgorithm": "AES_GCM",
            "ciphertextDataIntegrityValueAlgorithm": "SHA_256",
            "later": {},
        });
        let request: EncryptRequest = serde_json::from_value(body.clone()).unwrap();
        assert_eq!(request.plaintext.expose(), b"Hello World!");
        let mut written = serde_json::to_value(&request).unwrap();
        written["requestMetadata"]["kmsLater"] = json!(1);
        written["later"] = json!({});
        assert_eq!(written, body);
        assert!(!format!("{request:?}").contains("Hello"));
    }

    #[test]
    fn what_is_needed_is_there_once_and_is_base64() {
        let good = r#"{"requestMetadata":{},"ciphertext":"AAAA","encryptionAlgorithm":"AES_GCM",
            "initializationVector":"AAAA","authenticationTag":"AAAA"}"#;
        let reads = |text: &str| serde_json::from_str::<DecryptRequest>(text).is_ok();
        assert!(reads(good));
        for (from, to) in [
            ("\"ciphertext\":\"AAAA\",", ""),
            ("\"requestMetadata\":{},", ""),
            ("\"ciphertext\":\"AAAA\"", "\"ciphertext\":\"AAA\""),
            ("\"ciphertext\":\"AAAA\"", "\"ciphertext\":\"AA_-\""),
            ("\"ciphertext\":\"AAAA\"", "\"ciphertext\":1"),
            ("\"ciphertext\":\"AAAA\"", "\"ciphertext\":\"AAAA\",\"ciphertext\":\"AAAB\""),
        ] {
            assert!(!reads(&good.replacen(from, to, 1)), "{to}");
        }
    }
}
