//! What the libraries of TPMs write to standard error: nothing, unless the operator asks for it.
use crate::harness::{Process, start_until};
use crate::roots::support::{Swtpm, root};
use crate::setup::Deployment;
use std::net::SocketAddr;

/// A server whose TPM is away, and was asked for; `log` is what the operator has in TSS2_LOG.
fn stderr(deployment: &Deployment, log: Option<&str>) -> String {
    let mut command = deployment.command("serve");
    command.env_remove("TSS2_LOG");
    if let Some(log) = log {
        command.env("TSS2_LOG", log);
    }
    let address = SocketAddr::from(([127, 0, 0, 1], deployment.port.number));
    let process: Process =
        start_until(command, deployment.dir.path(), |_| Some(address), 200).unwrap();
    let status = root(deployment, "status", &[]);
    assert!(status.status.success() && status.stdout.contains("away: "), "{status:#?}");
    let stopped = process.stop();
    assert!(stopped.status.success(), "{stopped:#?}");
    stopped.stderr
}

#[test]
fn they_are_quiet_unless_told_otherwise() {
    let mut deployment = Deployment::new(true);
    let swtpm = Swtpm::start();
    deployment.more = swtpm.section("chip");
    drop(swtpm);
    deployment.write_config(&deployment.text(&deployment.data()));
    let libraries = |text: &str| text.contains("ERROR:tcti");
    let quiet = stderr(&deployment, None);
    assert!(!libraries(&quiet), "{quiet}");
    let told = stderr(&deployment, Some("all+ERROR"));
    assert!(libraries(&told), "{told}");
}
