//! Names and passwords that try to be SQL, and values that try to be somebody else's.
use super::engine::BOTH;
use super::{Engine, Rotating};
use crate::databases::{ADMINISTRATOR, ADMINISTRATOR_PASSWORD, fresh, mariadb, postgres};
use claviger::rotation::FailureKind;
use mysql_async::prelude::Queryable;
use serde_json::json;
use tokio_postgres::{Client, SimpleQueryMessage};

const HOSTILE: [&str; 8] = [
    "it's\"; DROP ROLE administrator; --",
    "a\\'; SELECT 1; --",
    "Upper Case ",
    "ünï©ødé 漢字 😀",
    "$$ %s {} %",
    "back`tick\"quote",
    "'@'%' IDENTIFIED BY 'x",
    "tab\tand\nline",
];

/// A user of this name with the password `first`.
async fn user(engine: Engine, name: &str) {
    match engine {
        Engine::Postgres => {
            let name = name.replace('"', "\"\"");
            postgres().execute(&format!("CREATE ROLE \"{name}\" LOGIN PASSWORD 'first'")).await;
        }
        Engine::MariaDb => {
            let mut connection = mariadb().administrator().await;
            connection.query_drop("SET sql_mode = 'NO_BACKSLASH_ESCAPES'").await.unwrap();
            let name = name.replace('\'', "''");
            let statement = format!("CREATE USER '{name}'@'%' IDENTIFIED BY 'first'");
            connection.query_drop(statement).await.unwrap();
        }
    }
}

#[tokio::test]
async fn names_are_names_whatever_they_hold() {
    for engine in BOTH {
        for strategy in ["single-user", "alternating-users"] {
            let rotating = Rotating::with(strategy).await;
            let administrator = rotating.administrator(engine).await;
            for (n, hostile) in HOSTILE.into_iter().enumerate() {
                // MariaDB has no characters beyond the basic plane in names of users.
                let hostile = match engine {
                    Engine::Postgres => hostile.to_owned(),
                    Engine::MariaDb => hostile.replace('😀', ""),
                };
                let name = format!("{}{hostile}", fresh("u"));
                user(engine, &name).await;
                let mut value = engine.value(&name, "first");
                value["masterarn"] = json!(administrator);
                let secret = rotating.secret(&format!("s{n}"), &value).await;
                for _ in 0..2 {
                    let done = rotating.rotate(&secret).await;
                    done.unwrap_or_else(|error| panic!("{engine:?} {strategy} {name}: {error}"));
                    let (username, password) = rotating.login(&secret, "AWSCURRENT").await;
                    assert!(engine.lets_in(&username, &password).await, "{engine:?} {name}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_longest_name_of_postgresql() {
    let rotating = Rotating::with("single-user").await;
    let mut name = format!("{}{}", fresh("u"), "é".repeat(28));
    while name.len() < 63 {
        name.push('x');
    }
    assert_eq!(name.len(), 63);
    user(Engine::Postgres, &name).await;
    let secret = rotating.secret("s", &Engine::Postgres.value(&name, "first")).await;
    rotating.rotate(&secret).await.unwrap();
    let (_, password) = rotating.login(&secret, "AWSCURRENT").await;
    assert!(Engine::Postgres.lets_in(&name, &password).await);
}

#[tokio::test]
async fn passwords_are_passwords_whatever_they_hold() {
    for engine in BOTH {
        let strategies: &[&str] = match engine {
            Engine::Postgres => &["single-user", "single-user-with-administrator"],
            Engine::MariaDb => &["single-user", "single-user-with-administrator", "dual-passwords"],
        };
        for strategy in strategies {
            for hostile in ["'; DROP TABLE x; --", "\\'\\", "\"`$$%s", "pässwörd 漢字", " "] {
                // The current password is somebody else's choice, the pending one may be too: here it
                // was put before the function came to it.
                let rotating = Rotating::with(strategy).await;
                let name = engine.user().await;
                let mut value = engine.value(&name, "first");
                value["masterarn"] = json!(rotating.administrator(engine).await);
                let secret = rotating.secret("s", &value).await;
                let token = rotating.begin(&secret).await;
                value["password"] = json!(hostile);
                rotating.put_pending(&secret, &token, &value).await;
                let done = rotating.work().await;
                done.unwrap_or_else(|error| panic!("{engine:?} {strategy} {hostile}: {error}"));
                assert!(engine.lets_in(&name, hostile).await, "{engine:?} {strategy} {hostile}");
                // And from it to the next.
                rotating.rotate(&secret).await.unwrap();
                let (_, password) = rotating.login(&secret, "AWSCURRENT").await;
                assert!(engine.lets_in(&name, &password).await);
            }
        }
    }
}

/// Whoever may write a secret, and nothing else, names another user or another server in it.
#[tokio::test]
async fn a_pending_value_of_another_user_or_server_changes_nothing() {
    for engine in BOTH {
        let strategies = ["single-user", "single-user-with-administrator", "alternating-users"];
        for strategy in strategies {
            let (name, victim) = (engine.user().await, engine.user().await);
            for (member, other) in [
                ("username", json!(victim)),
                ("host", json!("localhost")),
                ("port", json!(1)),
                ("engine", json!(if engine == Engine::Postgres { "mysql" } else { "postgres" })),
            ] {
                let rotating = Rotating::with(strategy).await;
                let mut value = engine.value(&name, "first");
                value["masterarn"] = json!(rotating.administrator(engine).await);
                let secret = rotating.secret("s", &value).await;
                let token = rotating.begin(&secret).await;
                if strategy == "alternating-users" {
                    value["username"] = json!(format!("{name}_clone"));
                }
                value[member] = other;
                value["password"] = json!("attacker's");
                rotating.put_pending(&secret, &token, &value).await;
                let failure = rotating.work().await.unwrap_err();
                assert_eq!(failure.kind, FailureKind::Lasting, "{failure}");
                for user in [&name, &victim] {
                    assert!(engine.lets_in(user, "first").await, "{strategy} {member}");
                    assert!(!engine.lets_in(user, "attacker's").await, "{strategy} {member}");
                }
            }
        }
    }
}

/// With an administrator behind the secret, whoever may write it could have any user's password
/// changed: so its own must be good.
#[tokio::test]
async fn who_cannot_log_in_as_the_user_has_no_administrator_change_it() {
    for engine in BOTH {
        for strategy in ["single-user-with-administrator", "alternating-users"] {
            let rotating = Rotating::with(strategy).await;
            let victim = engine.user().await;
            let mut value = engine.value(&victim, "guessed");
            value["masterarn"] = json!(rotating.administrator(engine).await);
            let secret = rotating.secret("s", &value).await;
            let failure = rotating.rotate(&secret).await.unwrap_err();
            let wanted = "Unable to log into database using current credentials";
            assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Lasting, wanted));
            assert!(engine.lets_in(&victim, "first").await);
        }
    }
}

/// Makes `=` an operator of the database's owner, which notes who used it, for all sessions to come.
fn trap(database: &str, owner: &str) -> String {
    format!(
        "CREATE SCHEMA trap; CREATE TABLE trap.sprung (who name);
         CREATE FUNCTION trap.same(one name, other name) RETURNS boolean LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO trap.sprung VALUES (session_user);
             RETURN one OPERATOR(pg_catalog.=) other;
         END $$;
         CREATE OPERATOR trap.= (LEFTARG = name, RIGHTARG = name, PROCEDURE = trap.same);
         ALTER DATABASE {database} SET search_path = trap, pg_catalog;
         ALTER DATABASE {database} SET role = {owner}"
    )
}

/// Who fell into it, once for each row that was compared.
async fn sprung(owner: &Client) -> Vec<String> {
    let rows = owner.simple_query("SELECT who FROM trap.sprung").await.unwrap();
    let who = |row| match row {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    rows.into_iter().filter_map(who).collect()
}

/// Whoever owns a database chooses what sessions in it begin with, an administrator's too.
#[tokio::test]
async fn an_operator_of_the_databases_owner_is_not_run_by_the_administrator() {
    let engine = Engine::Postgres;
    let (name, database) = (engine.user().await, fresh("owned"));
    postgres().execute(&format!("CREATE DATABASE {database} OWNER {name}")).await;
    let owner = postgres().login(&name, "first", &database).await.unwrap();
    owner.batch_execute(&trap(&database, &name)).await.unwrap();
    // Who does not look out falls into it.
    let careless =
        postgres().login(ADMINISTRATOR, ADMINISTRATOR_PASSWORD, &database).await.unwrap();
    let query = "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = 'nobody'";
    careless.simple_query(query).await.unwrap();
    assert!(sprung(&owner).await.contains(&ADMINISTRATOR.to_owned()));
    owner.batch_execute("DELETE FROM trap.sprung").await.unwrap();

    let rotating = Rotating::with("alternating-users").await;
    let mut value = engine.value(&name, "first");
    value["masterarn"] = json!(rotating.administrator(engine).await);
    value["dbname"] = json!(database);
    let secret = rotating.secret("s", &value).await;
    rotating.rotate(&secret).await.unwrap();
    // The clone is there by now; for another secret, without its password.
    let mut value = rotating.value(&secret, "AWSCURRENT").await;
    for secret in ["t", "u"] {
        let secret = rotating.secret(secret, &value).await;
        rotating.rotate(&secret).await.unwrap();
        value = rotating.value(&secret, "AWSCURRENT").await;
    }
    let (username, password) = (value["username"].as_str(), value["password"].as_str());
    assert!(engine.lets_in(username.unwrap(), password.unwrap()).await);
    assert_eq!(sprung(&owner).await, [""; 0]);
}
