//! Stands between a store and its database, and cuts or stalls what passes.
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What happens to what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mode {
    Pass = 0,
    /// The next COMMIT does not arrive, and its connection is closed. Others pass.
    CutBefore = 1,
    /// The next COMMIT arrives, its answer does not, and its connection is closed. Others pass.
    CutAfter = 2,
    /// Nothing passes, nothing is closed.
    Stall = 3,
    /// As `CutAfter`, with a pooler's error in place of the answer.
    Pooler = 4,
}

/// What PgBouncer sends when it has lost the server: severity, SQLSTATE and text.
const POOLER_ERROR: &[u8] = b"SFATAL\0C08P01\0Mserver conn crashed?\0\0";

#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) port: u16,
    mode: Arc<AtomicU8>,
}

impl Proxy {
    pub(super) async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(AtomicU8::new(0));
        let shared = mode.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server, shared.clone()));
            }
        });
        Self { port, mode }
    }

    pub(super) fn set(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::SeqCst);
    }

    /// Whether a cut that was asked for has been made.
    pub(super) fn is_passing(&self) -> bool {
        self.mode.load(Ordering::SeqCst) == Mode::Pass as u8
    }
}

async fn pass(mut client: TcpStream, server: u16, mode: Arc<AtomicU8>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        while mode.load(Ordering::SeqCst) == Mode::Stall as u8 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                let commits = up[..count].windows(7).any(|bytes| bytes == b"COMMIT\0");
                let now = mode.load(Ordering::SeqCst);
                let cut = ![Mode::Pass as u8, Mode::Stall as u8].contains(&now);
                if commits && cut {
                    mode.store(Mode::Pass as u8, Ordering::SeqCst);
                    if now != Mode::CutBefore as u8 {
                        server.write_all(&up[..count]).await.unwrap();
                        // Until it is done, whose answer is not passed on.
                        tokio::time::sleep(Duration::from_millis(200)).await;
                    }
                    if now == Mode::Pooler as u8 {
                        let length = u32::try_from(POOLER_ERROR.len() + 4).unwrap().to_be_bytes();
                        let error = [b"E", &length[..], POOLER_ERROR].concat();
                        client.write_all(&error).await.unwrap();
                        // Whoever closes with bytes unread takes back what it has sent.
                        client.shutdown().await.unwrap();
                        let _ = client.read(&mut up).await;
                    }
                    return;
                }
                if server.write_all(&up[..count]).await.is_err() { return }
            }
            read = server.read(&mut down) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&down[..count]).await.is_err() { return }
            }
        }
    }
}
