//! A node that is cut off from the database answers from memory no longer than the bound, then not at all;
//! and it comes back by itself.
use super::proxy::Mode;
use super::support::{BOUND, Nodes};
use crate::client::{Client, Failed, get};
use crate::harness::{Process, machine, now, wait_until};
use serde_json::json;
use std::time::{Duration, Instant};

/// From the end of an outage to service.
const BACK: Duration = Duration::from_secs(10);

fn encrypt(client: &mut Client, key: &str) -> Result<(), Failed> {
    client.kms("Encrypt", json!({ "KeyId": key, "Plaintext": "YQ==" })).map(drop)
}

fn is_ready(process: &Process) -> bool {
    get(process.address, "/readyz").is_ok_and(|answer| answer.status == 200)
}

/// Asks until it was refused for a second, and answers when the last call began that succeeded.
fn fails_closed(client: &mut Client, key: &str, since: Instant) -> Duration {
    let (mut last, mut refused) = (Duration::ZERO, None);
    loop {
        let began = since.elapsed();
        match encrypt(client, key) {
            Ok(()) => {
                assert!(refused.is_none(), "it answers again while it is cut off");
                last = began;
            }
            Err(Failed::Fault { status, code, .. }) => {
                assert!(status >= 500, "{status} {code}: not for the caller to mend");
                refused.get_or_insert(began);
            }
            Err(Failed::Lost(error)) => panic!("{error}"),
        }
        if refused.is_some_and(|at| since.elapsed() > at + Duration::from_secs(1)) {
            return last;
        }
        assert!(since.elapsed() < Duration::from_secs(20), "it answers for ever");
    }
}

#[test]
fn who_is_cut_off_fails_closed_and_comes_back() {
    let _machine = machine(false);
    let nodes = Nodes::new(2);
    let served = nodes.serve();
    let mut admin = nodes.all[0].client(&served[0]);
    let made = admin.kms("CreateKey", json!({})).unwrap();
    let key = made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    let mut other = nodes.all[1].client(&served[1]);
    for (name, mode) in [("nothing passes", Mode::Stall), ("all is refused", Mode::Refuse)] {
        wait_until(BACK, "the key is usable", || encrypt(&mut other, &key).is_ok());
        let cut = now();
        nodes.proxies[1].set(mode);
        // What is taken away meanwhile is the reason for all this.
        admin.kms("DisableKey", json!({ "KeyId": key })).unwrap();
        let last = fails_closed(&mut other, &key, cut);
        eprintln!("cut off, {name}: the last answer from memory began {last:?} after the cut");
        assert!(last < BOUND, "{name}: still answered after {last:?}");
        assert!(!is_ready(&served[1]), "{name}: it says that it is ready");
        // Nothing of it holds up the other node.
        let began = now();
        let secret = |end: &str| {
            let name = format!("{}{end}", name.replace(' ', "-"));
            json!({ "Name": name, "SecretString": "x", "ClientRequestToken": format!("{name:-<40}") })
        };
        admin.secrets("CreateSecret", secret("")).unwrap();
        assert!(began.elapsed() < Duration::from_secs(5));

        nodes.proxies[1].set(Mode::Pass);
        let back = wait_until(BACK, "it is ready again", || is_ready(&served[1]));
        eprintln!("cut off, {name}: ready {back:?} after the end of it");
        let refused = encrypt(&mut other, &key).unwrap_err();
        assert_eq!(refused.code(), "DisabledException", "it knows what it missed");
        let written = secret("-2");
        let written = wait_until(BACK, "it writes", || {
            match other.secrets("CreateSecret", written.clone()) {
                Ok(_) => true,
                Err(error) => error.code() == "ResourceExistsException",
            }
        });
        eprintln!("cut off, {name}: it writes {written:?} after that");
        admin.kms("EnableKey", json!({ "KeyId": key })).unwrap();
    }
}
