//! Whose a request is: its signature, and whom the key belongs to.
use super::{Inner, claimed_by};
use crate::audit::UserIdentity;
use crate::authorize::Caller;
use crate::call::{Arrival, Speech};
use crate::http::Incoming;
use crate::http::stand_in::Somebody;
use crate::http::target::Target;
use crate::identity::{Credentials, Unknown};
use crate::sigv4::{self, AuthError, Claim};
use crate::store::Freshness;
use crate::types::{Principal, Region};
use crate::wire::{Fault, Protocol};
use std::hint::black_box;
use std::sync::Arc;

/// How far a client's clock may be off, in seconds (aws-general reference: five minutes; STS and
/// IAM take fifteen).
const SKEW_SECONDS: i64 = 300;
const GLOBAL_SKEW_SECONDS: i64 = 900;

impl Inner {
    /// Whose request this is. Everything the signature covers is checked before anything of the
    /// request is believed, and before anything is asked that only a known key has: whom it belongs
    /// to, with which policies. Until then an unknown key costs the same work as a known one.
    pub(super) async fn authenticate(
        &self,
        arrival: &mut Arrival,
        request: &Incoming,
        target: &Target,
    ) -> Result<Arc<Caller>, (UserIdentity, Fault)> {
        let protocol = target.meant.service.protocol();
        let head = &request.head;
        if target.meant.entry.is_some_and(|entry| entry.unsigned) {
            arrival.region = Region::global();
            return Ok(Arc::new(Caller::of(Principal::nobody(&target.account_of_role()))));
        }
        let claim = match sigv4::parse(head) {
            Ok(claim) => claim,
            Err(error) => return Err((claimed_by(head), fault_of(&error, protocol))),
        };
        let claimed = || UserIdentity::unknown(Some(claim.access_key_id().into()));
        // The global services take any region in the scope; policies and events must not let the
        // caller choose one by it.
        let region = match target.meant.service.speech {
            Speech::Json { .. } => claim.scope().region.parse().ok(),
            Speech::Query { .. } => Some(Region::global()),
        };
        if let Some(region) = region {
            arrival.region = region;
        }
        let refused = |why: Unknown| {
            let fault = match why {
                Unknown::Nobody | Unknown::Inactive => {
                    fault_of(&AuthError::UnrecognizedClient, protocol)
                }
                Unknown::Expired => fault_of(&AuthError::ExpiredToken, protocol),
                Unknown::Store(error) => {
                    let request = arrival.request_id.as_str();
                    tracing::error!(request, %error, "cannot look up an access key");
                    Fault::internal()
                }
            };
            (claimed(), fault)
        };
        let server = &self.server;
        let (id, token) = (claim.access_key_id(), claim.session_token());
        let mut tx = server.store.begin_with(Freshness::Bounded);
        let wall = server.clock.wall();
        let (is_there, known) =
            match Credentials::look_up(&mut tx, &server.root, id, token, wall).await {
                Err(Unknown::Nobody) => (false, None),
                Err(Unknown::Inactive) => (true, None),
                outcome => (true, Some(outcome.map_err(refused)?)),
            };
        let somebody = self.stand_in.get();
        let stand_in = somebody.as_deref();
        if let Err(error) = self.prove(&claim, request, target, known.as_ref(), stand_in) {
            let (is_known, aside) = (known.is_some(), stand_in.map(|one| one.key_id.as_str()));
            let even_out = Credentials::even_out(&mut tx, &server.root, is_there, aside, wall);
            let outcome = Box::pin(even_out).await;
            outcome.map_err(|error| refused(error.into()))?;
            // One text is longer than the other: both are made.
            let other =
                if is_known { AuthError::UnrecognizedClient } else { AuthError::SignatureMismatch };
            black_box(fault_of(&other, protocol));
            return Err((claimed(), fault_of(&error, protocol)));
        }
        // Without the secret nothing is proved.
        let known = known.ok_or_else(|| refused(Unknown::Nobody))?;
        self.stand_in.note(stand_in, &claim, &known);
        let state = server.store.state_number();
        if let Some(caller) = self.callers.kept(&known, state) {
            return Ok(caller);
        }
        let gathered = Box::pin(known.caller(&mut tx, &server.services)).await;
        let caller = Arc::new(gathered.map_err(refused)?);
        self.callers.keep(&known, state, &caller);
        Ok(caller)
    }

    /// The same work whether the key is known or not.
    fn prove(
        &self,
        claim: &Claim<'_>,
        request: &Incoming,
        target: &Target,
        known: Option<&Credentials>,
        stand_in: Option<&Somebody>,
    ) -> Result<(), AuthError> {
        let global = matches!(target.meant.service.speech, Speech::Query { .. });
        let regions = &self.server.regions;
        let expect = sigv4::Expect {
            now: self.server.clock.wall().secs(),
            skew: if global { GLOBAL_SKEW_SECONDS } else { SKEW_SECONDS },
            regions: &|region| {
                region.parse().is_ok_and(|region| global || regions.contains(&region))
            },
            service: target.meant.service.signing_name,
        };
        let scope = sigv4::check_scope_and_time(claim, &expect);
        let Some(known) = known else {
            let key =
                stand_in.and_then(|one| self.signing_keys.kept(&one.credential, one.revision));
            let (head, body) = (&request.head, &request.body);
            return Err(sigv4::refuse_unknown(claim, head, body, key.as_deref()));
        };
        scope?;
        // Global services take any region, and strangers must not choose what is kept.
        let is_ours = claim.scope().region.parse().is_ok_and(|region| regions.contains(&region));
        let secret = || known.secret().expose();
        let signing = self.signing_keys.key(claim, known.revision, secret, is_ours);
        sigv4::verify(claim, &request.head, &request.body, &signing)
    }
}

fn fault_of(error: &AuthError, protocol: Protocol) -> Fault {
    let (code, status) = match protocol {
        Protocol::Json => (error.json_code(), error.json_status()),
        Protocol::Query => (error.query_code(), error.query_status()),
    };
    Fault::client(code, error.to_string()).with_status(status)
}
