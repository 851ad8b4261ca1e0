//! Which operation a request is for: by a header or by its parameters.
use crate::api;
use crate::call::{Entry, ServiceTable};
use crate::types::{AccountId, Arn};
use crate::wire::query::{self, Form};
use crate::wire::{Fault, Protocol};
use http::{HeaderName, Method, header, request::Parts};
use smol_str::SmolStr;

/// Names the operation of a JSON service.
const X_AMZ_TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// Which operation a request is for, in which protocol.
pub(super) struct Target {
    pub(super) meant: Meant,
    pub(super) name: SmolStr,
    /// The decoded parameters of a Query request.
    pub(super) form: Option<Form>,
}

/// A service, and its operation if it has one of that name.
#[derive(Clone, Copy)]
pub(super) struct Meant {
    pub(super) service: &'static ServiceTable,
    pub(super) entry: Option<&'static Entry>,
}

impl Target {
    /// Whose role an unsigned request asks for: the account in whose log the request belongs.
    #[expect(clippy::expect_used, reason = "twelve digits, and a test would show it")]
    pub(super) fn account_of_role(&self) -> AccountId {
        let role = || {
            let operation = (self.meant.service.model)().operation(self.meant.entry?.name)?;
            let body = self.form.as_ref()?.to_json(operation).ok()?;
            let body: serde_json::Value = serde_json::from_slice(&body).ok()?;
            let arn = body.get("RoleArn")?.as_str()?.parse::<Arn>().ok()?;
            arn.account().parse().ok()
        };
        role().unwrap_or_else(|| "000000000000".parse().expect("an account id"))
    }
}

/// In which protocol to answer a request that is not read any further.
pub(super) fn protocol_of(head: &Parts) -> Protocol {
    if head.headers.contains_key(X_AMZ_TARGET) { Protocol::Json } else { Protocol::Query }
}

/// Reads which operation is meant. A JSON service is named by the target header, a Query service by
/// its parameters, in the body or, for presigned requests, in the query string.
pub(super) fn target(head: &Parts, body: &[u8]) -> Result<Target, (Protocol, Fault)> {
    let header = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(text) = header(X_AMZ_TARGET) {
        let unknown = || (Protocol::Json, Fault::unknown_operation(Protocol::Json, text, None));
        let (service, name) = api::by_target(text).ok_or_else(unknown)?;
        let meant = Meant { service, entry: service.find(name) };
        return Ok(Target { meant, name: name.into(), form: None });
    }
    let is_form = header(header::CONTENT_TYPE).is_some_and(|text| {
        let essence = text.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case(query::FORM_MEDIA_TYPE)
    });
    let parameters = if head.method == Method::POST && is_form {
        body
    } else {
        head.uri.query().unwrap_or_default().as_bytes()
    };
    let form = Form::parse(parameters).map_err(|fault| (Protocol::Query, fault))?;
    let (action, version) = (form.action().map(SmolStr::new), form.version());
    match (action, version.and_then(api::by_version)) {
        (Some(name), Some(service)) => {
            let meant = Meant { service, entry: service.find(&name) };
            Ok(Target { meant, name, form: Some(form) })
        }
        (Some(name), None) => {
            let fault = Fault::unknown_operation(Protocol::Query, &name, version);
            Err((Protocol::Query, fault))
        }
        (None, _) => Err((Protocol::Json, Fault::unknown_operation(Protocol::Json, "", None))),
    }
}
