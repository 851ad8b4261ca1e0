//! From a whole HTTP request to its operation: whose call is it, is the signature theirs, which
//! operation, and back again in the protocol that was spoken.
use super::sigv4::{self, AuthError, Claim, SigningKeyCache};
use super::{Admin, DevTools, Handler, Incoming, Refusal};
use crate::api;
use crate::audit::{TlsDetails, UserIdentity};
use crate::authorize::Caller;
use crate::call::{self, Arrival, Entry, Server, ServiceTable, Speech};
use crate::identity::{self, AccessKey};
use crate::store::StoreError;
use crate::types::Region;
use crate::wire::query::Form;
use crate::wire::{Fault, Protocol, json, query};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use std::sync::Arc;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// How far a client's clock may be off, in seconds (aws-general reference: five minutes; STS and
/// IAM take fifteen).
const SKEW_SECONDS: i64 = 300;
const GLOBAL_SKEW_SECONDS: i64 = 900;
/// Calls under way at once. Each holds at most a body and an answer: a few hundred MiB in all.
const CALLS: usize = 1024;
/// IAM and STS have no regions; AWS has them all here.
const GLOBAL_REGION: &str = "us-east-1";
/// Events and metrics carry the name of an operation only if it is one; this stands for the rest.
const UNKNOWN: &str = "Unknown";

/// The API of a server.
#[derive(Clone, Debug)]
pub struct Front(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: Arc<Server>,
    /// Places for calls under way.
    calls: Arc<Semaphore>,
    signing_keys: SigningKeyCache,
    /// Health and metrics on this listener too: only where it is loopback.
    admin: Option<Admin>,
    /// What only `claviger dev` offers.
    dev: Option<DevTools>,
}

/// Which operation a request is for, in which protocol.
struct Target {
    service: &'static ServiceTable,
    /// None if the service has no operation of that name.
    entry: Option<&'static Entry>,
    name: String,
    /// The decoded parameters of a Query request.
    form: Option<Form>,
}

/// An answer on its way out, still without its protocol's dress.
struct Answer {
    protocol: Protocol,
    target: Option<Target>,
    outcome: Result<Vec<u8>, Fault>,
}

impl Handler for Front {
    async fn handle(&self, request: Incoming) -> Response<Bytes> {
        if let Some(admin) = &self.0.admin
            && let Some(response) = admin.answer(&request.head).await
        {
            return response;
        }
        let Ok(permit) = self.0.calls.clone().try_acquire_owned() else {
            return self.refuse(Refusal::Busy);
        };
        // A task of its own: a client that goes away must not leave a call half done. It takes its
        // place with it, so that clients who go away cannot pile calls up.
        let inner = self.0.clone();
        let answer = async move {
            let response = inner.answer_all(request).await;
            drop(permit);
            response
        };
        match tokio::spawn(answer).await {
            Ok(response) => response,
            Err(error) => {
                tracing::error!(%error, "a call did not end");
                let answer = Answer {
                    protocol: Protocol::Json,
                    target: None,
                    outcome: Err(Fault::internal()),
                };
                respond(answer, "")
            }
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response<Bytes> {
        refusal.plain()
    }
}

impl Front {
    pub fn new(server: Arc<Server>, admin: Option<Admin>, dev: Option<DevTools>) -> Self {
        let calls = Arc::new(Semaphore::new(CALLS));
        Self(Arc::new(Inner { server, calls, signing_keys: SigningKeyCache::new(), admin, dev }))
    }
}

impl Inner {
    async fn answer_all(&self, request: Incoming) -> Response<Bytes> {
        if let Some(dev) = &self.dev
            && let Some(response) = dev.answer(&request).await
        {
            return response;
        }
        self.api(request).await
    }

    #[expect(clippy::disallowed_methods, reason = "elapsed time for a metric, not a moment")]
    async fn api(&self, request: Incoming) -> Response<Bytes> {
        let began = std::time::Instant::now();
        let mut arrival = self.arrival(&request);
        let answer = self.answer(&mut arrival, &request).await;
        let (service, operation) = match &answer.target {
            Some(target) => {
                (target.service.signing_name, target.entry.map_or(UNKNOWN, |entry| entry.name))
            }
            None => (UNKNOWN, UNKNOWN),
        };
        let code = answer.outcome.as_ref().err().map(|fault| fault.code);
        self.server.metrics.request(service, operation, code, began.elapsed());
        respond(answer, &arrival.request_id)
    }

    fn arrival(&self, request: &Incoming) -> Arrival {
        let random = &self.server.random;
        let text = |name| request.head.headers.get(name).and_then(|v| v.to_str().ok());
        let host = text(header::HOST).unwrap_or_default();
        Arrival {
            request_id: random.uuid().to_string(),
            event_id: random.uuid().to_string(),
            // Until a credential scope says otherwise.
            region: self.default_region(),
            source_ip: request.peer.ip(),
            user_agent: text(header::USER_AGENT).unwrap_or_default().to_owned(),
            tls: request.tls.as_ref().map(|tls| TlsDetails {
                tls_version: tls.version.into(),
                cipher_suite: tls.cipher_suite.into(),
                client_provided_host_header: host.into(),
                key_exchange: Some(tls.key_exchange.into()),
            }),
        }
    }

    #[expect(clippy::expect_used, reason = "the name is a region's, and a test would show it")]
    fn default_region(&self) -> Region {
        let fallback = || "us-east-1".parse().expect("a region name");
        self.server.regions.first().cloned().unwrap_or_else(fallback)
    }

    async fn answer(&self, arrival: &mut Arrival, request: &Incoming) -> Answer {
        let target = match target(&request.head, &request.body) {
            Ok(target) => target,
            Err((protocol, fault)) => {
                // Nobody is known yet and nothing was asked that exists.
                let fault = self.refuse(arrival, None, claimed_by(&request.head), fault).await;
                return Answer { protocol, target: None, outcome: Err(fault) };
            }
        };
        let protocol = target.service.protocol();
        let outcome = match self.authenticate(arrival, request, &target).await {
            Ok(caller) => self.run(arrival, &caller, &target, &request.body).await,
            Err((identity, fault)) => {
                Err(self.refuse(arrival, Some(&target), identity, fault).await)
            }
        };
        Answer { protocol, target: Some(target), outcome }
    }

    async fn run(
        &self,
        arrival: &Arrival,
        caller: &Caller,
        target: &Target,
        body: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        let unknown = |fault| self.refuse(arrival, Some(target), call::identity(caller), fault);
        let protocol = target.service.protocol();
        let Some(entry) = target.entry else {
            let version = target.form.as_ref().and_then(|form| form.version());
            let fault = Fault::unknown_operation(protocol, &target.name, version);
            return Err(unknown(fault).await);
        };
        let Some(form) = &target.form else {
            return (entry.run)(&self.server, caller, arrival, body).await;
        };
        let Some(operation) = (target.service.model)().operation(entry.name) else {
            return Err(unknown(Fault::unknown_operation(protocol, entry.name, None)).await);
        };
        match form.to_json(operation) {
            Ok(json) => (entry.run)(&self.server, caller, arrival, &json).await,
            Err(fault) => Err(unknown(fault).await),
        }
    }

    /// Whose request this is. Everything the signature covers is checked before anything of the
    /// request is believed; an unknown key costs the same work as a known one.
    async fn authenticate(
        &self,
        arrival: &mut Arrival,
        request: &Incoming,
        target: &Target,
    ) -> Result<Caller, (UserIdentity, Fault)> {
        let protocol = target.service.protocol();
        let (head, body) = (&request.head, &request.body);
        let claim = match sigv4::parse(head) {
            Ok(claim) => claim,
            Err(error) => return Err((claimed_by(head), fault_of(&error, protocol))),
        };
        let claimed = || UserIdentity::unknown(Some(claim.access_key_id().to_owned()));
        // The global services take any region in the scope; policies and events must not let the
        // caller choose one by it.
        let region = match target.service.speech {
            Speech::Json { .. } => claim.scope().region,
            Speech::Query { .. } => GLOBAL_REGION,
        };
        if let Ok(region) = region.parse::<Region>() {
            arrival.region = region;
        }
        let known = match self.lookup(&claim).await {
            Ok(known) => known,
            Err(error) => {
                tracing::error!(request = arrival.request_id, %error, "cannot look up an access key");
                return Err((claimed(), Fault::internal()));
            }
        };
        // Session tokens are not given out yet, so none can be ours.
        let Some((key, caller)) = known.filter(|_| claim.session_token().is_none()) else {
            let error = sigv4::refuse_unknown(&claim, head, body);
            return Err((claimed(), fault_of(&error, protocol)));
        };
        self.prove(&claim, request, target, &key)
            .map_err(|error| (claimed(), fault_of(&error, protocol)))?;
        Ok(caller)
    }

    fn prove(
        &self,
        claim: &Claim<'_>,
        request: &Incoming,
        target: &Target,
        key: &AccessKey,
    ) -> Result<(), AuthError> {
        let global = matches!(target.service.speech, Speech::Query { .. });
        let regions = &self.server.regions;
        let expect = sigv4::Expect {
            now: self.server.clock.wall().secs(),
            skew: if global { GLOBAL_SKEW_SECONDS } else { SKEW_SECONDS },
            regions: &|region| {
                region.parse().is_ok_and(|region| global || regions.contains(&region))
            },
            service: target.service.signing_name,
        };
        sigv4::check_scope_and_time(claim, &expect)?;
        // A key's secret never changes while it has its id; the creation time tells two keys that
        // were given one id by hand apart.
        let revision = u64::try_from(key.created.0).unwrap_or_default();
        let signing = self.signing_keys.key(claim, revision, || key.secret.expose());
        sigv4::verify(claim, &request.head, &request.body, &signing)
    }

    async fn lookup(
        &self,
        claim: &Claim<'_>,
    ) -> Result<Option<(Arc<AccessKey>, Caller)>, StoreError> {
        // A key id that could not be stored cannot be known.
        if claim.access_key_id().contains('\0') {
            return Ok(None);
        }
        let mut tx = self.server.store.begin();
        let Some(key) = AccessKey::load(&mut tx, claim.access_key_id()).await? else {
            return Ok(None);
        };
        Ok(identity::caller_of(&mut tx, &key).await?.map(|caller| (key, caller)))
    }

    async fn refuse(
        &self,
        arrival: &Arrival,
        target: Option<&Target>,
        identity: UserIdentity,
        fault: Fault,
    ) -> Fault {
        let source = target.map_or("claviger", |target| target.service.source);
        let name = target.and_then(|target| target.entry).map_or(UNKNOWN, |entry| entry.name);
        call::refuse(&self.server, arrival, source, name, identity, fault).await
    }
}

/// Reads which operation is meant. A JSON service is named by the target header, a Query service by
/// its parameters, in the body or, for presigned requests, in the query string.
fn target(head: &Parts, body: &[u8]) -> Result<Target, (Protocol, Fault)> {
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(text) = header("x-amz-target") {
        let unknown = || (Protocol::Json, Fault::unknown_operation(Protocol::Json, text, None));
        let (service, name) = api::by_target(text).ok_or_else(unknown)?;
        return Ok(Target {
            service,
            entry: service.find(name),
            name: name.to_owned(),
            form: None,
        });
    }
    let is_form = header("content-type").is_some_and(|text| {
        let essence = text.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case(query::FORM_MEDIA_TYPE)
    });
    let parameters = if head.method == Method::POST && is_form {
        body
    } else {
        head.uri.query().unwrap_or_default().as_bytes()
    };
    let form = Form::parse(parameters).map_err(|fault| (Protocol::Query, fault))?;
    let (action, version) = (form.action().map(str::to_owned), form.version());
    match (action, version.and_then(api::by_version)) {
        (Some(name), Some(service)) => {
            Ok(Target { service, entry: service.find(&name), name, form: Some(form) })
        }
        (Some(name), None) => {
            let fault = Fault::unknown_operation(Protocol::Query, &name, version);
            Err((Protocol::Query, fault))
        }
        (None, _) => Err((Protocol::Json, Fault::unknown_operation(Protocol::Json, "", None))),
    }
}

/// Who says to have sent a request that was not read far enough to know.
fn claimed_by(head: &Parts) -> UserIdentity {
    match sigv4::claimed_access_key_id(head) {
        Some(id) => UserIdentity::unknown(Some(id.to_owned())),
        None => UserIdentity::anonymous(),
    }
}

fn fault_of(error: &AuthError, protocol: Protocol) -> Fault {
    let (code, status) = match protocol {
        Protocol::Json => (error.json_code(), error.json_status()),
        Protocol::Query => (error.query_code(), error.query_status()),
    };
    Fault::client(code, error.to_string()).with_status(status)
}

/// The answer in its protocol's dress.
fn respond(answer: Answer, request_id: &str) -> Response<Bytes> {
    let operation = answer
        .target
        .as_ref()
        .and_then(|target| (target.service.model)().operation(target.entry?.name));
    let (status, code, body, media_type) = match (answer.protocol, answer.outcome) {
        (Protocol::Json, Ok(body)) => (200, None, body, json::MEDIA_TYPE),
        (Protocol::Json, Err(fault)) => {
            (fault.status, Some(fault.code), json::encode_fault(&fault), json::MEDIA_TYPE)
        }
        (Protocol::Query, Ok(body)) => match operation.and_then(|op| xml(op, &body, request_id)) {
            Some(mut xml) => (200, None, std::mem::take(&mut *xml), query::XML_MEDIA_TYPE),
            None => {
                let body = query::encode_fault(&Fault::internal(), "", request_id);
                (500, None, body, query::XML_MEDIA_TYPE)
            }
        },
        (Protocol::Query, Err(fault)) => {
            let namespace = answer
                .target
                .as_ref()
                .map_or("", |target| &(target.service.model)().metadata().xml_namespace);
            let body = query::encode_fault(&fault, namespace, request_id);
            (fault.status, None, body, query::XML_MEDIA_TYPE)
        }
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(code) = code {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(code));
    }
    response
}

fn xml(
    operation: &crate::wire::OperationModel,
    body: &[u8],
    request_id: &str,
) -> Option<Zeroizing<Vec<u8>>> {
    // An operation without a result has an empty body.
    let body = if body.is_empty() { b"{}" } else { body };
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    query::encode(operation, &value, request_id).ok()
}
