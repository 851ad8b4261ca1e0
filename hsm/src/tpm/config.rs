//! Which TPM, to which state of the machine keys are bound, and the auth value.

use crate::{HsmError, KeyBytes};
use std::collections::BTreeSet;
use std::fmt;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How many PCRs a TPM of the PC Client profile has.
const PCR_COUNT: u8 = 24;
/// How long a call waits for its turn and its answer: a chip needs about a second to wrap a key,
/// and calls queue.
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct TpmConfig {
    pub tcti: Tcti,
    /// The PCRs whose present values a key that is wrapped from now on is bound to. A key that is
    /// wrapped already opens by what it was bound to when it was wrapped.
    pub pcrs: Option<Pcrs>,
    /// The auth value of root keys that are made from now on, 1 byte or more. A root key that was
    /// made with one needs it for every use; one made without does not take one.
    pub auth: Option<KeyBytes>,
    /// Where the auth value is looked for anew once it was refused.
    pub auth_source: Option<AuthSource>,
    /// How long a call may take, its time in the queue included.
    pub deadline: Duration,
}

impl TpmConfig {
    /// No PCRs, no auth value, a deadline of 30 s.
    pub fn new(tcti: Tcti) -> Self {
        Self { tcti, pcrs: None, auth: None, auth_source: None, deadline: DEADLINE }
    }
}

/// Reads the auth value: a file that an operator may put right while the device is open.
pub struct AuthSource(Box<dyn Fn() -> Result<KeyBytes, HsmError> + Send>);

impl AuthSource {
    pub fn new(read: impl Fn() -> Result<KeyBytes, HsmError> + Send + 'static) -> Self {
        Self(Box::new(read))
    }

    pub(super) fn read(&self) -> Result<KeyBytes, HsmError> {
        (self.0)()
    }
}

impl fmt::Debug for AuthSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthSource").finish_non_exhaustive()
    }
}

/// How the TPM is reached (TCG TSS 2.0 TPM Command Transmission Interface).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tcti {
    /// `device:/dev/tpmrm0`. The kernel's resource manager: any number of clients. `/dev/tpm0` is
    /// the TPM without it, for one client alone.
    Device(PathBuf),
    /// `swtpm:host=127.0.0.1,port=2321`. A software TPM; its control port is the next port up.
    Swtpm { host: String, port: u16 },
}

impl FromStr for Tcti {
    type Err = HsmError;

    fn from_str(text: &str) -> Result<Self, HsmError> {
        let refused = |why: &str| {
            HsmError::Refused(format!(
                "TPM {text:?}: {why}; wanted device:/dev/tpmrm0 or \
                 swtpm:host=127.0.0.1,port=2321"
            ))
        };
        match text.split_once(':') {
            Some(("device", path)) if path.starts_with('/') && !path.contains('\0') => {
                Ok(Self::Device(path.into()))
            }
            Some(("device", _)) => Err(refused("the device is not an absolute path")),
            Some(("swtpm", address)) => {
                let part = |part: Option<&str>, name: &str| {
                    part.and_then(|part| part.strip_prefix(name)).map(str::to_owned)
                };
                let mut parts = address.split(',');
                let host = part(parts.next(), "host=").filter(|host| is_host(host));
                let port = part(parts.next(), "port=").and_then(|port| port.parse::<u16>().ok());
                match (host, port.filter(|port| (1..u16::MAX).contains(port)), parts.next()) {
                    (Some(host), Some(port), None) => Ok(Self::Swtpm { host, port }),
                    _ => Err(refused("the address is not host=NAME,port=NUMBER")),
                }
            }
            _ => Err(refused("no such kind of connection")),
        }
    }
}

impl Tcti {
    /// Refuses a path that is there and is no character device: commands would be written into it. One
    /// that is not there may come.
    pub(super) fn check(&self) -> Result<(), HsmError> {
        let Self::Device(path) = self else { return Ok(()) };
        match std::fs::metadata(path) {
            Ok(metadata) if !metadata.file_type().is_char_device() => {
                Err(HsmError::Refused(format!(
                    "TPM {}: wanted a character device as /dev/tpmrm0 is, found another file",
                    path.display()
                )))
            }
            _ => Ok(()),
        }
    }
}

/// A name or an IPv4 address: what cannot be taken for another part of the address.
fn is_host(host: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    (1..=253).contains(&host.len()) && host.bytes().all(plain) && !host.starts_with('-')
}

impl fmt::Display for Tcti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(path) => write!(f, "device:{}", path.display()),
            Self::Swtpm { host, port } => write!(f, "swtpm:host={host},port={port}"),
        }
    }
}

/// Some PCRs of the SHA-256 bank, by their numbers: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pcrs(BTreeSet<u8>);

impl Pcrs {
    /// Refuses none at all, and numbers that a TPM does not have (0 to 23).
    pub fn new(numbers: impl IntoIterator<Item = u8>) -> Result<Self, HsmError> {
        let numbers: BTreeSet<u8> = numbers.into_iter().collect();
        if numbers.is_empty() || numbers.iter().any(|number| *number >= PCR_COUNT) {
            let text = format!("PCRs: wanted one or more of 0 to 23, found {numbers:?}");
            return Err(HsmError::Refused(text));
        }
        Ok(Self(numbers))
    }

    /// The numbers, ascending.
    pub fn numbers(&self) -> Vec<u8> {
        self.0.iter().copied().collect()
    }

    /// TPMS_PCR_SELECTION.pcrSelect (TPM 2.0 part 2): PCR n is bit n mod 8 of byte n / 8.
    pub(super) fn bits(&self) -> [u8; 3] {
        let mut bits = 0_u32;
        for number in &self.0 {
            bits |= 1 << number;
        }
        let [one, two, three, _] = bits.to_le_bytes();
        [one, two, three]
    }

    /// None if no bit is set.
    pub(super) fn from_bits([one, two, three]: [u8; 3]) -> Option<Self> {
        let bits = u32::from_le_bytes([one, two, three, 0]);
        Self::new((0..PCR_COUNT).filter(|number| bits >> number & 1 == 1)).ok()
    }
}

impl FromStr for Pcrs {
    type Err = HsmError;

    /// `sha256:7,11`
    fn from_str(text: &str) -> Result<Self, HsmError> {
        let refused = || {
            HsmError::Refused(format!("PCRs {text:?}: wanted the SHA-256 bank, as in sha256:7,11"))
        };
        let numbers = text.strip_prefix("sha256:").ok_or_else(refused)?;
        let numbers: Result<Vec<u8>, _> = numbers.split(',').map(str::parse).collect();
        Self::new(numbers.map_err(|_| refused())?)
    }
}

impl fmt::Display for Pcrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u8::to_string).collect();
        write!(f, "sha256:{}", numbers.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_one_of_two_kinds() {
        for text in ["device:/dev/tpmrm0", "swtpm:host=127.0.0.1,port=2321"] {
            assert_eq!(text.parse::<Tcti>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "device",
            "device:",
            "device:tpm0",
            "mssim:host=localhost,port=2321",
            "tabrmd",
            "pcap:device:/dev/tpmrm0",
            "swtpm:path=/tmp/socket",
            "swtpm:host=localhost",
            "swtpm:host=,port=1",
            "swtpm:host=a b,port=1",
            "swtpm:host=localhost,port=0",
            "swtpm:host=localhost,port=65535",
            "swtpm:host=localhost,port=2321,host=elsewhere",
        ] {
            let error = bad.parse::<Tcti>().unwrap_err().to_string();
            assert!(error.contains("wanted device:/dev/tpmrm0 or swtpm:"), "{bad}: {error}");
        }
    }

    #[test]
    fn commands_are_written_to_devices_only() {
        let check = |path: &str| format!("device:{path}").parse::<Tcti>().unwrap().check();
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path().to_str().unwrap(), "/tmp"] {
            let error = check(path).unwrap_err().to_string();
            assert!(error.contains("wanted a character device"), "{error}");
        }
        for path in ["/dev/null", "/nonexistent/tpm"] {
            assert_eq!(check(path), Ok(()));
        }
    }

    #[test]
    fn pcrs_are_numbers_of_one_bank() {
        let pcrs: Pcrs = "sha256:16,7,0,23,7".parse().unwrap();
        assert_eq!(
            (pcrs.numbers(), pcrs.to_string()),
            (vec![0, 7, 16, 23], "sha256:0,7,16,23".into())
        );
        assert_eq!(pcrs.bits(), [0b1000_0001, 0, 0b1000_0001]);
        assert_eq!(Pcrs::from_bits(pcrs.bits()), Some(pcrs));
        assert_eq!(Pcrs::from_bits([0; 3]), None);
        for bad in ["", "7", "sha1:7", "sha256:", "sha256:24", "sha256:7,", "sha256:-1", "sha256:x"]
        {
            assert!(matches!(bad.parse::<Pcrs>(), Err(HsmError::Refused(_))), "{bad}");
        }
    }
}
