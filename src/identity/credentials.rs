//! Credentials as a request claims them, an access key's id and perhaps a session token: whose they
//! are now, and the secret that must have signed.
use super::session::Opened;
use super::{AccessKey, Actor, Door, Owner, Session, Status};
use crate::authorize::Caller;
use crate::random::Random;
use crate::root_of_trust::RootOfTrust;
use crate::services::Services;
use crate::store::{StoreError, Tx};
use crate::types::{SecretText, Timestamp};
use std::hint::black_box;
use std::sync::Arc;

/// As long as an access key id, and none: those have no zeros.
const NOBODYS: &str = "AKIA0000000000000000";

/// Somebody's, if the signature says so. Whose is asked after that: how long a refusal takes must not
/// tell what there is behind a key.
#[derive(Debug)]
pub struct Credentials {
    /// A secret never changes while it has its id; this tells two keys that were given one id by hand
    /// apart.
    pub revision: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Key(Arc<AccessKey>),
    /// With its id.
    Session(Box<Opened>, String),
}

/// Why they are nobody's.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    #[error("nobody has such credentials")]
    Nobody,
    /// To whoever asks as good as unknown.
    #[error("the access key is not active")]
    Inactive,
    /// A session token of ours, too late.
    #[error("the session is over")]
    Expired,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Credentials {
    pub async fn look_up(
        tx: &mut Tx<'_>,
        root: &RootOfTrust,
        id: &str,
        token: Option<&str>,
        wall: Timestamp,
    ) -> Result<Self, Unknown> {
        // A key id that could not be stored cannot be known.
        if id.contains('\0') {
            return Err(Unknown::Nobody);
        }
        let (made, source) = if let Some(token) = token {
            let session = Session::open(root, id, token).ok_or(Unknown::Nobody)?;
            if session.has_expired(wall) {
                return Err(Unknown::Expired);
            }
            (session.issued(), Source::Session(Box::new(session), id.to_owned()))
        } else {
            let key = AccessKey::load(tx, id).await?;
            let key = key.ok_or(Unknown::Nobody)?;
            if key.status != Status::Active {
                return Err(Unknown::Inactive);
            }
            (key.created, Source::Key(key))
        };
        let revision = u64::try_from(made.0).unwrap_or_default();
        Ok(Self { revision, source })
    }

    /// What must have signed.
    pub fn secret(&self) -> &SecretText {
        match &self.source {
            Source::Key(key) => &key.secret,
            Source::Session(session, _) => session.secret(),
        }
    }

    /// The id, unless they are those of a session.
    pub(super) fn long_term(&self) -> Option<&str> {
        match &self.source {
            Source::Key(key) => Some(&key.id),
            Source::Session(..) => None,
        }
    }

    /// Whom they stand for now, once the signature is proved; nobody, if whose they were is gone.
    pub async fn caller(&self, tx: &mut Tx<'_>, services: &Services) -> Result<Caller, Unknown> {
        let caller = match &self.source {
            Source::Key(key) => super::caller_of(tx, key).await?,
            Source::Session(session, id) => session.caller(tx, services, id).await?,
        };
        caller.ok_or(Unknown::Nobody)
    }

    /// Before a refusal: does what the other kind of it has cost. Whoever does not have the secret of
    /// a known key waits as long as for one that is not there, and the other way round. `somebodys` is
    /// the id of a key that is known; `known` means that there is one, be it inactive.
    pub async fn even_out(
        tx: &mut Tx<'_>,
        root: &RootOfTrust,
        known: bool,
        somebodys: Option<&str>,
        wall: Timestamp,
    ) -> Result<(), StoreError> {
        let id = somebodys.filter(|_| !known).unwrap_or(NOBODYS);
        match black_box(Self::look_up(tx, root, id, None, wall).await) {
            Err(Unknown::Store(error)) => Err(error),
            Ok(_) | Err(Unknown::Nobody | Unknown::Inactive | Unknown::Expired) => Ok(()),
        }
    }

    /// A session that acts as the same principal with the same limits, but through a service. It ends
    /// when these credentials do, or earlier.
    pub fn through(
        self,
        door: Door,
        random: &dyn Random,
        now: Timestamp,
        until: Timestamp,
    ) -> Session {
        match self.source {
            Source::Session(session, _) => (*session).through(door, random, until),
            Source::Key(key) => Session {
                issuer_key: Some(key.id.clone()),
                door: Some(door),
                ..Session::new(Actor::of(&key), random, now, until)
            },
        }
    }
}

impl Actor {
    fn of(key: &AccessKey) -> Self {
        let account = key.account.clone();
        match &key.owner {
            Owner::Root => Self::Root { account },
            Owner::User { name, id } => Self::User { account, name: name.clone(), id: id.clone() },
        }
    }
}
