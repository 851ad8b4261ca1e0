//! The MAC chain that ties each record to all before it.
//!
//! ```text
//! mac_0 = HMAC(key, "claviger/v1/audit\0" ‖ cluster id, 16 bytes)
//! mac_n = HMAC(key, mac_{n-1} ‖ u64be(n) ‖ event bytes)
//! header = HMAC(key, "claviger/v1/audit/segment\0" ‖ header JSON without its mac)
//! ```
//!
//! A record's input begins with 32 bytes of MAC output and the other two with ASCII labels, so no
//! value of one kind can stand for another.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

const GENESIS_LABEL: &[u8] = b"claviger/v1/audit\0";
const HEADER_LABEL: &[u8] = b"claviger/v1/audit/segment\0";

/// A link of the chain. Not a secret: it stands in the log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mac(pub [u8; 32]);

impl Mac {
    /// 64 lower-case hex digits and nothing else: one spelling, so that no bit of a log is free.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        if text.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let mut mac = [0; 32];
        hex::decode_to_slice(text, &mut mac).ok()?;
        Some(Self(mac))
    }

    #[expect(clippy::expect_used, reason = "the text has two digits for each byte")]
    pub(super) fn hex(&self) -> [u8; 64] {
        let mut text = [0; 64];
        hex::encode_to_slice(self.0, &mut text).expect("64 digits for 32 bytes");
        text
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The end of the log: the number of the last durable record and its MAC. Kept elsewhere (the
/// store), it is the anchor that makes a shortened log visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub n: u64,
    pub mac: Mac,
}

/// The keyed state, made once; a record's MAC starts from a copy of it.
#[derive(Clone)]
pub(super) struct Chain {
    keyed: Hmac<Sha256>,
    cluster: [u8; 16],
}

impl Chain {
    pub(super) fn new(key: &[u8; 32], cluster: [u8; 16]) -> Self {
        // HMAC pads a short key with zeros to its block; done here because that form cannot fail.
        let mut block = Zeroizing::new([0; 64]);
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
        Self { keyed: Hmac::new((&*block).into()), cluster }
    }

    pub(super) fn cluster(&self) -> [u8; 16] {
        self.cluster
    }

    /// What the first record of a log is chained to.
    pub(super) fn genesis(&self) -> Head {
        let mut mac = self.keyed.clone();
        mac.update(GENESIS_LABEL);
        mac.update(&self.cluster);
        Head { n: 0, mac: Mac(mac.finalize().into_bytes().into()) }
    }

    pub(super) fn next(&self, head: &Head, event: &[u8]) -> Head {
        let n = head.n + 1;
        let mac = self.record(&head.mac, n, event).finalize();
        Head { n, mac: Mac(mac.into_bytes().into()) }
    }

    /// Whether `claimed` follows `head` with this event.
    pub(super) fn follows(&self, head: &Head, event: &[u8], claimed: &Head) -> bool {
        let mac = self.record(&head.mac, claimed.n, event);
        claimed.n == head.n + 1 && mac.verify_slice(&claimed.mac.0).is_ok()
    }

    pub(super) fn header(&self, body: &[u8]) -> Mac {
        let mut mac = self.keyed.clone();
        mac.update(HEADER_LABEL);
        mac.update(body);
        Mac(mac.finalize().into_bytes().into())
    }

    fn record(&self, previous: &Mac, n: u64, event: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.keyed.clone();
        mac.update(&previous.0);
        mac.update(&n.to_be_bytes());
        mac.update(event);
        mac
    }
}
