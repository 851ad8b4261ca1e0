//! The commands. Each is a file; this one has their arguments and the exit codes.
mod account;
mod anchored;
mod assemble;
mod attest;
mod backup;
mod bench_device;
mod control;
mod credentials;
mod dev;
mod device;
mod doctor;
mod endpoints;
mod env_file;
mod explain;
mod files;
mod init;
mod join;
mod logging;
mod node;
mod nodes;
mod opened;
mod policy;
mod quiet;
mod recovery;
mod restore;
mod root;
mod sealed;
mod secret;
mod serve;
mod shared;
mod start_error;
mod torture;
mod verify;
mod xks;

use assemble::Seed;
use start_error::StartError;

use crate::config::TlsFiles;
use crate::devices::TURNS;
use crate::failpoints;
use crate::http::{Tls, TlsError};

use clap::{Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const AFTER_HELP: &str = "\
Start here:
  claviger dev                 a server for a first try; prints what to export
  claviger dev --help          its options
  claviger init --config FILE  a production deployment: root key, account, administrator
  claviger serve --config FILE serves it
  claviger join --config FILE  another node for it, on the same PostgreSQL
  claviger doctor --config FILE  what the devices are and can do, and what is wrong with them
  claviger attest root --config FILE --out FILE  what can be shown of a root key
  claviger bench device --config FILE  how fast they are
  claviger root status --config FILE  what wraps the deployment's keys; moving to another device
  claviger backup --config FILE --to FILE  the store in one file, while it is served
  claviger torture --minutes 3 --report report.json  whether a kill or a broken disk loses anything
  claviger recovery generate --help  a recovery key, for when every device is lost
  claviger policy check FILE   what is wrong with a policy document

Exit codes:
  0  done, or stopped by SIGTERM or SIGINT after the last request
  1  failed for a reason that is none of the following
  2  the arguments are wrong
  3  the configuration is wrong
  4  the device is wrong: module, token, PIN, key, mechanism
  5  the data directory, the database or a backup is wrong: missing, of another token, altered, in use
  6  the address cannot be listened on
  7  the database does not answer now: a later start may find it

Environment:
  CLAVIGER_LOG     what is logged: error, warn, info (default), debug
  CLAVIGER_CONFIG  the configuration file, in place of --config
";

/// Keys rooted in hardware that you own, and secrets under them, with the AWS wire protocol: AWS
/// SDKs, the AWS CLI and the tools built on them work with `--endpoint-url`.
#[derive(Debug, Parser)]
#[command(name = "claviger", version, about, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve everything for a first try: a SoftHSM token of its own, an account, an administrator
    Dev(DevArguments),
    /// Make a deployment: the root key in the token, the store, an account, an administrator
    Init(ConfigArguments),
    /// Make this machine another node of a deployment whose store is a database
    Join(join::JoinArguments),
    /// Serve a deployment
    Serve(ConfigArguments),
    /// Say what the device is, what it can do, and what is wrong with it
    Doctor(doctor::DoctorArguments),
    /// Make and list the accounts of a deployment, while it is served or not
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Say why a request is, or was, allowed or denied; or what another policy would change
    Explain(Box<explain::ExplainArguments>),
    /// Say what wraps the deployment's keys, and change it while it serves
    #[command(subcommand)]
    Root(root::RootCommand),
    /// List the nodes that serve a deployment, and take one out
    #[command(subcommand)]
    Nodes(nodes::NodesArguments),
    /// Make a recovery key, in shares for custodians
    #[command(subcommand)]
    Recovery(recovery::RecoveryCommand),
    /// Open a deployment whose devices are lost by shares of its recovery key, and have another device
    /// wrap its keys
    Recover(recovery::RecoverArguments),
    /// Write the store as it is now to a file, while it is served or not; nothing in it is in the clear
    Backup(backup::BackupArguments),
    /// Say whether a backup is whole; with a device or a recovery key, whether each row of it opens
    Verify(verify::VerifyArguments),
    /// Make a data directory of a backup, and check all of it on the way
    Restore(restore::RestoreArguments),
    /// Show what can be shown of a key, or of the root keys, to somebody else; and check what was shown
    Attest(Box<attest::AttestArguments>),
    /// Measure devices
    #[command(subcommand)]
    Bench(bench_device::BenchCommand),
    /// Say how a secret is doing: who reads which version of it
    #[command(subcommand)]
    Secret(secret::SecretCommand),
    /// Kill and starve servers of its own again and again, and say what did not hold
    Torture(torture::TortureArguments),
    /// Look at policy documents
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Print credentials for this machine's certificate, as a `credential_process` of the AWS SDKs
    Credentials(CredentialsArguments),
    /// The process in which a vendor's library runs; started by the server
    #[command(name = "device-helper", hide = true)]
    DeviceHelper,
}

#[derive(Debug, clap::Args)]
struct DevArguments {
    /// Where the token, the store and the credentials live [default: ~/.local/share/claviger/dev].
    /// The same directory again: the same keys, the same data
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to listen; a loopback address
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4566")]
    listen: SocketAddr,
    /// Where to write the `export` lines [default: DIR/env]
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Root credentials of a further account, such as test:test:000000000000. Repeatable
    #[arg(long, value_name = "KEY:SECRET:ACCOUNT", value_parser = dev::parse_credentials)]
    credentials: Vec<Seed>,
    /// Rotation functions: a file with [[function]] sections, as in a configuration
    #[arg(long, value_name = "FILE")]
    functions: Option<PathBuf>,
    /// Keep the root key in a file instead of a token: for machines without SoftHSM, never for
    /// secrets
    #[arg(long)]
    insecure_software_root: bool,
}

#[derive(Debug, clap::Args)]
struct CredentialsArguments {
    /// The server
    #[arg(long, value_name = "https://HOST:PORT")]
    endpoint: String,
    /// The machine's certificate, then those of intermediate authorities (PEM)
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The authorities that the server's certificate is checked with (PEM) [default: the system's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Which role, if the certificate has several
    #[arg(long, value_name = "ARN")]
    role: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ConfigArguments {
    /// The configuration file (TOML); docs/operations.md shows one
    #[arg(long, value_name = "FILE", env = "CLAVIGER_CONFIG")]
    config: PathBuf,
    /// Keep the root key in a file of the data directory instead of a token: never for secrets
    #[arg(long)]
    insecure_software_root: bool,
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Dev(arguments) => dev::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Join(arguments) => join::run(&arguments),
        Command::Nodes(arguments) => nodes::main(arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Account(command) => account::main(command),
        Command::Explain(arguments) => explain::main(&arguments),
        Command::Root(command) => root::main(&command),
        Command::Recovery(command) => recovery::main(&command),
        Command::Recover(arguments) => recovery::recover(&arguments),
        Command::DeviceHelper => claviger_hsm::worker::run_child(),
        Command::Backup(arguments) => backup::main(&arguments),
        Command::Verify(arguments) => verify::main(&arguments),
        Command::Restore(arguments) => restore::main(&arguments),
        Command::Attest(arguments) => attest::main(&arguments),
        Command::Bench(command) => bench_device::main(&command),
        Command::Torture(arguments) => torture::run(&arguments),
        Command::Secret(command) => secret::main(&command),
        Command::Policy(command) => return policy::run(&command),
        Command::Credentials(arguments) => credentials::run(&arguments),
    };
    let code = match outcome {
        Ok(()) => 0,
        Err(error) => {
            tell(format_args!("claviger: {error}"));
            error.exit_code()
        }
    };
    // Some vendors' libraries crash if the process ends while they are at work.
    claviger_hsm::pkcs11::end_modules();
    end(code)
}

/// Ends the process without the exit handlers of the libraries in it: threads may be at work in a device
/// until the very end, and OpenSSL's handler frees locks that they hold.
fn end(code: u8) -> ExitCode {
    use std::io::Write;
    _ = std::io::stdout().flush();
    // A build that counts what runs (benches/pgo.sh) writes its counts in a handler.
    if cfg!(claviger_counts) {
        return ExitCode::from(code);
    }
    signal_hook::low_level::exit(code.into())
}

/// Follows the plan of `claviger torture`, if its variable names one.
fn follow_plan() -> Result<(), StartError> {
    let followed = failpoints::follow_environment();
    if followed.map_err(|e| StartError::Setup(format!("{}: {e}", failpoints::VARIABLE)))? {
        tracing::warn!(
            "this process follows a plan of `claviger torture`: it will fail on purpose"
        );
    }
    Ok(())
}

/// Says something on standard error. Whoever closed it wants to hear no more, which is no reason to end.
fn tell(text: std::fmt::Arguments<'_>) {
    use std::io::Write;
    _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Takes the process's secrets out of others' reach. What does not hold is said, not fatal.
fn harden() {
    for (measure, error) in crate::memory::process::harden().failures() {
        tell(format_args!("claviger: warning: {measure:?} does not hold: {error}"));
    }
}

/// The server's side of TLS, as it is configured.
fn tls(files: &TlsFiles) -> Result<Tls, TlsError> {
    let tls = Tls::from_pem_files(&files.certificate, &files.key)?;
    match &files.client_ca {
        Some(authorities) => tls.with_client_certificates(authorities, files.client_crl.as_deref()),
        None => Ok(tls),
    }
}

/// A device that hangs may not keep the process from ending: by then everything is closed.
const LAST_WORK: Duration = Duration::from_secs(5);

/// Threads that may block, made when they are needed: the store's, and all the turns at eight devices that
/// hang.
const BLOCKING_THREADS: usize = 512 + 8 * TURNS;

/// Runs a command's asynchronous part to its end.
fn run_async(work: impl Future<Output = Result<(), StartError>>) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(|e| StartError::Other(format!("cannot start the runtime: {e}")))?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(LAST_WORK);
    outcome
}
