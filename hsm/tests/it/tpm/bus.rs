//! What stands on the wires between the processor and the TPM: a proxy writes it all down.

use super::other::{auth_value, unseal_in_the_clear};
use super::support::{AUTH, auth, key, on_swtpm, root_id};
use claviger_hsm::Hsm;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Listens on two ports in a row, as swtpm does, and passes everything on.
struct Proxy {
    port: u16,
    /// Which byte of each answer is changed; 0 = none.
    change: Arc<AtomicUsize>,
    to_tpm: Log,
    from_tpm: Log,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Proxy {
    fn start(target: u16) -> Self {
        let (to_tpm, from_tpm) = (Log::default(), Log::default());
        let (data, control) = loop {
            let data = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            let next = data.local_addr().unwrap().port() + 1;
            if let Ok(control) = TcpListener::bind(("127.0.0.1", next)) {
                break (data, control);
            }
        };
        let (port, change) = (data.local_addr().unwrap().port(), Arc::default());
        let proxy = Self { port, change, to_tpm, from_tpm };
        let logs = (proxy.to_tpm.clone(), proxy.from_tpm.clone());
        serve(data, target, logs, proxy.change.clone());
        // What goes over the control port is no TPM command.
        serve(control, target + 1, (Log::default(), Log::default()), Arc::default());
        proxy
    }

    fn tcti(&self) -> String {
        format!("swtpm:host=127.0.0.1,port={}", self.port)
    }

    fn shows(&self, secret: &[u8]) -> bool {
        [&self.to_tpm, &self.from_tpm].iter().any(|log| {
            let log = log.0.lock().unwrap();
            log.windows(secret.len()).any(|window| window == secret)
        })
    }
}

fn serve(listener: TcpListener, target: u16, logs: (Log, Log), change: Arc<AtomicUsize>) {
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            // While the TPM is away the client is hung up on.
            let Ok(tpm) = TcpStream::connect(("127.0.0.1", target)) else { continue };
            let none = Arc::default();
            pump(client.try_clone().unwrap(), tpm.try_clone().unwrap(), logs.0.clone(), none);
            pump(tpm, client, logs.1.clone(), change.clone());
        }
    });
}

fn pump(mut from: TcpStream, mut to: TcpStream, log: Log, change: Arc<AtomicUsize>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            log.0.lock().unwrap().extend_from_slice(&buffer[..len]);
            // swtpm sends an answer in one piece.
            let at = change.load(Ordering::Relaxed);
            if at > 0 && at < len {
                buffer[at] ^= 1;
            }
            if to.write_all(&buffer[..len]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

#[test]
fn no_secret_is_seen_on_the_bus() {
    on_swtpm(no_secret_is_seen_on_the_bus, |tpm| {
        for (pcrs, with_auth) in
            [(None, false), (None, true), (Some("sha256:7,16"), false), (Some("sha256:7"), true)]
        {
            let name = format!("claviger/bus/{}/{with_auth}", pcrs.unwrap_or("none"));
            let root = claviger_hsm::RootKeyId::new(name);
            let proxy = Proxy::start(tpm.port);
            let hsm = tpm.open_with(|config| {
                config.tcti = proxy.tcti().parse().unwrap();
                config.pcrs = pcrs.map(|pcrs| pcrs.parse().unwrap());
                config.auth = with_auth.then(|| auth(AUTH).unwrap());
            });
            hsm.create_root_key(&root).unwrap();
            let wrapped = hsm.wrap(&root, &key(), b"").unwrap();
            hsm.check_root_key(&root).unwrap();
            assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
            let mut random = [0; 64];
            hsm.random(&mut random).unwrap();
            hsm.report().unwrap();
            hsm.certify(&root, &[1; 32]).unwrap();

            let value = if with_auth { auth_value(AUTH, &root) } else { Vec::new() };
            // Past the proxy, to know what to look for.
            let wrapping_key = unseal_in_the_clear(&tpm.tcti(), &wrapped, &value);
            assert_eq!(wrapping_key.len(), 32);
            let mut secrets = vec![
                ("the wrapping key", wrapping_key.clone()),
                ("the opened key", key().expose().to_vec()),
                ("random bytes", random[..32].to_vec()),
                ("more random bytes", random[32..].to_vec()),
                ("the configured auth value", AUTH.into()),
            ];
            if with_auth {
                secrets.push(("the auth value", value.clone()));
            }
            for (what, secret) in &secrets {
                // Eight bytes in a row are enough to be too much.
                for part in secret.chunks_exact(8) {
                    assert!(!proxy.shows(part), "{what} is seen ({root})");
                }
            }
            commands_are_protected(&proxy.to_tpm.0.lock().unwrap());

            // The proxy sees what there is to see: the same object opened in the clear through it.
            let again = unseal_in_the_clear(&proxy.tcti(), &wrapped, &value);
            assert_eq!(again, wrapping_key);
            assert!(proxy.shows(&wrapping_key), "the proxy is blind");
            if with_auth && pcrs.is_none() {
                assert!(proxy.shows(&value), "the proxy is blind to the auth value");
            }
        }
    });
}

/// Somebody on the wires changes a byte of every answer: what comes out is the key or an error, and
/// what is wrapped meanwhile opens afterwards.
#[test]
fn changed_answers_are_not_believed() {
    on_swtpm(changed_answers_are_not_believed, |tpm| {
        let proxy = Proxy::start(tpm.port);
        let open = || {
            tpm.open_with(|config| {
                config.tcti = proxy.tcti().parse().unwrap();
                config.pcrs = Some("sha256:16".parse().unwrap());
            })
        };
        let hsm = open();
        hsm.create_root_key(&root_id()).unwrap();
        let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
        let mut refused = 0;
        let restart = || {
            proxy.change.store(0, Ordering::Relaxed);
            // Of what was loaded then, nobody knows the handles.
            tpm.kill();
            tpm.start_again();
        };
        // Past tag and length: a wrong length is waited for, until the deadline.
        for at in (6..220).step_by(3) {
            proxy.change.store(at, Ordering::Relaxed);
            let opened = hsm.unwrap(&wrapped, b"");
            restart();
            match opened {
                Ok(opened) => assert_eq!(opened, key(), "byte {at}"),
                Err(_) => refused += 1,
            }
            proxy.change.store(at, Ordering::Relaxed);
            let made = hsm.wrap(&root_id(), &key(), b"");
            restart();
            if let Ok(made) = made {
                assert_eq!(hsm.unwrap(&made, b""), Ok(key()), "byte {at}");
            }
            assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()), "byte {at}");
        }
        // The others are in what is not used: creation data, tickets, past the end.
        assert!(refused > 36, "{refused} of 72 changes were noticed");
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
        assert_eq!(open().check_root_key(&root_id()), Ok(()));
    });
}

const CREATE_PRIMARY: u32 = 0x131;
const START_AUTH_SESSION: u32 = 0x176;
const DECRYPT: u8 = 0x20;
const ENCRYPT: u8 = 0x40;

/// Every session is salted and can encrypt with AES-128-CFB; every command that carries something
/// is in such a session, with the parameter encrypted that carries it.
fn commands_are_protected(log: &[u8]) {
    let mut seen = std::collections::BTreeMap::<u32, u32>::new();
    let u16_at = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let u32_at =
        |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let mut rest = log;
    while !rest.is_empty() {
        let (command, after) = rest.split_at(u32_at(rest, 2) as usize);
        rest = after;
        let code = u32_at(command, 6);
        *seen.entry(code).or_default() += 1;
        if code == START_AUTH_SESSION {
            assert_ne!(u32_at(command, 10), 0x4000_0007, "a session without a salt");
            let nonce = 18 + 2 + usize::from(u16_at(command, 18));
            let salt = usize::from(u16_at(command, nonce));
            assert!(salt >= 32, "a salt of {salt} bytes");
            let cipher = &command[nonce + 2 + salt + 1..][..6];
            assert_eq!(cipher, [0, 6, 0, 128, 0, 0x43]);
        }
        // What must be encrypted, on the way there and on the way back.
        let (handles, wanted) = match code {
            0x153 => (1, DECRYPT),         // Create: the secret, the auth value
            0x12a => (1, DECRYPT),         // NV_DefineSpace: the auth value
            0x157 => (1, DECRYPT),         // Load
            0x15e | 0x148 => (1, ENCRYPT), // Unseal; Certify
            0x14e => (2, ENCRYPT),         // NV_Read
            0x137 => (2, DECRYPT),         // NV_Write
            0x17b => (0, ENCRYPT),         // GetRandom
            CREATE_PRIMARY => (1, 0),
            _ => continue,
        };
        assert_eq!(u16_at(command, 0), 0x8002, "command {code:x} without a session");
        let handles = if code == 0x148 { 2 } else { handles };
        let session = 10 + 4 * handles + 4;
        let nonce = usize::from(u16_at(command, session + 4));
        let attributes = command[session + 6 + nonce];
        if code == CREATE_PRIMARY {
            // A password: empty.
            assert_eq!(u32_at(command, session), 0x4000_0009);
            assert_eq!(u16_at(command, session + 7 + nonce), 0);
            continue;
        }
        assert_ne!(u32_at(command, session), 0x4000_0009, "command {code:x} by password");
        assert_eq!(attributes & wanted, wanted, "command {code:x}: {attributes:x}");
    }
    for code in [0x153, 0x12a, 0x157, 0x15e, 0x14e, 0x137, 0x17b, START_AUTH_SESSION] {
        assert!(seen.contains_key(&code), "command {code:x} was not seen");
    }
}
