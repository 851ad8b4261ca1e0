//! A token that goes away and comes back, whose PIN is changed, that has few sessions.
use super::support::{
    Faulty, HEALS, HELLO, Job, Keys, crowd, make_key, meddle, meddling, not_ready, ready,
};
use crate::client::Client;
use crate::harness::{machine, now};
use crate::resident::session;
use crate::roots::support::private;
use crate::setup::Deployment;
use cryptoki::types::AuthPin;
use std::time::Duration;

const NEW_PIN: &str = "4711-new-pin";

#[test]
fn a_token_moved_away_under_load_stops_what_needs_it_and_nothing_else() {
    let _busy = machine(false);
    let deployment = Deployment::new(true);
    let process = deployment.serve();
    let keys = Keys::new(&mut deployment.client(&process));
    let token = deployment.token.as_ref().unwrap();
    let (tokens, away) = (token.conf.with_file_name("tokens"), token.conf.with_file_name("away"));
    let inside = |client: &mut Client| keys.use_inside(client);
    let here = |client: &mut Client| keys.use_here(client);
    let jobs = [
        Job("inside", &inside),
        Job("inside", &inside),
        Job("here", &here),
        Job("here", &here),
        Job("make", &make_key),
    ];
    let seen = crowd(&deployment, &process, &jobs, |seen| {
        for _ in 0..2 {
            seen.wait("inside", "OK", 20);
            std::fs::rename(&tokens, &away).unwrap();
            seen.wait("inside", "KMSInvalidStateException", 20);
            seen.wait("make", "DependencyTimeoutException", 3);
            not_ready(&process);
            seen.wait("here", "OK", 50);
            std::fs::rename(&away, &tokens).unwrap();
            seen.wait("inside", "OK", 20);
            seen.wait("make", "OK", 3);
            assert_eq!(ready(&process).0, 200);
        }
    });
    seen.only("here", &["OK"]);
    seen.only("inside", &["OK", "KMSInvalidStateException"]);
    seen.only("make", &["OK", "DependencyTimeoutException"]);
    assert!(process.stderr().contains("a key in a device cannot be used"));
    assert_eq!(process.stop().status.code(), Some(0));
    // What was answered is there, and opens.
    let process = deployment.serve();
    keys.works(&mut deployment.client(&process));
}

#[test]
fn a_pin_that_is_changed_is_tried_once_and_its_file_is_followed() {
    if let Some((dir, what)) = meddling() {
        let old = std::fs::read_to_string(dir.join("pin")).unwrap();
        let (old, new) = (AuthPin::new(old.trim().into()), AuthPin::new(what.into()));
        return session(&dir).set_pin(&old, &new).unwrap();
    }
    let faulty = Faulty::new();
    let deployment = &faulty.deployment;
    let process = faulty.serve();
    let mut client = deployment.client(&process);
    let keys = Keys::new(&mut client);
    let token = deployment.token.as_ref().unwrap();
    let old = token.pin();
    let logins = faulty.calls("C_Login");
    meddle(a_pin_that_is_changed_is_tried_once_and_its_file_is_followed, deployment, NEW_PIN);
    // The login that is there serves on.
    keys.works(&mut client);
    assert_eq!(faulty.calls("C_Login"), logins);

    // A new one is needed: the old PIN is tried, once.
    faulty.rules("C_EncryptInit 1 lose finalize");
    for _ in 0..30 {
        let failed = keys.use_inside(&mut client).unwrap_err();
        assert_eq!(failed.code(), "KMSInvalidStateException", "{failed}");
        let failed = make_key(&mut client).unwrap_err();
        assert_eq!(failed.code(), "DependencyTimeoutException", "{failed}");
        keys.use_here(&mut client).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(faulty.calls("C_Login"), logins + 1);
    not_ready(&process);
    let stderr = process.stderr();
    assert!(stderr.contains("it was tried exactly once"), "{stderr}");
    assert!(!stderr.contains(&old) && !stderr.contains(NEW_PIN), "a PIN is in the log");

    // The new one is written where it is configured; nobody restarts anything.
    private(&token.pin_file, NEW_PIN);
    keys.works(&mut client);
    make_key(&mut client).unwrap();
    assert_eq!(ready(&process).0, 200);
    assert_eq!(faulty.calls("C_Login"), logins + 2);
}

#[test]
fn a_token_with_few_sessions_is_waited_for() {
    let _busy = machine(false);
    let faulty = Faulty::new();
    // One of them is the server's anchor.
    faulty.rules("C_OpenSession * sessions 3");
    let process = faulty.serve();
    let keys = Keys::new(&mut faulty.deployment.client(&process));
    let inside = |client: &mut Client| keys.use_inside(client);
    let mut jobs = vec![Job("inside", &inside); 8];
    jobs.push(Job("make", &make_key));
    let seen = crowd(&faulty.deployment, &process, &jobs, |seen| {
        seen.wait("inside", "OK", 200);
        seen.wait("make", "OK", 10);
    });
    seen.only("inside", &["OK"]);
    seen.only("make", &["OK"]);
}

#[test]
fn a_session_that_is_lost_under_load_is_had_again_unseen() {
    let _busy = machine(false);
    let faulty = Faulty::new();
    let process = faulty.serve();
    let keys = Keys::new(&mut faulty.deployment.client(&process));
    let inside = |client: &mut Client| keys.use_inside(client);
    let jobs = [Job("inside", &inside), Job("inside", &inside), Job("make", &make_key)];
    let seen = crowd(&faulty.deployment, &process, &jobs, |seen| {
        for what in ["sessions", "login", "finalize"] {
            faulty.rules(&format!("C_EncryptInit %7 lose {what}"));
            seen.wait("inside", "OK", 40);
            seen.wait("make", "OK", 5);
        }
    });
    seen.only("inside", &["OK"]);
    seen.only("make", &["OK"]);
    let began = now();
    faulty.rules("");
    let opened = keys.open_inside(&mut faulty.deployment.client(&process)).unwrap();
    assert!(opened == HELLO && began.elapsed() < HEALS);
}
