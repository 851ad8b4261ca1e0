//! Making a key in a device.
use super::calls::{Failed, of_store, run};
use super::intent::{Begun, Intent};
use super::{ResidentKey, kinds, proof};
use crate::devices::Device;
use crate::keys::KeyError;
use crate::primitives::{
    EncryptionAlgorithm, KeySpec, KeyUsage, MessageType, PublicKey, SigningAlgorithm,
    digest_to_sign,
};
use crate::random::Random;
use crate::store::Store;
use crate::types::{AccountId, Blob, Region, Timestamp};
use claviger_hsm::{HsmError, ResidentId, ResidentKeys, ResidentSpec};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use uuid::Uuid;

/// Where a key is to be made.
#[derive(Debug)]
pub struct Place<'p> {
    /// For the intent, which is committed before anything is made.
    pub store: &'p Store,
    pub device: &'p Device,
    pub cluster: &'p str,
    /// The custom key store's id.
    pub key_store: &'p str,
    /// The deployment's id. Several may share a device.
    pub deployment: [u8; 16],
}

/// The key that is to be made.
#[derive(Debug)]
pub struct Wanted<'w> {
    pub key_id: &'w str,
    pub account: &'w AccountId,
    pub region: &'w Region,
    pub spec: KeySpec,
    pub usage: KeyUsage,
}

/// An object that was made, for the transaction that makes a key of it.
#[derive(Debug)]
pub struct NewResident {
    pub(in crate::keys) record: ResidentKey,
    pub(in crate::keys) begun: Begun,
}

/// What came back from the device.
struct Made {
    public: Option<Vec<u8>>,
    proof: Option<Vec<u8>>,
    opens: Vec<EncryptionAlgorithm>,
    signs: Vec<SigningAlgorithm>,
}

/// Makes the object. What fails from here on leaves an intent behind, by which it is cleared away.
pub async fn make(
    place: &Place<'_>,
    wanted: &Wanted<'_>,
    random: &dyn Random,
    now: Timestamp,
) -> Result<NewResident, KeyError> {
    let (spec, usage) = (wanted.spec, wanted.usage);
    let failed = |error| of_store(place.key_store, error);
    let none = || failed(Failed::Device(HsmError::Unsupported(spec.to_string())));
    let kind = kinds::resident(spec, usage).ok_or_else(none)?;
    let offers = move |keys: &dyn ResidentKeys| Ok(keys.specs().contains(&kind));
    if !run(place.device, offers).await.map_err(failed)? {
        return Err(none());
    }
    let deployment = Uuid::from_bytes(place.deployment);
    let object = ResidentId::new(format!("claviger/{deployment}/key/{}/1", wanted.key_id));
    let intent = Intent {
        account: wanted.account.clone(),
        region: wanted.region.clone(),
        cluster: place.cluster.to_owned(),
        object: object.clone(),
        condemned: false,
    };
    let begun = Begun::write(place.store, wanted.key_id, intent, now).await?;
    let id = object.clone();
    let make = move |keys: &dyn ResidentKeys| {
        make_in(keys, &id, kind, spec).inspect_err(|_| {
            // If this fails too, the intent is still there.
            let _ = keys.destroy(&id);
        })
    };
    let made = run(place.device, make).await.map_err(failed)?;
    let record = ResidentKey {
        key_id: wanted.key_id.to_owned(),
        object,
        cluster: place.cluster.to_owned(),
        material: hex::encode(random.bytes::<32>()),
        spec,
        usage,
        made: now,
        public: made.public.map(Blob),
        proof: made.proof.map(Blob),
        opens: made.opens,
        signs: made.signs,
        parsed: OnceLock::new(),
        proved: AtomicU64::new(0),
    };
    Ok(NewResident { record, begun })
}

fn make_in(
    keys: &dyn ResidentKeys,
    id: &ResidentId,
    kind: ResidentSpec,
    spec: KeySpec,
) -> Result<Made, HsmError> {
    let public = keys.generate(id, kind)?;
    keys.check(id, public.as_deref())?;
    let broken = |reason: String| HsmError::ResidentSelfTest { id: id.clone(), reason };
    let parsed = match &public {
        Some(der) => Some(PublicKey::parse_spki(spec, der).map_err(|e| broken(e.to_string()))?),
        None if kind.is_pair() => return Err(broken("it has no public half".into())),
        None => None,
    };
    let (mut opens, mut signs) = (Vec::new(), Vec::new());
    match (kind, parsed) {
        (ResidentSpec::RsaDecrypt(_), Some(public)) => opens = opens_by(keys, id, &public)?,
        (ResidentSpec::RsaSign(_) | ResidentSpec::EcSign(_), Some(public)) => {
            signs = signs_by(keys, id, &public)?;
        }
        _ => {}
    }
    Ok(Made { public, proof: proof::make(keys, id, kind)?, opens, signs })
}

const PROBE: &[u8] = b"probe";

/// By which of the algorithms the device decrypts: not every one knows OAEP with SHA-256.
fn opens_by(
    keys: &dyn ResidentKeys,
    id: &ResidentId,
    public: &PublicKey,
) -> Result<Vec<EncryptionAlgorithm>, HsmError> {
    let mut opens = Vec::new();
    for algorithm in public.spec().encryption_algorithms() {
        let Some(hash) = kinds::oaep_hash(*algorithm) else { continue };
        let broken = |reason: String| HsmError::ResidentSelfTest { id: id.clone(), reason };
        let sealed = public.encrypt(*algorithm, PROBE).map_err(|e| broken(e.to_string()))?;
        match keys.decrypt_oaep(id, hash, &sealed) {
            Ok(opened) if opened.expose() == PROBE => opens.push(*algorithm),
            Ok(_) => return Err(broken("it opened something else than was encrypted".into())),
            Err(HsmError::Unsupported(_)) => {}
            Err(error) => return Err(error),
        }
    }
    if opens.is_empty() {
        return Err(HsmError::Unsupported("decryption with RSA-OAEP".into()));
    }
    Ok(opens)
}

/// By which of the algorithms the device signs: not every one knows RSA-PSS with every hash. What it does
/// not know it says of the request; whatever else it says is about itself, and ends it.
fn signs_by(
    keys: &dyn ResidentKeys,
    id: &ResidentId,
    public: &PublicKey,
) -> Result<Vec<SigningAlgorithm>, HsmError> {
    let mut signs = Vec::new();
    let broken = |reason: String| HsmError::ResidentSelfTest { id: id.clone(), reason };
    for algorithm in public.spec().signing_algorithms() {
        let Some(scheme) = kinds::scheme(*algorithm) else { continue };
        let digest = digest_to_sign(*algorithm, MessageType::Raw, PROBE);
        match keys.sign(id, scheme, &digest.map_err(|e| broken(e.to_string()))?) {
            Ok(signature) => {
                public
                    .verify(*algorithm, MessageType::Raw, PROBE, &signature)
                    .map_err(|e| broken(format!("its signature by {algorithm}: {e}")))?;
                signs.push(*algorithm);
            }
            Err(HsmError::Unsupported(_) | HsmError::Refused(_)) => {}
            Err(error) => return Err(error),
        }
    }
    if signs.is_empty() {
        return Err(HsmError::Unsupported("signatures by any algorithm of such keys".into()));
    }
    Ok(signs)
}
