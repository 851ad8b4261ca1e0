//! Signals that come as early as they can.
use crate::harness::{now, program};
use crate::setup::Deployment;
use rustix::process::{Pid, Signal, kill_process};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

/// Who can connect may also tell it to stop: from then on no signal ends it without its saying goodbye.
#[test]
fn a_signal_right_after_the_first_connection_is_no_sudden_death() {
    let deployment = Deployment::new(false);
    deployment.write_config(&deployment.text(&deployment.data()));
    for _ in 0..10 {
        let mut command = program(None);
        command.args(["serve", "--insecure-software-root", "--config"]).arg(deployment.config());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let pid = Pid::from_child(&child);
        let began = now();
        while TcpStream::connect(("127.0.0.1", deployment.port.number)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "it does not listen");
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        }
        kill_process(pid, Signal::HUP).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}
