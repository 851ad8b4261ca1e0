//! What can be shown of a key, or of the root keys, to somebody who was not there: the server's words, and
//! those of every device that holds what opens it.
use super::ControlError;
use super::root::off;
use super::secret::place;
use crate::attest::{
    Bundle, Challenge, DomainKey, HexBytes, Holds, KeyStatement, Statement, Words,
};
use crate::call::Server;
use crate::devices::Device;
use crate::keys::resident::{ResidentKey, shown};
use crate::keys::{Accept, Found, Missing, Origin, find};
use crate::root_of_trust::{DomainKeyStatus, RootError, RootOfTrust, RootStatus};
use crate::types::{AccountId, Region, Timestamp};
use claviger_hsm::{HsmError, RootKeyId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// What is to be shown, and to whom.
#[derive(Debug, Serialize, Deserialize)]
pub struct Attest {
    /// None: the root keys.
    pub key: Option<WhichKey>,
    /// Of the root keys only those in this device.
    pub device: Option<String>,
    /// The verifier's; of no meaning with a challenge.
    pub nonce: HexBytes,
    pub challenge: Option<Challenge>,
}

/// A key by its id, its ARN, or its alias's name or ARN.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WhichKey {
    pub named: String,
    /// Of an id or a name: by default the only account there is, …
    pub account: Option<AccountId>,
    /// … and the only region.
    pub region: Option<Region>,
}

/// The bundle's text. Each of it leaves an event, of what failed too.
pub(super) async fn of(server: &Server, asked: Attest) -> Result<String, ControlError> {
    let mut details = json!({
        "key": asked.key.as_ref().map(|key| key.named.clone()),
        "device": asked.device.clone(),
    });
    let outcome = made(server, asked).await;
    if let (Some(details), Err(error)) = (details.as_object_mut(), &outcome) {
        details.insert("error".into(), json!(error.to_string()));
    }
    server.record("Attest", details).await?;
    outcome
}

async fn made(server: &Server, asked: Attest) -> Result<String, ControlError> {
    let subject = match &asked.key {
        Some(which) => Subject::find(server, which).await?,
        None => Subject::Roots(None),
    };
    let (root, now) = (server.root.clone(), server.clock.now());
    let bundle = off(move || bundle(&root, &subject, &asked, now)).await??;
    bundle.to_text().map_err(|e| ControlError::Refused(e.to_string()))
}

/// What is shown of a key, and where to ask.
enum Subject {
    /// The roots, and what opens by them.
    Roots(Option<KeyStatement>),
    /// A key that lives in a device.
    InDevice(KeyStatement, Device, Arc<ResidentKey>),
}

impl Subject {
    async fn find(server: &Server, which: &WhichKey) -> Result<Self, ControlError> {
        let WhichKey { named, account, region } = which;
        let mut tx = server.store.begin();
        let place = place(server, &tx, named, (account, region), "key").await?;
        let found = find(&mut tx, &place.0, &place.1, named, Accept::KeyOrAlias).await;
        let found = found.map_err(|missing| {
            ControlError::Refused(match missing {
                Missing::Own(error) => error.to_string(),
                Missing::Foreign(arn) => format!("{arn} does not exist"),
            })
        })?;
        let mut key = statement(&found);
        if found.origin != Origin::AwsCloudhsm {
            return Ok(Self::Roots(Some(key)));
        }
        let missing =
            || ControlError::Refused(format!("{} has no record of its object", found.arn));
        let resident = ResidentKey::load(&mut tx, &found.id).await?.ok_or_else(missing)?;
        let device = server.devices.of_cluster(&resident.cluster).cloned();
        let device = device.ok_or_else(|| {
            ControlError::Refused(format!(
                "{} lives in {}, which no device of the configuration is",
                found.arn, resident.cluster
            ))
        })?;
        key.public_key = resident.public().map(|public| HexBytes(public.to_vec()));
        Ok(Self::InDevice(key, device, resident))
    }
}

fn statement(found: &Found) -> KeyStatement {
    KeyStatement {
        arn: found.arn.to_string(),
        spec: found.spec.as_str().to_owned(),
        usage: found.usage.as_str().to_owned(),
        origin: found.origin.as_str().to_owned(),
        created: found.created.to_string(),
        custom_key_store: found.custom_key_store.clone(),
        external_key: found.external.as_ref().map(|external| external.id.clone()),
        public_key: None,
    }
}

/// The part that asks devices.
fn bundle(
    root: &RootOfTrust,
    subject: &Subject,
    asked: &Attest,
    now: Timestamp,
) -> Result<Bundle, ControlError> {
    let refused = |e: &dyn std::fmt::Display| ControlError::Refused(e.to_string());
    let nonce = match &asked.challenge {
        Some(challenge) => {
            let device = named(root, &challenge.device)?;
            let opened =
                device.hsm.answer_challenge(&challenge.to_device()).map_err(RootError::from)?;
            HexBytes(opened.expose().to_vec())
        }
        None => asked.nonce.clone(),
    };
    let (key, domain_keys, words) = match subject {
        Subject::InDevice(key, device, resident) => {
            (Some(key.clone()), Vec::new(), vec![of_resident(device, resident)])
        }
        Subject::Roots(key) => {
            let status = root.status();
            let words = of_roots(root, &status, asked.device.as_deref())?;
            // Of one device alone nothing is said about what else opens what.
            let whole = asked.device.is_none();
            (key.clone(), if whole { domain_keys(&status) } else { Vec::new() }, words)
        }
    };
    let statement = Statement {
        cluster: HexBytes(root.cluster().to_vec()),
        time: now.to_string(),
        nonce,
        program: format!("claviger {}", env!("CARGO_PKG_VERSION")),
        key,
        domain_keys,
    };
    let mut bundle = Bundle::of(statement, words).map_err(|e| refused(&e))?;
    let sign = |device: &str, root_key: &str, nonce: &[u8]| {
        let gone = || HsmError::Unavailable(format!("there is no device {device}"));
        let device = root.devices().named(device).ok_or_else(gone)?;
        device.hsm.certify_root_key(&RootKeyId::new(root_key), nonce)
    };
    bundle.sign(sign).map_err(RootError::from)?;
    Ok(bundle)
}

fn named<'a>(root: &'a RootOfTrust, name: &str) -> Result<&'a Device, ControlError> {
    root.devices().named(name).ok_or_else(|| {
        let all: Vec<&str> = root.devices().all().iter().map(|d| d.name.as_str()).collect();
        ControlError::Refused(format!("there is no device {name:?}; found: {}", all.join(", ")))
    })
}

fn of_resident(device: &Device, resident: &ResidentKey) -> Words {
    let claims = match device.hsm.resident() {
        Some(keys) => shown(keys, resident).map(|report| report.attributes),
        // Either it is away, or it keeps no such keys.
        None => device
            .hsm
            .probe()
            .and_then(|()| Err(HsmError::Unsupported("keys that live in it".into()))),
    };
    let holds = Holds::KmsKey(resident.object.to_string());
    Words::of(&device.name, device.hsm.info(), holds, claims)
}

/// What each device says of each root that it has, and which roots nobody could be asked about.
fn of_roots(
    root: &RootOfTrust,
    status: &RootStatus,
    only: Option<&str>,
) -> Result<Vec<Words>, ControlError> {
    if let Some(only) = only {
        named(root, only)?;
    }
    let mut words: Vec<Words> = Vec::new();
    let wraps = status.domain_keys.iter().flat_map(|key| &key.wraps).filter(|wrap| !wrap.recovery);
    for wrap in wraps {
        let holds = Holds::RootKey(wrap.root.clone());
        if words.iter().any(|words| words.holds == holds) {
            continue;
        }
        if wrap.devices.is_empty() && only.is_none() {
            let why = "no device that can be reached has this root key";
            words.push(Words::missing(&wrap.made_by, holds.clone(), why));
        }
        for name in wrap.devices.iter().filter(|name| only.is_none_or(|only| only == *name)) {
            let device = named(root, name)?;
            let claims = device.hsm.root_key_claims(&RootKeyId::new(wrap.root.clone()));
            words.push(Words::of(name, device.hsm.info(), holds.clone(), claims));
        }
    }
    match (words.is_empty(), only) {
        (true, Some(only)) => {
            let away = status.devices.iter().find(|device| device.name == only);
            let away = away.and_then(|device| device.away.clone());
            let away = away.map(|why| format!(" ({why})")).unwrap_or_default();
            let text = format!("device {only:?} has no root key of this deployment{away}");
            Err(ControlError::Refused(text))
        }
        _ => Ok(words),
    }
}

fn domain_keys(status: &RootStatus) -> Vec<DomainKey> {
    let roots = |key: &DomainKeyStatus, recovery: bool| {
        let some = key.wraps.iter().filter(|wrap| wrap.recovery == recovery);
        some.map(|wrap| wrap.root.clone()).collect()
    };
    let of = |key: &DomainKeyStatus| DomainKey {
        generation: key.generation,
        roots: roots(key, false),
        recovery_keys: roots(key, true),
    };
    status.domain_keys.iter().map(of).collect()
}
