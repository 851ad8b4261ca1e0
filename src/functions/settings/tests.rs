//! What `[[function]]` may say.
use super::super::{Code, Functions, Strategy};
use super::Settings;
use std::path::Path;

const ARN: &str = "arn:aws:lambda:eu-west-1:111122223333:function:rotate";
const HOSTS: &str = "hosts = [\"db.example.org\"]";
const BUILT_IN: &str = "strategy = \"single-user\"\nhosts = [\"db.example.org\"]";

#[derive(Debug, serde::Deserialize)]
struct File {
    function: Vec<Settings>,
}

fn section(rest: &str) -> String {
    format!(
        "[[function]]\narn = \"{ARN}\"\nrole = \"arn:aws:iam::111122223333:role/rotation\"\n{rest}\n"
    )
}

fn read(text: &str) -> Result<Vec<Settings>, String> {
    toml::from_str::<File>(text).map(|file| file.function).map_err(|e| e.to_string())
}

fn checked(text: &str) -> Result<(), String> {
    Functions::check(&read(text)?).map_err(|e| e.to_string())
}

#[test]
fn each_kind_is_read() {
    let python = "python = \"/srv/f.py\"\nhandler = \"main\"\nmemory = 128\nuser = \"nobody\"";
    let url = "url = \"https://rotate.example/f\"\ntoken_file = \"/etc/t\"\nca_file = \"/etc/ca\"";
    let dual = format!("strategy = \"dual-passwords\"\ndrain = 60\n{HOSTS}");
    for rest in [BUILT_IN, &dual, python, url] {
        checked(&section(rest)).unwrap();
    }
    let turns = format!("strategy = \"alternating-users\"\ntimeout = 5\n{HOSTS}");
    let one = &read(&section(&turns)).unwrap();
    let functions = Functions::new(one).unwrap();
    let function = functions.find(&ARN.parse().unwrap()).unwrap();
    assert_eq!((function.name.as_str(), function.region.as_str()), ("rotate", "eu-west-1"));
    assert_eq!(function.timeout.as_secs(), 5);
    let Code::BuiltIn { strategy, ca_file: None, hosts } = &function.code else {
        panic!("{:?}", function.code)
    };
    assert_eq!(*strategy, Strategy::AlternatingUsers);
    assert!(hosts.allow("db.example.org") && !hosts.allow("db.example.com"));
    let other = "arn:aws:lambda:eu-west-1:111122223333:function:other".parse().unwrap();
    assert!(functions.find(&other).is_none());
}

#[test]
fn plain_http_is_for_loopback() {
    for good in [
        "http://127.0.0.1:9001",
        "http://[::1]:9001/f",
        "http://localhost",
        "HTTP://LOCALHOST",
        "https://a.b",
    ] {
        checked(&section(&format!("url = \"{good}\""))).unwrap();
    }
    for bad in [
        "http://10.0.0.1",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://localhost@evil.example",
        "https://user:word@rotate.example",
        "https://",
        "https:///path",
        "ftp://a.b",
        "//a.b",
        "https://a.b\\\\c",
        "https://a.b/#x",
        "https://a b",
        "https://a.b:65536",
        "http://127.0.0.1:99999",
    ] {
        let error = checked(&section(&format!("url = \"{bad}\""))).unwrap_err();
        assert!(error.contains("url:"), "{bad}: {error}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_its_reason() {
    let good = section(BUILT_IN);
    for (from, to, reason) in [
        (ARN, "arn:aws:lambda:eu-west-1:111122223333:function:rotate:1", "arn: not"),
        (ARN, "arn:aws:lambda:eu-west-1:111122223333:layer:rotate", "arn: not"),
        (ARN, "arn:aws:iam:eu-west-1:111122223333:function:rotate", "arn: not"),
        (ARN, "arn:aws:lambda::111122223333:function:rotate", "arn: not"),
        (ARN, "arn:aws:lambda:eu-west-1:1:function:rotate", "arn: not"),
        (ARN, "arn:aws:lambda:eu-west-1:111122223333:function:ro tate", "arn: not"),
        ("role/rotation", "user/rotation", "role: not"),
        ("single-user", "no-user", "unknown variant"),
        (BUILT_IN, "", "exactly one of strategy, python and url"),
        ("strategy", "python = \"/f.py\"\nstrategy", "exactly one of strategy, python and url"),
        ("strategy", "timeout = 0\nstrategy", "timeout: between 1 and 900"),
        ("strategy", "timeout = 901\nstrategy", "timeout: between 1 and 900"),
        ("strategy", "drain = 9999999\nstrategy", "drain: at most"),
        ("strategy", "handler = \"f\"\nstrategy", "handler: only for"),
        ("strategy", "memory = 128\nstrategy", "memory: only for"),
        ("strategy", "endpoint = \"https://a.b\"\nstrategy", "endpoint: only for"),
        ("strategy", "token_file = \"/t\"\nstrategy", "token_file: only for"),
        (BUILT_IN, "python = \"/f\"\nmemory = 1", "memory: between"),
        (BUILT_IN, "python = \"/f\"\nhandler = \"a b\"", "handler: not"),
        (BUILT_IN, "python = \"/f\"\nendpoint = \"a.b\"", "endpoint: not"),
        (BUILT_IN, "python = \"/f\"\ninterpreter = \"p\"", "interpreter: must be"),
        ("strategy", "interpreter = \"/p\"\nstrategy", "interpreter: only for"),
        ("strategy", "user = \"u\"\nstrategy", "user: only for"),
        (BUILT_IN, "python = \"/f\"\nenvironment = {\"A=B\" = \"c\"}", "environment"),
        ("db.example.org", "a b", "hosts: \"a b\" is not"),
        (HOSTS, "", "hosts: list the databases that secrets may name"),
        (HOSTS, "hosts = []", "hosts: list the databases that secrets may name"),
        (BUILT_IN, "python = \"/f\"\nhosts = [\"a\"]", "hosts: only for"),
        ("strategy", "colour = \"red\"\nstrategy", "unknown field"),
    ] {
        let error = checked(&good.replacen(from, to, 1)).unwrap_err();
        assert!(error.contains(reason), "{to}: {error}");
    }
    let error = checked(&format!("{good}{good}")).unwrap_err();
    assert!(error.contains("function:rotate: is there twice"), "{error}");
}

fn write(path: &Path, text: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn files_are_looked_at_before_anything_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let made = |rest: &str| {
        let text = section(&rest.replace("FILE", path.to_str().unwrap()));
        Functions::new(&read(&text).unwrap()).map_err(|e| e.to_string())
    };
    let (user, nobody) = match rustix::process::geteuid().is_root() {
        true => ("user = \"nobody\"", ""),
        false => ("", "user = \"nobody\""),
    };
    let run = |interpreter: &str, user: &str| {
        made(&format!("python = \"FILE\"\ninterpreter = \"{interpreter}\"\n{user}"))
    };
    let python = &format!("python = \"FILE\"\ninterpreter = \"/bin/sh\"\n{user}");
    let token = "url = \"http://127.0.0.1\"\ntoken_file = \"FILE\"";
    let policy = &format!("{BUILT_IN}\npolicy = \"FILE\"");
    for rest in [python, token, policy, &format!("{BUILT_IN}\nca_file = \"FILE\"")] {
        assert!(made(rest).unwrap_err().contains("No such file"), "{rest}");
    }
    write(&path, "def lambda_handler(event, context): pass", 0o644);
    made(python).unwrap();
    // Root gives its functions a user, and nobody else can.
    assert!(run("/bin/sh", nobody).unwrap_err().contains("user: "));
    for (interpreter, reason) in [
        ("/nowhere/python", "interpreter: /nowhere/python: No such file"),
        ("/bin", "interpreter: /bin: is no file"),
        ("FILE", "cannot be run"),
    ] {
        let error = run(interpreter, user).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    let ca_file = made("url = \"https://a.b\"\nca_file = \"FILE\"").unwrap_err();
    assert!(ca_file.contains("ca_file: no"), "{ca_file}");
    assert!(made(token).unwrap_err().contains("token_file: "), "others may read it");
    for mode in [0o664, 0o646] {
        write(&path, "x", mode);
        assert!(made(python).unwrap_err().contains("lets others in"));
    }
    write(&path, "token", 0o600);
    made(token).unwrap();
    let error = made(policy).unwrap_err();
    assert!(error.contains("policy: ") && !error.contains("token"), "{error}");
    let text = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"Service": "secretsmanager.amazonaws.com"},
        "Action": "lambda:InvokeFunction", "Resource": "*"}]}"#;
    write(&path, text, 0o644);
    let functions = made(policy).unwrap();
    assert!(functions.find(&ARN.parse().unwrap()).unwrap().policy.is_some());
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(made(python).unwrap_err().contains("is no file"));
}
