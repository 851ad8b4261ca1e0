//! Whoever proved who they are, as a stand-in for nobody: a request with an unknown access key is
//! refused after the work that a known one costs, and that work needs a key that is known.
use crate::identity::Credentials;
use crate::sigv4::Claim;
use std::sync::{Arc, PoisonError, RwLock};

/// An access key and the credential scope that it signed for today.
#[derive(Debug)]
pub(super) struct Somebody {
    pub key_id: String,
    /// `keyid/date/region/service/aws4_request`
    pub credential: String,
    pub revision: u64,
    day: String,
}

/// None before anybody came.
#[derive(Debug, Default)]
pub(super) struct StandIn(RwLock<Option<Arc<Somebody>>>);

impl StandIn {
    pub fn get(&self) -> Option<Arc<Somebody>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes whoever comes first each day: its signing key stays in the cache while it is used.
    pub fn note(&self, present: Option<&Somebody>, claim: &Claim<'_>, known: &Credentials) {
        let day = claim.date().day();
        // A session is in its token: its key would not be found.
        if claim.session_token().is_some() || present.is_some_and(|one| one.day == day) {
            return;
        }
        let somebody = Somebody {
            key_id: claim.access_key_id().to_owned(),
            credential: claim.credential().to_owned(),
            revision: known.revision,
            day: day.to_owned(),
        };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(somebody));
    }
}
