//! `claviger attest`: a bundle that shows what can be shown of a key, and checking one offline.
use super::StartError;
use super::control::{Where, done, print, unexpected};
use crate::attest::{self, Challenge, Expected, HexBytes, Known, Trust};
use crate::clock::{Clock, SystemClock};
use crate::control::{Attest, Command, Output, WhichKey};
use crate::random::{Random, SystemRandom};
use crate::types::{AccountId, Region};
use serde::Serialize;
use std::fmt::Display;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Far above any challenge.
const MAX_CHALLENGE_LEN: usize = 64 * 1024;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct AttestArguments {
    #[command(subcommand)]
    command: Option<AttestCommand>,
    /// The key: its id, its ARN, or its alias's name or ARN
    #[arg(value_name = "KEY", required = true)]
    key: Option<String>,
    /// Whose it is, if its ARN is not given and there are several accounts
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// Where it is, if its ARN is not given and there are several regions
    #[arg(long, value_name = "REGION")]
    region: Option<Region>,
    #[command(flatten)]
    make: MakeArguments,
}

#[derive(Debug, clap::Subcommand)]
enum AttestCommand {
    /// Have the devices say, and sign if they can, that they hold the deployment's root keys
    Root(RootArguments),
    /// Make a challenge for the TPM of a bundle, which shows whether it is its maker's
    Challenge(ChallengeArguments),
    /// Check a bundle, offline: what is proven in it, what is only claimed
    Verify(VerifyArguments),
}

/// How a bundle is made.
#[derive(Debug, clap::Args)]
struct MakeArguments {
    #[command(flatten)]
    at: Where,
    /// What the verifier has asked with: 16 to 64 bytes in hexadecimal [default: random]
    #[arg(long, value_name = "HEX", value_parser = nonce, conflicts_with = "challenge")]
    nonce: Option<HexBytes>,
    /// The verifier's challenge, for a TPM to answer
    #[arg(long, value_name = "FILE")]
    challenge: Option<PathBuf>,
    /// Where the bundle is written [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct RootArguments {
    /// Only the root keys in this device, by its name in the configuration
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    #[command(flatten)]
    make: MakeArguments,
}

/// Whom a verifier trusts.
#[derive(Debug, clap::Args)]
struct TrustArguments {
    /// Certificates (PEM) of the authorities that you trust to certify TPMs
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Certificates (PEM) on the way from a TPM's to one of those
    #[arg(long, value_name = "FILE", requires = "trust")]
    intermediates: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct ChallengeArguments {
    /// A bundle of the TPM
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    #[command(flatten)]
    trust: TrustArguments,
    /// Which device of the bundle, if several signed it
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Where the challenge is written, for the server
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where what you need for the answer is written. Show it to nobody before
    #[arg(long, value_name = "FILE")]
    keep: PathBuf,
}

#[derive(Debug, clap::Args)]
struct VerifyArguments {
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// What you have asked with
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<HexBytes>,
    /// The Name of the attestation key that you noted when the machine was set up. Repeatable
    #[arg(long, value_name = "HEX", value_parser = bytes)]
    attestation_key: Vec<HexBytes>,
    #[command(flatten)]
    trust: TrustArguments,
    /// What you kept of the challenge that this is the answer to
    #[arg(long, value_name = "FILE", requires = "trust")]
    kept: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn bytes(text: &str) -> Result<HexBytes, String> {
    HexBytes::try_from(text.to_owned()).map_err(|e| e.to_string())
}

fn nonce(text: &str) -> Result<HexBytes, String> {
    let bytes = bytes(text)?;
    match bytes.0.len() {
        16..=64 => Ok(bytes),
        len => Err(format!("wanted 16 to 64 bytes, found {len}")),
    }
}

pub(super) fn main(arguments: &AttestArguments) -> Result<(), StartError> {
    let AttestArguments { command, key, account, region, make } = arguments;
    match (command, key) {
        (Some(AttestCommand::Root(root)), _) => made(&root.make, None, root.device.clone()),
        (Some(AttestCommand::Challenge(arguments)), _) => challenge(arguments),
        (Some(AttestCommand::Verify(arguments)), _) => verify(arguments),
        (None, Some(named)) => {
            let (account, region) = (account.clone(), region.clone());
            made(make, Some(WhichKey { named: named.clone(), account, region }), None)
        }
        (None, None) => Err(StartError::Other("give a key".into())),
    }
}

fn made(
    make: &MakeArguments,
    key: Option<WhichKey>,
    device: Option<String>,
) -> Result<(), StartError> {
    let challenge = match &make.challenge {
        None => None,
        Some(path) => {
            let text = read_text(path)?;
            Some(Challenge::from_text(&text).map_err(|e| in_file(path, &e))?)
        }
    };
    let random = || HexBytes((&SystemRandom as &dyn Random).bytes::<32>().to_vec());
    let nonce = make.nonce.clone().unwrap_or_else(random);
    let command = Command::Attest(Attest { key, device, nonce, challenge });
    super::harden();
    super::logging::start(false);
    super::run_async(async {
        let Output::Attested(text) = done(&make.at, command).await? else {
            return Err(unexpected());
        };
        match &make.out {
            None => print(&text),
            Some(path) => {
                write(path, &text)?;
                print(&format!("{}\n", path.display()))
            }
        }
    })
}

fn challenge(arguments: &ChallengeArguments) -> Result<(), StartError> {
    let ChallengeArguments { bundle, trust, device, out, keep } = arguments;
    let known = Known { trust: trust.read()?, ..Known::default() };
    let secret = (&SystemRandom as &dyn Random).bytes();
    let made = attest::challenge(&read(bundle)?, &known, device.as_deref(), &secret);
    let (challenge, expected) = made.map_err(|e| in_file(bundle, &e))?;
    write_private(keep, &json(&expected)?)?;
    write(out, &json(&challenge)?)?;
    print(&format!("{}\n", out.display()))
}

fn verify(arguments: &VerifyArguments) -> Result<(), StartError> {
    let path = &arguments.bundle;
    let expected = match &arguments.kept {
        None => None,
        Some(path) => {
            let text = read_text(path)?;
            Some(Expected::from_text(&text).map_err(|e| in_file(path, &e))?)
        }
    };
    let known = Known {
        nonce: arguments.nonce.clone().map(|nonce| nonce.0),
        attestation_keys: arguments.attestation_key.iter().map(|name| name.0.clone()).collect(),
        trust: arguments.trust.read()?,
        expected,
    };
    let verdict = attest::verify(&read(path)?, &known).map_err(|e| in_file(path, &e))?;
    match arguments.json {
        true => print(&json(&verdict)?),
        false => print(&verdict.to_string()),
    }
}

impl TrustArguments {
    fn read(&self) -> Result<Option<Trust>, StartError> {
        let Some(roots) = &self.trust else { return Ok(None) };
        let intermediates = match &self.intermediates {
            Some(path) => read(path)?,
            None => Vec::new(),
        };
        // Before 1970 no certificate is valid yet either.
        let now = u64::try_from(SystemClock.now().0 / 1000).unwrap_or(0);
        let trust = Trust::from_pem(&read(roots)?, &intermediates, now);
        trust.map(Some).map_err(|e| in_file(roots, &e))
    }
}

fn in_file(path: &Path, error: &dyn Display) -> StartError {
    StartError::Other(format!("{}: {error}", path.display()))
}

fn json<T: Serialize>(value: &T) -> Result<String, StartError> {
    let text = serde_json::to_string_pretty(value).map_err(|e| StartError::Other(e.to_string()))?;
    Ok(text + "\n")
}

fn read(path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|e| in_file(path, &e))
}

fn read_text(path: &Path) -> Result<String, StartError> {
    let bytes = read(path)?;
    if bytes.len() > MAX_CHALLENGE_LEN {
        let found = bytes.len();
        let text = format!("wanted {MAX_CHALLENGE_LEN} bytes at most, found {found}");
        return Err(in_file(path, &text));
    }
    String::from_utf8(bytes).map_err(|e| in_file(path, &e))
}

fn write(path: &Path, text: &str) -> Result<(), StartError> {
    std::fs::write(path, text).map_err(|e| in_file(path, &e))
}

/// A new file that nobody else can read.
fn write_private(path: &Path, text: &str) -> Result<(), StartError> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|e| in_file(path, &e))
}
