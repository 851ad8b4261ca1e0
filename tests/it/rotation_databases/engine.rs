//! The two databases, for tests that are the same for both.
use crate::databases::{HOST, fresh, mariadb, postgres};
use mysql_async::prelude::Queryable;
use serde_json::{Value, json};
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    MariaDb,
}

pub const BOTH: [Engine; 2] = [Engine::Postgres, Engine::MariaDb];

impl Engine {
    pub fn port(self) -> u16 {
        match self {
            Self::Postgres => postgres().port,
            Self::MariaDb => mariadb().port,
        }
    }

    pub fn ca_file(self) -> &'static Path {
        match self {
            Self::Postgres => &postgres().ca_file,
            Self::MariaDb => &mariadb().ca_file,
        }
    }

    /// A database secret's value.
    pub fn value(self, username: &str, password: &str) -> Value {
        json!({
            "engine": match self {
                Self::Postgres => "postgres",
                Self::MariaDb => "mariadb",
            },
            "host": HOST,
            "port": self.port(),
            "username": username,
            "password": password,
        })
    }

    /// A new user with the password `first`, who may read the table `shop_of_<name>.t`; its name.
    pub async fn user(self) -> String {
        let name = fresh("app");
        match self {
            Self::Postgres => {
                postgres()
                    .execute(&format!(
                        "CREATE ROLE {name} LOGIN PASSWORD 'first'; CREATE SCHEMA shop_of_{name};
                         CREATE TABLE shop_of_{name}.t (n int);
                         GRANT USAGE ON SCHEMA shop_of_{name} TO {name};
                         GRANT SELECT ON shop_of_{name}.t TO {name};"
                    ))
                    .await;
            }
            Self::MariaDb => {
                mariadb()
                    .execute(&[
                        &format!("CREATE DATABASE shop_of_{name}"),
                        &format!("CREATE TABLE shop_of_{name}.t (n int)"),
                        &format!("CREATE USER '{name}'@'%' IDENTIFIED BY 'first'"),
                        &format!("GRANT SELECT ON shop_of_{name}.* TO '{name}'@'%'"),
                    ])
                    .await;
            }
        }
        name
    }

    /// Whether this login is let in.
    pub async fn lets_in(self, username: &str, password: &str) -> bool {
        match self {
            Self::Postgres => postgres().login(username, password, "postgres").await.is_ok(),
            Self::MariaDb => mariadb().login(username, password).await.is_ok(),
        }
    }

    /// Whether this login may read the table of [`Self::user`].
    pub async fn may_read(self, of: &str, username: &str, password: &str) -> bool {
        let query = format!("SELECT n FROM shop_of_{of}.t");
        match self {
            Self::Postgres => {
                let client = postgres().login(username, password, "postgres").await.unwrap();
                client.simple_query(&query).await.is_ok()
            }
            Self::MariaDb => {
                let mut connection = mariadb().login(username, password).await.unwrap();
                connection.query_drop(query).await.is_ok()
            }
        }
    }

    /// All that the server logged.
    pub fn log(self) -> String {
        match self {
            Self::Postgres => postgres().log(),
            Self::MariaDb => mariadb().log(),
        }
    }
}
