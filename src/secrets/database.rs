//! What a database secret holds: where the database is, who logs in, and with what. (Secrets Manager
//! user guide, "JSON structure of AWS Secrets Manager secrets".) What is wrong with one is said without
//! a word of it.
use crate::types::SecretText;
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// What AWS's rotation functions add to the name of the second user.
const CLONE: &str = "_clone";

/// A family of databases that speak one protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Postgres,
    /// MariaDB too: which of the two it is, the server says.
    MySql,
}

impl Engine {
    fn named(name: &str) -> Option<Self> {
        match name {
            "postgres" | "aurora-postgresql" => Some(Self::Postgres),
            "mysql" | "aurora-mysql" | "mariadb" => Some(Self::MySql),
            _ => None,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
        }
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::MySql => 3306,
        }
    }

    /// Refuses engines whose users have one password only.
    pub const fn has_two_passwords(self) -> Result<(), &'static str> {
        match self {
            Self::MySql => Ok(()),
            Self::Postgres => Err("is of PostgreSQL, whose users have one password only"),
        }
    }

    /// How long a user's name may be, so that nothing cuts it: a name cut short is another user's.
    const fn longest_name(self) -> usize {
        match self {
            // Bytes: NAMEDATALEN less one.
            Self::Postgres => 63,
            // MySQL takes 32 characters and refuses more itself; MariaDB takes 128.
            Self::MySql => 128,
        }
    }
}

/// The member `ssl`, as AWS's rotation functions read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ssl {
    Required,
    /// Not said, or not understandably.
    Unsaid,
    Never,
}

/// A database secret's value.
#[derive(Debug)]
pub struct Login {
    pub engine: Engine,
    pub host: String,
    pub port: u16,
    pub username: String,
    pub password: SecretText,
    pub database: Option<String>,
    pub ssl: Ssl,
    /// `masterarn`: the secret of who may change this user.
    pub administrator: Option<String>,
}

/// Members of other names are nobody's business here.
#[derive(Deserialize)]
struct Members {
    engine: Option<String>,
    host: Option<String>,
    #[serde(default)]
    port: Value,
    username: Option<String>,
    password: Option<SecretText>,
    dbname: Option<String>,
    #[serde(default)]
    ssl: Value,
    masterarn: Option<String>,
}

impl Login {
    /// Reads a value, or says what is wrong with it: "has no username".
    pub fn parse(text: &SecretText) -> Result<Self, &'static str> {
        // The text of a parse error would quote the value.
        let other = "is not the JSON object of a database secret";
        // A list of the members' values would pass for the object.
        if !text.expose().trim_start().starts_with('{') {
            return Err(other);
        }
        let members: Members = serde_json::from_str(text.expose()).map_err(|_| other)?;
        let needed = |member: Option<String>, missing| {
            let found = member.filter(|text| !text.is_empty());
            found.ok_or(missing)
        };
        let engine = needed(members.engine, "has no engine")?;
        let engine = Engine::named(&engine).ok_or(
            "has an engine other than postgres, aurora-postgresql, mysql, aurora-mysql, mariadb",
        )?;
        let port = match &members.port {
            Value::Null => Some(engine.default_port()),
            Value::Number(number) => number.as_u64().and_then(|port| port.try_into().ok()),
            Value::String(text) => text.parse().ok(),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let username = needed(members.username, "has no username")?;
        if username.len() > engine.longest_name() || username.contains('\0') {
            return Err("has a username that no user can have");
        }
        let password = members.password.filter(|text| !text.expose().is_empty());
        Ok(Self {
            engine,
            host: needed(members.host, "has no host")?,
            port: port.filter(|port| *port != 0).ok_or("has a port that is none")?,
            username,
            password: password.ok_or("has no password")?,
            database: members.dbname.filter(|name| !name.is_empty()),
            ssl: match &members.ssl {
                Value::Bool(true) => Ssl::Required,
                Value::Bool(false) => Ssl::Never,
                Value::String(text) if text.eq_ignore_ascii_case("true") => Ssl::Required,
                Value::String(text) if text.eq_ignore_ascii_case("false") => Ssl::Never,
                _ => Ssl::Unsaid,
            },
            administrator: members.masterarn.filter(|arn| !arn.is_empty()),
        })
    }

    /// Whether it is the same server: a secret that names another one must not get this one's users
    /// changed, nor be sent this one's passwords.
    pub fn is_where(&self, other: &Self) -> bool {
        self.engine == other.engine && self.host == other.host && self.port == other.port
    }

    /// The name of the user whose turn is next.
    pub fn other_user(&self) -> Result<String, &'static str> {
        let other = match self.username.strip_suffix(CLONE) {
            Some(first) if !first.is_empty() => return Ok(first.to_owned()),
            _ => format!("{}{CLONE}", self.username),
        };
        match other.len() > self.engine.longest_name() {
            true => Err("has a username too long for a second user with _clone at its end"),
            false => Ok(other),
        }
    }
}

/// The value with another user and another password, all other members as they were. None if it is no
/// JSON object.
pub fn changed(text: &SecretText, username: &str, password: &SecretText) -> Option<SecretText> {
    let mut members: Map<String, Value> = serde_json::from_str(text.expose()).ok()?;
    let old = members.insert("password".into(), password.expose().into());
    members.insert("username".into(), username.into());
    let mut text = Zeroizing::new(serde_json::to_string(&members).ok()?);
    for held in [old, members.remove("password")] {
        if let Some(Value::String(held)) = held {
            drop(Zeroizing::new(held));
        }
    }
    Some(SecretText::new(std::mem::take(&mut *text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: &Value) -> Result<Login, &'static str> {
        Login::parse(&SecretText::new(value.to_string()))
    }

    fn with(name: &str, value: Value) -> Value {
        let mut whole =
            json!({"engine": "postgres", "host": "db", "username": "app", "password": "pw-of-app"});
        whole[name] = value;
        whole
    }

    #[test]
    fn what_is_needed_and_what_is_not() {
        let login = parse(&with("other", json!([1]))).unwrap();
        assert_eq!((login.port, login.ssl, login.database), (5432, Ssl::Unsaid, None));
        for (name, wrong) in [
            ("engine", "has no engine"),
            ("host", "has no host"),
            ("username", "has no username"),
            ("password", "has no password"),
        ] {
            for missing in [Value::Null, json!("")] {
                assert_eq!(parse(&with(name, missing)).unwrap_err(), wrong);
            }
        }
        assert_eq!(parse(&with("engine", json!("mariadb"))).unwrap().port, 3306);
        for port in [json!("6543"), json!(6543)] {
            assert_eq!(parse(&with("port", port)).unwrap().port, 6543);
        }
        for port in [json!(0), json!(65_536), json!(-1), json!("x"), json!([1]), json!(1.5)] {
            assert_eq!(parse(&with("port", port)).unwrap_err(), "has a port that is none");
        }
        for (ssl, wanted) in [
            (json!(true), Ssl::Required),
            (json!("True"), Ssl::Required),
            (json!(false), Ssl::Never),
            (json!("perhaps"), Ssl::Unsaid),
            (json!(1), Ssl::Unsaid),
        ] {
            assert_eq!(parse(&with("ssl", ssl)).unwrap().ssl, wanted);
        }
    }

    #[test]
    fn nothing_of_a_wrong_value_is_told() {
        for value in [
            json!("hunter2"),
            json!(["hunter2"]),
            with("engine", json!("hunter2")),
            with("username", json!("hunter2".repeat(99))),
            with("port", json!("hunter2")),
            with("password", json!({"hunter2": 1})),
        ] {
            assert!(!parse(&value).unwrap_err().contains("hunter2"), "{value}");
        }
        assert!(!format!("{:?}", parse(&with("a", json!(1)))).contains("pw-of-app"));
    }

    #[test]
    fn users_take_turns() {
        let named = |name: &str| parse(&with("username", json!(name))).unwrap().other_user();
        assert_eq!(named("app").unwrap(), "app_clone");
        assert_eq!(named("app_clone").unwrap(), "app");
        assert_eq!(named("_clone").unwrap(), "_clone_clone");
        assert_eq!(named(&"a".repeat(57)).unwrap().len(), 63);
        assert!(named(&"a".repeat(58)).is_err());
    }

    #[test]
    fn what_is_changed_is_the_user_and_the_password() {
        let text = SecretText::new(with("dbClusterIdentifier", json!("c")).to_string());
        let new = changed(&text, "app_clone", &SecretText::new("n\"ew".into())).unwrap();
        let new: Value = serde_json::from_str(new.expose()).unwrap();
        let mut wanted = with("dbClusterIdentifier", json!("c"));
        (wanted["username"], wanted["password"]) = (json!("app_clone"), json!("n\"ew"));
        assert_eq!(new, wanted);
        let array = SecretText::new("[]".into());
        assert!(changed(&array, "a", &SecretText::new("b".into())).is_none());
        // A struct can also be read from an array: a secret cannot.
        let list = json!(["postgres", "db", 1, "app", "pw", "d", true, "a"]);
        assert!(parse(&list).is_err());
    }
}
