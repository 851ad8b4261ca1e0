//! From a whole HTTP request to its operation: whose call is it, is the signature theirs, which
//! operation, and back again in the protocol that was spoken.
mod authenticate;

use super::answer::{Answer, respond};
use super::entrance::{Entrance, Malformed};
use super::shares::{Share, Shares};
use super::stand_in::StandIn;
use super::target::{Meant, Target, protocol_of, target};
use super::unbroken::Unbroken;
use super::{Admin, DevTools, Handler, Incoming, issuer, machine_credentials};
use crate::audit::{TlsDetails, UserIdentity};
use crate::authorize::Caller;
use crate::call::{self, Arrival, Server, Unlogged};
use crate::identity::Callers;
use crate::sigv4::{self, SigningKeyCache};
use crate::types::{AccountId, Principal, Region};
use crate::wire::{Fault, Protocol};
use bytes::Bytes;
use http::{Response, header, request::Parts};
use smol_str::SmolStr;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Calls under way at once of which it is known whose they are. Each holds at most a body and an answer: a
/// few hundred MiB in all; as many again may wait with their bodies.
const CALLS: usize = 896;
/// And requests of which it is not: what strangers send takes no place from those who are known.
const STRANGERS: usize = 128;
/// Refusals that wait for the log at once. They have places of their own, and each account its share of
/// them: a crowd that is refused keeps nobody else out, and loses records of its own refusals only.
const REFUSALS: usize = 256;
/// How long a request waits for such a place. To find out whose a request is takes microseconds: who waits
/// longer stands behind a crowd.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long a call waits whose account has its share of the calls under way: what a crowd's answers are
/// late by at most, and their callers' permissions older.
const PATIENCE_FOR_A_SHARE: Duration = Duration::from_millis(100);
/// Events and metrics carry the name of an operation only if it is one; this stands for the rest.
const UNKNOWN: &str = "Unknown";

/// The API of a server.
#[derive(Clone, Debug)]
pub struct Front(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    server: Arc<Server>,
    /// Places for requests of which it is not known yet whose they are.
    strangers: Arc<Semaphore>,
    /// Places for calls under way, and how many of them each account may have.
    shares: Arc<Shares>,
    /// Places for refusals on their way into the log.
    refusals: Arc<Shares>,
    signing_keys: Arc<SigningKeyCache>,
    callers: Arc<Callers>,
    stand_in: Arc<StandIn>,
    entrance: Entrance,
    /// Health and metrics on this listener too: only where it is loopback.
    admin: Option<Admin>,
    /// What only `claviger dev` offers.
    dev: Option<Arc<DevTools>>,
}

/// How far a request has come.
enum Stage {
    Answered(Response<Bytes>),
    /// Its call is done, and nobody may be told before that is in the log.
    Unlogged(Unlogged, Rest),
}

/// What there is left of a request while it waits for the log.
struct Rest {
    began: Instant,
    request_id: SmolStr,
    meant: Meant,
    _share: Share,
}

/// Who was found out to have sent a request.
type Known = (Target, Arc<Caller>);

/// A request that is refused before its operation is asked.
struct TurnedAway {
    protocol: Protocol,
    meant: Option<Meant>,
    /// Whose it is, if that is proved.
    account: Option<AccountId>,
    identity: UserIdentity,
    fault: Fault,
}

impl Handler for Front {
    async fn handle(&self, request: Incoming) -> Response<Bytes> {
        if let Some(admin) = &self.0.admin
            && let Some(response) = admin.answer(&request.head).await
        {
            return response;
        }
        // All requests that are there are read before the first is worked on: each of the two then runs out
        // of the core's caches, and takes a sixteenth less.
        tokio::task::yield_now().await;
        let Some(place) = self.0.enter().await else { return self.0.shed(&request) };
        // A client that goes away must not leave a call half done. The call takes its place with it, so
        // that clients who go away cannot pile calls up.
        let inner = self.0.clone();
        let answer = Unbroken::new(async move {
            // All that the first part needed is freed before the wait for the log, and still in the core's
            // cache when the next request takes it.
            match Box::pin(inner.answer_all(request, place)).await {
                Stage::Answered(response) => response,
                Stage::Unlogged(unlogged, rest) => inner.conclude(unlogged, rest).await,
            }
        });
        match answer.await {
            Ok(response) => response,
            // The panic's own message has been logged where it happened.
            Err(_) => {
                tracing::error!("a call panicked");
                let outcome = Err(Fault::internal());
                respond(Answer { protocol: Protocol::Json, meant: None, outcome }, "")
            }
        }
    }
}

impl Front {
    pub fn new(server: Arc<Server>, admin: Option<Admin>, dev: Option<DevTools>) -> Self {
        let strangers = Arc::new(Semaphore::new(STRANGERS));
        let (shares, refusals) = (Arc::new(Shares::new(CALLS)), Arc::new(Shares::new(REFUSALS)));
        let signing_keys = Arc::new(SigningKeyCache::new());
        let (entrance, dev) = (Entrance::default(), dev.map(Arc::new));
        let (callers, stand_in) = (Arc::default(), Arc::default());
        Self(Arc::new(Inner {
            server,
            strangers,
            shares,
            refusals,
            signing_keys,
            callers,
            stand_in,
            entrance,
            admin,
            dev,
        }))
    }

    /// Whom a request proves to come from: the first part of an answer, for measuring by itself. What
    /// follows tells openly what it is, and a longer text takes longer.
    pub async fn prover(&self, request: &Incoming) -> Option<Principal> {
        let mut arrival = self.0.arrival(request, request.peer.ip());
        let target = target(&request.head, &request.body).ok()?;
        let proved = self.0.authenticate(&mut arrival, request, &target).await;
        proved.ok().map(|caller| caller.principal.clone())
    }

    /// The same API at another listener. What is for this machine only is left out where others'
    /// requests come in: through an endpoint, and through proxies, whose connections are local ones
    /// perhaps.
    #[must_use]
    pub fn at(&self, entrance: Entrance) -> Self {
        let direct = entrance.endpoint.is_none() && entrance.proxies.is_empty();
        Self(Arc::new(Inner {
            server: self.0.server.clone(),
            strangers: self.0.strangers.clone(),
            shares: self.0.shares.clone(),
            refusals: self.0.refusals.clone(),
            signing_keys: self.0.signing_keys.clone(),
            callers: self.0.callers.clone(),
            stand_in: self.0.stand_in.clone(),
            entrance,
            admin: self.0.admin.clone().filter(|_| direct),
            dev: self.0.dev.clone().filter(|_| direct),
        }))
    }
}

impl Inner {
    /// A place for a request of which it is not known whose it is.
    async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        let strangers = &self.strangers;
        if let Ok(place) = strangers.clone().try_acquire_owned() {
            return Some(place);
        }
        let waits = tokio::time::timeout(PATIENCE, strangers.clone().acquire_owned());
        Box::pin(waits).await.ok()?.ok()
    }

    /// Refuses what there is no place for, as cheaply as can be: SDKs come again later. It is counted, and
    /// not in the log.
    fn shed(&self, request: &Incoming) -> Response<Bytes> {
        let protocol = protocol_of(&request.head);
        let fault = Fault::throttled(protocol);
        self.server.metrics.request(UNKNOWN, UNKNOWN, Some(fault.code), Duration::ZERO);
        let answer = Answer { protocol, meant: None, outcome: Err(fault) };
        respond(answer, &self.server.random.request_id())
    }

    /// What is rare has a box of its own: every call would carry the space for it.
    async fn answer_all(&self, request: Incoming, place: OwnedSemaphorePermit) -> Stage {
        let dev = self.dev.as_ref().filter(|_| DevTools::is_meant(&request));
        let page = issuer::Page::of(&self.server, &request.head);
        let is_machines = machine_credentials::is_meant(&self.server, &request);
        if dev.is_none() && page.is_none() && !is_machines {
            return self.api(request, place).await;
        }
        // Nobody signed it, and more need not be found out. It may wait for a database.
        let Some(_share) = self.shares.enter(None) else {
            return Stage::Answered(self.shed(&request));
        };
        drop(place);
        if let Some(dev) = dev {
            return Stage::Answered(Box::pin(dev.answer(&request)).await);
        }
        if let Some(page) = page {
            return Stage::Answered(Box::pin(page.answer(&self.server, &request.head)).await);
        }
        let source = self.entrance.proxies.client(request.peer.ip(), &request.head.headers);
        let arrival = self.arrival(&request, source.unwrap_or(request.peer.ip()));
        let source = source.map(drop);
        let answer = machine_credentials::answer(&self.server, &arrival, &request, source);
        Stage::Answered(Box::pin(answer).await)
    }

    #[expect(clippy::disallowed_methods, reason = "elapsed time for a metric, not a moment")]
    async fn api(&self, request: Incoming, place: OwnedSemaphorePermit) -> Stage {
        let began = Instant::now();
        let peer = request.peer.ip();
        let source = self.entrance.proxies.client(peer, &request.head.headers);
        let mut arrival = self.arrival(&request, source.unwrap_or(peer));
        match self.called(&mut arrival, &request, source.err(), place).await {
            Ok((unlogged, meant, share)) => {
                let request_id = arrival.request_id;
                Stage::Unlogged(unlogged, Rest { began, request_id, meant, _share: share })
            }
            Err(answer) => Stage::Answered(self.dressed(answer, began, &arrival.request_id)),
        }
    }

    async fn conclude(&self, unlogged: Unlogged, rest: Rest) -> Response<Bytes> {
        let outcome = unlogged.logged(&self.server).await;
        let protocol = rest.meant.service.protocol();
        let answer = Answer { protocol, meant: Some(rest.meant), outcome };
        self.dressed(answer, rest.began, &rest.request_id)
    }

    fn dressed(&self, answer: Answer, began: Instant, request_id: &str) -> Response<Bytes> {
        let (service, operation) = match &answer.meant {
            Some(meant) => {
                (meant.service.signing_name, meant.entry.map_or(UNKNOWN, |entry| entry.name))
            }
            None => (UNKNOWN, UNKNOWN),
        };
        let code = answer.outcome.as_ref().err().map(|fault| fault.code);
        self.server.metrics.request(service, operation, code, began.elapsed());
        respond(answer, request_id)
    }

    fn arrival(&self, request: &Incoming, source_ip: IpAddr) -> Arrival {
        let random = &self.server.random;
        let text = |name| request.head.headers.get(name).and_then(|v| v.to_str().ok());
        let host = || text(header::HOST).unwrap_or_default();
        Arrival {
            request_id: random.request_id(),
            event_id: random.request_id(),
            // Until a credential scope says otherwise.
            region: self.default_region(),
            source_ip,
            endpoint: self.entrance.endpoint.clone(),
            user_agent: text(header::USER_AGENT).unwrap_or_default().into(),
            tls: request.tls.as_ref().map(|tls| TlsDetails {
                tls_version: tls.version.into(),
                cipher_suite: tls.cipher_suite.into(),
                client_provided_host_header: host().into(),
                key_exchange: Some(tls.key_exchange.into()),
            }),
        }
    }

    fn default_region(&self) -> Region {
        self.server.regions.first().cloned().unwrap_or_else(Region::global)
    }

    /// Does what is asked, or says why not.
    async fn called(
        &self,
        arrival: &mut Arrival,
        request: &Incoming,
        malformed: Option<Malformed>,
        place: OwnedSemaphorePermit,
    ) -> Result<(Unlogged, Meant, Share), Answer> {
        let known = self.find_out(arrival, request, malformed).await;
        // It is for finding out whose a request is. What follows may wait for a disk.
        drop(place);
        let admitted = match known {
            Ok((target, caller)) => {
                self.admit(&target, &caller).await.map(|share| (target, caller, share))
            }
            Err(stranger) => Err(stranger),
        };
        let (target, caller, share) = match admitted {
            Ok(admitted) => admitted,
            Err(turned_away) => return Err(Box::pin(self.turn_away(arrival, *turned_away)).await),
        };
        let meant = target.meant;
        match self.run(arrival, &caller, &target, &request.body).await {
            Ok(unlogged) => Ok((unlogged, meant, share)),
            Err(fault) => {
                let protocol = meant.service.protocol();
                Err(Answer { protocol, meant: Some(meant), outcome: Err(fault) })
            }
        }
    }

    /// What is asked, and by whom.
    async fn find_out(
        &self,
        arrival: &mut Arrival,
        request: &Incoming,
        malformed: Option<Malformed>,
    ) -> Result<Known, Box<TurnedAway>> {
        let target = target(&request.head, &request.body).map_err(|(protocol, fault)| {
            // Nobody is known yet and nothing was asked that exists.
            let identity = claimed_by(&request.head);
            Box::new(TurnedAway { protocol, meant: None, account: None, identity, fault })
        })?;
        let meant = Some(target.meant);
        let protocol = target.meant.service.protocol();
        let stranger = |(identity, fault)| {
            Box::new(TurnedAway { protocol, meant, account: None, identity, fault })
        };
        if let Some(malformed) = malformed {
            // Where it comes from is not known: it is as if it had come from nowhere.
            let fault = Fault::validation(protocol, malformed.to_string());
            return Err(stranger((claimed_by(&request.head), fault)));
        }
        let caller = self.authenticate(arrival, request, &target).await.map_err(stranger)?;
        self.server.note_access(&caller, target.meant.service.signing_name, &arrival.region);
        Ok((target, caller))
    }

    /// A place for a call.
    async fn admit(&self, target: &Target, caller: &Caller) -> Result<Share, Box<TurnedAway>> {
        // Whoever did not sign names what account they like.
        let account = caller.has_signed().then_some(&caller.principal.account);
        if let Some(share) = self.shares.enter(account) {
            return Ok(share);
        }
        if let Some(account) = account
            && let Some(share) = Box::pin(self.shares.wait(account, PATIENCE_FOR_A_SHARE)).await
        {
            return Ok(share);
        }
        let (meant, protocol) = (target.meant, target.meant.service.protocol());
        let (identity, fault) = (call::identity(caller), Fault::throttled(protocol));
        let (meant, account) = (Some(meant), account.cloned());
        Err(Box::new(TurnedAway { protocol, meant, account, identity, fault }))
    }

    /// The answer to what is refused, once that is in the log. Of whom too much is refused at once, what
    /// is beyond is counted and not logged: otherwise the log would be the flood's.
    async fn turn_away(&self, arrival: &Arrival, turned_away: TurnedAway) -> Answer {
        let TurnedAway { protocol, meant, account, identity, fault } = turned_away;
        let fault = match self.refusals.enter(account.as_ref()) {
            Some(_turn) => self.refuse(arrival, meant, identity, fault).await,
            None => Fault::throttled(protocol),
        };
        Answer { protocol, meant, outcome: Err(fault) }
    }

    async fn run(
        &self,
        arrival: &Arrival,
        caller: &Caller,
        target: &Target,
        body: &[u8],
    ) -> Result<Unlogged, Fault> {
        let Meant { service, entry } = target.meant;
        let unknown = |fault| {
            Box::pin(self.refuse(arrival, Some(target.meant), call::identity(caller), fault))
        };
        let protocol = service.protocol();
        let Some(entry) = entry else {
            let version = target.form.as_ref().and_then(|form| form.version());
            let fault = Fault::unknown_operation(protocol, &target.name, version);
            return Err(unknown(fault).await);
        };
        let Some(form) = &target.form else {
            return Ok(entry.begin(&self.server, caller, arrival, body).await);
        };
        let Some(operation) = (service.model)().operation(entry.name) else {
            return Err(unknown(Fault::unknown_operation(protocol, entry.name, None)).await);
        };
        match form.to_json(operation) {
            Ok(json) => Ok(entry.begin(&self.server, caller, arrival, &json).await),
            Err(fault) => Err(unknown(fault).await),
        }
    }

    async fn refuse(
        &self,
        arrival: &Arrival,
        meant: Option<Meant>,
        identity: UserIdentity,
        fault: Fault,
    ) -> Fault {
        let source = meant.map_or("claviger", |meant| meant.service.source);
        let name = meant.and_then(|meant| meant.entry).map_or(UNKNOWN, |entry| entry.name);
        call::refuse(&self.server, arrival, source, name, identity, fault).await
    }
}

/// Who says to have sent a request that was not read far enough to know.
fn claimed_by(head: &Parts) -> UserIdentity {
    match sigv4::claimed_access_key_id(head) {
        Some(id) => UserIdentity::unknown(Some(id.into())),
        None => UserIdentity::anonymous(),
    }
}
