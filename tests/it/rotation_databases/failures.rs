//! Databases that are not there, refuse, hang or answer nonsense: what the history says, and that
//! nothing of a secret is in it.
#![expect(clippy::disallowed_methods, reason = "these tests measure elapsed time")]
use super::engine::BOTH;
use super::{Engine, Rotating};
use crate::databases::{HOST, mariadb, postgres};
use claviger::rotation::{Failure, FailureKind};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Attempts before a rotation is given up, less the first.
const PATIENCE: u32 = 6;

async fn fails(rotating: &Rotating, value: &Value) -> Failure {
    let secret = rotating.secret(&rotating.token(), value).await;
    let failure = rotating.rotate(&secret).await.unwrap_err();
    assert!(!failure.message.contains("first"), "{failure}");
    failure
}

#[tokio::test]
async fn nobody_there_passes() {
    for engine in BOTH {
        let nobody = "no-such-host.invalid";
        let rotating = Rotating::with_hosts("single-user", &[HOST, nobody], "").await;
        let free = TcpListener::bind((HOST, 0)).await.unwrap().local_addr().unwrap().port();
        let mut value = engine.value("app", "first");
        value["port"] = json!(free);
        let failure = fails(&rotating, &value).await;
        assert_eq!(failure.kind, FailureKind::Passing, "{failure}");
        assert!(failure.message.starts_with(&format!("{HOST}:{free}: ")), "{failure}");
        value["host"] = json!(nobody);
        assert_eq!(fails(&rotating, &value).await.kind, FailureKind::Passing);
    }
}

#[tokio::test]
async fn hosts_that_are_not_listed_are_not_asked() {
    for engine in BOTH {
        let rotating = Rotating::with_hosts("single-user", &["*.example.org"], "").await;
        let listener = TcpListener::bind((HOST, 0)).await.unwrap();
        let mut value = engine.value("app", "first");
        value["port"] = json!(listener.local_addr().unwrap().port());
        let failure = fails(&rotating, &value).await;
        assert_eq!(failure.kind, FailureKind::Lasting);
        assert!(failure.message.ends_with("not among the function's hosts"), "{failure}");
        let asked = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
        assert!(asked.is_err(), "somebody connected");
    }
}

#[tokio::test]
async fn addresses_that_are_nobodys_database_are_not_asked() {
    for engine in BOTH {
        // Also where the operator lists them.
        let hosts = ["169.254.169.254", "0.0.0.0", "224.0.0.1", "fe80::1", "2130706433"];
        let rotating = Rotating::with_hosts("single-user", &hosts, "").await;
        for host in hosts {
            let mut value = engine.value("app", "first");
            value["host"] = json!(host);
            let failure = fails(&rotating, &value).await;
            let refused = failure.message.contains("has no address that may be asked");
            assert!(refused, "{host}: {failure}");
        }
    }
}

#[tokio::test]
async fn another_engine_behind_the_port_is_a_failure() {
    for (engine, other) in
        [(Engine::Postgres, Engine::MariaDb), (Engine::MariaDb, Engine::Postgres)]
    {
        let rotating = Rotating::with("single-user").await;
        let mut value = engine.value("app", "first");
        value["port"] = json!(other.port());
        let before = Instant::now();
        fails(&rotating, &value).await;
        assert!(before.elapsed() < Duration::from_secs(25));
    }
}

/// Servers that say nothing, or anything.
#[tokio::test]
async fn nonsense_is_a_failure_of_the_step_only() {
    let mut bytes = vec![
        vec![],
        vec![0],
        vec![b'N'],
        vec![b'S'],
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![0xff; 4096],
        vec![b'R', 0, 0, 0, 8, 0, 0, 0, 3],
        vec![b'N', b'R', 0xff, 0xff, 0xff, 0xff],
    ];
    // A greeting of MySQL with an empty challenge, then an empty demand for another one.
    let mut greeting =
        b"\x0a5.7.0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\xff\xf7\x21\x02\0\xff\xff\x00".to_vec();
    greeting.extend([0; 10]);
    greeting.extend(b"mysql_native_password\0");
    let mut packet = vec![u8::try_from(greeting.len()).unwrap(), 0, 0, 0];
    packet.extend(greeting);
    packet.extend([1, 0, 0, 2, 0xfe, 1, 0, 0, 4, 0xfe]);
    bytes.push(packet);
    for engine in BOTH {
        let rotating = Rotating::with("single-user").await;
        for answer in &bytes {
            let listener = TcpListener::bind((HOST, 0)).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let answer = answer.clone();
            let task = tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let _ = stream.write_all(&answer).await;
                    let mut buffer = [0; 1024];
                    let read = stream.read(&mut buffer);
                    let _ = tokio::time::timeout(Duration::from_millis(200), read).await;
                }
            });
            let mut value = engine.value("app", "first");
            value["port"] = json!(port);
            fails(&rotating, &value).await;
            task.abort();
        }
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for_long() {
    for engine in BOTH {
        let rotating = Rotating::with("single-user").await;
        let listener = TcpListener::bind((HOST, 0)).await.unwrap();
        let mut value = engine.value("app", "first");
        value["port"] = json!(listener.local_addr().unwrap().port());
        let before = Instant::now();
        let failure = fails(&rotating, &value).await;
        assert_eq!(failure.kind, FailureKind::Passing, "{failure}");
        assert!(failure.message.contains("no answer in time"), "{failure}");
        assert!(before.elapsed() < Duration::from_secs(25));
    }
}

#[tokio::test]
async fn refusals_are_told_by_their_codes_without_the_statement() {
    // An administrator that may not change the user.
    for engine in BOTH {
        let rotating = Rotating::with("single-user-with-administrator").await;
        let (name, other) = (engine.user().await, engine.user().await);
        let mut value = engine.value(&name, "first");
        let administrator = rotating.secret("other", &engine.value(&other, "first")).await;
        value["masterarn"] = json!(administrator);
        let failure = fails(&rotating, &value).await;
        assert_eq!(failure.kind, FailureKind::Lasting, "{failure}");
        let code = match engine {
            Engine::Postgres => "SQLSTATE 42501 (the user may not do this)",
            Engine::MariaDb => "error 1044 (the user may not do this)",
        };
        assert_eq!(failure.message, format!("the database refused with {code}"));
    }
    let rotating = Rotating::with("single-user").await;
    for (engine, wanted) in [
        (Engine::Postgres, "SQLSTATE 3D000 (there is no such database)"),
        (Engine::MariaDb, "error 1044 (the user may not do this)"),
    ] {
        let mut value = engine.value(&engine.user().await, "first");
        value["dbname"] = json!("no such database");
        let failure = fails(&rotating, &value).await;
        assert_eq!(failure.kind, FailureKind::Lasting, "{failure}");
        assert!(failure.message.ends_with(wanted), "{failure}");
    }
}

#[tokio::test]
async fn a_lock_is_waited_for_and_then_given_up() {
    let rotating = Rotating::with("single-user").await;
    let name = Engine::Postgres.user().await;
    let secret = rotating.secret("s", &Engine::Postgres.value(&name, "first")).await;
    let client = postgres().administrator().await;
    client.batch_execute("BEGIN; LOCK TABLE pg_authid IN SHARE MODE").await.unwrap();
    let failure = rotating.rotate(&secret).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Passing, "{failure}");
    client.batch_execute("ROLLBACK").await.unwrap();
    // With the same pending password, once the lock is gone.
    rotating.work_again().await.unwrap();
    let (_, password) = rotating.login(&secret, "AWSCURRENT").await;
    assert!(Engine::Postgres.lets_in(&name, &password).await);
}

#[tokio::test]
async fn too_many_connections_pass() {
    let rotating = Rotating::with("single-user").await;
    let name = Engine::MariaDb.user().await;
    let limit = format!("ALTER USER '{name}'@'%' WITH MAX_USER_CONNECTIONS 1");
    mariadb().execute(&[&limit]).await;
    let secret = rotating.secret("s", &Engine::MariaDb.value(&name, "first")).await;
    let busy = mariadb().login(&name, "first").await.unwrap();
    let failure = rotating.rotate(&secret).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Passing, "{failure}");
    busy.disconnect().await.unwrap();
    // MariaDB counts a connection until its thread has seen the end, also those of the rotation's
    // own steps: until then it is the same failure, which passes.
    for _ in 0..PATIENCE {
        match rotating.work_again().await {
            Ok(_) => return,
            Err(failure) => assert_eq!(failure.kind, FailureKind::Passing, "{failure}"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("the connection has ended, and the user's are still too many");
}

#[tokio::test]
async fn a_step_ends_when_its_time_is_over() {
    for engine in BOTH {
        let rotating = Rotating::with_line("single-user", "timeout = 1").await;
        let listener = TcpListener::bind((HOST, 0)).await.unwrap();
        let mut value = engine.value("app", "first");
        value["port"] = json!(listener.local_addr().unwrap().port());
        let before = Instant::now();
        let failure = fails(&rotating, &value).await;
        assert_eq!(failure.kind, FailureKind::Passing, "{failure}");
        assert_eq!(failure.message, "Task timed out after 1.00 seconds");
        assert!(before.elapsed() < Duration::from_secs(10));
    }
}

/// It works with its role and nothing else.
#[tokio::test]
async fn what_the_role_may_not_the_function_may_not() {
    let mut actions = vec![
        "secretsmanager:GetSecretValue",
        "secretsmanager:DescribeSecret",
        "secretsmanager:GetRandomPassword",
        "secretsmanager:PutSecretValue",
        "secretsmanager:UpdateSecretVersionStage",
    ];
    let engine = Engine::Postgres;
    let rotating = Rotating::with("single-user").await;
    rotating.may(&actions).await;
    let name = engine.user().await;
    let secret = rotating.secret("s", &engine.value(&name, "first")).await;
    rotating.rotate(&secret).await.unwrap();
    let login = rotating.login(&secret, "AWSCURRENT").await;
    // Without the right to put a value, nothing is changed in the database either.
    actions.truncate(3);
    rotating.may(&actions).await;
    let failure = rotating.rotate(&secret).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Lasting, "{failure}");
    let wanted = "PutSecretValue: AccessDeniedException: User: arn:aws:sts::";
    assert!(failure.message.starts_with(wanted), "{failure}");
    assert_eq!(rotating.login(&secret, "AWSCURRENT").await, login);
    assert!(engine.lets_in(&login.0, &login.1).await);
}
