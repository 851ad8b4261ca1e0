//! The listening side of `control.sock`: one command a connection, for the owner of the directory and
//! root only.
//!
//! ```text
//! asker  → {"CreateAccount": {…}}\n
//! server → {"progress": 5000}\n        now and then, while it works
//! server → {"output": …}\n  or  {"error": "…"}\n
//! ```
use super::{Command, ControlError, Obeys, Output};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

/// A policy has 32 KB at most, in JSON twice that; an access key and a context besides.
const MAX_REQUEST_BYTES: usize = 256 * 1024;
/// A command is sent in one go.
const TO_SEND: Duration = Duration::from_secs(10);
/// An answer waits in the socket's buffer, or is read at once.
const TO_READ: Duration = Duration::from_secs(30);
/// Commands at work at a time. Others wait in the listener's queue.
const AT_ONCE: usize = 8;
/// After an accept that failed, for want of descriptors mostly.
const BREATH: Duration = Duration::from_millis(100);

/// Where the socket of a data directory is.
pub(super) fn path(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// One line of an answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    Progress(u64),
    Output(Box<Output>),
    Error(String),
}

/// The socket of a deployment that is open. Dropped, it is no more.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Another process may have bound its own there. If it is gone already, all is as it should be.
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Socket {
    /// Must be called by whoever holds the lock of the directory: a socket that is there already is a
    /// dead process's.
    pub fn bind(data: &Path) -> io::Result<Self> {
        let path = path(data);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        let inode = inode(&path)?;
        let socket = Self { listener, path, inode };
        // The directory keeps others out until then, and after.
        std::fs::set_permissions(&socket.path, Permissions::from_mode(0o600))?;
        Ok(socket)
    }

    /// Answers commands until it is dropped.
    pub async fn serve<O: Obeys>(self, server: Arc<O>, data: PathBuf) {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut work = JoinSet::new();
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            while work.try_join_next().is_some() {}
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let (server, data) = (server.clone(), data.clone());
                    work.spawn(async move {
                        answer(stream, &*server, &data).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the control socket does not accept");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }
}

fn inode(path: &Path) -> io::Result<u64> {
    Ok(std::fs::symlink_metadata(path)?.ino())
}

/// Whether whoever is at the other end may command: the server's own user, and root.
fn may_command(stream: &UnixStream) -> bool {
    let peer = stream.peer_cred().map(|peer| peer.uid());
    peer.is_ok_and(|uid| uid == 0 || uid == geteuid().as_raw())
}

async fn answer(stream: UnixStream, server: &impl Obeys, data: &Path) {
    if !may_command(&stream) {
        tracing::warn!("refused a command of another user");
        return;
    }
    let (reader, mut writer) = stream.into_split();
    let line = match tokio::time::timeout(TO_SEND, read_command(reader)).await {
        Ok(Ok(command)) => work(server, data, command, &mut writer).await,
        Ok(Err(what)) => Line::Error(what),
        Err(_) => Line::Error("the command did not arrive in time".into()),
    };
    write(&mut writer, &line).await;
}

async fn read_command(mut reader: impl AsyncReadExt + Unpin) -> Result<Command, String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    let mut block = Zeroizing::new([0; 4096]);
    loop {
        let read = reader.read(&mut *block).await.map_err(|e| e.to_string())?;
        let block = block.get(..read).unwrap_or_default();
        if bytes.len() + read > MAX_REQUEST_BYTES {
            return Err(format!("a command has {MAX_REQUEST_BYTES} bytes at most"));
        }
        bytes.extend_from_slice(block);
        if read == 0 || block.contains(&b'\n') {
            // The text of the error would repeat what was sent, which may be a secret.
            let not_one = |e: serde_json::Error| format!("no command: column {}", e.column());
            return serde_json::from_slice(&bytes).map_err(not_one);
        }
    }
}

/// Does the work and meanwhile says how far it has come. An asker who goes away ends it.
async fn work(
    server: &impl Obeys,
    data: &Path,
    command: Command,
    writer: &mut (impl AsyncWriteExt + Unpin),
) -> Line {
    let (report, mut reports) = mpsc::channel::<u64>(1);
    let outcome = async move {
        // One that is not read in time is followed by a better one.
        let progress = move |events| {
            let _ = report.try_send(events);
        };
        server.obey(data, command, &progress).await
    };
    let telling = async {
        while let Some(events) = reports.recv().await {
            if !write(writer, &Line::Progress(events)).await {
                return;
            }
        }
        // The work is done; its outcome is about to come.
        std::future::pending().await
    };
    tokio::select! {
        outcome = outcome => line(outcome),
        () = telling => Line::Error("the asker went away".into()),
    }
}

fn line(outcome: Result<Output, ControlError>) -> Line {
    match outcome {
        Ok(output) => Line::Output(Box::new(output)),
        Err(error) => Line::Error(error.to_string()),
    }
}

/// Whether somebody is there to read it.
async fn write(writer: &mut (impl AsyncWriteExt + Unpin), line: &Line) -> bool {
    let Ok(mut json) = serde_json::to_vec(line) else { return false };
    json.push(b'\n');
    matches!(tokio::time::timeout(TO_READ, writer.write_all(&json)).await, Ok(Ok(())))
}
