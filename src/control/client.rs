//! The asking side of `control.sock`.
use super::socket::{self, Line};
use super::{Command, Output, Progress};
use std::io;
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The deployment is not open, and the asker may open it.
    #[error("no server is running")]
    NobodyThere,
    #[error("cannot ask the running server: {0}")]
    Io(#[from] io::Error),
    /// The command arrived and may have been done.
    #[error("the server went away before it answered")]
    Lost,
    #[error("{0}")]
    Refused(String),
}

/// Has the server that has `data` open do a command.
pub async fn ask(
    data: &Path,
    command: &Command,
    progress: Progress<'_>,
) -> Result<Output, AskError> {
    // The last: the path is too long for a socket, so no server listens there.
    let nobody = |e: &io::Error| {
        use io::ErrorKind::{ConnectionRefused, InvalidInput, NotFound};
        matches!(e.kind(), NotFound | ConnectionRefused | InvalidInput)
    };
    let mut stream = match UnixStream::connect(socket::path(data)).await {
        Ok(stream) => stream,
        Err(error) if nobody(&error) => return Err(AskError::NobodyThere),
        Err(error) => return Err(error.into()),
    };
    let mut json = Zeroizing::new(serde_json::to_vec(command).map_err(io::Error::from)?);
    json.push(b'\n');
    stream.write_all(&json).await?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(line) = lines.next_line().await.map_err(|_| AskError::Lost)? {
        match serde_json::from_str(&line).map_err(io::Error::from)? {
            Line::Progress(events) => progress(events),
            Line::Output(output) => return Ok(*output),
            Line::Error(text) => return Err(AskError::Refused(text)),
        }
    }
    Err(AskError::Lost)
}
