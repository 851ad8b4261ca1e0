//! The built-in functions on both databases, killed anywhere in their work.
use super::{DONE, Database, Secret, create, function_arn, token};
use crate::client::Client;
use crate::databases::HOST;
use crate::harness::{Numbers, Process, now};
use crate::setup::{ACCOUNT, Deployment};
use serde_json::{Value, json};
use std::time::Duration;

const SINGLE: &str = "single-user";
const ALTERNATING: &str = "alternating-users";
/// As many as the time allows.
const LEAST_ROUNDS: usize = 4;
const MOST_ROUNDS: usize = 8;
const TIME: Duration = Duration::from_secs(15);
/// How long after the first sign of work a kill strikes: about as long as the four rotations take.
const MOST_MILLISECONDS: u64 = 400;

/// A secret, and the strategy by which it rotates.
struct Rotating {
    secret: Secret,
    strategy: &'static str,
}

impl Rotating {
    /// What is true at any moment. Where two users take turns, the current one is never touched.
    fn assert_known(&self, client: &mut Client) {
        self.secret.assert_known(client);
        if self.strategy == ALTERNATING {
            assert!(self.secret.is_good(client, "AWSCURRENT"), "{}", self.secret.user);
        }
    }

    fn assert_rotated(&mut self, client: &mut Client, n: usize) {
        self.secret.assert_rotated(client, n);
        // And whoever has not yet read the new value can get in with the old one.
        if self.strategy == ALTERNATING {
            assert!(self.secret.is_good(client, "AWSPREVIOUS"), "{}", self.secret.user);
        }
    }
}

#[test]
fn kills_at_any_moment_lose_no_password() {
    let mut deployment = Deployment::blank(false);
    for strategy in [SINGLE, ALTERNATING] {
        deployment.more.push_str(&format!(
            "[[function]]\narn = {:?}\nrole = 'arn:aws:iam::{ACCOUNT}:role/rotation'\n\
             strategy = {strategy:?}\nhosts = ['{HOST}']\n",
            function_arn(strategy)
        ));
    }
    deployment.init();
    let mut process = deployment.serve();
    role(&deployment, &process);
    let mut client = deployment.client(&process);
    let mut all = Vec::new();
    for database in [Database::Postgres, Database::MariaDb] {
        let name = format!("administrator-of-{database:?}");
        let administrator = create(&mut client, &name, &database.administrator());
        for strategy in [SINGLE, ALTERNATING] {
            let secret = Secret::new(&mut client, database, Some(&administrator));
            all.push(Rotating { secret, strategy });
        }
    }
    let (mut numbers, began, mut rounds, mut last) = (Numbers(5), now(), 0, false);
    while !last {
        rounds += 1;
        last = rounds >= MOST_ROUNDS || rounds >= LEAST_ROUNDS && began.elapsed() > TIME;
        for one in &all {
            one.secret.rotate(&mut client, rounds, one.strategy);
        }
        wait_for_work(&all, &mut client, rounds);
        // At last also while it goes on after a kill; what is struck again rests for half a minute.
        let kills = if last { 2 } else { 1 };
        for _ in 0..kills {
            std::thread::sleep(Duration::from_millis(numbers.below(MOST_MILLISECONDS)));
            process.kill();
            process = deployment.serve();
        }
        client = deployment.client(&process);
        all.iter().for_each(|one| one.assert_known(&mut client));
        all.iter_mut().for_each(|one| one.assert_rotated(&mut client, rounds));
    }
    for one in &all {
        let (_, password) = one.secret.login(&mut client, "AWSCURRENT").unwrap();
        assert_eq!(one.secret.history(&deployment, &password).len(), rounds);
    }
    process.stop();
}

/// Waits until some rotation has made its new password.
fn wait_for_work(all: &[Rotating], client: &mut Client, n: usize) {
    let began = now();
    let mut has_begun = |one: &Rotating| {
        let body = json!({"SecretId": one.secret.arn, "VersionId": token(n)});
        client.secrets("GetSecretValue", body).is_ok()
    };
    while !all.iter().any(&mut has_begun) {
        assert!(began.elapsed() < DONE, "nothing is rotated");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(super) fn role(deployment: &Deployment, process: &Process) {
    let mut admin = deployment.client(process);
    let policy =
        |statement: Value| json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    let trust = policy(json!({
        "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }));
    let create = [("RoleName", "rotation"), ("AssumeRolePolicyDocument", &*trust)];
    admin.query("iam", "CreateRole", &create).unwrap();
    let may = policy(json!({
        "Effect": "Allow", "Action": ["secretsmanager:*", "kms:*"], "Resource": "*",
    }));
    let put = [("RoleName", "rotation"), ("PolicyName", "p"), ("PolicyDocument", &*may)];
    admin.query("iam", "PutRolePolicy", &put).unwrap();
}
