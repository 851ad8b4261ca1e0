//! A deployment whose store is a database: opened as one of several nodes, and joined by a new one.
use super::assemble::Seams;
use super::{StartError, node};
use crate::config::StoreSettings;
use crate::nodes::{self, ThisNode};
use crate::root_of_trust::{Deployment, RootError, RootOfTrust};
use crate::store::postgres::{self, Postgres, Settings};
use crate::store::{Backend, StoreError};
use std::path::Path;
use std::sync::Arc;

/// The database, if the store is one.
pub(super) fn settings(store: &StoreSettings) -> Result<Option<Settings>, StartError> {
    store.postgresql().map_err(StartError::Setup)
}

/// The deployment as the newest of its nodes has it.
pub(super) async fn newest(
    store: &StoreSettings,
    deployment: Deployment,
) -> Result<Deployment, StartError> {
    let Some(settings) = settings(store)? else { return Ok(deployment) };
    match postgres::copy_in(&settings).await? {
        Some(copy) => Ok(deployment.newest(&copy)?),
        None => Ok(deployment),
    }
}

/// The deployment that a new node is to join.
pub(super) async fn to_join(store: &StoreSettings) -> Result<Deployment, StartError> {
    let one = "joining is for a store in PostgreSQL: [store] kind = \"postgresql\"";
    let settings = settings(store)?.ok_or_else(|| StartError::Setup(one.into()))?;
    let none = "the database has no deployment to join: make one with `claviger init`";
    match postgres::copy_in(&settings).await? {
        Some(copy) => Ok(Deployment::of_copy(&copy)?),
        None => Err(StartError::Other(none.into())),
    }
}

/// Refuses to make a deployment in a database that has one.
pub(super) async fn vacant(store: &StoreSettings) -> Result<(), StartError> {
    let Some(settings) = settings(store)? else { return Ok(()) };
    if postgres::copy_in(&settings).await?.is_none() {
        return Ok(());
    }
    let text = "the database has a deployment already; it was left unchanged. Another node of it is made \
                with `claviger join`";
    Err(StartError::Store(StoreError::ReadOnly(text.into())))
}

/// Empties the database of what a creation that was cut short left in it.
pub(super) async fn discard(store: &StoreSettings, cluster: [u8; 16]) -> Result<(), StartError> {
    match settings(store)? {
        Some(settings) => Ok(postgres::discard_unfinished(&settings, cluster).await?),
        None => Ok(()),
    }
}

/// Takes this node's place.
pub(super) async fn open(
    settings: &Settings,
    data: &Path,
    seams: &Seams,
    root: &RootOfTrust,
    new: bool,
) -> Result<(Arc<dyn Backend>, ThisNode), StartError> {
    let identity = node::identity(data, &*seams.random, root.openers())?;
    let database = Postgres::open(settings, root.cluster(), &identity, new).await?;
    let node = ThisNode::new(database.nodes());
    Ok((Arc::new(database), node))
}

/// Has the root of trust go by the copy that all nodes share. For when the store has opened by the
/// domain keys, which proves them.
pub(super) async fn share(
    root: &Arc<RootOfTrust>,
    node: Option<&ThisNode>,
) -> Result<(), StartError> {
    let Some(node) = node else { return Ok(()) };
    let (root, shared) = (root.clone(), nodes::shared(node));
    let share = move || -> Result<(), RootError> { root.share(shared) };
    let shared = tokio::task::spawn_blocking(share).await;
    Ok(shared.map_err(|e| StartError::Other(e.to_string()))??)
}
