//! Every fault of a plan gets into a running server: at each point it dies, and what fails is refused. A torture
//! whose faults do not come finds nothing.
use crate::client::{Client, Failed, get};
use crate::harness::{Process, machine, wait_until};
use crate::setup::Deployment;
use claviger::failpoints::{Plan, Point};
use serde_json::json;
use std::time::Duration;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const SOON: Duration = Duration::from_secs(20);
/// The plan is read again within this.
const READ: Duration = Duration::from_millis(50);

struct Struck {
    deployment: Deployment,
    key: String,
}

impl Struck {
    fn new() -> Self {
        let deployment = Deployment::new(false);
        let process = deployment.serve();
        let made = deployment.client(&process).kms("CreateKey", json!({})).unwrap();
        assert_eq!(process.stop().status.code(), Some(0));
        Self { deployment, key: made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned() }
    }

    fn serve(&self) -> (Process, Client) {
        let process = self.deployment.serve_with(&Plan::default());
        let client = self.deployment.client(&process);
        (process, client)
    }

    fn plan(&self, plan: Plan) {
        self.deployment.plan(&plan);
        std::thread::sleep(READ);
    }

    fn write(&self, client: &mut Client) -> Result<(), Failed> {
        let tags = json!([{"TagKey": "struck", "TagValue": "x"}]);
        client.kms("TagResource", json!({"KeyId": self.key, "Tags": tags})).map(drop)
    }

    fn read(&self, client: &mut Client) -> Result<(), Failed> {
        client.kms("DescribeKey", json!({"KeyId": self.key})).map(drop)
    }

    /// Writes until one fails, with the fault planned anew each time: the background may be what it strikes.
    fn fails_once(&self, client: &mut Client, (point, errno): (Point, i32)) {
        wait_until(SOON, "the fault comes", || {
            self.plan(Plan::default());
            self.plan(Plan { fail: Some((point, errno, 1)), ..Plan::default() });
            is_failed(&self.write(client))
        });
        self.plan(Plan::default());
    }
}

/// Whether the server said that it failed; nothing else may be the answer than that or success.
fn is_failed(outcome: &Result<(), Failed>) -> bool {
    match outcome {
        Ok(()) => false,
        Err(Failed::Fault { status, .. }) if *status >= 500 => true,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_server_dies_at_every_point() {
    let _machine = machine(false);
    let struck = Struck::new();
    for point in Point::SERVING {
        let (mut process, mut client) = struck.serve();
        struck.plan(Plan { kill: Some((point, 1)), ..Plan::default() });
        // Unless the background was there first.
        if process.is_alive() {
            let outcome = struck.write(&mut client);
            assert!(matches!(outcome, Err(Failed::Lost(_))), "{}: {outcome:?}", point.name());
        }
        wait_until(SOON, point.name(), || !process.is_alive());
    }
    let (process, mut client) = struck.serve();
    struck.write(&mut client).unwrap();
    assert_eq!(process.stop().status.code(), Some(0));
}

#[test]
fn what_fails_is_refused_and_what_passes_passes() {
    let _machine = machine(false);
    let struck = Struck::new();
    let (process, mut client) = struck.serve();
    let recovers = |client: &mut Client| {
        wait_until(SOON, "writes go on", || !is_failed(&struck.write(client)));
        struck.read(client).unwrap();
    };
    struck.plan(Plan { full_store: true, ..Plan::default() });
    assert!(is_failed(&struck.write(&mut client)));
    struck.read(&mut client).unwrap();
    struck.plan(Plan::default());
    recovers(&mut client);
    struck.plan(Plan { full_audit: true, ..Plan::default() });
    assert!(is_failed(&struck.write(&mut client)));
    assert!(is_failed(&struck.read(&mut client)), "no answer leaves without its event");
    struck.plan(Plan::default());
    recovers(&mut client);
    for errno in [EIO, ENOSPC] {
        struck.fails_once(&mut client, (Point::StoreWrite, errno));
        recovers(&mut client);
    }
    assert_eq!(process.stop().status.code(), Some(0));
    for (point, fault) in
        [(Point::StoreSync, "store takes no writes"), (Point::AuditSync, "audit log")]
    {
        let (mut process, mut client) = struck.serve();
        assert_eq!(get(process.address, "/readyz").unwrap().status, 200);
        struck.fails_once(&mut client, (point, EIO));
        for _ in 0..3 {
            assert!(is_failed(&struck.write(&mut client)), "{}: not until a start", point.name());
        }
        let ready = get(process.address, "/readyz").unwrap();
        assert_eq!(ready.status, 503, "{}", point.name());
        assert!(ready.text().contains(fault), "{}", ready.text());
        process.kill();
        let (process, mut client) = struck.serve();
        recovers(&mut client);
        assert_eq!(process.stop().status.code(), Some(0));
    }
}

#[test]
fn a_plan_that_cannot_be_read_ends_the_server() {
    let _machine = machine(false);
    let struck = Struck::new();
    let (mut process, _) = struck.serve();
    let (new, plan) =
        (struck.deployment.dir.path().join("bad"), struck.deployment.dir.path().join("plan"));
    std::fs::write(&new, "kill nowhere 1\n").unwrap();
    std::fs::rename(new, plan).unwrap();
    wait_until(SOON, "it ends", || !process.is_alive());
    assert!(process.stderr().contains("there is no point"), "{}", process.stderr());
}
