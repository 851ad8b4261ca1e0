//! `claviger dev`: everything for a first try, with a SoftHSM token of its own.
use super::assemble::{self, Opened, Seams, Seed};
use super::env_file::Exports;
use super::files::{self, make_dir, write_private};
use super::serve::{Sockets, bind, serve, stop_signal};
use super::{DevArguments, StartError, device};
use crate::call::Server;
use crate::clock::MovableClock;
use crate::config::StoreSettings;
use crate::devices::Devices;
use crate::functions::{self, Functions};
use crate::http::{DevTools, Proxies, check_plain_allowed};
use crate::machines::Machines;
use crate::quotas::Settings;
use crate::random::{Random, SystemRandom};
use crate::root_of_trust::Deployment;
use crate::services::Services;
use crate::types::{AccountId, Region, SecretText};
use claviger_hsm::pkcs11::init_token;
use claviger_hsm::{Hsm, Pkcs11Config, Pkcs11Hsm};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The account of the administrator. AWS's own documentation uses it for examples.
const ACCOUNT: &str = "123456789012";
const TOKEN_LABEL: &str = "claviger-dev";
const SOFTHSM_CONF: &str = "SOFTHSM2_CONF";
/// Where distributions put SoftHSM's module.
const SOFTHSM_MODULES: [&str; 5] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];
/// The regions of AWS's default partition that are open without asking, the first being the one that
/// clients are told to use.
const REGIONS: [&str; 17] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
];

/// `KEY:SECRET:ACCOUNT`.
pub(super) fn parse_credentials(text: &str) -> Result<Seed, String> {
    let wanted = "wanted: KEY:SECRET:ACCOUNT with an account of twelve digits";
    let (key, rest) = text.split_once(':').ok_or(wanted)?;
    let (secret, account) = rest.rsplit_once(':').ok_or(wanted)?;
    if key.is_empty() || secret.is_empty() || key.len() > 128 {
        return Err(wanted.into());
    }
    Ok(Seed {
        access_key_id: key.to_owned(),
        secret: SecretText::new(secret.to_owned()),
        account: account.parse().map_err(|e| format!("{e}; {wanted}"))?,
    })
}

pub(super) fn run(arguments: &DevArguments) -> Result<(), StartError> {
    check_plain_allowed(arguments.listen)?;
    let dir = match &arguments.data {
        Some(dir) => dir.clone(),
        None => default_dir()?,
    };
    let dir = std::path::absolute(dir).map_err(|e| StartError::Other(e.to_string()))?;
    make_dir(&dir)?;
    let data = dir.join("data");
    make_dir(&data)?;
    if !arguments.insecure_software_root {
        under_softhsm_conf(&dir)?;
    }
    super::harden();
    super::logging::start(false);
    // Before anything is made in it: two first starts at once would make two tokens.
    let _lock = files::lock(&dir)?;
    let software = arguments.insecure_software_root;
    let hsm = if software { device::software(&data)? } else { softhsm(&dir)? };
    let lead = read_lead(&dir)?;
    let clock = Arc::new(MovableClock::ahead_by(lead));
    let devices = Arc::new(Devices::only(if software { "software" } else { "softhsm" }, hsm));
    super::run_async(start(arguments, &dir, &data, devices, clock))
}

async fn start(
    arguments: &DevArguments,
    dir: &Path,
    data: &Path,
    devices: Arc<Devices>,
    clock: Arc<MovableClock>,
) -> Result<(), StartError> {
    let regions = REGIONS.iter().filter_map(|name| name.parse().ok()).collect();
    let seams = Seams {
        devices,
        proxies: Arc::default(),
        clock: clock.clone(),
        random: Arc::new(SystemRandom),
        regions,
        // Tests of a program call as fast as they can.
        quotas: Settings::default(),
        services: Services::default(),
        functions: functions(arguments.functions.as_deref())?,
        issuers: Arc::default(),
        machines: Machines::default(),
        public_url: None,
        store: StoreSettings::default(),
    };
    // Before it listens: who can connect may also tell it to stop.
    let stop = stop_signal();
    let api = bind(arguments.listen).await?;
    let listen = api.local_addr().map_err(|e| StartError::Other(e.to_string()))?;
    let seeds = arguments.credentials.clone();
    let ready = Deployment::read(data)?.is_some_and(|deployment| deployment.ready);
    let opened = if ready {
        assemble::open(data, seams).await?
    } else {
        let first = async |server: &Server| seed(server, dir, &[]).await;
        assemble::create(data, seams, first).await?
    };
    seed(&opened.server, dir, &seeds).await?;
    let (id, secret) = administrator(dir)?;
    let region: Region =
        "us-east-1".parse().map_err(|_| StartError::Other("not a region".into()))?;
    let exports = Exports { listen, access_key_id: &id, secret: &secret, region: &region };
    let env_file = arguments.env_file.clone().unwrap_or_else(|| dir.join("env"));
    exports
        .write(&env_file)
        .map_err(|e| StartError::Data { path: env_file.clone(), what: e.to_string() })?;
    let greeting = greet(&exports, &env_file, &seeds, arguments.insecure_software_root);
    // It serves also if nobody listens to that any more.
    if let Err(error) = super::control::print(&greeting) {
        tracing::warn!(%error, "nobody was told where");
    }
    let tools = tools(&opened, clock, dir.to_owned(), seeds);
    serve(
        opened,
        Sockets {
            api,
            proxies: Proxies::default(),
            endpoints: Vec::new(),
            admin: None,
            tls: None,
            xks: None,
        },
        Some(tools),
        stop,
    )
    .await
}

/// The `[[function]]` sections of a file.
fn functions(path: Option<&Path>) -> Result<Functions, StartError> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        function: Vec<functions::Settings>,
    }
    let Some(path) = path else { return Ok(Functions::default()) };
    let bad = |what: String| StartError::Setup(format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
    let file: File = toml::from_str(&text).map_err(|e| bad(e.to_string()))?;
    Functions::new(&file.function).map_err(|e| bad(e.to_string()))
}

fn tools(opened: &Opened, clock: Arc<MovableClock>, dir: PathBuf, seeds: Vec<Seed>) -> DevTools {
    let (server, lead) = (opened.server.clone(), dir.join("clock-lead"));
    let again = move || {
        let (server, dir, seeds) = (server.clone(), dir.clone(), seeds.clone());
        let work = async move { seed(&server, &dir, &seeds).await.map_err(|e| e.to_string()) };
        Box::pin(work) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>
    };
    let keep = move |seconds: i64| write_private(&lead, seconds.to_string().as_bytes());
    DevTools::new(opened.server.clone(), clock, Box::new(again), Box::new(keep))
}

/// The accounts and credentials that are always there, also after a reset: the administrator with
/// the same key as ever, and what the command line asked for.
async fn seed(server: &Server, dir: &Path, seeds: &[Seed]) -> Result<(), StartError> {
    let other = |e: crate::identity::IdentityError| StartError::Other(e.to_string());
    let account: AccountId = ACCOUNT.parse().map_err(|e| StartError::Other(format!("{e}")))?;
    if !assemble::has_administrator(server, &account).await? {
        let known = administrator(dir).ok();
        let (id, secret) =
            assemble::seed_administrator(server, &account, known).await.map_err(other)?;
        let text = format!("{id}\n{}\n", secret.expose());
        let path = dir.join("administrator");
        write_private(&path, text.as_bytes())
            .map_err(|e| StartError::Data { path, what: e.to_string() })?;
    }
    assemble::seed_accounts(server, seeds).await.map_err(other)
}

/// The administrator's access key, kept beside the data: `dev` prints it at every start.
fn administrator(dir: &Path) -> Result<(String, SecretText), StartError> {
    let path = dir.join("administrator");
    let bad = |what: String| StartError::Data { path: path.clone(), what };
    let text = std::fs::read_to_string(&path).map_err(|e| bad(e.to_string()))?;
    let mut lines = text.lines().map(str::to_owned);
    match (lines.next(), lines.next()) {
        (Some(id), Some(secret)) => Ok((id, SecretText::new(secret))),
        _ => Err(bad("is not an access key id and a secret, a line each".into())),
    }
}

/// In one piece: who waits for a line of it may go away after it.
fn greet(exports: &Exports<'_>, env_file: &Path, seeds: &[Seed], software: bool) -> String {
    let root =
        if software { "root key in a file" } else { "root key in a SoftHSM token of its own" };
    let sets: String = exports.text().lines().map(|line| format!("  {line}\n")).collect();
    let also = seeds.iter().map(|seed| {
        let (id, account) = (&seed.access_key_id, &seed.account);
        format!("\nAlso: access key {id} is the root of account {account}\n")
    });
    format!(
        "claviger dev is ready at http://{}\n\nAccount {ACCOUNT}, user admin, {root}.\n\
         In another terminal:\n\n  . {}\n  aws sts get-caller-identity\n\nwhich sets\n\n{sets}{}",
        exports.listen,
        env_file.display(),
        also.collect::<String>()
    )
}

fn default_dir() -> Result<PathBuf, StartError> {
    let share = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(|| {
        std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local").join("share"))
    });
    let none =
        || StartError::Other("neither HOME nor XDG_DATA_HOME is set: give --data DIR".into());
    Ok(share.ok_or_else(none)?.join("claviger").join("dev"))
}

/// SoftHSM finds its configuration through the environment, which a process cannot safely change for
/// itself: so the program starts itself anew with the variable set, before it has done anything.
fn under_softhsm_conf(dir: &Path) -> Result<(), StartError> {
    let softhsm = dir.join("softhsm");
    let tokens = softhsm.join("tokens");
    make_dir(&softhsm)?;
    make_dir(&tokens)?;
    let conf = softhsm.join("softhsm2.conf");
    if std::env::var_os(SOFTHSM_CONF).is_some_and(|path| Path::new(&path) == conf) {
        return Ok(());
    }
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n\
         slots.removable = false\nslots.mechanisms = ALL\nlibrary.reset_on_fork = true\n",
        tokens.display()
    );
    let bad = |path: &Path, what: String| StartError::Data { path: path.to_owned(), what };
    write_private(&conf, text.as_bytes()).map_err(|e| bad(&conf, e.to_string()))?;
    let program = std::env::current_exe().map_err(|e| StartError::Other(e.to_string()))?;
    let error = std::process::Command::new(&program)
        .args(std::env::args_os().skip(1))
        .env(SOFTHSM_CONF, &conf)
        .exec();
    Err(bad(&program, format!("cannot start anew: {error}")))
}

/// The token of this directory, made at the first start.
fn softhsm(dir: &Path) -> Result<Arc<dyn Hsm>, StartError> {
    let configured = std::env::var_os("CLAVIGER_SOFTHSM_MODULE").map(PathBuf::from);
    let usual = || SOFTHSM_MODULES.iter().map(PathBuf::from).find(|path| path.exists());
    let module = configured.or_else(usual).ok_or_else(|| {
        StartError::NoDevice(format!(
            "SoftHSM is not installed: none of {} exists. Install it (Debian: apt-get install \
             softhsm2), set CLAVIGER_SOFTHSM_MODULE, or use --insecure-software-root for a try \
             without a token.",
            SOFTHSM_MODULES.join(", ")
        ))
    })?;
    let (pin, so_pin) = (dir.join("softhsm").join("pin"), dir.join("softhsm").join("so-pin"));
    for path in [&pin, &so_pin] {
        if !path.exists() {
            let random: &dyn Random = &SystemRandom;
            let text = random.text(24, b"abcdefghijklmnopqrstuvwxyz0123456789");
            write_private(path, text.as_bytes())
                .map_err(|e| StartError::Data { path: path.clone(), what: e.to_string() })?;
        }
    }
    let (so_pin, for_init) = (device::read_pin(&so_pin)?, device::read_pin(&pin)?);
    init_token(&module, TOKEN_LABEL, &so_pin, &for_init)?;
    let pin = device::read_pin(&pin)?;
    let config = Pkcs11Config::new(module, TOKEN_LABEL, pin);
    Ok(Arc::new(Pkcs11Hsm::open(config)?))
}

/// By how much `POST /_claviger/clock` moved the clock, kept so that time never runs backwards.
fn read_lead(dir: &Path) -> Result<i64, StartError> {
    let path = dir.join("clock-lead");
    let bad = |what: String| StartError::Data { path: path.clone(), what };
    match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|_| bad("is not a number of seconds".into())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(bad(e.to_string())),
    }
}
