//! Stands between a node and the database, and cuts the node off.
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// What becomes of what comes.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Mode {
    Pass = 0,
    /// Nothing passes and nothing is closed, as when a cable is pulled.
    Stall = 1,
    /// Connections are closed, and new ones too, as when a server is down.
    Refuse = 2,
}

#[derive(Debug)]
pub struct Proxy {
    pub port: u16,
    mode: Arc<AtomicU8>,
}

impl Proxy {
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(AtomicU8::new(Mode::Pass as u8));
        let shared = mode.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mode = shared.clone();
                std::thread::spawn(move || connect(client, server, &mode));
            }
        });
        Self { port, mode }
    }

    pub fn set(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::SeqCst);
    }
}

fn connect(client: TcpStream, server: u16, mode: &Arc<AtomicU8>) {
    wait(mode);
    if is_refused(mode) {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { return };
    let both = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let back = mode.clone();
    std::thread::spawn(move || pass(both.1, both.0, &back));
    pass(client, server, mode);
}

fn is_refused(mode: &AtomicU8) -> bool {
    mode.load(Ordering::SeqCst) == Mode::Refuse as u8
}

fn wait(mode: &AtomicU8) {
    while mode.load(Ordering::SeqCst) == Mode::Stall as u8 {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One way, until either end is closed.
fn pass(mut from: TcpStream, mut to: TcpStream, mode: &AtomicU8) {
    from.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut bytes = vec![0; 1 << 16];
    loop {
        wait(mode);
        if is_refused(mode) {
            break;
        }
        let count = match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => count,
            Err(e)
                if [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut]
                    .contains(&e.kind()) =>
            {
                continue;
            }
            Err(_) => break,
        };
        // What had been read before it was cut off does not pass either.
        wait(mode);
        if is_refused(mode) || to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    // The other direction ends with this one.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
