//! Why a request is not believed, in AWS's words.
//!
//! `Display` is the text for the client (what is not recorded from AWS is marked).
//! No text repeats an Authorization value, a token or a signature.

use std::fmt;

/// Why a request is not authenticated. `Debug` may tell the operator more than `Display` tells the
/// client, so log `{:?}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// Nothing to authenticate.
    #[error("Request is missing Authentication Token")]
    MissingAuthenticationToken,
    /// The Authorization header lacks parts: the sentences for them, and the header's hash.
    #[error("{missing} (Hashed with SHA-256 and encoded with Base64) Authorization={hash}")]
    MissingParts {
        /// The sentences.
        missing: Box<str>,
        /// Base64 of the header's SHA-256.
        hash: Box<str>,
    },
    /// The Authorization header is not a list of pairs.
    #[error(
        "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 \
         and encoded with Base64): '{0}'."
    )]
    NotPairs(Box<str>),
    /// Another algorithm than AWS4-HMAC-SHA256.
    #[error("Unsupported AWS 'algorithm': '{0}'.")]
    Algorithm(Box<str>),
    /// Both ways of signing at once. (The words are S3's.)
    #[error(
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature \
         query string parameter or the Authorization header should be specified"
    )]
    TwoMechanisms,
    /// Not five parts.
    #[error(
        "Credential must have exactly 5 slash-delimited elements, e.g. \
         keyid/date/region/service/term, got '{0}'"
    )]
    CredentialShape(Box<str>),
    /// Not a date.
    #[error(
        "Date must be in ISO-8601 'basic format'. Got '{0}'. See \
         http://en.wikipedia.org/wiki/ISO_8601"
    )]
    BadDate(Box<str>),
    /// A presigned request lacks parameters: the sentences for them.
    #[error("{0} Re-examine the query-string parameters.")]
    MissingParameters(Box<str>),
    /// `X-Amz-Expires` is out of range. (The words are S3's.)
    #[error("{0}")]
    Expires(&'static str),
    /// A query parameter of the signature twice, or not text. (Own words.)
    #[error("The query-string parameter '{0}' must be given once, as text.")]
    BadParameter(&'static str),
    /// A broken `%` in the query. (Own words.)
    #[error("Illegal escape % pattern in the query-string")]
    BrokenEscape,
    /// A header that must be there once came twice. (Own words.)
    #[error("The header '{0}' must not be repeated.")]
    RepeatedHeader(Box<str>),
    /// Bytes beyond ASCII in a header. (Own words.)
    #[error("The header '{0}' must be ASCII text.")]
    HeaderNotAscii(Box<str>),
    /// The list of signed headers is not in canonical form. (Own words.)
    #[error("SignedHeaders must be lower-case, sorted and unique.")]
    SignedHeadersForm,
    /// UNSIGNED-PAYLOAD or STREAMING-…. (Own words.)
    #[error("Unsupported x-amz-content-sha256 '{0}': the payload must be signed.")]
    PayloadNotSigned(Box<str>),
    /// The access key is unknown, or a token is missing, unneeded or wrong.
    #[error("The security token included in the request is invalid.")]
    UnrecognizedClient,
    /// The session is over.
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    /// The scope is not ours: the sentences about region, service and terminator.
    #[error("{0}")]
    Scope(Box<str>),
    /// The scope's date is not the request's.
    #[error(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
         '{scope}' != '{day}', from '{date}'."
    )]
    ScopeDate {
        /// From the scope.
        scope: Box<str>,
        /// The first eight characters of `date`.
        day: Box<str>,
        /// The request's date.
        date: Box<str>,
    },
    /// `host` is not among the signed headers.
    #[error("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")]
    HostNotSigned,
    /// Another header that must be signed is not. (Worded after the one above.)
    #[error("'{0}' must be a 'SignedHeader' in the AWS Authorization.")]
    HeaderNotSigned(Box<str>),
    /// Too old.
    #[error("Signature expired: {date} is now earlier than {bound} ({now} - {window}.)")]
    Expired {
        /// The request's date.
        date: Box<str>,
        /// The oldest date still good.
        bound: Box<str>,
        /// Our time.
        now: Box<str>,
        /// For example `5 min`.
        window: Box<str>,
    },
    /// From the future.
    #[error("Signature not yet current: {date} is still later than {bound} ({now} + {window}.)")]
    NotYetCurrent {
        /// The request's date.
        date: Box<str>,
        /// The newest date already good.
        bound: Box<str>,
        /// Our time.
        now: Box<str>,
        /// For example `5 min`.
        window: Box<str>,
    },
    /// The signature differs.
    #[error("{MISMATCH}")]
    SignatureMismatch,
    /// The body is not the one that `x-amz-content-sha256` speaks of.
    #[error("{MISMATCH}")]
    PayloadMismatch,
    /// A signed header did not arrive: often a proxy took it away.
    #[error("{MISMATCH}")]
    SignedHeaderAbsent(Box<str>),
}

const MISMATCH: &str = "The request signature we calculated does not match the signature you \
    provided. Check your AWS Secret Access Key and signing method. Consult the service \
    documentation for details.";

/// The five ways in which AWS refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing to authenticate.
    MissingAuthenticationToken,
    /// The claim cannot be read.
    IncompleteSignature,
    /// No such access key, or the token is wrong.
    UnrecognizedClient,
    /// The session is over.
    ExpiredToken,
    /// The claim is readable but not true, not ours or not now.
    InvalidSignature,
}

impl AuthError {
    /// Which kind of refusal this is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::MissingAuthenticationToken => Kind::MissingAuthenticationToken,
            Self::MissingParts { .. }
            | Self::NotPairs(_)
            | Self::Algorithm(_)
            | Self::TwoMechanisms
            | Self::CredentialShape(_)
            | Self::BadDate(_)
            | Self::MissingParameters(_)
            | Self::Expires(_)
            | Self::BadParameter(_)
            | Self::BrokenEscape
            | Self::RepeatedHeader(_)
            | Self::HeaderNotAscii(_)
            | Self::SignedHeadersForm
            | Self::PayloadNotSigned(_) => Kind::IncompleteSignature,
            Self::UnrecognizedClient => Kind::UnrecognizedClient,
            Self::ExpiredToken => Kind::ExpiredToken,
            Self::Scope(_)
            | Self::ScopeDate { .. }
            | Self::HostNotSigned
            | Self::HeaderNotSigned(_)
            | Self::Expired { .. }
            | Self::NotYetCurrent { .. }
            | Self::SignatureMismatch
            | Self::PayloadMismatch
            | Self::SignedHeaderAbsent(_) => Kind::InvalidSignature,
        }
    }

    /// The error code of the JSON services.
    pub fn json_code(&self) -> &'static str {
        match self.kind() {
            Kind::MissingAuthenticationToken => "MissingAuthenticationTokenException",
            Kind::IncompleteSignature => "IncompleteSignatureException",
            Kind::UnrecognizedClient => "UnrecognizedClientException",
            Kind::ExpiredToken => "ExpiredTokenException",
            Kind::InvalidSignature => "InvalidSignatureException",
        }
    }

    /// The error code of the Query services (STS, IAM).
    pub fn query_code(&self) -> &'static str {
        match self.kind() {
            Kind::MissingAuthenticationToken => "MissingAuthenticationToken",
            Kind::IncompleteSignature => "IncompleteSignature",
            Kind::UnrecognizedClient => "InvalidClientTokenId",
            Kind::ExpiredToken => "ExpiredToken",
            Kind::InvalidSignature => "SignatureDoesNotMatch",
        }
    }

    /// The HTTP status of the JSON services: KMS and Secrets Manager answer 400 to all of these.
    pub fn json_status(&self) -> u16 {
        400
    }

    /// The HTTP status of the Query services.
    pub fn query_status(&self) -> u16 {
        if self.kind() == Kind::IncompleteSignature { 400 } else { 403 }
    }
}

/// Several sentences with one space between them.
#[derive(Default)]
pub(super) struct Sentences(String);

impl Sentences {
    pub(super) fn add(&mut self, sentence: fmt::Arguments<'_>) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        // Writing to a String cannot fail.
        let _ = fmt::write(&mut self.0, sentence);
    }

    pub(super) fn finish(self) -> Option<Box<str>> {
        (!self.0.is_empty()).then(|| self.0.into_boxed_str())
    }
}
