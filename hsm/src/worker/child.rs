//! The helper: opens the device that the first request names, then serves requests until the
//! socket closes.
//!
//! One thread more than the server has requests under way: however many of them hang in the
//! module, one is left that reads, and sees the end.

use super::frame::{self, Frame};
use super::message::{Answer, NOTICE, OpenRequest, Request};
use crate::pkcs11::{PinSource, Watcher};
use crate::{Hsm, HsmError, KeyBytes, Pkcs11Hsm, ResidentKeys, SoftwareHsm, WrappedKey};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

/// How long calls may take that are in the device when the socket closes: a token that is cut off
/// while it makes a key may keep half of it.
const GRACE: Duration = Duration::from_secs(2);
/// Finalising a module may hang too: the module's own code among it.
const EXIT_GRACE: Duration = Duration::from_secs(1);
/// As in sysexits.h: the system did not do what it was asked.
const EX_OSERR: u8 = 71;
/// As in sysexits.h: the other side does not keep to the protocol.
const EX_PROTOCOL: u8 = 76;
/// Longest run of random bytes in one answer.
pub(super) const MAX_RANDOM: u32 = 64 * 1024;

/// What a helper's program does, and all it does. Its stdin is the socket.
pub fn run_child() -> ! {
    run_child_with(open)
}

/// [`run_child`] with devices of the caller's: for tests.
pub fn run_child_with(
    open: impl Fn(OpenRequest) -> Result<Arc<dyn Hsm>, HsmError> + Send + Sync + 'static,
) -> ! {
    let code = prepare().map_or(EX_OSERR, |socket| serve(socket, open));
    // From here on all is the modules' own code, which may hang.
    let spawned = thread::Builder::new().spawn(|| {
        thread::sleep(EXIT_GRACE);
        kill_self();
    });
    if spawned.is_err() {
        kill_self();
    }
    crate::pkcs11::end_modules();
    // Calls that hang are still inside: exit handlers would pull their libraries away beneath them.
    signal_hook::low_level::exit(code.into())
}

/// Hardens the process, and moves the socket away from where the module could touch it.
fn prepare() -> io::Result<UnixStream> {
    // A core of it would hold keys.
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // Who stops the server may signal all its processes at once (systemd does). This one ends
    // with its socket: not before the server has ended its work.
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        signal_hook::flag::register(signal.as_raw(), Arc::new(AtomicBool::new(false)))?;
    }
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(socket)
}

fn kill_self() {
    // Cannot fail for one's own process.
    let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
}

/// Opens what a request asks for.
fn open(request: OpenRequest) -> Result<Arc<dyn Hsm>, HsmError> {
    Ok(match request {
        OpenRequest::Pkcs11(config) => Arc::new(Pkcs11Hsm::open(config)?),
        OpenRequest::Software { seed } => Arc::new(SoftwareHsm::seeded(
            seed.expose()
                .try_into()
                .map_err(|_| HsmError::Refused("a seed has 32 bytes".into()))?,
        )),
    })
}

/// Serves the device that `open` opens over a socket, until that closes. Then it waits a little
/// for calls that are in the device, and gives back what the process should exit with.
pub fn serve(
    socket: UnixStream,
    open: impl Fn(OpenRequest) -> Result<Arc<dyn Hsm>, HsmError> + Send + Sync + 'static,
) -> u8 {
    let greeted = greet(&socket);
    let Ok(output) = greeted else { return EX_PROTOCOL };
    let (ended, ends) = channel();
    let server = Arc::new(Server {
        open,
        device: OnceLock::new(),
        input: Mutex::new(socket),
        output: Arc::new(Mutex::new(output)),
        broken: AtomicBool::new(false),
        ended,
    });
    // One that opens the device, and one that sees the end; the request to open says how many
    // more are wanted.
    if server.spawn(2).is_err() {
        return EX_OSERR;
    }
    wait_for_end(&ends, &server);
    if server.broken.load(Ordering::Relaxed) {
        return EX_PROTOCOL;
    }
    0
}

fn greet(mut socket: &UnixStream) -> io::Result<UnixStream> {
    frame::write_preamble(&mut socket)?;
    frame::read_preamble(&mut socket)?;
    socket.try_clone()
}

fn wait_for_end<O>(ends: &Receiver<()>, server: &Arc<Server<O>>) {
    // The first thread that ends has seen the socket's end; the others see it when they are done.
    let _ = ends.recv();
    let until = crate::elapsed::now() + GRACE;
    // This one, and one for every thread.
    while Arc::strong_count(server) > 1 {
        let left = until.saturating_duration_since(crate::elapsed::now());
        if ends.recv_timeout(left).is_err() {
            return;
        }
    }
}

struct Server<O> {
    open: O,
    device: OnceLock<Arc<dyn Hsm>>,
    input: Mutex<UnixStream>,
    output: Arc<Mutex<UnixStream>>,
    /// The other side did not keep to the protocol.
    broken: AtomicBool,
    ended: Sender<()>,
}

impl<O> Server<O>
where
    O: Fn(OpenRequest) -> Result<Arc<dyn Hsm>, HsmError> + Send + Sync + 'static,
{
    fn spawn(self: &Arc<Self>, threads: u16) -> io::Result<()> {
        for _ in 0..threads {
            let server = Arc::clone(self);
            thread::Builder::new().name("helper".into()).spawn(move || {
                let ended = server.ended.clone();
                while server.serve_one() {}
                drop(server);
                let _ = ended.send(());
            })?;
        }
        Ok(())
    }

    /// Reads a request, makes it, answers. False at the end.
    fn serve_one(self: &Arc<Self>) -> bool {
        // Only one thread reads at a time; while it works on what it read, another one reads.
        let frame = match frame::read(&mut *lock(&self.input)) {
            Ok(Some(frame)) => frame,
            Ok(None) => return false,
            Err(e) => return self.give_up(&e),
        };
        let outcome = match frame.message::<Request>() {
            Ok(Request::Open { threads, device }) => self.open(threads, device),
            Ok(request) => self.make(request),
            Err(e) => return self.give_up(&e),
        };
        self.answer(&frame, &outcome).is_ok()
    }

    fn give_up(&self, error: &io::Error) -> bool {
        if error.kind() == io::ErrorKind::InvalidData {
            self.broken.store(true, Ordering::Relaxed);
        }
        false
    }

    fn open(self: &Arc<Self>, threads: u16, request: OpenRequest) -> Result<Answer, HsmError> {
        if self.device.get().is_some() {
            return Err(HsmError::Refused("the device is open already".into()));
        }
        let request = watched(request, &self.output);
        let opened = catch_unwind(AssertUnwindSafe(|| (self.open)(request)));
        let device = opened.unwrap_or_else(|_| Err(panicked()))?;
        self.spawn(threads.saturating_sub(1))
            .map_err(|e| HsmError::Unavailable(format!("too few threads for the helper: {e}")))?;
        let answer = Answer::Opened {
            info: device.info(),
            specs: device.resident().map(|r| r.specs()),
            at_once: device.calls_at_once().and_then(|calls| u16::try_from(calls).ok()),
        };
        let _ = self.device.set(device);
        Ok(answer)
    }

    fn make(&self, request: Request) -> Result<Answer, HsmError> {
        let Some(device) = self.device.get() else {
            return Err(HsmError::Refused("no device is open".into()));
        };
        catch_unwind(AssertUnwindSafe(|| make(&**device, request)))
            .unwrap_or_else(|_| Err(panicked()))
    }

    fn answer(&self, to: &Frame, outcome: &Result<Answer, HsmError>) -> io::Result<()> {
        let frame = frame::encode(to.number, outcome).or_else(|e| {
            let cannot: Result<Answer, HsmError> =
                Err(HsmError::Refused(format!("its answer is {e}")));
            frame::encode(to.number, &cannot)
        })?;
        lock(&self.output).write_all(&frame)
    }
}

/// Has the server told that a PIN is about to be tried, before it is: a helper that ends over it
/// cannot say so any more.
fn watched(request: OpenRequest, output: &Arc<Mutex<UnixStream>>) -> OpenRequest {
    let OpenRequest::Pkcs11(mut config) = request else { return request };
    let output = Arc::clone(output);
    let tell = move || {
        let notice: Result<Answer, HsmError> = Ok(Answer::TriesPin);
        // A server that cannot be told has ended, and so will this process.
        let _ = frame::encode(NOTICE, &notice).and_then(|frame| lock(&output).write_all(&frame));
    };
    config.pin = PinSource::Watched(Box::new(config.pin), Watcher(Arc::new(tell)));
    OpenRequest::Pkcs11(config)
}

fn panicked() -> HsmError {
    HsmError::Unavailable("the code of the device panicked".into())
}

/// Makes a request of the device.
fn make(device: &dyn Hsm, request: Request) -> Result<Answer, HsmError> {
    let done = |()| Answer::Done;
    match request {
        Request::Open { .. } => Err(HsmError::Refused("the device is open already".into())),
        Request::Probe => device.probe().map(done),
        Request::Report => Ok(Answer::Report(device.token_report()?.map(Box::new))),
        Request::Random(len) => random(device, len),
        Request::CreateRootKey(id) => device.create_root_key(&id).map(done),
        Request::DestroyRootKey(id) => device.destroy_root_key(&id).map(done),
        Request::RootKeys => device.root_keys().map(Answer::RootKeys),
        Request::CheckRootKey(id) => device.check_root_key(&id).map(done),
        Request::RootKeyClaims(id) => device.root_key_claims(&id).map(Answer::Claims),
        Request::Wrap { root, key, aad } => device.wrap(&root, &key, &aad).map(Answer::Wrapped),
        Request::Unwrap { root, wrapped, aad } => {
            device.unwrap(&WrappedKey { root, bytes: wrapped }, &aad).map(Answer::Secret)
        }
        request => match device.resident() {
            Some(keys) => make_resident(keys, request),
            None => Err(HsmError::Unsupported("it has no resident keys".into())),
        },
    }
}

fn make_resident(keys: &dyn ResidentKeys, request: Request) -> Result<Answer, HsmError> {
    match request {
        Request::Generate(id, spec) => keys.generate(&id, spec).map(Answer::PublicKey),
        Request::Destroy(id) => keys.destroy(&id).map(|()| Answer::Done),
        Request::CheckResident(id, public) => {
            keys.check(&id, public.as_deref()).map(Answer::Checked)
        }
        Request::ResidentKeys => keys.resident_keys().map(Answer::ResidentKeys),
        Request::Broken => keys.broken().map(Answer::Broken),
        Request::Encrypt { id, plaintext, aad } => {
            keys.encrypt(&id, &plaintext, &aad).map(Answer::Bytes)
        }
        Request::Decrypt { id, sealed, aad } => {
            keys.decrypt(&id, &sealed, &aad).map(Answer::Secret)
        }
        Request::Sign { id, scheme, digest } => keys.sign(&id, scheme, &digest).map(Answer::Bytes),
        Request::Mac { id, hash, message } => {
            keys.mac(&id, hash, message.expose()).map(Answer::Bytes)
        }
        Request::DecryptOaep { id, hash, ciphertext } => {
            keys.decrypt_oaep(&id, hash, &ciphertext).map(Answer::Secret)
        }
        Request::Agree { id, peer } => keys.agree(&id, &peer).map(Answer::Secret),
        _ => Err(HsmError::Unsupported("that is nothing a resident key can do".into())),
    }
}

fn random(device: &dyn Hsm, len: u32) -> Result<Answer, HsmError> {
    let len = usize::try_from(len.min(MAX_RANDOM)).unwrap_or(0);
    let mut bytes = zeroize::Zeroizing::new(vec![0; len]);
    device.random(&mut bytes)?;
    Ok(Answer::Secret(KeyBytes::new(std::mem::take(&mut *bytes))))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that could panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
