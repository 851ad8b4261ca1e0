//! `claviger serve` while no device opens the deployment: it listens all the same, says so, and opens by
//! itself when a device comes back.
use super::StartError;
use super::assemble::{self, Opened, Seams};
use super::serve::{Sockets, asked};
use crate::control::{
    Command, ControlError, Obeys, Output, Progress, RootCommand, RootOutput, Socket,
};
use crate::devices::Devices;
use crate::http::{Limits, Listener, Sealed, Why};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// How often it is looked whether the deployment opens. How often a device is tried that is away, the
/// device itself decides.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Answers for the sealed deployment until it opens; none if it was told to stop before.
pub(super) async fn wait(
    data: &Path,
    seams: &Seams,
    sockets: &Sockets,
    stop: &watch::Receiver<bool>,
    first: StartError,
) -> Result<Option<Opened>, StartError> {
    let (tell, why) = watch::channel(why(&first));
    say(&tell.borrow());
    let (open, opened) = watch::channel(false);
    let mut listeners = listen(sockets, &why, &opened)?;
    let operator =
        Operator { devices: seams.devices.clone(), why: why.clone(), look: Notify::new() };
    let operator = Arc::new(operator);
    let commands = Socket::bind(data)
        .map(|socket| tokio::spawn(socket.serve(operator.clone(), data.to_owned())));
    let outcome = tokio::select! {
        outcome = until_open(data, seams, &tell, &operator.look) => outcome.map(Some),
        () = asked(stop.clone()) => Ok(None),
    };
    if let Ok(commands) = commands {
        commands.abort();
        // Its socket is gone before the next one is bound in its place.
        let _ = commands.await;
    }
    open.send_replace(true);
    while listeners.join_next().await.is_some() {}
    if let Ok(Some(_)) = &outcome {
        tracing::warn!("the deployment is open again: a device came back");
    }
    outcome
}

/// Whoever answers the operator's commands meanwhile.
struct Operator {
    devices: Arc<Devices>,
    why: watch::Receiver<Why>,
    look: Notify,
}

impl Obeys for Operator {
    async fn obey(
        &self,
        _data: &Path,
        command: Command,
        _progress: Progress<'_>,
    ) -> Result<Output, ControlError> {
        if let Command::Root(RootCommand::Unseal) = command {
            self.devices.try_again();
            self.look.notify_one();
            return Ok(Output::Root(RootOutput::Looking));
        }
        let reason = self.why.borrow().reason.clone();
        Err(ControlError::Refused(format!("the deployment is sealed: {reason}")))
    }
}

fn why(error: &StartError) -> Why {
    let operator_needed = match error {
        StartError::Root(error) => error.needs_operator(),
        _ => false,
    };
    Why { reason: error.to_string(), operator_needed }
}

fn say(why: &Why) {
    let Why { reason, operator_needed } = why;
    tracing::error!(
        reason,
        operator_needed,
        "sealed: no device opens the deployment; nothing is served until one does"
    );
}

/// Stands at every socket. The sockets stay open for whoever comes after.
fn listen(
    sockets: &Sockets,
    why: &watch::Receiver<Why>,
    opened: &watch::Receiver<bool>,
) -> Result<JoinSet<()>, StartError> {
    let mut all = JoinSet::new();
    let tls = sockets.tls.as_ref();
    let beside = sockets.admin.is_none()
        && sockets.api.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let endpoints = sockets.endpoints.iter().map(|(socket, _)| (socket, tls, false, true));
    let admin = sockets.admin.iter().map(|socket| (socket, None, true, false));
    let api = [(&sockets.api, tls, beside, true)];
    for (socket, tls, health, api) in api.into_iter().chain(endpoints).chain(admin) {
        let handler = Arc::new(Sealed::new(why.clone(), health, api));
        let listener = Listener::new(again(socket)?, tls, handler, Limits::default())?;
        let opened = opened.clone();
        all.spawn(async move {
            listener.serve(asked(opened)).await;
        });
    }
    if let Some(xks) = &sockets.xks {
        let (listener, opened) = (xks.sealed()?, opened.clone());
        all.spawn(async move {
            listener.serve(asked(opened)).await;
        });
    }
    Ok(all)
}

/// The same socket once more.
pub(super) fn again(socket: &TcpListener) -> Result<TcpListener, StartError> {
    let again = socket.as_fd().try_clone_to_owned();
    let again = again.and_then(|fd| TcpListener::from_std(std::net::TcpListener::from(fd)));
    again.map_err(|e| StartError::Other(format!("cannot listen while it is sealed: {e}")))
}

/// Looks until the deployment opens, or until it is wrong in a way that no waiting heals.
async fn until_open(
    data: &Path,
    seams: &Seams,
    tell: &watch::Sender<Why>,
    look: &Notify,
) -> Result<Opened, StartError> {
    let other = |e: std::io::Error| StartError::Other(e.to_string());
    let mut hangup = signal(SignalKind::hangup()).map_err(other)?;
    loop {
        tokio::select! {
            _ = hangup.recv() => seams.devices.try_again(),
            () = look.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        match assemble::open(data, seams.clone()).await {
            Err(error) if error.is_away() => {
                let why = why(&error);
                let is_news = |before: &mut Why| {
                    let news = *before != why;
                    *before = why.clone();
                    news
                };
                if tell.send_if_modified(is_news) {
                    say(&why);
                }
            }
            // `claviger recover` has it, for this deployment.
            Err(StartError::Locked { .. }) => {}
            outcome => return outcome,
        }
    }
}
