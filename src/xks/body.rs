//! What is asked: the body of a request, complete and within the protocol.
use super::XksError;
use super::route::Api;
use crate::external::{
    ALGORITHM, DecryptRequest, EncryptRequest, HealthRequest, INTEGRITY_ALGORITHM, MetadataRequest,
    RequestMetadata,
};
use http::header;
use http::request::Parts;
use serde::de::DeserializeOwned;

#[derive(Debug)]
pub(super) enum Body {
    Health(RequestMetadata),
    Metadata(RequestMetadata),
    Encrypt(EncryptRequest),
    Decrypt(DecryptRequest),
}

pub(super) fn parse(api: Api, head: &Parts, body: &[u8]) -> Result<Body, XksError> {
    check_media_type(head)?;
    let parsed = match api {
        Api::Health => Body::Health(object::<HealthRequest>(body)?.request_metadata),
        Api::Metadata => Body::Metadata(object::<MetadataRequest>(body)?.request_metadata),
        Api::Encrypt => Body::Encrypt(object(body)?),
        Api::Decrypt => Body::Decrypt(object(body)?),
    };
    check_metadata(api, parsed.metadata())?;
    parsed.check_algorithms()?;
    Ok(parsed)
}

impl Body {
    pub(super) fn metadata(&self) -> &RequestMetadata {
        match self {
            Self::Health(metadata) | Self::Metadata(metadata) => metadata,
            Self::Encrypt(request) => &request.request_metadata,
            Self::Decrypt(request) => &request.request_metadata,
        }
    }

    fn check_algorithms(&self) -> Result<(), XksError> {
        let (algorithm, integrity) = match self {
            Self::Health(_) | Self::Metadata(_) => return Ok(()),
            Self::Encrypt(request) => (
                &request.encryption_algorithm,
                request.ciphertext_data_integrity_value_algorithm.as_ref(),
            ),
            Self::Decrypt(request) => (&request.encryption_algorithm, None),
        };
        if algorithm != ALGORITHM {
            return Err(XksError::Validation("encryptionAlgorithm must be AES_GCM."));
        }
        if integrity.is_some_and(|algorithm| algorithm != INTEGRITY_ALGORITHM) {
            let text = "ciphertextDataIntegrityValueAlgorithm must be SHA_256.";
            return Err(XksError::Validation(text));
        }
        Ok(())
    }
}

fn check_media_type(head: &Parts) -> Result<(), XksError> {
    let text = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = text.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(XksError::Validation("Content-Type must be application/json."))
}

fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, XksError> {
    // serde would take an array for the struct.
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    // Its own words could repeat a plaintext.
    let text = "The body is not the JSON object of this API, or lacks a member.";
    let wrong = || XksError::Validation(text);
    is_object.then(|| serde_json::from_slice(body).ok()).flatten().ok_or_else(wrong)
}

/// What each API needs of the metadata. The values are KMS's affair.
fn check_metadata(api: Api, metadata: &RequestMetadata) -> Result<(), XksError> {
    let lacks = |text| Err(XksError::Validation(text));
    if metadata.kms_request_id.is_none() {
        return lacks("requestMetadata lacks kmsRequestId.");
    }
    if metadata.kms_operation.is_none() {
        return lacks("requestMetadata lacks kmsOperation.");
    }
    if api != Api::Health && metadata.aws_principal_arn.is_none() {
        return lacks("requestMetadata lacks awsPrincipalArn.");
    }
    if matches!(api, Api::Encrypt | Api::Decrypt) && metadata.kms_key_arn.is_none() {
        return lacks("requestMetadata lacks kmsKeyArn.");
    }
    Ok(())
}
