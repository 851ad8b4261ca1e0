//! Two users that take turns, the second one made by an administrator.
use super::engine::BOTH;
use super::single::nobody_is_refused;
use super::{Engine, Rotating, function_arn};
use crate::databases::{ADMINISTRATOR, ADMINISTRATOR_PASSWORD, mariadb, postgres};
use claviger::rotation::FailureKind;
use claviger::secrets::rotation::Step;
use mysql_async::prelude::Queryable;
use serde_json::json;
use std::sync::Arc;

/// A secret of a new user, with the secret of its administrator.
async fn secret_of(rotating: &Rotating, engine: Engine, name: &str) -> String {
    let mut value = engine.value(name, "first");
    value["masterarn"] = json!(rotating.administrator(engine).await);
    rotating.secret("s", &value).await
}

#[tokio::test]
async fn two_users_take_turns_and_the_previous_password_stays_good() {
    for engine in BOTH {
        let rotating = Rotating::with("alternating-users").await;
        let name = engine.user().await;
        let secret = secret_of(&rotating, engine, &name).await;
        let mut previous = (name.clone(), "first".to_owned());
        for turn in 0..4 {
            assert_eq!(rotating.rotate(&secret).await.unwrap(), Step::ALL);
            let current = rotating.login(&secret, "AWSCURRENT").await;
            let clone = format!("{name}_clone");
            assert_eq!(current.0, if turn % 2 == 0 { clone } else { name.clone() });
            for (username, password) in [&current, &previous] {
                assert!(engine.lets_in(username, password).await);
                assert!(engine.may_read(&name, username, password).await, "{engine:?} {username}");
            }
            assert!(!engine.log().contains(&current.1), "{engine:?} logged a password");
            assert_eq!(rotating.login(&secret, "AWSPREVIOUS").await, previous);
            previous = current;
        }
        assert!(!engine.lets_in(&name, "first").await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reconnects_is_never_refused() {
    for engine in BOTH {
        let rotating = Arc::new(Rotating::with("alternating-users").await);
        let name = engine.user().await;
        let secret = secret_of(&rotating, engine, &name).await;
        nobody_is_refused(&rotating, engine, &secret).await;
    }
}

#[tokio::test]
async fn each_step_may_be_done_twice_and_answers_may_be_lost() {
    for engine in BOTH {
        let rotating = Rotating::with("alternating-users").await;
        rotating.twice();
        let name = engine.user().await;
        let secret = secret_of(&rotating, engine, &name).await;
        for _ in 0..2 {
            rotating.lose(1);
            rotating.begin(&secret).await;
            let mut attempts = 0;
            loop {
                let _ = rotating.work_again().await;
                attempts += 1;
                rotating.lose(usize::from(attempts < 4));
                let pending = rotating.labels(&secret).await.to_string().contains("AWSPENDING");
                if !pending {
                    break;
                }
                assert!(attempts < 7);
            }
            rotating.lose(0);
            let (username, password) = rotating.login(&secret, "AWSCURRENT").await;
            assert!(engine.may_read(&name, &username, &password).await);
        }
    }
}

#[tokio::test]
async fn of_postgresql_the_attributes_are_copied() {
    let rotating = Rotating::with("alternating-users").await;
    let name = Engine::Postgres.user().await;
    let statement = format!("ALTER ROLE {name} CREATEDB BYPASSRLS CONNECTION LIMIT 9");
    postgres().execute(&statement).await;
    let secret = secret_of(&rotating, Engine::Postgres, &name).await;
    rotating.rotate(&secret).await.unwrap();
    let query = format!(
        "SELECT concat_ws(' ', rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, \
         rolbypassrls, rolconnlimit) FROM pg_roles WHERE rolname = '{name}_clone'"
    );
    let row = postgres().administrator().await.query_one(&query, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "t f t f f t 9");
}

#[tokio::test]
async fn of_mariadb_grants_roles_limits_and_the_host_are_copied() {
    let rotating = Rotating::with("alternating-users").await;
    let name = crate::databases::fresh("Od d'`u\\ser");
    let sql = name.replace('\'', "''").replace('\\', "\\\\");
    let role = crate::databases::fresh("reader");
    mariadb()
        .execute(&[
            &format!("CREATE USER '{sql}'@'127.0.0.%' IDENTIFIED BY 'first'"),
            &format!("CREATE DATABASE `{role} TO ``x`"),
            &format!("CREATE TABLE `{role} TO ``x`.`t` (`a), DELETE` int, n int)"),
            &format!(
                "GRANT SELECT (`a), DELETE`, n), INSERT ON `{role} TO ``x`.`t` \
                 TO '{sql}'@'127.0.0.%' WITH GRANT OPTION"
            ),
            &format!("CREATE ROLE {role}"),
            &format!("GRANT {role} TO '{sql}'@'127.0.0.%'"),
            &format!("SET DEFAULT ROLE {role} FOR '{sql}'@'127.0.0.%'"),
            &format!("ALTER USER '{sql}'@'127.0.0.%' REQUIRE SSL WITH MAX_USER_CONNECTIONS 7"),
        ])
        .await;
    let secret = secret_of(&rotating, Engine::MariaDb, &name).await;
    // REQUIRE SSL: TLS is tried when the secret says nothing, and the system does not know the
    // authority. So the secret's own function must.
    let failure = rotating.rotate(&secret).await.unwrap_err();
    assert!(failure.message.contains("Unable to log into database"), "{failure}");
    let rotating = Rotating::with_ca("alternating-users", Some(Engine::MariaDb.ca_file())).await;
    let secret = secret_of(&rotating, Engine::MariaDb, &name).await;
    rotating.rotate(&secret).await.unwrap();

    let mut connection = mariadb().administrator().await;
    let mut rows = async |user: &str| -> Vec<String> {
        let show = format!("SHOW GRANTS FOR '{user}'@'127.0.0.%'");
        let rows: Vec<String> = connection.query(show).await.unwrap();
        let show = format!("SHOW CREATE USER '{user}'@'127.0.0.%'");
        let made: Vec<String> = connection.query(show).await.unwrap();
        let plain = |row: String| {
            let row = row.replace("_clone", "");
            match row.split_once("PASSWORD '") {
                Some((head, tail)) => format!("{head}{}", &tail[42..]),
                None => row,
            }
        };
        rows.into_iter().chain(made).map(plain).collect()
    };
    let (first, clone) = (rows(&sql).await, rows(&format!("{sql}_clone")).await);
    assert!(first.len() >= 5, "{first:?}");
    assert_eq!(first, clone);
    assert!(first.iter().any(|row| row.contains("MAX_USER_CONNECTIONS 7")), "{first:?}");
}

/// A clone that was made and got no grants before a crash is not taken for finished.
#[tokio::test]
async fn a_half_made_clone_is_finished() {
    let rotating = Rotating::with("alternating-users").await;
    let name = Engine::MariaDb.user().await;
    let secret = secret_of(&rotating, Engine::MariaDb, &name).await;
    mariadb().execute(&[&format!("CREATE USER '{name}_clone'@'%' IDENTIFIED BY 'half'")]).await;
    rotating.rotate(&secret).await.unwrap();
    let (username, password) = rotating.login(&secret, "AWSCURRENT").await;
    assert!(Engine::MariaDb.may_read(&name, &username, &password).await);
    assert!(!Engine::MariaDb.lets_in(&username, "half").await);
}

#[tokio::test]
async fn a_name_that_leaves_no_room_for_the_suffix_is_refused() {
    let rotating = Rotating::with("alternating-users").await;
    let name = format!("{:x<58}", crate::databases::fresh("long"));
    postgres().execute(&format!("CREATE ROLE {name} LOGIN PASSWORD 'first'")).await;
    let secret = secret_of(&rotating, Engine::Postgres, &name).await;
    let body = json!({
        "SecretId": secret,
        "RotationLambdaARN": function_arn(),
        "ClientRequestToken": rotating.token(),
    });
    let error = rotating.world.call("secretsmanager", "RotateSecret", body).await.unwrap_err();
    assert!(error.message.contains("too long for a second user"), "{error:?}");
    assert!(Engine::Postgres.lets_in(&name, "first").await);
}

#[tokio::test]
async fn the_administrator_is_of_the_same_server_and_good() {
    for engine in BOTH {
        let rotating = Rotating::with("alternating-users").await;
        let name = engine.user().await;
        let mut elsewhere = engine.value("administrator", ADMINISTRATOR_PASSWORD);
        elsewhere["host"] = json!("localhost");
        let elsewhere = rotating.secret("elsewhere", &elsewhere).await;
        let bad = rotating.secret("bad", &engine.value("administrator", "wrong")).await;
        let nobody = elsewhere.replace("elsewhere", "nowhere");
        for (n, (administrator, wanted)) in [
            (elsewhere, "the administrator's secret has another engine, host or port"),
            (bad, "Unable to log into database using credentials in master secret"),
            (nobody, "masterarn names no secret with a current value"),
        ]
        .into_iter()
        .enumerate()
        {
            let mut value = engine.value(&name, "first");
            value["masterarn"] = json!(administrator);
            let secret = rotating.secret(&format!("s{n}"), &value).await;
            let failure = rotating.rotate(&secret).await.unwrap_err();
            assert!(failure.message.contains(wanted), "{failure}");
            assert!(engine.lets_in(&name, "first").await);
            assert!(!engine.lets_in(&format!("{name}_clone"), "first").await);
        }
    }
}

/// Another user of the engine, with nothing but this name and the password `other`.
async fn stranger(engine: Engine, name: &str) {
    match engine {
        Engine::Postgres => {
            postgres().execute(&format!("CREATE ROLE {name} LOGIN PASSWORD 'other'")).await;
        }
        Engine::MariaDb => {
            mariadb().execute(&[&format!("CREATE USER '{name}'@'%' IDENTIFIED BY 'other'")]).await;
        }
    }
}

/// Whoever may choose a login's name, and has a secret rotated, chooses whose password is changed.
#[tokio::test]
async fn a_login_named_as_somebodys_clone_gets_nobodys_password() {
    for engine in BOTH {
        let rotating = Rotating::with("alternating-users").await;
        let victim = engine.user().await;
        let clone = format!("{victim}_clone");
        stranger(engine, &clone).await;
        let mut value = engine.value(&clone, "other");
        value["masterarn"] = json!(rotating.administrator(engine).await);
        let secret = rotating.secret("s", &value).await;
        let failure = rotating.rotate(&secret).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Lasting, "{failure}");
        let wanted = match engine {
            Engine::Postgres => format!("{clone} is no clone of {victim}: it must be"),
            Engine::MariaDb => format!("{victim} has privileges that {clone} lacks"),
        };
        assert!(failure.message.starts_with(&wanted), "{failure}");
        assert!(engine.lets_in(&victim, "first").await);

        // Nor may it be the administrator, whatever either may do.
        let clone = format!("{ADMINISTRATOR}_clone");
        stranger(engine, &clone).await;
        value["username"] = json!(clone);
        let secret = rotating.secret("t", &value).await;
        let failure = rotating.rotate(&secret).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Lasting, "{failure}");
        assert!(failure.message.starts_with("administrator is the administrator"), "{failure}");
        assert!(engine.lets_in(ADMINISTRATOR, ADMINISTRATOR_PASSWORD).await);
    }
}

#[tokio::test]
async fn somebody_elses_login_of_the_clones_name_is_left_alone() {
    for engine in BOTH {
        let (name, other) = (engine.user().await, engine.user().await);
        let clone = format!("{name}_clone");
        stranger(engine, &clone).await;
        // More than the first user has, then what makes it a clone.
        let (more, good): (Vec<[String; 2]>, String) = match engine {
            Engine::Postgres => (
                vec![
                    [String::new(), String::new()],
                    [
                        format!("GRANT {name} TO {clone}; ALTER ROLE {clone} CREATEDB"),
                        format!("ALTER ROLE {clone} NOCREATEDB"),
                    ],
                    [format!("GRANT {other} TO {clone}"), format!("REVOKE {other} FROM {clone}")],
                    [format!("REVOKE {name} FROM {clone}"), String::new()],
                ],
                format!("GRANT {name} TO {clone}"),
            ),
            Engine::MariaDb => (
                vec![
                    [
                        format!("GRANT SELECT ON shop_of_{other}.* TO '{clone}'@'%'"),
                        format!("REVOKE SELECT ON shop_of_{other}.* FROM '{clone}'@'%'"),
                    ],
                    [
                        format!("GRANT INSERT ON shop_of_{name}.t TO '{clone}'@'%'"),
                        format!("REVOKE INSERT ON shop_of_{name}.t FROM '{clone}'@'%'"),
                    ],
                ],
                format!("GRANT SELECT ON shop_of_{name}.* TO '{clone}'@'%'"),
            ),
        };
        let execute = async |statements: &str| match engine {
            Engine::Postgres => postgres().execute(statements).await,
            Engine::MariaDb => mariadb().execute(&[statements]).await,
        };
        let rotating = Rotating::with("alternating-users").await;
        let secret = secret_of(&rotating, engine, &name).await;
        for (n, [before, after]) in more.iter().enumerate() {
            execute(before).await;
            let failure = match n {
                0 => rotating.rotate(&secret).await.unwrap_err(),
                _ => rotating.rotate_again(&secret).await.unwrap_err(),
            };
            assert_eq!(failure.kind, FailureKind::Lasting, "{before}: {failure}");
            assert!(engine.lets_in(&clone, "other").await, "{before}");
            if !after.is_empty() {
                execute(after).await;
            }
        }
        execute(&good).await;
        assert_eq!(rotating.rotate_again(&secret).await.unwrap(), Step::ALL);
        let (username, password) = rotating.login(&secret, "AWSCURRENT").await;
        assert_eq!(username, clone);
        assert!(engine.may_read(&name, &username, &password).await);
    }
}

/// A user whose password the secret has is its own, whatever it may do by now.
#[tokio::test]
async fn privileges_that_one_of_them_got_later_stop_no_rotation() {
    for engine in BOTH {
        let rotating = Rotating::with("alternating-users").await;
        let (name, other) = (engine.user().await, engine.user().await);
        let secret = secret_of(&rotating, engine, &name).await;
        rotating.rotate(&secret).await.unwrap();
        match engine {
            Engine::Postgres => {
                postgres().execute(&format!("REVOKE {name} FROM {name}_clone")).await
            }
            Engine::MariaDb => {
                let grant = format!("GRANT SELECT ON shop_of_{other}.* TO '{name}'@'%'");
                mariadb().execute(&[&grant]).await;
            }
        }
        rotating.rotate(&secret).await.unwrap();
        let (username, password) = rotating.login(&secret, "AWSCURRENT").await;
        assert_eq!(username, name);
        assert!(engine.lets_in(&username, &password).await);
    }
}
