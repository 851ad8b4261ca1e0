//! A stopped server's files are edited. It then refuses to start, saying what is wrong, or serves
//! what was stored; it never takes a wrong or a missing answer for the truth, and never crashes.
mod deployment_file;
mod files;
mod flips;
mod foreign;
mod rows;

use crate::client::{Client, Failed, REGION};
use crate::harness::{Exit, Port, Process, copy_dir, program, run};
use crate::setup::{ACCOUNT, Deployment};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// On a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A question and the answer that a sound store gives.
#[derive(Debug)]
struct Question {
    service: &'static str,
    name: &'static str,
    body: Value,
    answer: Value,
}

/// A stopped deployment with something of everything in it, and what it answers.
struct Sound {
    deployment: Deployment,
    questions: Vec<Question>,
}

/// What a server over edited files did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// It did not start, and said why.
    Refused,
    /// It started and answered some questions with "internal error".
    Noticed,
    /// Every answer was right.
    Unharmed,
}

impl Sound {
    fn new() -> Self {
        let deployment = Deployment::new(false);
        let process = deployment.serve();
        let questions = fill(&mut deployment.client(&process));
        assert_eq!(process.stop().status.code(), Some(0));
        Self { deployment, questions }
    }

    /// The same, but killed right after its last write was acknowledged; and the store's file as it
    /// was before that write.
    fn killed() -> (Self, Vec<u8>) {
        let deployment = Deployment::new(false);
        let mut process = deployment.serve();
        let mut client = deployment.client(&process);
        let mut questions = fill(&mut client);
        let tags = |question: &&mut Question| question.name == "ListResourceTags";
        let question = questions.iter_mut().find(tags).unwrap();
        let id = question.body["KeyId"].clone();
        // Beyond the next look of the background, so that the last write is really the last.
        std::thread::sleep(std::time::Duration::from_millis(1500));
        let before = std::fs::read(deployment.store_file()).unwrap();
        let tag = json!([{"TagKey": "n", "TagValue": "changed"}]);
        client.kms("TagResource", json!({"KeyId": id, "Tags": tag})).unwrap();
        process.kill();
        question.answer["Tags"] = tag;
        (Self { deployment, questions }, before)
    }

    /// A copy of the data to be edited, in a directory of its own.
    fn copy(&self) -> Copy {
        let dir = tempfile::tempdir().unwrap();
        copy_dir(&self.deployment.data(), &dir.path().join("data"));
        Copy { dir, port: Port::free() }
    }

    fn try_serve(&self, copy: &Copy) -> Result<Process, Exit> {
        self.deployment.try_serve_on(&copy.port, &copy.data(), copy.dir.path())
    }

    /// Starts over a copy and asks everything.
    fn visit(&self, copy: &Copy, edit: &str) -> Outcome {
        let mut process = match self.try_serve(copy) {
            Ok(process) => process,
            Err(exit) => {
                assert_eq!(exit.status.code(), Some(5), "{edit}: {exit:#?}");
                let words = exit.stderr.lines().any(|line| {
                    line.starts_with("claviger: ") && !line.starts_with("claviger: warning")
                });
                assert!(words, "{edit}: it does not say why: {exit:#?}");
                return Outcome::Refused;
            }
        };
        let (mut client, mut noticed) = (self.deployment.client(&process), false);
        // Before anything is used: a use in this process would hide what is stored of the last one.
        for question in self.questions.iter().filter(|q| q.name == "ListResourceTags") {
            let body = json!({"KeyId": question.body["KeyId"]});
            let outcome = client.kms("GetKeyLastUsage", body);
            noticed |= matches!(outcome, Err(Failed::Fault { status: 500.., .. }));
        }
        // A list has rows of its own, and the operator's commands have.
        let listed = client.secrets("ListSecrets", json!({}));
        noticed |= matches!(listed, Err(Failed::Fault { status: 500.., .. }));
        if edit.starts_with("secret-readers") {
            noticed |= self.questions.iter().any(|question| self.cannot_drain(copy, question));
        }
        for question in &self.questions {
            match ask(&mut client, question) {
                Ok(answer) => assert_eq!(answer, question.answer, "{edit}: {question:#?}"),
                Err(Failed::Fault { status: 500.., .. }) => noticed = true,
                Err(failed) => {
                    panic!("{edit}: {failed} to {question:#?}\n{}", process.stderr())
                }
            }
        }
        // A write may fail, but not end the process.
        let written = client.kms("CreateKey", json!({}));
        assert!(!matches!(written, Err(Failed::Lost(_))), "{edit}: {written:?}");
        assert!(process.is_alive(), "{edit}: {}", process.stderr());
        if noticed { Outcome::Noticed } else { Outcome::Unharmed }
    }

    /// Whether `claviger secret drain` finds what is stored damaged, of the secret that a question is about.
    fn cannot_drain(&self, copy: &Copy, question: &Question) -> bool {
        let Some(name) = question.body["SecretId"].as_str() else { return false };
        let mut command = program(self.deployment.token.as_ref().map(|token| token.conf.as_path()));
        command.args(["secret", "drain", name, "--region", REGION, "--insecure-software-root"]);
        command.arg("--config").arg(copy.dir.path().join("serve.toml"));
        let exit = run(command);
        let damaged = exit.stderr.contains("store corrupt");
        assert_eq!(exit.status.success(), !damaged, "{name}: {exit:#?}");
        damaged
    }

    /// A server over the copy must end by itself with these words, however far it came.
    fn gives_up(&self, copy: &Copy, parts: &[&str]) {
        match self.try_serve(copy) {
            Err(exit) => exit.assert(5, parts),
            Ok(process) => process.ended(SOON).assert(5, parts),
        }
    }

    /// Starting over the copy must fail with these words, and change none of its files.
    fn refuses(&self, copy: &Copy, parts: &[&str]) {
        match self.try_serve(copy) {
            Err(exit) => exit.assert(5, parts),
            Ok(_) => panic!("it started; wanted: {parts:?}"),
        }
    }
}

#[derive(Debug)]
struct Copy {
    dir: tempfile::TempDir,
    port: Port,
}

impl Copy {
    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
    fn store(&self) -> PathBuf {
        self.data().join("store").join("store.redb")
    }
    fn path(&self, name: &str) -> PathBuf {
        self.data().join(name)
    }
}

/// Changes a file's bytes in place.
fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

fn ask(client: &mut Client, question: &Question) -> Result<Value, Failed> {
    if question.service != "iam" {
        return client.json(question.service, question.name, &question.body).map(|d| d.value);
    }
    let members = question.body.as_object().unwrap().iter();
    let parameters: Vec<(&str, &str)> =
        members.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
    let xml = client.query("iam", question.name, &parameters)?.value;
    // All but the request's own id.
    let (answer, _) = xml.split_once("<ResponseMetadata>").unwrap();
    Ok(Value::String(answer.to_owned()))
}

/// Keys, aliases, users and secrets; answers the questions that read them all back.
fn fill(client: &mut Client) -> Vec<Question> {
    let mut questions: Vec<(&'static str, &'static str, Value)> = Vec::new();
    for n in 0..12 {
        let tags = json!([{"TagKey": "n", "TagValue": n.to_string()}]);
        let made = json!({"Description": format!("key {n}"), "Tags": tags});
        let made = client.kms("CreateKey", made).unwrap();
        let id = made["KeyMetadata"]["KeyId"].clone();
        let alias = format!("alias/key-{n}");
        let body = json!({"AliasName": alias, "TargetKeyId": id});
        client.kms("CreateAlias", body).unwrap();
        let sealed = client.kms("Encrypt", json!({"KeyId": id, "Plaintext": "cGxhaW4="}));
        let sealed = sealed.unwrap()["CiphertextBlob"].clone();
        // One only, so that of two swapped materials one is read.
        if n == 3 {
            client.kms("DisableKey", json!({"KeyId": id})).unwrap();
        } else {
            questions.push(("kms", "Decrypt", json!({"CiphertextBlob": sealed})));
        }
        questions.push(("kms", "DescribeKey", json!({"KeyId": alias})));
        questions.push(("kms", "GetKeyPolicy", json!({"KeyId": id})));
        questions.push(("kms", "ListResourceTags", json!({"KeyId": id})));
    }
    for n in 0..4 {
        let name = format!("user-{n}");
        let policy = user_policy(n);
        client.query("iam", "CreateUser", &[("UserName", &name)]).unwrap();
        let parameters = [("UserName", &*name), ("PolicyName", "p"), ("PolicyDocument", &*policy)];
        client.query("iam", "PutUserPolicy", &parameters).unwrap();
        questions.push(("iam", "GetUser", json!({"UserName": name})));
        questions.push(("iam", "GetUserPolicy", json!({"UserName": name, "PolicyName": "p"})));
    }
    // Who reads this policy is shown what those it names are called now.
    let users = (0..4).map(|n| format!("arn:aws:iam::{ACCOUNT}:user/user-{n}"));
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let named: Vec<String> = users.chain([root]).collect();
    let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow",
        "Principal": {"AWS": named}, "Action": "kms:*", "Resource": "*"}});
    let made = client.kms("CreateKey", json!({"Policy": policy.to_string()})).unwrap();
    let id = made["KeyMetadata"]["KeyId"].clone();
    questions.push(("kms", "GetKeyPolicy", json!({"KeyId": id})));
    for n in 0..4 {
        let name = format!("secret-{n}");
        let token = |version: u32| format!("{version:032}");
        let one = json!({"Name": name, "SecretString": "one", "ClientRequestToken": token(1)});
        client.secrets("CreateSecret", one).unwrap();
        let text = "x".repeat(400 + n);
        let two = json!({"SecretId": name, "SecretString": text, "ClientRequestToken": token(2)});
        client.secrets("PutSecretValue", two).unwrap();
        let previous = json!({"SecretId": name, "VersionStage": "AWSPREVIOUS"});
        questions.push(("secretsmanager", "GetSecretValue", json!({"SecretId": name})));
        questions.push(("secretsmanager", "GetSecretValue", previous));
    }
    questions.push(("kms", "ListKeys", json!({})));
    questions.push(("kms", "ListAliases", json!({})));
    questions.push(("iam", "ListUsers", json!({})));
    let asked = questions.into_iter().map(|(service, name, body)| {
        let mut question = Question { service, name, body, answer: Value::Null };
        question.answer = ask(client, &question).unwrap();
        question
    });
    let asked: Vec<Question> = asked.collect();
    let keys = asked.iter().find(|q| q.name == "ListKeys").unwrap();
    assert!(keys.answer.to_string().contains(ACCOUNT));
    asked
}

/// A user's policy whose statement carries a number.
fn user_policy(sid: u64) -> String {
    let statement = json!({
        "Sid": format!("n{sid}"), "Effect": "Allow", "Action": "kms:List*", "Resource": "*"
    });
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}
