//! The four steps, by each strategy. Every step may be done again, after a crash too: the pending value
//! is stored before a database sees it, and what is already so is left so.
use super::session::{Connector, Passwords, Session};
use super::{Known, parse, wrong};
use crate::functions::Strategy;
use crate::rotation::{Failure, SecretsClient};
use crate::secrets::database::{Login, changed};
use crate::secrets::{CURRENT, PENDING, PREVIOUS};
use crate::types::SecretText;

/// GetRandomPassword's own default.
const PASSWORD_LENGTH: u32 = 32;
/// What AWS's functions leave out, for URLs and shells.
const EXCLUDED: &str = ":/@\"'\\";

/// One step of one secret.
pub(super) struct Rotation<'a> {
    pub client: SecretsClient,
    pub connector: Connector,
    pub strategy: Strategy,
    pub secret: &'a str,
    pub token: &'a str,
    pub rotation_token: &'a SecretText,
}

impl Rotation<'_> {
    /// Whether there is anything to do: the labels must be where a rotation has them. Answers what to
    /// say if the version is current already.
    pub async fn staged(&self) -> Result<Option<String>, Failure> {
        let described = self.client.describe(self.secret).await?;
        let (secret, token) = (self.secret, self.token);
        if !described.rotation_enabled {
            return Err(Failure::lasting(format!("Secret {secret} is not enabled for rotation")));
        }
        let labels = described.stages.get(token).ok_or_else(|| {
            Failure::lasting(format!(
                "Secret version {token} has no stage for rotation of {secret}"
            ))
        })?;
        let has = |label: &str| labels.iter().any(|has| has == label);
        match (has(CURRENT), has(PENDING)) {
            (true, false) => Ok(Some(format!("Secret version {token} already set as AWSCURRENT"))),
            // The last step may have been broken off between its two changes.
            (true, true) => self.finish_secret().await.map(Some),
            (false, true) => Ok(None),
            (false, false) => Err(Failure::lasting(format!(
                "Secret version {token} not set as AWSPENDING for rotation of {secret}"
            ))),
        }
    }

    pub async fn create_secret(&self) -> Result<String, Failure> {
        let current = self.current().await?;
        if self.strategy == Strategy::DualPasswords {
            current.login.engine.has_two_passwords().map_err(in_current)?;
        }
        if self.strategy.needs_administrator() {
            administrator_of(&current.login)?;
        }
        if self.value(Some(self.token), PENDING).await?.is_some() {
            return Ok("createSecret: there is a pending value already".into());
        }
        let username = match self.strategy {
            Strategy::AlternatingUsers => current.login.other_user().map_err(in_current)?,
            _ => current.login.username.clone(),
        };
        let password = self.client.random_password(PASSWORD_LENGTH, EXCLUDED).await?;
        let text = changed(&current.text, &username, &password);
        let text = text.ok_or_else(|| in_current("is not a JSON object"))?;
        self.client.put_pending(self.secret, self.token, self.rotation_token, &text).await?;
        Ok("createSecret: put a pending value".into())
    }

    pub async fn set_secret(&self) -> Result<String, Failure> {
        let (current, pending) = (self.current().await?.login, self.pending().await?);
        if !pending.is_where(&current) {
            return Err(Failure::lasting(
                "the pending value has another engine, host or port than the current one",
            ));
        }
        let username = match self.strategy {
            Strategy::AlternatingUsers => current.other_user().map_err(in_current)?,
            _ => current.username.clone(),
        };
        if pending.username != username {
            return Err(Failure::lasting(
                "the pending value is of a user that is not the current one's, nor its clone",
            ));
        }
        if self.connector.log_in(&pending).await?.is_some() {
            return Ok(format!("setSecret: the pending password of {username} is set already"));
        }
        match self.strategy {
            Strategy::SingleUser => {
                self.as_itself(&current).await?.change_own(&pending.password).await?;
            }
            Strategy::SingleUserWithAdministrator => {
                let account = self.proved(&current).await?.account().await?;
                self.administrator(&current).await?.change(&account, &pending.password).await?;
            }
            Strategy::AlternatingUsers => self.take_turns(&current, &pending).await?,
            Strategy::DualPasswords => {
                let mut session = self.proved(&current).await?;
                let account = session.account().await?;
                if current.administrator.is_some() {
                    session = self.administrator(&current).await?;
                }
                session.add(&account, &pending.password, &current.password).await?;
            }
        }
        Ok(format!("setSecret: set the password of {username} in {}", current.engine.name()))
    }

    async fn take_turns(&self, current: &Login, pending: &Login) -> Result<(), Failure> {
        let from = self.proved(current).await?.account().await?;
        let mut to = from.clone();
        to.user.clone_from(&pending.username);
        // Whoever may write the secret cannot be given more by it than the passwords in it give.
        let known = match self.previous(current, &to.user).await? {
            Some(mut session) => session.account().await? == to,
            None => false,
        };
        let administrator =
            administrator(&self.client, administrator_of(current)?, current).await?;
        if administrator.username == to.user {
            return Err(Failure::lasting(format!(
                "{} is the administrator, and takes turns with nobody",
                to.user
            )));
        }
        let throwaway = self.client.random_password(PASSWORD_LENGTH, EXCLUDED).await?;
        let passwords = Passwords { throwaway: &throwaway, last: &pending.password };
        let mut session = log_in_administrator(&self.connector, &administrator).await?;
        session.copy(&from, &to, &passwords, known).await
    }

    pub async fn test_secret(&self) -> Result<String, Failure> {
        let pending = self.pending().await?;
        let session = self.connector.log_in(&pending).await?;
        // Not lasting: behind a proxy, or on a replica, it may take its time.
        let refused = || Failure::passing("Unable to log into database with pending secret");
        session.ok_or_else(refused)?.probe().await?;
        Ok(format!("testSecret: {} logged in with the pending password", pending.username))
    }

    pub async fn finish_secret(&self) -> Result<String, Failure> {
        self.client.finish(self.secret, self.token).await?;
        Ok(format!("finishSecret: {} is AWSCURRENT", self.token))
    }

    /// Whoever the secret is of, with a password that is still good: the current one, or the previous
    /// one where a label was moved without the database.
    async fn as_itself(&self, current: &Login) -> Result<Box<dyn Session>, Failure> {
        if let Some(session) = self.connector.log_in(current).await? {
            return Ok(session);
        }
        let previous = self.previous(current, &current.username).await?;
        previous.ok_or_else(|| {
            Failure::lasting(
                "Unable to log into database with previous, current, or pending secret",
            )
        })
    }

    /// A user of the current value's server, if the previous value is of it and still good.
    async fn previous(
        &self,
        current: &Login,
        username: &str,
    ) -> Result<Option<Box<dyn Session>>, Failure> {
        let text = self.value(None, PREVIOUS).await?;
        let Some(Ok(mut previous)) = text.map(|text| parse(&text, "previous")) else {
            return Ok(None);
        };
        (previous.ssl, previous.database) = (current.ssl, current.database.clone());
        if !previous.is_where(current) || previous.username != username {
            return Ok(None);
        }
        self.connector.log_in(&previous).await
    }

    /// Whoever has the current value of the secret may have its user changed by an administrator, and
    /// nobody who has not: else whoever may write the secret could name any user.
    async fn proved(&self, current: &Login) -> Result<Box<dyn Session>, Failure> {
        let session = self.connector.log_in(current).await?;
        session.ok_or_else(|| {
            Failure::lasting("Unable to log into database using current credentials")
        })
    }

    /// The administrator, of the same server.
    async fn administrator(&self, current: &Login) -> Result<Box<dyn Session>, Failure> {
        let secret = administrator_of(current)?;
        let administrator = administrator(&self.client, secret, current).await?;
        log_in_administrator(&self.connector, &administrator).await
    }

    async fn current(&self) -> Result<Known, Failure> {
        let text = self.value(None, CURRENT).await?;
        let text = text.ok_or_else(|| Failure::lasting("the secret has no current value"))?;
        let login = parse(&text, "current")?;
        Ok(Known { text, login })
    }

    async fn pending(&self) -> Result<Login, Failure> {
        let text = self.value(Some(self.token), PENDING).await?;
        let text = text.ok_or_else(|| Failure::lasting("the secret has no pending value"))?;
        parse(&text, "pending")
    }

    async fn value(&self, id: Option<&str>, label: &str) -> Result<Option<SecretText>, Failure> {
        let value = self.client.value(self.secret, id, Some(label)).await?;
        Ok(value.map(|value| value.text))
    }
}

/// The older of two passwords goes: the current one alone stays good. Nothing is done once another
/// version than `token` is the current one: after a roll-back the older password is in use.
pub(super) async fn discard_old(
    client: &SecretsClient,
    connector: &Connector,
    secret: &str,
    token: &str,
) -> Result<(), Failure> {
    let value = client.value(secret, None, Some(CURRENT)).await?;
    let value = value.ok_or_else(|| Failure::lasting("the secret has no current value"))?;
    if value.version_id != token {
        return Ok(());
    }
    let current = parse(&value.text, "current")?;
    let session = connector.log_in(&current).await?;
    let mut session = session
        .ok_or_else(|| Failure::lasting("Unable to log into database using current credentials"))?;
    let account = session.account().await?;
    if let Some(secret) = &current.administrator {
        let administrator = administrator(client, secret, &current).await?;
        session = log_in_administrator(connector, &administrator).await?;
    }
    session.keep_only(&account, &current.password).await
}

fn in_current(what: &str) -> Failure {
    wrong("current", what)
}

fn administrator_of(current: &Login) -> Result<&str, Failure> {
    let missing = || Failure::lasting("the current value has no masterarn");
    current.administrator.as_deref().ok_or_else(missing)
}

async fn administrator(
    client: &SecretsClient,
    secret: &str,
    current: &Login,
) -> Result<Login, Failure> {
    let value = client.value(secret, None, Some(CURRENT)).await?;
    let missing = || Failure::lasting("masterarn names no secret with a current value");
    let mut administrator = parse(&value.ok_or_else(missing)?.text, "administrator's")?;
    if !administrator.is_where(current) {
        return Err(Failure::lasting(
            "the administrator's secret has another engine, host or port than the current value",
        ));
    }
    administrator.database.clone_from(&current.database);
    Ok(administrator)
}

async fn log_in_administrator(
    connector: &Connector,
    administrator: &Login,
) -> Result<Box<dyn Session>, Failure> {
    let session = connector.log_in(administrator).await?;
    session.ok_or_else(|| {
        Failure::lasting("Unable to log into database using credentials in master secret")
    })
}
