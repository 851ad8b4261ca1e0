//! AWS's own description of its API, read as data: which operations, members, constraints and
//! errors there are. It checks requests, it tells the Query protocol what is a list and what a
//! number, and tests use it to prove that our types have exactly the members AWS's have.
//!
//! The models (`models/*.json`) are botocore's and smithy's, without prose, shapes inlined.
mod base64;
mod check;
mod parse;
mod pattern;
mod rejection;
mod rule;
mod sample;
mod skip;
#[cfg(test)]
mod tests;

pub use rejection::Rejection;
pub use sample::MARKER;

use super::fault::{MessageMember, Protocol};
use pattern::Pattern;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One service's API.
#[derive(Debug)]
pub struct Model {
    metadata: Metadata,
    operations: BTreeMap<Box<str>, OperationModel>,
    errors: BTreeMap<Box<str>, ErrorModel>,
}

/// What the model says of the service as a whole.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// The service's protocol.
    pub protocol: Protocol,
    /// `2014-11-01`: the `Version` of a Query request.
    pub api_version: Box<str>,
    /// What stands before the dot in `X-Amz-Target`; empty for Query services.
    pub target_prefix: Box<str>,
    /// The service name in a credential scope.
    pub signing_name: Box<str>,
    /// The namespace of the XML a Query service answers with; empty for JSON services.
    pub xml_namespace: Arc<str>,
}

/// An error of the model.
#[derive(Clone, Debug)]
pub struct ErrorModel {
    /// The code on the wire: the shape's name, or for Query services what the model says instead.
    pub code: Box<str>,
    /// The HTTP status.
    pub status: u16,
    /// What the model calls the member with the sentence, if it has one.
    pub message_member: Option<MessageMember>,
}

/// An operation of the model.
#[derive(Debug)]
pub struct OperationModel {
    name: Box<str>,
    input: Shape,
    output: Shape,
    errors: Vec<Box<str>>,
    result_wrapper: Option<Box<str>>,
    xml_namespace: Arc<str>,
    anonymous: bool,
}

/// What a value must be.
#[derive(Debug)]
pub struct Shape {
    kind: Kind,
    /// The model's mark for what must not be printed.
    sensitive: bool,
    /// May an error message repeat the value? Not if it, or what it is part of, is sensitive.
    echo: bool,
    min: Option<i64>,
    max: Option<i64>,
}

#[derive(Debug)]
pub(in crate::wire) enum Kind {
    Structure(Vec<Member>),
    List(Box<Shape>),
    Map { key: Box<Shape>, value: Box<Shape> },
    String { pattern: Option<Arc<Pattern>>, values: Vec<Box<str>> },
    Blob,
    Boolean,
    Integer,
    Long,
    Double,
    Timestamp,
}

/// A member of a structure.
#[derive(Debug)]
pub struct Member {
    name: Box<str>,
    required: bool,
    shape: Shape,
}

impl Model {
    /// What holds for the whole service.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The operation of this name, in the model's spelling.
    #[must_use]
    pub fn operation(&self, name: &str) -> Option<&OperationModel> {
        self.operations.get(name)
    }

    /// Every operation, by name.
    pub fn operations(&self) -> impl Iterator<Item = &OperationModel> {
        self.operations.values()
    }

    /// The error shape of this name, as [`OperationModel::errors`] gives it.
    #[must_use]
    pub fn error(&self, shape: &str) -> Option<&ErrorModel> {
        self.errors.get(shape)
    }
}

impl OperationModel {
    /// `Encrypt`
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shape of the request; always a structure.
    #[must_use]
    pub fn input(&self) -> &Shape {
        &self.input
    }

    /// The shape of the answer; always a structure, without members where there is no answer.
    #[must_use]
    pub fn output(&self) -> &Shape {
        &self.output
    }

    /// The names of the error shapes the model lists for this operation.
    pub fn errors(&self) -> impl Iterator<Item = &str> {
        self.errors.iter().map(AsRef::as_ref)
    }

    /// The element around a Query answer, `CreateUserResult`; none if there is nothing to wrap.
    #[must_use]
    pub fn result_wrapper(&self) -> Option<&str> {
        self.result_wrapper.as_deref()
    }

    /// The namespace of the operation's XML; empty for JSON services.
    #[must_use]
    pub fn xml_namespace(&self) -> &str {
        &self.xml_namespace
    }

    /// May it be called without a signature (`sts:AssumeRoleWithWebIdentity`)?
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.anonymous
    }

    /// Checks a JSON request body: one walk over the bytes, no tree is built. No body at all is an
    /// empty object. What passes is one JSON object without duplicate members, of bounded depth,
    /// whose known members have the model's types and satisfy the model's constraints.
    ///
    /// # Errors
    /// [`Rejection::Malformed`] for the first thing that is no well-formed request,
    /// [`Rejection::Invalid`] with every broken constraint otherwise.
    pub fn check(&self, body: &[u8]) -> Result<(), Rejection> {
        check::check(&self.input, body)
    }
}

impl Shape {
    /// Is it a moment, which protocols and records spell each in their own way?
    #[must_use]
    pub fn is_timestamp(&self) -> bool {
        matches!(self.kind, Kind::Timestamp)
    }

    pub(in crate::wire) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Does the model say that this value must not be printed?
    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.sensitive
    }

    /// The members, by name; none if this is no structure.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        match &self.kind {
            Kind::Structure(members) => members,
            _ => &[],
        }
    }

    /// The member of this name, which is case-sensitive.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.position(name).and_then(|i| self.members().get(i))
    }

    /// A structure's members are sorted when the model is read.
    fn position(&self, name: &str) -> Option<usize> {
        self.members().binary_search_by(|member| (*member.name).cmp(name)).ok()
    }

    fn is_scalar(&self) -> bool {
        !matches!(self.kind, Kind::Structure(_) | Kind::List(_) | Kind::Map { .. })
    }
}

impl Member {
    /// The member's name on the wire.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Must a request have it?
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// What its value must be.
    #[must_use]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }
}
