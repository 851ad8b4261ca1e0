//! From the model's JSON to the compiled tree: members sorted, patterns compiled once each.
use super::{ErrorModel, Kind, Member, Metadata, Model, OperationModel, Pattern, Shape};
use crate::wire::fault::{MessageMember, Protocol};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The walker remembers which members it has seen in the bits of one `u128`.
const MAX_MEMBERS: usize = 128;

/// Members whose value no message repeats although the model does not call them sensitive: whoever
/// reads a grant token may use it, and so with a one-time code.
const NEVER_ECHOED: [&str; 3] = ["GrantToken", "GrantTokens", "TokenCode"];

#[derive(Deserialize)]
struct RawModel {
    metadata: RawMetadata,
    operations: BTreeMap<Box<str>, RawOperation>,
    #[serde(rename = "errorShapes", default)]
    errors: BTreeMap<Box<str>, RawError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMetadata {
    protocol: Box<str>,
    api_version: Box<str>,
    endpoint_prefix: Box<str>,
    #[serde(default)]
    signing_name: Option<Box<str>>,
    #[serde(default)]
    target_prefix: Box<str>,
    #[serde(default)]
    xml_namespace: Box<str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawOperation {
    #[serde(default)]
    input: Option<BTreeMap<Box<str>, RawShape>>,
    #[serde(default)]
    output: Option<BTreeMap<Box<str>, RawShape>>,
    #[serde(default)]
    errors: Vec<Box<str>>,
    #[serde(default)]
    result_wrapper: Option<Box<str>>,
    #[serde(default)]
    auth: Vec<Box<str>>,
}

#[derive(Deserialize)]
struct RawShape {
    #[serde(rename = "type")]
    kind: Box<str>,
    #[serde(default)]
    members: BTreeMap<Box<str>, RawShape>,
    member: Option<Box<RawShape>>,
    key: Option<Box<RawShape>>,
    value: Option<Box<RawShape>>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    sensitive: bool,
    min: Option<i64>,
    max: Option<i64>,
    pattern: Option<Box<str>>,
    #[serde(rename = "enum", default)]
    values: Vec<Box<str>>,
}

#[derive(Deserialize)]
struct RawError {
    #[serde(default)]
    fault: bool,
    #[serde(default)]
    members: BTreeMap<Box<str>, serde::de::IgnoredAny>,
    error: Option<RawErrorCode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawErrorCode {
    code: Option<Box<str>>,
    http_status_code: Option<u16>,
}

impl Model {
    /// Reads a model of the source tree.
    ///
    /// # Panics
    /// If the text is no model. It is a file of this repository, compiled in, and a test reads every
    /// one of them.
    #[must_use]
    #[expect(clippy::panic, reason = "a file of the source tree, read by the tests")]
    pub fn parse(json: &'static str) -> Self {
        match Self::read(json) {
            Ok(model) => model,
            Err(why) => panic!("a model of the source tree: {why}"),
        }
    }

    fn read(json: &str) -> Result<Self, String> {
        let raw: RawModel = serde_json::from_str(json).map_err(|e| e.to_string())?;
        let protocol =
            if &*raw.metadata.protocol == "query" { Protocol::Query } else { Protocol::Json };
        let xml_namespace: Arc<str> = raw.metadata.xml_namespace.into();
        let mut patterns = Patterns::default();
        let operations = raw
            .operations
            .into_iter()
            .map(|(name, raw)| {
                let input = patterns.structure(raw.input.unwrap_or_default(), true)?;
                let output = patterns.structure(raw.output.unwrap_or_default(), true)?;
                let operation = OperationModel {
                    name: name.clone(),
                    input: Shape::plain(input),
                    output: Shape::plain(output),
                    errors: raw.errors,
                    result_wrapper: raw.result_wrapper,
                    xml_namespace: Arc::clone(&xml_namespace),
                    anonymous: raw.auth.iter().any(|auth| &**auth == "smithy.api#noAuth"),
                };
                Ok((name, operation))
            })
            .collect::<Result<_, String>>()?;
        let errors = raw.errors.into_iter().map(|(name, raw)| (name.clone(), raw.compile(name)));
        let metadata = Metadata {
            protocol,
            api_version: raw.metadata.api_version,
            target_prefix: raw.metadata.target_prefix,
            signing_name: raw.metadata.signing_name.unwrap_or(raw.metadata.endpoint_prefix),
            xml_namespace,
        };
        Ok(Self { metadata, operations, errors: errors.collect() })
    }
}

impl RawError {
    fn compile(self, name: Box<str>) -> ErrorModel {
        let (code, status) = self.error.map_or((None, None), |e| (e.code, e.http_status_code));
        let message_member = [MessageMember::Lower, MessageMember::Upper]
            .into_iter()
            .find(|member| self.members.contains_key(member.name()));
        ErrorModel {
            code: code.unwrap_or(name),
            status: status.unwrap_or(if self.fault { 500 } else { 400 }),
            message_member,
        }
    }
}

impl Shape {
    fn plain(kind: Kind) -> Self {
        Self { kind, sensitive: false, echo: true, min: None, max: None }
    }
}

/// The model repeats the same few patterns hundreds of times.
#[derive(Default)]
struct Patterns(HashMap<Box<str>, Arc<Pattern>>);

impl Patterns {
    fn structure(
        &mut self,
        members: BTreeMap<Box<str>, RawShape>,
        echo: bool,
    ) -> Result<Kind, String> {
        if members.len() > MAX_MEMBERS {
            return Err(format!("a structure of {} members", members.len()));
        }
        // A BTreeMap iterates in the order of its keys: what `Shape::position` searches by.
        let members = members.into_iter().map(|(name, raw)| {
            let required = raw.required;
            let shape = self.shape(raw, echo && !NEVER_ECHOED.contains(&&*name))?;
            Ok(Member { name, required, shape })
        });
        members.collect::<Result<_, String>>().map(Kind::Structure)
    }

    fn shape(&mut self, raw: RawShape, echo: bool) -> Result<Shape, String> {
        let echo = echo && !raw.sensitive;
        let mut inner = |inside: Option<Box<RawShape>>| {
            let inside = inside.ok_or("a list or map without what is inside")?;
            self.shape(*inside, echo).map(Box::new)
        };
        let kind = match &*raw.kind {
            "structure" => self.structure(raw.members, echo)?,
            "list" => Kind::List(inner(raw.member)?),
            "map" => Kind::Map { key: inner(raw.key)?, value: inner(raw.value)? },
            "string" => Kind::String {
                pattern: raw.pattern.map(|text| self.pattern(text)).transpose()?,
                values: raw.values,
            },
            "blob" => Kind::Blob,
            "boolean" => Kind::Boolean,
            "integer" => Kind::Integer,
            "long" => Kind::Long,
            "double" | "float" => Kind::Double,
            "timestamp" => Kind::Timestamp,
            other => return Err(format!("a shape of type {other}")),
        };
        Ok(Shape { kind, sensitive: raw.sensitive, echo, min: raw.min, max: raw.max })
    }

    fn pattern(&mut self, text: Box<str>) -> Result<Arc<Pattern>, String> {
        if let Some(pattern) = self.0.get(&text) {
            return Ok(Arc::clone(pattern));
        }
        let pattern = Arc::new(Pattern::compile(&text).map_err(|e| e.to_string())?);
        self.0.insert(text, Arc::clone(&pattern));
        Ok(pattern)
    }
}
