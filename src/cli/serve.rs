//! `claviger serve`: serves a deployment until it is told to stop.
use super::assemble::{self, Opened, Seams};
use super::{ConfigArguments, StartError, device};
use crate::background;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::http::{Admin, DevTools, Front, Limits, Listener, Tls};
use crate::random::SystemRandom;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

pub(super) fn run(arguments: &ConfigArguments) -> Result<(), StartError> {
    super::harden();
    super::start_logging(true);
    let config = Config::read(&arguments.config)?;
    let tls = config.tls.as_ref().map(|tls| Tls::from_pem_files(&tls.certificate, &tls.key));
    let tls = tls.transpose()?;
    let hsm = device::configured(&config, arguments.insecure_software_root)?;
    let seams = Seams {
        hsm,
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        regions: config.regions.clone(),
        quotas: config.quotas.clone(),
    };
    super::run_async(async {
        let api = bind(config.listen.api).await?;
        let admin = match config.listen.admin {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let opened = assemble::open(&config.data, seams).await?;
        tracing::info!(address = %config.listen.api, "serving");
        serve(opened, Sockets { api, admin, tls }, None).await
    })
}

/// Connections that the kernel keeps until they are accepted. One too many is not refused but
/// dropped, and its client tries again a second later; the usual 128 are a burst of ten milliseconds.
const BACKLOG: u32 = 4096;

/// Where a server listens.
pub(super) struct Sockets {
    pub api: TcpListener,
    /// Health and metrics; without it they are served beside a loopback API.
    pub admin: Option<TcpListener>,
    pub tls: Option<Tls>,
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
) -> Result<(), StartError> {
    let Opened { server, log, lock: _lock } = opened;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        until_signal().await;
        // Fails only when nobody listens any more.
        let _ = stop.send(true);
    });
    let work = tokio::spawn(background::run(server.clone()));
    let admin = Admin::new(server.clone());
    let beside = sockets.admin.is_none()
        && sockets.api.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let front = Arc::new(Front::new(server.clone(), beside.then(|| admin.clone()), dev));
    let tls = sockets.tls.as_ref();
    let listener = Listener::new(sockets.api, tls, front, Limits::default())?;
    admin.watch(listener.connections());
    tokio::spawn(reload_on_hangup(sockets.tls));
    let separate = match sockets.admin {
        Some(socket) => {
            let handler = Arc::new(admin);
            let health = Listener::new(socket, None, handler, Limits::default())?;
            let mut stopped = stopped.clone();
            Some(tokio::spawn(async move {
                let until = async move { drop(stopped.wait_for(|stop| *stop).await) };
                health.serve(until).await
            }))
        }
        None => None,
    };
    let mut until = stopped;
    let stats = listener.serve(async move { drop(until.wait_for(|stop| *stop).await) }).await;
    tracing::info!(?stats, "stopped");
    work.abort();
    if let Some(task) = separate {
        task.abort();
    }
    background::sweep(&server).await;
    log.close().await?;
    Ok(())
}

/// SIGHUP reads the certificate and its key anew, if there are any. If they are bad, the old ones
/// stay.
async fn reload_on_hangup(tls: Option<Tls>) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
    while hangup.recv().await.is_some() {
        let Some(tls) = &tls else { continue };
        match tls.reload() {
            Ok(()) => tracing::info!("read the certificate anew"),
            Err(error) => tracing::error!(%error, "the certificate stays as it was"),
        }
    }
}

/// Either signal asks for a graceful stop.
async fn until_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
