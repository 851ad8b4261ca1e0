//! The device, away from the threads that serve requests, and its errors in this domain's words.
use crate::devices::{Device, needs_operator};
use crate::keys::stores::{ConnectionError, KeyStoreError};
use crate::keys::{Key, KeyError};
use crate::quotas::Throttled;
use claviger_hsm::{Hsm, HsmError, ResidentId, ResidentKeys, ResidentSpec};

/// Why a device did not do what a request asked of it.
#[derive(Debug)]
pub(super) enum Failed {
    /// So many requests are at it already that this one was not begun.
    Busy,
    Device(HsmError),
}

/// Runs `op` with the device's keys on a thread that may block.
pub(super) async fn run<T: Send + 'static>(
    device: &Device,
    op: impl FnOnce(&dyn ResidentKeys) -> Result<T, HsmError> + Send + 'static,
) -> Result<T, Failed> {
    let hsm = device.hsm.clone();
    off_thread(device, move || with_keys(&*hsm, op)).await
}

fn with_keys<T>(
    device: &dyn Hsm,
    op: impl FnOnce(&dyn ResidentKeys) -> Result<T, HsmError>,
) -> Result<T, HsmError> {
    match device.resident() {
        Some(keys) => op(keys),
        // Either it is away, or it keeps no such keys.
        None => {
            device.probe()?;
            Err(HsmError::Unsupported("keys that live in it".into()))
        }
    }
}

pub(super) async fn off_thread<T: Send + 'static>(
    device: &Device,
    work: impl FnOnce() -> Result<T, HsmError> + Send + 'static,
) -> Result<T, Failed> {
    let Ok(turn) = device.turns.clone().try_acquire_owned() else { return Err(Failed::Busy) };
    let work = move || {
        let outcome = work();
        drop(turn);
        outcome
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(Failed::Device),
        Err(_) => {
            let text = "the device call did not end";
            Err(Failed::Device(HsmError::Unavailable(text.into())))
        }
    }
}

/// Destroys the object of a key and looks whether it is gone. One that is not there is destroyed
/// already.
pub async fn destroy(device: &Device, object: &ResidentId) -> Result<(), HsmError> {
    let id = object.clone();
    let destroy = move |keys: &dyn ResidentKeys| {
        keys.destroy(&id)?;
        if keys.resident_keys()?.contains(&id) {
            return Err(HsmError::Refused(format!("{id} is still there after it was destroyed")));
        }
        Ok(())
    };
    run(device, destroy).await.map_err(|failed| match failed {
        Failed::Busy => HsmError::Unavailable("too many calls at once".into()),
        Failed::Device(error) => error,
    })
}

/// What an attempt to connect a store to the device comes to: whether it answers, and keeps keys that
/// encrypt as KMS's do.
pub async fn connect(
    device: &Device,
    cluster: &str,
) -> Result<Result<(), ConnectionError>, KeyStoreError> {
    let probed = device.hsm.clone();
    let ask = move || {
        probed.probe()?;
        let keys = probed.resident().ok_or_else(|| HsmError::Unsupported("none".into()))?;
        keys.resident_keys()?;
        Ok(keys.specs().contains(&ResidentSpec::Aes256))
    };
    match off_thread(device, ask).await {
        Ok(true) => Ok(Ok(())),
        Ok(false) | Err(Failed::Device(HsmError::Unsupported(_))) => {
            Err(KeyStoreError::ClusterInvalidConfiguration(cluster.to_owned()))
        }
        Err(Failed::Device(
            HsmError::TokenNotInitialised { .. } | HsmError::UserPinNotSet { .. },
        )) => Err(KeyStoreError::ClusterNotActive(cluster.to_owned())),
        Err(Failed::Busy) => Ok(Err(ConnectionError::NetworkErrors)),
        Err(Failed::Device(error)) => {
            tracing::warn!(cluster, %error, "a custom key store cannot be connected");
            Ok(Err(reason(&error)))
        }
    }
}

fn reason(error: &HsmError) -> ConnectionError {
    match error {
        HsmError::PinLocked { .. } => ConnectionError::UserLockedOut,
        error if needs_operator(error) => ConnectionError::InvalidCredentials,
        HsmError::NoSuchToken { .. }
        | HsmError::DuplicateToken { .. }
        | HsmError::WrongToken { .. } => ConnectionError::ClusterNotFound,
        HsmError::Unavailable(_) => ConnectionError::NetworkErrors,
        _ => ConnectionError::InternalError,
    }
}

/// What a caller learns of a device that failed while a key was used. Nothing of it is the caller's
/// affair but that the key cannot be used now: KMSInvalidStateException, as AWS says it of a cluster
/// that does not answer. The operator reads the reason in the log.
pub(super) fn of_use(key: &Key, failed: Failed) -> KeyError {
    match failed {
        Failed::Busy => KeyError::Throttled(Throttled),
        Failed::Device(HsmError::Authentication) => KeyError::InvalidCiphertext,
        Failed::Device(HsmError::Unsupported(_)) => KeyError::Unsupported(format!(
            "{}: the device of its custom key store cannot do this.",
            key.arn
        )),
        Failed::Device(error) => {
            tracing::error!(key = key.id, %error, "a key in a device cannot be used");
            KeyError::InvalidState(key.arn.clone(), "unavailable")
        }
    }
}

/// The same where no key is there yet.
pub(super) fn of_store(store: &str, failed: Failed) -> KeyError {
    match failed {
        Failed::Busy => KeyError::Throttled(Throttled),
        Failed::Device(HsmError::Unsupported(_)) => KeyError::Unsupported(format!(
            "The device of the custom key store {store} makes no such keys."
        )),
        Failed::Device(error) => {
            tracing::error!(store, %error, "a custom key store's device fails");
            KeyStoreError::ClusterAway(store.to_owned()).into()
        }
    }
}
