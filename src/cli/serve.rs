//! `claviger serve`: serves a deployment until it is told to stop.
use super::anchored;
use super::assemble::{self, Opened, Seams};
use super::xks::{self, XksReload, XksSocket};
use super::{ConfigArguments, StartError, device, endpoints, sealed};
use crate::background;
use crate::call::Server;
use crate::config::Config;
use crate::control::Socket;
use crate::federation::Issuers;
use crate::functions::Functions;
use crate::http::{Admin, DevTools, Entrance, Front, Limits, Listener, Proxies, Tls};
use crate::machines::Machines;
use crate::nodes::{self, ThisNode};
use crate::rotation::{Dispatch, Scheduler};
use crate::store::StoreError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub(super) fn run(arguments: &ConfigArguments) -> Result<(), StartError> {
    let config = Config::read(&arguments.config)?;
    // Before anything is done.
    super::quiet::tpm_libraries(&config);
    super::harden();
    super::logging::start(true);
    super::follow_plan()?;
    let tls = config.tls.as_ref().map(super::tls).transpose()?;
    let mut entrances = Vec::new();
    for endpoint in &config.endpoints {
        entrances.push((endpoint.listen, endpoints::entrance(endpoint)?));
    }
    let devices = device::configured(&config, arguments.insecure_software_root)?;
    let issuers = Issuers::new(&config.oidc).map_err(|e| StartError::Setup(e.to_string()))?;
    let functions =
        Functions::new(&config.functions).map_err(|e| StartError::Setup(e.to_string()))?;
    let machines = Machines::new(&config.machines).map_err(|e| StartError::Setup(e.to_string()))?;
    let seams = Seams {
        proxies: xks::proxies(&config)?,
        functions,
        issuers: Arc::new(issuers),
        machines,
        store: config.store.clone(),
        ..Seams::of_command(&config, devices)?
    };
    super::run_async(async {
        // Before anything listens: who can connect may also tell it to stop.
        let stop = stop_signal();
        expect_hangups();
        let api = bind(config.listen.api).await?;
        let proxies = Proxies::new(config.listen.trusted_proxies.clone());
        let mut endpoints = Vec::new();
        for (address, entrance) in entrances {
            endpoints.push((bind(address).await?, entrance));
        }
        let admin = match config.listen.admin {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let xks = XksSocket::of(&config).await?;
        let sockets = Sockets { api, proxies, endpoints, admin, tls, xks };
        let open = tokio::select! {
            open = assemble::open(&config.data, seams.clone()) => open,
            // A device may take long to be opened.
            () = asked(stop.clone()) => return Ok(()),
        };
        let opened = match open {
            Err(error) if error.is_away() => {
                let opened = sealed::wait(&config.data, &seams, &sockets, &stop, error).await?;
                let Some(opened) = opened else { return Ok(()) };
                opened
            }
            outcome => outcome?,
        };
        tracing::info!(address = %config.listen.api, "serving");
        serve(opened, sockets, None, stop).await
    })
    .map_err(|error| error.with(&config.store))
}

/// Connections that the kernel keeps until they are accepted. One too many is not refused but
/// dropped, and its client tries again a second later; the usual 128 are a burst of ten milliseconds.
const BACKLOG: u32 = 4096;

/// Where a server listens.
pub(super) struct Sockets {
    pub api: TcpListener,
    /// The proxies before it.
    pub proxies: Proxies,
    /// The listeners that are VPC endpoints.
    pub endpoints: Vec<(TcpListener, Entrance)>,
    /// Health and metrics; without it they are served beside a loopback API.
    pub admin: Option<TcpListener>,
    pub tls: Option<Tls>,
    /// The XKS proxy.
    pub xks: Option<XksSocket>,
}

pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|e: std::io::Error| StartError::Listen { address, error: e.to_string() })
}

/// Serves until SIGTERM or SIGINT, lets the requests in flight end, and closes what it opened.
pub(super) async fn serve(
    opened: Opened,
    sockets: Sockets,
    dev: Option<DevTools>,
    stopped: watch::Receiver<bool>,
) -> Result<(), StartError> {
    let (server, data) = (opened.server.clone(), opened.data.clone());
    let anchor = opened.anchor.clone();
    let anchor = anchor.map(|anchor| tokio::spawn(anchored::follow(anchor, server.clone())));
    let work = tokio::spawn(background::run(server.clone()));
    let devices = tokio::spawn(background::watch_devices(server.clone()));
    let stopped = or_given_up(stopped, &server);
    let invoke = Arc::new(Dispatch::new(server.clone(), own_address(&sockets)));
    let scheduler =
        Scheduler::new(server.clone(), nodes::name(server.node.as_ref()).into(), invoke);
    let rotations = tokio::spawn(scheduler.run());
    let commands = listen_for_commands(&server, data);
    let admin = Admin::new(server.clone());
    let beside = sockets.admin.is_none()
        && sockets.api.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let front = Front::new(server.clone(), beside.then(|| admin.clone()), dev);
    let tls = sockets.tls.as_ref();
    let here = Arc::new(front.at(Entrance { endpoint: None, proxies: sockets.proxies }));
    let listener = Listener::new(sockets.api, tls, here, Limits::default())?;
    let mut connections = vec![listener.connections()];
    let mut endpoints = JoinSet::new();
    for (socket, entrance) in sockets.endpoints {
        let there = Arc::new(front.at(entrance));
        let endpoint = Listener::new(socket, tls, there, Limits::default())?;
        connections.push(endpoint.connections());
        endpoints.spawn(endpoint.serve(asked(stopped.clone())));
    }
    let mut reload = None;
    if let Some(socket) = sockets.xks {
        let (listener, anew) = socket.listener(&server)?;
        connections.push(listener.connections());
        endpoints.spawn(listener.serve(asked(stopped.clone())));
        reload = Some(anew);
    }
    admin.watch(connections);
    tokio::spawn(reload_on_hangup(sockets.tls, server.clone(), reload));
    let separate = match sockets.admin {
        Some(socket) => {
            let handler = Arc::new(admin);
            let health = Listener::new(socket, None, handler, Limits::default())?;
            Some(tokio::spawn(health.serve(asked(stopped.clone()))))
        }
        None => None,
    };
    let stats = listener.serve(asked(stopped)).await;
    tracing::info!(?stats, "stopped");
    while let Some(Ok(stats)) = endpoints.join_next().await {
        tracing::info!(?stats, "an endpoint stopped");
    }
    work.abort();
    devices.abort();
    rotations.abort();
    if let Some(task) = commands {
        task.abort();
    }
    end_changes(&server).await;
    if let Some(task) = separate {
        task.abort();
    }
    server.last_uses.reads.hurry();
    background::sweep(&server).await;
    if let Some(task) = anchor {
        task.abort();
    }
    let closed = opened.close().await;
    // The reason of the end before what came of it.
    server.store.trusted()?;
    closed?;
    match server.node.as_ref().is_some_and(ThisNode::is_fenced) {
        true => Err(StartError::Store(StoreError::ReadOnly(
            "this node was removed from the deployment, or another process has taken its place"
                .into(),
        ))),
        false => Ok(()),
    }
}

/// Until the stop is asked for, or this is no node of its deployment any more, or its rows are not the right ones.
fn or_given_up(stopped: watch::Receiver<bool>, server: &Arc<Server>) -> watch::Receiver<bool> {
    let (end, ended) = watch::channel(false);
    let membership = background::keep_membership(server.clone());
    let distrust = tokio::spawn(background::distrust_rows(server.clone()));
    let server = server.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = asked(stopped) => {}
            () = membership => {}
            outcome = distrust => if outcome.is_err() {
                server.store.distrust(StoreError::Corrupt("who compares its rows died".into()));
            }
        }
        end.send_replace(true);
    });
    ended
}

/// Where functions that run on this machine reach the API.
fn own_address(sockets: &Sockets) -> Option<String> {
    let mut address = sockets.api.local_addr().ok().filter(|_| sockets.tls.is_none())?;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Some(format!("http://{address}"))
}

/// Serves the operator's commands. Where there can be no socket, the API is served all the same.
fn listen_for_commands(server: &Arc<Server>, data: PathBuf) -> Option<JoinHandle<()>> {
    match Socket::bind(&data) {
        Ok(socket) => Some(tokio::spawn(socket.serve(server.clone(), data))),
        Err(error) => {
            tracing::warn!(%error, "no control socket: `claviger account` and `explain` must wait");
            None
        }
    }
}

/// Until the stop is asked for.
pub(super) async fn asked(mut stop: watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Lets the change of the wraps that is being made come to its end: the next process reads the file.
async fn end_changes(server: &Arc<Server>) {
    let root = server.root.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || root.end_changes()).await {
        tracing::error!(%error, "cannot wait for the change of the wraps");
    }
}

/// True from SIGTERM or SIGINT on: either asks for a graceful stop. Neither ends the process at once any
/// more when this returns.
pub(super) fn stop_signal() -> watch::Receiver<bool> {
    use tokio::signal::unix::{SignalKind, signal};
    let (stop, stopped) = watch::channel(false);
    let (mut term, mut int) = match (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) {
        (Ok(term), Ok(int)) => (term, int),
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "signals end this process at once, without a graceful stop");
            // Nobody will ask: the channel stays open and says nothing.
            tokio::spawn(async move { stop.closed().await });
            return stopped;
        }
    };
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        // Fails only when nobody listens any more.
        let _ = stop.send(true);
    });
    stopped
}

/// SIGHUP would end the process until somebody waits for it. What it asks for is done by the start anyway.
fn expect_hangups() {
    use tokio::signal::unix::{SignalKind, signal};
    if let Err(error) = signal(SignalKind::hangup()) {
        tracing::error!(%error, "SIGHUP ends this process");
    }
}

/// SIGHUP reads the certificate and its key anew, if there are any. If they are bad, the old ones
/// stay, and so it is with what is shown to proxies. Devices that are away are looked for, and PINs that
/// were refused tried once more.
async fn reload_on_hangup(tls: Option<Tls>, server: Arc<Server>, xks: Option<XksReload>) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        server.devices.try_again();
        server.proxies.reload();
        if let Some(xks) = &xks {
            xks.reload();
        }
        let Some(tls) = &tls else { continue };
        match tls.reload() {
            Ok(()) => tracing::info!("read the certificate anew"),
            Err(error) => tracing::error!(%error, "the certificate stays as it was"),
        }
    }
}
