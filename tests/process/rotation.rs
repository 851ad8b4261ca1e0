//! Rotations on real databases under kill -9: wherever it strikes, the server goes on after its restart,
//! and the database never has a password that the secret has not.
mod boundaries;
mod built_in;
mod logs;

use crate::client::Client;
use crate::databases::{ADMINISTRATOR, ADMINISTRATOR_PASSWORD, HOST, fresh, mariadb, postgres};
use crate::harness::now;
use crate::setup::{ACCOUNT, Deployment};
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::time::Duration;

/// A rotation takes a second or two, and the machine may be busy with other tests.
const DONE: Duration = Duration::from_secs(60);
const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap())
}

fn token(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}")
}

#[derive(Clone, Copy, Debug)]
enum Database {
    Postgres,
    MariaDb,
}

impl Database {
    fn value(self, username: &str, password: &str) -> Value {
        let (engine, port) = match self {
            Self::Postgres => ("postgres", postgres().port),
            Self::MariaDb => ("mariadb", mariadb().port),
        };
        json!({
            "engine": engine, "host": HOST, "port": port, "username": username,
            "password": password,
        })
    }

    fn administrator(self) -> Value {
        self.value(ADMINISTRATOR, ADMINISTRATOR_PASSWORD)
    }

    /// A new user with the password `first`, who may read the table `shop_of_<name>.t`; its name.
    fn user(self) -> String {
        let name = fresh("app");
        match self {
            Self::Postgres => self.execute(&[&format!(
                "CREATE ROLE {name} LOGIN PASSWORD 'first'; CREATE SCHEMA shop_of_{name};
                 CREATE TABLE shop_of_{name}.t (n int);
                 GRANT USAGE ON SCHEMA shop_of_{name} TO {name};
                 GRANT SELECT ON shop_of_{name}.t TO {name};"
            )]),
            Self::MariaDb => self.execute(&[
                &format!("CREATE DATABASE shop_of_{name}"),
                &format!("CREATE TABLE shop_of_{name}.t (n int)"),
                &format!("CREATE USER '{name}'@'%' IDENTIFIED BY 'first'"),
                &format!("GRANT SELECT ON shop_of_{name}.* TO '{name}'@'%'"),
            ]),
        }
        name
    }

    fn execute(self, statements: &[&str]) {
        match self {
            Self::Postgres => {
                let server = postgres();
                runtime().block_on(server.execute(&statements.join(";")));
            }
            Self::MariaDb => {
                let server = mariadb();
                runtime().block_on(server.execute(statements));
            }
        }
    }

    /// Whether this login is let in and may read the table that [`Self::user`] made for `of`.
    fn lets_in(self, of: &str, username: &str, password: &str) -> bool {
        let query = format!("SELECT n FROM shop_of_{of}.t");
        match self {
            Self::Postgres => {
                let server = postgres();
                runtime().block_on(async {
                    match server.login(username, password, "postgres").await {
                        Ok(client) => client.simple_query(&query).await.is_ok(),
                        Err(_) => false,
                    }
                })
            }
            Self::MariaDb => {
                let server = mariadb();
                runtime().block_on(async {
                    match server.login(username, password).await {
                        Ok(mut connection) => connection.query_drop(&query).await.is_ok(),
                        Err(_) => false,
                    }
                })
            }
        }
    }
}

/// A database user and its secret.
struct Secret {
    arn: String,
    database: Database,
    user: String,
    /// `LastRotatedDate`, as far as it was waited for.
    rotated: Value,
}

impl Secret {
    /// `administrator`: the ARN of the secret with the administrator's password.
    fn new(client: &mut Client, database: Database, administrator: Option<&str>) -> Self {
        let user = database.user();
        let mut value = database.value(&user, "first");
        if let Some(arn) = administrator {
            value["masterarn"] = arn.into();
        }
        let arn = create(client, &user, &value);
        Self { arn, database, user, rotated: Value::Null }
    }

    fn rotate(&self, client: &mut Client, n: usize, function: &str) {
        let body = json!({
            "SecretId": self.arn, "ClientRequestToken": token(n),
            "RotationLambdaARN": function_arn(function),
            "RotationRules": {"AutomaticallyAfterDays": 30},
        });
        client.secrets("RotateSecret", body).unwrap();
    }

    /// User and password of the version with this label, if there is one with a value.
    fn login(&self, client: &mut Client, label: &str) -> Option<(String, String)> {
        let body = json!({"SecretId": self.arn, "VersionStage": label});
        let value = client.secrets("GetSecretValue", body).ok()?;
        let value: Value = serde_json::from_str(value["SecretString"].as_str().unwrap()).unwrap();
        let member = |name: &str| value[name].as_str().unwrap().to_owned();
        Some((member("username"), member("password")))
    }

    /// Whether the version with this label lets in, with all that the user may.
    fn is_good(&self, client: &mut Client, label: &str) -> bool {
        let login = self.login(client, label);
        login.is_some_and(|(user, password)| self.database.lets_in(&self.user, &user, &password))
    }

    /// Whoever has the secret can get in.
    fn assert_known(&self, client: &mut Client) {
        // A rotation that goes on meanwhile may be between two looks, once before its end and once in it.
        let good = (0..3)
            .any(|_| ["AWSCURRENT", "AWSPENDING"].iter().any(|label| self.is_good(client, label)));
        assert!(good, "nobody knows the password of {}", self.user);
    }

    /// Waits until the rotation to version `n` is over, and opens the database.
    fn assert_rotated(&mut self, client: &mut Client, n: usize) {
        let began = now();
        loop {
            let described =
                client.secrets("DescribeSecret", json!({"SecretId": self.arn})).unwrap();
            let last = &described["LastRotatedDate"];
            if described["VersionIdsToStages"][token(n)] == json!(["AWSCURRENT"])
                && last.is_number()
                && *last != self.rotated
            {
                self.rotated = last.clone();
                break;
            }
            assert!(began.elapsed() < DONE, "{described:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(self.is_good(client, "AWSCURRENT"), "{} after rotation {n}", self.user);
    }

    /// Its rotations, all of which succeeded, and none of which holds this password.
    fn history(&self, deployment: &Deployment, password: &str) -> Vec<Value> {
        let mut command = crate::harness::program(None);
        command.args(["secret", "rotation", &self.arn, "--json", "--config"]);
        command.arg(deployment.config()).arg("--insecure-software-root");
        let exit = crate::harness::run(command);
        assert!(exit.status.success(), "{exit:#?}");
        assert!(!exit.stdout.contains(password), "{}", exit.stdout);
        let report: Value = serde_json::from_str(&exit.stdout).unwrap();
        let history = report["history"].as_array().unwrap().clone();
        for run in &history {
            assert_eq!(run["outcome"], "succeeded", "{run:#}");
        }
        history
    }
}

/// A new secret; answers its ARN.
fn create(client: &mut Client, name: &str, value: &Value) -> String {
    let body = json!({
        "Name": name, "SecretString": value.to_string(), "ClientRequestToken": token(0),
    });
    let made = client.secrets("CreateSecret", body).unwrap();
    made["ARN"].as_str().unwrap().to_owned()
}
