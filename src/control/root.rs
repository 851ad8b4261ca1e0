//! What wraps the domain keys: shown, tried, and changed while the deployment serves. Each of it leaves an
//! event, of what was refused too; a change is announced by one before it begins.
use super::ControlError;
use crate::call::{ReplayError, Server};
use crate::devices::Device;
use crate::identity::Account;
use crate::keys::stores::{self, Backing};
use crate::root_of_trust::recovery::{self, DrillProof, PublicKey};
use crate::root_of_trust::{Changed, RootError, RootOfTrust, RootStatus};
use crate::store::StoreError;
use crate::types::Timestamp;
use claviger_hsm::RootKeyId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

const PAGE: usize = 1000;

#[derive(Debug, Serialize, Deserialize)]
pub enum RootCommand {
    Status,
    /// Opens every wrap. `recovered`: what custodians have just opened.
    Drill {
        recovered: Option<DrillProof>,
    },
    AddWrap {
        device: String,
    },
    /// The public key's file, and what it is called.
    AddRecovery {
        name: String,
        text: String,
    },
    Rewrap,
    Rotate {
        device: String,
    },
    /// `destroy`: and destroys the root key in its device; also one that wraps nothing.
    Retire {
        root: String,
        lost: bool,
        destroy: bool,
    },
    /// Looks for devices that are away now, and tries PINs once more that were refused.
    Unseal,
}

/// What a command gave.
#[derive(Debug, Serialize, Deserialize)]
pub enum RootOutput {
    Status(RootStatus),
    Changed(Changed),
    /// Of a server that is sealed: it looks again, at once.
    Looking,
}

impl RootCommand {
    /// The name of its event, and what the event says of it; none for what only looks.
    fn event(&self) -> Option<(&'static str, Value)> {
        Some(match self {
            Self::Status => return None,
            Self::Drill { recovered } => {
                let root = recovered.as_ref().map(|proof| proof.root.as_str());
                ("DrillRoots", json!({ "recoveredBy": root }))
            }
            Self::AddWrap { device } => ("AddRootWrap", json!({ "device": device })),
            Self::AddRecovery { name, text } => {
                let key = PublicKey::from_text(name, text);
                let root = key.map(|key| key.root().to_string()).ok();
                ("AddRecoveryWrap", json!({ "root": root }))
            }
            Self::Rewrap => ("RewrapDomainKeys", json!({})),
            Self::Rotate { device } => ("RotateRoot", json!({ "device": device })),
            Self::Retire { root, lost, destroy } => {
                ("RetireRoot", json!({ "root": root, "lost": lost, "destroy": destroy }))
            }
            Self::Unseal => ("UnsealDevices", json!({})),
        })
    }

    /// Whether it changes something: if the process dies meanwhile, the log must say so all the same.
    fn changes(&self) -> bool {
        match self {
            Self::Status | Self::Drill { .. } | Self::Unseal => false,
            Self::AddWrap { .. }
            | Self::AddRecovery { .. }
            | Self::Rewrap
            | Self::Rotate { .. }
            | Self::Retire { .. } => true,
        }
    }

    /// The part that asks devices.
    fn run(self, root: &RootOfTrust, now: Timestamp) -> Result<RootOutput, RootError> {
        use RootOutput::{Changed, Status};
        Ok(match self {
            Self::Status => Status(root.status()),
            Self::Drill { recovered } => {
                if let Some(recovered) = recovered {
                    root.recovery_was_proved(&recovered, now)?;
                }
                Status(root.drill(now))
            }
            Self::AddWrap { device } => Changed(root.add_wrap(&device, now)?),
            Self::AddRecovery { name, text } => {
                let key = PublicKey::from_text(&name, &text)?;
                Changed(root.add_recovery(&key, now)?)
            }
            Self::Rewrap => Changed(root.rewrap(now)?),
            Self::Rotate { device } => Changed(root.rotate(&device, now)?),
            Self::Retire { root: id, lost, destroy: false } => {
                Changed(root.retire(&id, lost, now)?)
            }
            Self::Retire { root: id, .. } => Changed(destroy(root, &id, now)?),
            Self::Unseal => {
                root.devices().try_again();
                Status(root.drill(now))
            }
        })
    }
}

/// Takes a root out of the set, if it is in it, and destroys it in its device.
fn destroy(root: &RootOfTrust, id: &str, now: Timestamp) -> Result<Changed, RootError> {
    if recovery::is_recovery(&RootKeyId::new(id)) {
        let text =
            "a recovery key is in no device: retire it, and have its custodians destroy the shares";
        return Err(RootError::Refused(text.into()));
    }
    if !root.wrapped_by().iter().any(|named| named == id) {
        return root.destroy(id, now);
    }
    if root.devices_with(id).is_empty() {
        return Err(RootError::Refused(format!(
            "no device that can be reached has {id}: there is nothing to destroy. Bring its device back, \
             or retire it without --destroy"
        )));
    }
    let retired = root.retire(id, false, now)?;
    let destroyed = root.destroy(id, now).map_err(|error| {
        RootError::Refused(format!(
            "{id} was retired and wraps nothing any more, but is still in its device: {error}. Give the \
             command again"
        ))
    })?;
    Ok(Changed { removed: retired.removed, ..destroyed })
}

pub(super) async fn execute(
    server: &Server,
    command: RootCommand,
) -> Result<RootOutput, ControlError> {
    let Some((name, details)) = command.event() else { return checked(server, command).await };
    if !command.changes() {
        let outcome = checked(server, command).await;
        let mut all = details;
        if let (Value::Object(all), Value::Object(ended)) = (&mut all, ended(&outcome)) {
            all.extend(ended);
        }
        server.record(name, all).await?;
        return outcome;
    }
    let announced = server.announce(name, details).await?;
    let outcome = checked(server, command).await;
    match (server.conclude(announced, "ended", ended(&outcome)).await, &outcome) {
        // The next start logs that it ended.
        (Err(error), Ok(_)) => Err(ControlError::Refused(format!(
            "it was done, but the log does not say so yet: {error}"
        ))),
        _ => outcome,
    }
}

/// What the event says of the outcome.
fn ended(outcome: &Result<RootOutput, ControlError>) -> Value {
    match outcome {
        Ok(RootOutput::Changed(changed)) => json!({
            "wrapped": changed.wrapped, "removed": changed.removed,
            "destroyed": changed.destroyed, "left": changed.left,
        }),
        Ok(RootOutput::Looking) => json!({}),
        Ok(RootOutput::Status(status)) => json!({
            "wrapsThatDoNotOpen": status.faults(), "failures": status.failures(),
        }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

/// Logs what became of changes that a process made which did not come to their end. Answers how many.
pub async fn conclude_interrupted(server: &Server) -> Result<usize, ReplayError> {
    let announced = server.announced().await?;
    let count = announced.len();
    for one in announced {
        let now = json!({ "wrappedBy": server.root.wrapped_by() });
        server.conclude(one, "interrupted", now).await?;
    }
    Ok(count)
}

async fn checked(server: &Server, command: RootCommand) -> Result<RootOutput, ControlError> {
    // One that wraps nothing is nobody's way in.
    let wraps = |root: &String| server.root.wrapped_by().contains(root);
    if let RootCommand::Retire { root, lost: false, .. } = &command
        && wraps(root)
    {
        needed_by_no_store(server, root).await?;
    }
    let (root, now) = (server.root.clone(), server.clock.now());
    Ok(off(move || command.run(&root, now)).await??)
}

/// Devices block.
pub(super) async fn off<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ControlError> {
    let ended = |e: tokio::task::JoinError| ControlError::Refused(e.to_string());
    tokio::task::spawn_blocking(work).await.map_err(ended)
}

/// Refuses if a custom key store uses the device of a root that is to be retired.
async fn needed_by_no_store(server: &Server, root: &str) -> Result<(), ControlError> {
    let (trust, id) = (server.root.clone(), root.to_owned());
    let devices: Vec<Device> = off(move || trust.devices_with(&id)).await?;
    for cluster in devices.iter().filter_map(|device| device.cluster.as_deref()) {
        if let Some(store) = store_of(server, cluster).await? {
            return Err(ControlError::Refused(format!(
                "{root} is needed: its device is {cluster}, which {store} uses. Delete that custom key \
                 store first"
            )));
        }
    }
    Ok(())
}

/// A custom key store that uses a cluster, with its account and region.
async fn store_of(server: &Server, cluster: &str) -> Result<Option<String>, StoreError> {
    let tx = server.store.begin();
    let mut after = None;
    loop {
        let page = Account::list(&tx, after.as_deref(), PAGE).await?;
        after = page.records.last().map(|(id, _)| id.clone());
        for (_, account) in &page.records {
            for region in &server.regions {
                let mut last = None;
                loop {
                    let some =
                        stores::list(&tx, &account.id, region, last.as_deref(), PAGE).await?;
                    last = some.records.last().map(|(id, _)| id.clone());
                    let uses = |store: &&(String, Arc<stores::KeyStore>)| matches!(&store.1.backing, Backing::Cluster { id, .. } if id == cluster);
                    if let Some((id, _)) = some.records.iter().find(uses) {
                        return Ok(Some(format!("{id} of account {} in {region}", account.id)));
                    }
                    if !some.more {
                        break;
                    }
                }
            }
        }
        if !page.more {
            return Ok(None);
        }
    }
}
