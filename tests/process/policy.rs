//! `claviger policy check` as a process: what it prints, what it exits with.
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const GOOD: &str = r#"{"Version": "2012-10-17", "Statement": [
  {"Sid": "Account", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
   "Action": "kms:*", "Resource": "*"},
  {"Sid": "Use", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/app"},
   "Action": ["kms:Decrypt", "kms:GenerateDataKey*"], "Resource": "*",
   "Condition": {"StringEquals": {"kms:ViaService": "secretsmanager.eu-west-1.amazonaws.com"}}}
]}"#;
const PUBLIC: &str = r#"{"Version": "2012-10-17", "Statement": [
  {"Sid": "Open", "Effect": "Allow",
   "Principal": "*", "Action": "kms:Decript", "Resource": "*"}
]}"#;

fn check(arguments: &[&str], files: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_claviger"))
        .args(["policy", "check"])
        .args(arguments)
        .args(files)
        .output()
        .unwrap()
}

fn outcome(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8(output.stdout.clone()).unwrap())
}

#[test]
fn findings_have_places_and_the_exit_code_tells() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (good, public) = (write("good.json", GOOD), write("public.json", PUBLIC));
    assert_eq!(outcome(&check(&["--kind", "key", "--for", "secrets"], &[&good])), (0, "".into()));
    let (code, printed) = outcome(&check(&[], &[&good, &public]));
    assert_eq!(code, 1, "{printed}");
    let place = |line: &str| line.rsplit("public.json").next().unwrap().to_owned();
    let lines: Vec<String> = printed.lines().map(place).collect();
    assert!(lines[0].starts_with(":3:17: error[public-access]: "), "{lines:?}");
    assert!(lines[0].ends_with("(statement 0, Open)"));
    assert!(lines[1].starts_with(":3:32: warning[unknown-action]: kms:Decript"), "{lines:?}");
    assert_eq!(lines.len(), 2);

    let (code, printed) = outcome(&check(&["--json"], &[&good, &public]));
    let json: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, json[0]["findings"].as_array().unwrap().len()), (1, 0));
    let first = &json[1]["findings"][0];
    assert_eq!((&first["rule"], &first["severity"]), (&"public-access".into(), &"error".into()));
    assert_eq!((&first["line"], &first["statement"]), (&3.into(), &0.into()));
    assert_eq!(json[1]["kind"], "key");

    // A use that is not bound to Secrets Manager is a finding if the key is for secrets only.
    let unbound = write("unbound.json", &GOOD.replace("kms:ViaService", "aws:PrincipalTag/via"));
    assert_eq!(outcome(&check(&["--kind", "key"], &[&unbound])).0, 0);
    let (code, printed) = outcome(&check(&["--kind", "key", "--for", "secrets"], &[&unbound]));
    assert_eq!(code, 1);
    assert!(printed.contains("warning[missing-via-service]"), "{printed}");

    // As a policy of another kind it cannot be read. Notes do not fail.
    assert_eq!(outcome(&check(&["--kind", "identity"], &[&good])).0, 1);
    let note = r#"{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}"#;
    let (code, printed) = outcome(&check(&[], &[&write("note.json", note)]));
    assert_eq!((code, printed.matches("note[").count()), (0, 2), "{printed}");
    assert_eq!(outcome(&check(&[], &[&write("broken.json", "{\"Statement\": [")])).0, 1);
}

#[test]
fn standard_input_is_a_file_and_wrong_arguments_are_told() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_claviger"))
        .args(["policy", "check", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(PUBLIC.as_bytes()).unwrap();
    let (code, printed) = outcome(&child.wait_with_output().unwrap());
    assert_eq!(code, 1);
    assert!(printed.starts_with("-:3:17: error[public-access]"), "{printed}");

    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent.json");
    let binary = dir.path().join("binary.json");
    std::fs::write(&binary, [0xff, 0xfe]).unwrap();
    for (arguments, file) in [
        (&[][..], Some(&absent)),
        (&[], Some(&binary)),
        (&["--kind", "bucket"], Some(&absent)),
        (&["--kind", "trust", "--for", "secrets"], Some(&absent)),
        (&["--for", "secrets"], Some(&absent)),
        (&[], None),
    ] {
        let files: Vec<&Path> = file.into_iter().map(|path| path.as_path()).collect();
        let output = check(arguments, &files);
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {file:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
}
