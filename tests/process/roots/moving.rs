//! From one device to another while clients work, and while the server is killed.
use super::support::{Load, Swtpm, Work, command, further_token, root, root_json, root_of};
use crate::client::{Client, Failed};
use crate::events;
use crate::harness::{machine, now, run, start};
use crate::setup::Deployment;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

/// A deployment under one token, with a second one and a TPM in its configuration.
fn three() -> (Deployment, Swtpm) {
    let swtpm = Swtpm::start();
    let mut deployment = Deployment::blank(true);
    let (_, section) = further_token(deployment.token.as_ref().unwrap(), "second");
    deployment.more = format!("{section}{}", swtpm.section("tpm"));
    deployment.init();
    (deployment, swtpm)
}

fn serve(deployment: &Deployment) -> crate::harness::Process {
    let mut server = command(deployment, &["serve"], &[]);
    server.env("CLAVIGER_LOG", "info");
    let address = SocketAddr::from(([127, 0, 0, 1], deployment.port.number));
    let started = start(server, deployment.dir.path(), |_| Some(address));
    started.unwrap_or_else(|exit| panic!("does not start: {exit:#?}"))
}

fn names(events: &[Value]) -> Vec<&str> {
    // What announces a change counts with its end.
    let of_root = |event: &&Value| {
        event["eventType"] == "AwsServiceEvent" && event["serviceEventDetails"]["phase"] != "begins"
    };
    let names = events.iter().filter(of_root).filter_map(|event| event["eventName"].as_str());
    names.filter(|name| name.contains("Root") || name.to_lowercase().contains("wrap")).collect()
}

#[test]
fn it_moves_from_token_to_token_to_tpm_and_no_request_fails() {
    let _busy = machine(false);
    let (deployment, _swtpm) = three();
    let first_token = {
        let token = deployment.token.as_ref().unwrap();
        let mut dirs = super::support::tokens(token);
        // The one that holds objects: the root key.
        dirs.retain(|dir| std::fs::read_dir(dir).unwrap().count() > 4);
        dirs.pop_first().unwrap()
    };
    let process = serve(&deployment);
    let work = Work::new(&deployment, &process);
    let requests = Load::during(&deployment, &process, &work, 4, |load| {
        load.go_on(50);
        let status = root_json(&deployment, "status", &[]);
        let first = root_of(&status, "pkcs11");
        assert_eq!(status["couldBeRetired"].as_array().unwrap().len(), 0, "{status}");
        root(&deployment, "retire", &[&first]).assert(1, &["is needed"]);

        let added = root_json(&deployment, "add-wrap", &["second"]);
        assert_eq!(added["wrapped"].as_array().unwrap().len(), 1, "{added}");
        load.go_on(50);
        let drill = root_json(&deployment, "drill", &[]);
        assert_eq!(drill["couldBeRetired"].as_array().unwrap().len(), 2, "{drill}");
        // Asked for its name, and given another.
        let destroy = ["--destroy", first.as_str()];
        root(&deployment, "retire", &destroy).assert(1, &["is not the name of the root"]);
        let retired = root_json(&deployment, "retire", &[&destroy[..], &["--yes"]].concat());
        assert_eq!(
            (&retired["removed"][0], &retired["destroyed"][0]),
            (&json!(first), &json!(first))
        );
        root(&deployment, "retire", &[&destroy[..], &["--yes"]].concat())
            .assert(1, &["no device that can be reached has"]);
        let emptied = root_json(&deployment, "drill", &[]);
        let of_first = &emptied["devices"][0];
        assert_eq!((&of_first["roots"], &of_first["unusedRoots"]), (&json!([]), &json!([])));
        // The token itself goes, and new keys get their randomness elsewhere.
        std::fs::remove_dir_all(&first_token).unwrap();
        load.go_on(100);

        root_json(&deployment, "add-wrap", &["tpm"]);
        load.go_on(50);
        let second = root_of(&root_json(&deployment, "status", &[]), "second");
        root_json(&deployment, "retire", &[&second]);
        root_json(&deployment, "rewrap", &[]);
        root_json(&deployment, "rotate", &["tpm"]);
        load.go_on(50);
        let third = root_of(&root_json(&deployment, "status", &[]), "tpm");
        root(&deployment, "retire", &[&third, "--lost"]).assert(1, &["is needed"]);
    });
    eprintln!("{requests} requests, none of which failed, while the root moved twice");
    assert!(requests > 300, "too little load to tell anything");
    assert_eq!(process.stop().status.code(), Some(0));

    // It opens with the TPM alone: the tokens are not needed, though one is there.
    let process = serve(&deployment);
    work.check(&deployment, &process);
    let status = root_json(&deployment, "status", &[]);
    let wraps = status["domainKeys"][0]["wraps"].as_array().unwrap();
    assert_eq!((wraps.len(), &wraps[0]["devices"][0]), (1, &Value::from("tpm")), "{status}");
    assert_eq!(process.stop().status.code(), Some(0));
    let events = events::read(&deployment.data().join("audit"));
    assert_eq!(
        names(&events),
        [
            "RetireRoot",
            "AddRootWrap",
            "DrillRoots",
            "RetireRoot",
            "RetireRoot",
            "DrillRoots",
            "AddRootWrap",
            "RetireRoot",
            "RewrapDomainKeys",
            "RotateRoot",
            "RetireRoot"
        ]
    );
    let of = |event: &&Value| {
        event["eventName"] == "RetireRoot" && event["serviceEventDetails"]["phase"] == "ended"
    };
    let refused = events.iter().find(of).unwrap();
    let details = &refused["serviceEventDetails"];
    assert!(details["error"].as_str().unwrap().contains("is needed"), "{refused}");
    every_change_has_its_end(&events);
}

/// Answers how many changes were interrupted.
fn every_change_has_its_end(events: &[Value]) -> usize {
    let phase = |event: &Value| event["serviceEventDetails"]["phase"].as_str().map(str::to_owned);
    let begun: Vec<&Value> =
        events.iter().filter(|event| phase(event).as_deref() == Some("begins")).collect();
    let mut interrupted = 0;
    for event in &begun {
        let ends = |other: &&Value| other["serviceEventDetails"]["began"] == event["eventID"];
        let [end] = events.iter().filter(ends).collect::<Vec<_>>()[..] else {
            panic!("not one end of {event}");
        };
        assert_eq!(end["eventName"], event["eventName"]);
        match phase(end).as_deref() {
            Some("ended") => {}
            Some("interrupted") => interrupted += 1,
            other => panic!("{other:?}: {end}"),
        }
    }
    assert!(!begun.is_empty());
    interrupted
}

/// Works until the server is killed; what was acknowledged last.
fn until_killed(deployment: &Deployment, address: SocketAddr) -> Option<Work> {
    let (id, secret) = &deployment.admin;
    let mut client = Client::new(address, id, secret);
    let mut last = None;
    loop {
        let done = client.kms("CreateKey", json!({})).and_then(|made| {
            let key = made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
            let blob = client.kms("Encrypt", json!({"KeyId": key, "Plaintext": "YQ=="}))?;
            Ok(Work { key, blob: blob["CiphertextBlob"].clone() })
        });
        match done {
            Ok(work) => last = Some(work),
            Err(Failed::Lost(_)) => return last,
            Err(fault) => panic!("a request failed while the root moved: {fault}"),
        }
    }
}

/// One change, killed somewhere in it while a client works. True if it came to its end before.
fn kill_in(
    deployment: &Deployment,
    words: &[&str],
    after: Duration,
    works: &mut Vec<Work>,
) -> bool {
    let mut process = serve(deployment);
    for work in works.iter() {
        work.check(deployment, &process);
    }
    let address = process.address;
    std::thread::scope(|scope| {
        let client = scope.spawn(|| until_killed(deployment, address));
        let mut asking = command(deployment, &["root", words[0]], &words[1..]);
        let mut asking = asking.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(after);
        process.kill();
        works.extend(client.join().unwrap());
        asking.wait().unwrap().success()
    })
}

/// How long a command takes that comes to its end.
fn takes(deployment: &Deployment, words: &[&str]) -> Duration {
    let began = now();
    let process = serve(deployment);
    let started = began.elapsed();
    let done = run(command(deployment, &["root", words[0]], &words[1..]));
    assert!(done.status.success(), "{done:#?}");
    let took = began.elapsed() - started;
    assert_eq!(process.stop().status.code(), Some(0));
    took
}

/// Rounds of kills, at moments spread over the time that the command takes.
fn kills(deployment: &Deployment, all: &[&[&str]], rounds: u64, mut between: impl FnMut()) {
    let mut works = Vec::new();
    let long = takes(deployment, &["rewrap"]) * 2;
    let mut ended = 0;
    for round in 0..rounds {
        let words = all[usize::try_from(round).unwrap() % all.len()];
        let after = long * u32::try_from(round + 1).unwrap() / u32::try_from(rounds).unwrap();
        ended += u64::from(kill_in(deployment, words, after, &mut works));
        between();
    }
    assert!(!works.is_empty(), "nobody worked meanwhile");
    let process = serve(deployment);
    for work in &works {
        work.check(deployment, &process);
    }
    assert_eq!(process.stop().status.code(), Some(0));
    let interrupted = every_change_has_its_end(&events::read(&deployment.data().join("audit")));
    eprintln!("{rounds} kills: {interrupted} in the middle of a change, {ended} after its end");
    assert!(interrupted > 0, "no kill fell into a change");
}

#[test]
fn kills_in_the_middle_of_a_move_lose_nothing_and_it_goes_on() {
    let _busy = machine(false);
    let (deployment, mut swtpm) = three();
    let add = ["add-wrap", "second"];
    kills(&deployment, &[&add, &["rotate", "second"], &["rewrap"]], 18, || ());
    let process = serve(&deployment);
    // It goes on where it was, and ends.
    let added = root(&deployment, "add-wrap", &["second"]);
    assert!(added.status.success(), "{added:#?}");
    assert_eq!(root_json(&deployment, "drill", &[])["couldBeRetired"].as_array().unwrap().len(), 2);
    assert_eq!(process.stop().status.code(), Some(0));

    // To the TPM. Nobody but the server's own process flushes what was loaded when it was killed, as the
    // kernel's resource manager would.
    let to_tpm: [&[&str]; 2] = [&["add-wrap", "tpm"], &["rotate", "tpm"]];
    kills(&deployment, &to_tpm, 10, || {
        swtpm.off();
        swtpm.on();
    });
    let process = serve(&deployment);
    let work = Work::new(&deployment, &process);
    let added = root(&deployment, "add-wrap", &["tpm"]);
    assert!(added.status.success(), "{added:#?}");
    let drill = root_json(&deployment, "drill", &[]);
    assert_eq!(drill["couldBeRetired"].as_array().unwrap().len(), 3, "{drill}");
    for token in ["pkcs11", "second"] {
        let root = root_of(&drill, token);
        root_json(&deployment, "retire", &[&root]);
    }
    // What the kills left in the devices can be destroyed.
    let status = root_json(&deployment, "status", &[]);
    for device in status["devices"].as_array().unwrap() {
        for unused in device["unusedRoots"].as_array().unwrap() {
            let unused = unused.as_str().unwrap();
            let gone = root_json(&deployment, "retire", &["--destroy", "--yes", unused]);
            assert_eq!(gone["destroyed"][0], unused);
        }
    }
    assert_eq!(process.stop().status.code(), Some(0));
    // Without a server the commands open the deployment themselves.
    let status = root_json(&deployment, "status", &[]);
    assert_eq!(status["domainKeys"][0]["wraps"].as_array().unwrap().len(), 1, "{status}");
    for device in status["devices"].as_array().unwrap() {
        assert_eq!(device["unusedRoots"], json!([]), "{status}");
    }
    let process = serve(&deployment);
    work.check(&deployment, &process);
    assert_eq!(process.stop().status.code(), Some(0));
}
