//! The runner: what a function meets, and what becomes of its words and its process.
use super::{MISBEHAVING, Stage, event, user, write};
use claviger::functions::Code;
use claviger::rotation::{FailureKind, Invoke, Runner};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

async fn behaving(behaviour: &str, rest: &str) -> Stage {
    Stage::python(MISBEHAVING, &[("BEHAVIOUR", behaviour)], rest).await
}

/// The process that a log speaks of, the number of its call, and its access key.
fn facts(log: Option<String>) -> (String, String, String) {
    let log = log.unwrap();
    let words: Vec<&str> = log.split_whitespace().collect();
    let after = |word| words[words.iter().position(|w| *w == word).unwrap() + 1].to_owned();
    (after("process"), after("call"), after("key"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_meets_lambdas_contract_and_nothing_of_the_servers() {
    let stage = behaving("told", "memory = 300\ntimeout = 20").await;
    let runner = stage.runner().await;
    stage.step(&runner).await.unwrap();
    let told: Value = serde_json::from_slice(&std::fs::read(stage.place("told")).unwrap()).unwrap();
    let event = event();
    assert_eq!(
        told["event"],
        serde_json::json!({
            "Step": "createSecret",
            "SecretId": event.secret,
            "ClientRequestToken": event.token,
            "RotationToken": event.rotation_token.expose(),
        })
    );
    assert_eq!(told["name"], "rotator");
    assert_eq!(told["arn"], super::function_arn());
    assert_eq!(told["version"], "$LATEST");
    assert_eq!(told["memory"], "300");
    assert_eq!(told["group"], "/aws/lambda/rotator");
    assert_eq!(told["id"].as_str().unwrap().len(), 36);
    let remaining = told["remaining"].as_i64().unwrap();
    assert!((5_000..=20_000).contains(&remaining), "{remaining}");
    // Nothing of this process's environment, whatever it is.
    let environment = told["environment"].as_object().unwrap();
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO")) {
        assert!(!environment.contains_key(&name), "{name}");
    }
    assert_eq!(environment["AWS_REGION"], crate::world::REGION);
    assert_eq!(environment["AWS_LAMBDA_FUNCTION_NAME"], "rotator");
    assert!(environment["SECRETS_MANAGER_ENDPOINT"].as_str().unwrap().starts_with("http://127."));
    assert!(environment["AWS_ACCESS_KEY_ID"].as_str().unwrap().starts_with("ASIA"));
    // No file of the server's: three streams, two pipes, and what reads the list.
    let fds = told["fds"].as_object().unwrap();
    let pipes = fds.values().filter(|to| to.as_str().is_some_and(|to| to.starts_with("pipe:")));
    assert_eq!(pipes.count(), 4, "{fds:?}");
    assert!(fds.len() <= 6, "{fds:?}");
    assert_eq!(told["stdin"], "");
    assert_eq!(told["limits"], serde_json::json!([300 << 20, 256, 0]));
    // An empty directory of its own, which goes with it.
    assert_eq!(told["files"], serde_json::json!([]));
    let directory = told["directory"].as_str().unwrap();
    assert!(std::path::Path::new(directory).exists());
    if user().is_some() {
        assert_ne!(told["uid"], 0);
        assert!(!told["groups"].as_array().unwrap().contains(&Value::from(0)));
    }
    drop(runner);
    super::gone(directory).await;
}

#[test]
fn the_end_of_the_runtime_leaves_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (directory, _stage) = runtime.block_on(async {
        let stage = behaving("told", "").await;
        let runner = stage.runner().await;
        stage.step(&runner).await.unwrap();
        // Somebody has it until there is no runtime any more.
        tokio::spawn(async move {
            let _runner = runner;
            std::future::pending::<()>().await;
        });
        let told = std::fs::read(stage.place("told")).unwrap();
        let told: Value = serde_json::from_slice(&told).unwrap();
        (told["directory"].as_str().unwrap().to_owned(), stage)
    });
    assert!(std::path::Path::new(&directory).exists());
    drop(runtime);
    assert!(!std::path::Path::new(&directory).exists());
}

/// Deeper than a file descriptor or a stack frame for each level would reach, and with a way out.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_in_its_directory_goes_with_it() {
    let stage = behaving("deep", "timeout = 60").await;
    let runner = stage.runner().await;
    stage.step(&runner).await.unwrap();
    let directory = std::fs::read_to_string(stage.place("directory")).unwrap();
    assert!(std::path::Path::new(&directory).join("d/d/d").exists());
    drop(runner);
    super::gone(&directory).await;
    assert!(stage.place("directory").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_used_again_until_its_credentials_or_its_file_are_others() {
    let stage = behaving("good", "").await;
    let runner = stage.runner().await;
    let (process, call, key) = facts(stage.step(&runner).await.unwrap());
    assert_eq!(call, "1");
    let again = facts(stage.step(&runner).await.unwrap());
    assert_eq!(again, (process.clone(), "2".into(), key.clone()));
    // Each log is of its own invocation.
    let log = stage.step(&runner).await.unwrap().unwrap();
    assert_eq!(log.matches("before").count(), 1, "{log}");
    // Credentials that would end in the middle of a step.
    stage.world.clock.advance(880);
    let (other, call, new_key) = facts(stage.step(&runner).await.unwrap());
    assert!(other != process && call == "1" && new_key != key);
    assert!(!std::path::Path::new("/proc").join(&process).join("cwd").exists());
    // Another file.
    let changed = format!("{MISBEHAVING}\n# changed\n");
    write(stage.files.path(), "function.py", &changed);
    let (third, call, _) = facts(stage.step(&runner).await.unwrap());
    assert!(third != other && call == "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_steps_at_once_have_a_process_each() {
    let stage = behaving("good", "").await;
    let runner = stage.runner().await;
    let (function, event) = (stage.function(), event());
    let steps = (0..24).map(|_| runner.invoke(&function, &event));
    let logs = futures_util::future::join_all(steps).await;
    let processes: std::collections::BTreeSet<String> =
        logs.into_iter().map(|log| facts(log.unwrap()).0).collect();
    assert!((2..=16).contains(&processes.len()), "{processes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_run_says_why_and_lasts() {
    for (text, rest, reason) in [
        ("def lambda_handler(", "", "Runtime.UserCodeSyntaxError"),
        (
            "import no_such_module",
            "",
            "Runtime.ImportModuleError: Unable to import module 'function'",
        ),
        ("x = 1", "", "Runtime.HandlerNotFound: Handler 'lambda_handler' missing"),
        ("x = 1", "handler = \"function.x\"", "Runtime.HandlerNotFound: Handler 'x' missing"),
    ] {
        let stage = Stage::python(text, &[], rest).await;
        let failure = stage.step(&stage.runner().await).await.unwrap_err();
        assert!(failure.message.contains(reason), "{text}: {}", failure.message);
        assert_eq!(failure.kind, FailureKind::Lasting, "{text}");
    }
    // What goes wrong while the file is loaded, but is no matter of the file's.
    let stage = Stage::python("raise RuntimeError('not now')", &[], "").await;
    let failure = stage.step(&stage.runner().await).await.unwrap_err();
    assert_eq!(
        (failure.message.as_str(), failure.kind),
        ("RuntimeError: not now", FailureKind::Passing)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_others_can_write_is_not_run() {
    let stage = behaving("good", "").await;
    let path = stage.files.path().join("function.py");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o664)).unwrap();
    let failure = stage.step(&stage.runner().await).await.unwrap_err();
    assert!(failure.message.contains("can be written by others"), "{}", failure.message);
    std::fs::remove_file(&path).unwrap();
    let failure = stage.step(&stage.runner().await).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Lasting);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_decides() {
    // Trusted by nobody any more: no process is started.
    let stage = behaving("good", "").await;
    let trust = serde_json::json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"
    }]});
    let body = serde_json::json!({"RoleName": "rotator", "PolicyDocument": trust.to_string()});
    stage.world.iam("UpdateAssumeRolePolicy", body).await;
    let failure = stage.step(&stage.runner().await).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Lasting);
    assert!(failure.message.contains("cannot be assumed by Lambda"), "{}", failure.message);
    let event = stage.world.last_event();
    assert_eq!(
        (event.event_name.as_str(), event.error_code.as_deref()),
        ("AssumeRole", Some("AccessDenied"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_address_of_the_server_there_is_nothing_to_run() {
    let stage = behaving("good", "").await;
    let runner = Runner::new(stage.world.server.clone(), None);
    let failure = stage.step(&runner).await.unwrap_err();
    assert!(failure.message.starts_with("endpoint: wanted"), "{}", failure.message);
    // A function's own comes first.
    let stage = behaving("good", "endpoint = \"http://127.0.0.1:1\"").await;
    let runner = Runner::new(stage.world.server.clone(), None);
    stage.step(&runner).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_good_at_the_start_is_looked_at_again() {
    let stage = behaving("good", "").await;
    let runner = stage.runner().await;
    let otherwise = async |user: Option<&str>, interpreter: Option<&str>| {
        let mut function = stage.function();
        let Code::Python(python) = &mut function.code else { panic!("{function:?}") };
        python.user = user.map(str::to_owned);
        python.interpreter = interpreter.map(Into::into);
        let failure = runner.invoke(&function, &event()).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Lasting);
        failure.message
    };
    let here = user();
    let message = otherwise(here, Some("/nowhere/python")).await;
    assert!(message.starts_with("interpreter: /nowhere/python: No such file"), "{message}");
    // One that can be run, of a venv whose Python is gone.
    let broken = write(stage.files.path(), "python", "#!/nowhere/python\n");
    std::fs::set_permissions(&broken, PermissionsExt::from_mode(0o755)).unwrap();
    let message = otherwise(here, broken.to_str()).await;
    assert!(message.contains("cannot be started"), "{message}");
    // Nothing runs as root, and who is not root runs nothing as others.
    let refusals = match here {
        Some(_) => [
            (None, "runs as root"),
            (Some("root"), "is root"),
            (Some("no-such-user"), "is not in /etc/passwd"),
        ],
        None => [(Some("root"), "only a server"); 3],
    };
    for (user, reason) in refusals {
        let message = otherwise(user, None).await;
        assert!(message.contains(reason), "{message}");
    }
}
