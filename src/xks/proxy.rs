//! The way of every request: route, signature, rate, body, a place to work, the key, the answer. All of
//! it within the budget, or not at all.
use super::authenticate::authenticate;
use super::body;
use super::credentials::{CredentialError, Credentials};
use super::error::XksError;
use super::gate::{Gate, Shed, now};
use super::job::{self, Job};
use super::rate::Rate;
use super::route::{Api, route};
use super::settings::{InvalidXks, Settings};
use super::stores::{Store, stores};
use super::target::region_of;
use super::{MAX_BODY_BYTES, SOURCE};
use crate::audit::{TlsDetails, UserIdentity};
use crate::call::{self, Arrival, Server};
use crate::external::Refusal;
use crate::sigv4::{self, SigningKeyCache};
use crate::wire::{Fault, ServiceError};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, header};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Where load balancers look; it says that the listener answers, and no more.
pub(super) const PING: &str = "/ping";
/// Refused signatures that are logged each second, of all stores together. Others are counted in the metrics.
const REFUSALS_LOGGED: u32 = 20;
/// The protocol's, in characters; the message must be shorter.
const MAX_MESSAGE_CHARS: usize = 511;

/// A request that has arrived whole.
#[derive(Debug)]
pub struct Asked {
    pub head: Parts,
    pub body: Bytes,
    pub source_ip: IpAddr,
    pub tls: Option<TlsDetails>,
}

/// The key stores of the configuration, being served.
#[derive(Debug)]
pub struct Proxy {
    server: Arc<Server>,
    settings: Vec<Settings>,
    stores: Vec<Store>,
    credentials: RwLock<Arc<Credentials>>,
    signing_keys: SigningKeyCache,
    /// Of strangers, as many requests as are logged.
    refusals: Rate,
    budget: Duration,
}

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("{0}")]
    Settings(#[from] InvalidXks),
    #[error("{0}")]
    Credential(#[from] CredentialError),
}

impl Proxy {
    /// `budget`: from the whole request to the answer.
    pub fn new(
        server: Arc<Server>,
        settings: Vec<Settings>,
        budget: Duration,
    ) -> Result<Self, SetupError> {
        let stores = stores(&settings)?;
        let credentials = RwLock::new(Arc::new(Credentials::read(&settings, 0)?));
        let signing_keys = SigningKeyCache::new();
        let refusals = Rate::new(REFUSALS_LOGGED);
        Ok(Self { server, settings, stores, credentials, signing_keys, refusals, budget })
    }

    /// Reads the credentials anew. If one of them is bad, all stay as they were.
    pub fn reload(&self) -> Result<(), CredentialError> {
        let generation = self.credentials().generation.wrapping_add(1);
        let new = Credentials::read(&self.settings, generation)?;
        *self.credentials.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        self.signing_keys.clear();
        Ok(())
    }

    fn credentials(&self) -> Arc<Credentials> {
        Arc::clone(&self.credentials.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub async fn answer(self: &Arc<Self>, asked: Asked) -> Response<Bytes> {
        let began = now();
        if asked.head.method == Method::GET && asked.head.uri.path() == PING {
            return respond(StatusCode::OK, Bytes::from_static(b"\"pong\"\n"));
        }
        let path = asked.head.uri.path();
        // No API has a query; what is not part of a path's meaning is not let in.
        let query = asked.head.uri.query().is_some();
        let routes = self.stores.iter().enumerate();
        let found = routes.filter(|_| !query).find_map(|(at, store)| {
            let route = route(path, &store.path)?;
            Some((at, store, route.api, route.key_id.to_owned()))
        });
        let Some((at, store, api, key_id)) = found else {
            return refused(&XksError::InvalidUriPath.fault());
        };
        if asked.head.method != Method::POST {
            let mut response = refused(&XksError::Method.fault());
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            return response;
        }
        let outcome = self.serve(asked, (at, store, api), key_id, began).await;
        let code = outcome.as_ref().err().map(|fault| fault.code);
        self.server.metrics.request(SOURCE, api.name(), code, began.elapsed());
        match outcome {
            Ok(body) => respond(StatusCode::OK, Bytes::from(body)),
            Err(fault) => refused(&fault),
        }
    }

    async fn serve(
        self: &Arc<Self>,
        asked: Asked,
        (at, store, api): (usize, &Store, Api),
        key_id: String,
        began: Instant,
    ) -> Result<Vec<u8>, Fault> {
        let mut arrival = self.arrival(&asked, store);
        let (head, bytes) = (&asked.head, &asked.body);
        let credentials = self.credentials();
        let signed = authenticate(
            head,
            bytes,
            (&credentials, at),
            &self.signing_keys,
            &store.region,
            self.server.clock.wall().secs(),
        );
        let access_key_id = match signed {
            Ok(id) => id,
            // A stranger's requests are not to fill the log, nor to take its time from others.
            Err(error) if !self.refusals.take(self.server.clock.now()) => {
                return Err(error.fault());
            }
            Err(error) => {
                let claimed = sigv4::claimed_access_key_id(head).map(Into::into);
                let identity = UserIdentity::unknown(claimed);
                return Err(self.refuse(&arrival, api, identity, error.fault()).await);
            }
        };
        if !store.rate.take(self.server.clock.now()) {
            return Err(XksError::Throttling.fault());
        }
        let body = match body::parse(api, head, bytes) {
            Ok(body) => body,
            Err(error) => {
                let identity = call::identity(&job::caller(store, &access_key_id));
                return Err(self.refuse(&arrival, api, identity, error.fault()).await);
            }
        };
        let key = store.keys.get(&key_id);
        if let Some(region) = key.and_then(|key| region_of(&key.target.0)) {
            arrival.region = region;
        }
        let gate = key.map(|key| Arc::clone(&key.gate));
        self.work(at, Job { key_id, access_key_id, body, arrival }, gate, began).await
    }

    /// Does it within the budget, in a place of the key if there is one.
    async fn work(
        self: &Arc<Self>,
        at: usize,
        job: Job,
        gate: Option<Arc<Gate>>,
        began: Instant,
    ) -> Result<Vec<u8>, Fault> {
        let place = match &gate {
            Some(gate) => Some(gate.enter(self.left(began)).await.map_err(shed)?),
            None => None,
        };
        let proxy = Arc::clone(self);
        // A task of its own: what is begun is ended and logged, whoever has given up.
        let work = tokio::spawn(async move {
            let Some(store) = proxy.stores.get(at) else {
                return Err(XksError::InvalidUriPath.fault());
            };
            let outcome = job.run(&proxy.server, store).await;
            drop(place);
            outcome
        });
        match tokio::time::timeout(self.left(began), work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                tracing::error!(%error, "a request to the XKS proxy did not end");
                Err(XksError::Internal("a task broke off".into()).fault())
            }
            Err(_) => {
                if let Some(gate) = gate {
                    gate.overrun(self.budget);
                }
                tracing::warn!("an XKS request took too long");
                Err(XksError::DependencyTimeout.fault())
            }
        }
    }

    fn left(&self, began: Instant) -> Duration {
        self.budget.saturating_sub(began.elapsed())
    }

    fn arrival(&self, asked: &Asked, store: &Store) -> Arrival {
        let random = &self.server.random;
        let agent = asked.head.headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok());
        Arrival {
            request_id: random.request_id(),
            event_id: random.request_id(),
            region: store.region.clone(),
            source_ip: asked.source_ip,
            endpoint: None,
            user_agent: agent.unwrap_or_default().into(),
            tls: asked.tls.clone(),
        }
    }

    /// Logs a request that did not get as far as a key.
    async fn refuse(
        &self,
        arrival: &Arrival,
        api: Api,
        identity: UserIdentity,
        fault: Fault,
    ) -> Fault {
        call::refuse(&self.server, arrival, SOURCE, api.name(), identity, fault).await
    }

    /// What a body may have, whoever sends it.
    pub fn max_body_bytes() -> usize {
        MAX_BODY_BYTES
    }
}

fn shed(why: Shed) -> Fault {
    match why {
        Shed::Busy => XksError::Throttling.fault(),
        Shed::TooLate => XksError::DependencyTimeout.fault(),
    }
}

/// The protocol's form of a refusal. Ours say nothing of what is inside.
pub fn refused(fault: &Fault) -> Response<Bytes> {
    let printable = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    let message: String = fault.message().chars().take(MAX_MESSAGE_CHARS).map(printable).collect();
    let error_message = (!message.is_empty()).then_some(message);
    // What the rest of the server calls its own fault has one name here.
    let name = if fault.code == "InternalFailure" { "InternalException" } else { fault.code };
    let body = Refusal { error_name: name.to_owned(), error_message };
    let status = StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    respond(status, Bytes::from(serde_json::to_vec(&body).unwrap_or_default()))
}

fn respond(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
