//! Asks a proxy. Whatever can be checked of an answer is; what cannot, whoever uses it checks by what it
//! has sealed itself.
use super::failure::{Failure, Refused};
use super::integrity::integrity_value;
use super::message::{
    DecryptAnswer, DecryptRequest, EncryptAnswer, EncryptRequest, HealthAnswer, HealthRequest,
    KeyMetadata, MetadataRequest, Refusal, RequestMetadata,
};
use super::way::Way;
use super::{
    ALGORITHM, INTEGRITY_ALGORITHM, MAX_METADATA_BYTES, MAX_URI_CHARS, SIGNING_NAME, TAG_BYTES,
};
use crate::outgoing::OutgoingError;
use crate::sigv4::{self, Credentials};
use crate::types::{Blob, Plaintext, Sealed};
use bytes::Bytes;
use http::{HeaderValue, Request, Uri, header};
use http_body_util::Full;
use serde::{Serialize, de::DeserializeOwned};
use std::error::Error;

/// Asks one proxy as one key store.
#[derive(Debug)]
pub struct Client<'a> {
    pub way: &'a Way,
    /// `XksProxyUriPath`.
    pub path: &'a str,
    pub credential: Credentials<'a>,
    /// Ours, as the signature is scoped.
    pub region: &'a str,
    /// Our time, in seconds since 1970.
    pub now_secs: i64,
}

/// A proxy's health, as far as it matters here: whether it can serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    pub serves: bool,
}

impl Client<'_> {
    pub async fn health(&self, metadata: RequestMetadata) -> Result<Health, Failure> {
        let request = HealthRequest { request_metadata: metadata };
        let answer: HealthAnswer = self.post("/health", &request).await?;
        let members = &answer.ekm_fleet_details;
        let known = |status: &str| ["ACTIVE", "DEGRADED", "UNAVAILABLE"].contains(&status);
        let good = answer.xks_proxy_fleet_size > 0
            && (1..=10).contains(&members.len())
            && members.iter().all(|one| known(&one.health_status));
        if !good {
            return Err(Failure::Malformed("health: not as the protocol has it"));
        }
        Ok(Health { serves: members.iter().any(|one| one.health_status != "UNAVAILABLE") })
    }

    pub async fn metadata(
        &self,
        key_id: &str,
        metadata: RequestMetadata,
    ) -> Result<KeyMetadata, Failure> {
        let request = MetadataRequest { request_metadata: metadata };
        let answer: KeyMetadata = self.post(&format!("/keys/{key_id}/metadata"), &request).await?;
        let known = ["ENABLED", "DISABLED"].contains(&answer.key_status.as_str());
        match known && answer.key_usage.len() <= 10 {
            true => Ok(answer),
            false => Err(Failure::Malformed("metadata: not as the protocol has it")),
        }
    }

    /// Encrypts, and wants the proxy's word that it will open again.
    pub async fn encrypt(
        &self,
        key_id: &str,
        metadata: RequestMetadata,
        plaintext: Vec<u8>,
        aad: &[u8],
    ) -> Result<Sealed, Failure> {
        let len = plaintext.len();
        let request = EncryptRequest {
            request_metadata: metadata,
            additional_authenticated_data: Some(Blob(aad.to_vec())),
            plaintext: Plaintext::new(plaintext),
            encryption_algorithm: ALGORITHM.into(),
            ciphertext_data_integrity_value_algorithm: Some(INTEGRITY_ALGORITHM.into()),
        };
        let answer: EncryptAnswer = self.post(&format!("/keys/{key_id}/encrypt"), &request).await?;
        let value = answer.ciphertext_data_integrity_value;
        let tag = <[u8; TAG_BYTES]>::try_from(answer.authentication_tag.0.as_slice());
        let (Ok(tag), Some(value)) = (tag, value) else {
            return Err(Failure::Malformed("encrypt: no tag of 16 bytes, or no integrity value"));
        };
        let sealed = Sealed {
            metadata: answer.ciphertext_metadata.unwrap_or_default().0,
            iv: answer.initialization_vector.0,
            ciphertext: answer.ciphertext.0,
            tag,
        };
        let lengths = sealed.ciphertext.len() == len
            && sealed.metadata.len() <= MAX_METADATA_BYTES
            && matches!(sealed.iv.len(), 12 | 16);
        if !lengths {
            return Err(Failure::Malformed("encrypt: a part has another length than it must"));
        }
        if value.0 != integrity_value(aad, &sealed) {
            return Err(Failure::Malformed("encrypt: the integrity value is another one"));
        }
        Ok(sealed)
    }

    pub async fn decrypt(
        &self,
        key_id: &str,
        metadata: RequestMetadata,
        sealed: Sealed,
        aad: &[u8],
    ) -> Result<Plaintext, Failure> {
        let len = sealed.ciphertext.len();
        let with_metadata = !sealed.metadata.is_empty();
        let request = DecryptRequest {
            request_metadata: metadata,
            additional_authenticated_data: Some(Blob(aad.to_vec())),
            ciphertext: Blob(sealed.ciphertext),
            ciphertext_metadata: with_metadata.then_some(Blob(sealed.metadata)),
            encryption_algorithm: ALGORITHM.into(),
            initialization_vector: Blob(sealed.iv),
            authentication_tag: Blob(sealed.tag.to_vec()),
        };
        let answer: DecryptAnswer = self.post(&format!("/keys/{key_id}/decrypt"), &request).await?;
        match answer.plaintext.expose().len() == len {
            true => Ok(answer.plaintext),
            false => Err(Failure::Malformed("decrypt: the plaintext has another length")),
        }
    }

    async fn post<A: DeserializeOwned>(
        &self,
        what: &str,
        request: &impl Serialize,
    ) -> Result<A, Failure> {
        let body = serde_json::to_vec(request)
            .map_err(|_| Failure::Malformed("a request cannot be written"))?;
        let request = self.signed(what, Bytes::from(body))?;
        let answer = self.way.send(request).await.map_err(|error| {
            let proxy = self.way.endpoint();
            tracing::warn!(proxy, %error, "an external key store proxy cannot be asked");
            failure(&error)
        })?;
        let status = answer.status.as_u16();
        if status == 200 {
            let read = serde_json::from_slice(&answer.body).ok();
            return read.ok_or(Failure::Malformed("the answer is not the API's"));
        }
        let refusal = serde_json::from_slice::<Refusal>(&answer.body).ok();
        let refused = refusal.as_ref().and_then(|refusal| Refused::of(refusal, status));
        let said = refusal.and_then(|refusal| refusal.error_message).unwrap_or_default();
        let said: String = said.chars().take(512).collect();
        let proxy = self.way.endpoint();
        tracing::warn!(proxy, status, ?refused, said, "an external key store proxy refuses");
        // Redirects, too: who names another place is to be registered there.
        Err(refused.map_or(Failure::Malformed("a status without its error"), Failure::Refused))
    }

    fn signed(&self, what: &str, body: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        let bad = Failure::Malformed("the URI is not one that the protocol has");
        let uri = format!("{}{}{what}", self.way.endpoint(), self.path);
        if uri.len() > MAX_URI_CHARS {
            return Err(bad);
        }
        let uri: Uri = uri.parse().map_err(|_| bad)?;
        let request = Request::post(uri).body(()).map_err(|_| bad)?;
        let (mut head, ()) = request.into_parts();
        let json = HeaderValue::from_static("application/json");
        head.headers.insert(header::CONTENT_TYPE, json);
        let scope = (self.region, SIGNING_NAME);
        sigv4::sign(&mut head, &body, &self.credential, scope, self.now_secs).map_err(|_| bad)?;
        Ok(Request::from_parts(head, Full::new(body)))
    }
}

fn failure(error: &OutgoingError) -> Failure {
    match error {
        OutgoingError::Io(error) if is_tls(error) => Failure::Tls,
        OutgoingError::Http(error) if is_tls(error) => Failure::Tls,
        OutgoingError::Io(_) | OutgoingError::Http(_) | OutgoingError::Refused(_) => {
            Failure::Unreachable
        }
        OutgoingError::Body => Failure::Malformed("the answer broke off or is too long"),
        OutgoingError::TooLate => Failure::TooLate,
    }
}

/// Whether TLS is at the bottom of it: a proxy that does not take our certificate says so after the
/// handshake, where TLS 1.3 has it.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    inner.is_some_and(|inner| inner.is::<rustls::Error>()) || error.source().is_some_and(is_tls)
}
