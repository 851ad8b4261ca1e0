//! `claviger account`: makes and lists the accounts of a deployment.
use super::StartError;
use super::control::{Failure, Where, print, run, unexpected};
use crate::control::{AccountEntry, Command, Output};
use crate::identity::{access_key_id, secret_access_key};
use crate::random::SystemRandom;
use crate::types::AccountId;
use std::fmt::Write;

#[derive(Debug, clap::Subcommand)]
pub(super) enum AccountCommand {
    /// Make an account, with an administrator whose access key is printed
    Create(CreateArguments),
    /// List the accounts, with what they hold
    List(ListArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateArguments {
    #[command(flatten)]
    at: Where,
    /// A name that it goes by beside its number, as IAM's account alias
    #[arg(long, value_name = "ALIAS")]
    name: Option<String>,
    /// Twelve digits
    id: AccountId,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    at: Where,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn main(command: AccountCommand) -> Result<(), StartError> {
    match command {
        AccountCommand::Create(arguments) => create(arguments),
        AccountCommand::List(arguments) => list(&arguments),
    }
}

fn create(arguments: CreateArguments) -> Result<(), StartError> {
    let CreateArguments { at, name, id } = arguments;
    // Made here: if the answer is lost, the secret is not.
    let (key, secret) = (access_key_id(&SystemRandom), secret_access_key(&SystemRandom));
    let credentials = format!(
        "Account {id}, user admin. This secret is shown now and never again:\n\n  \
         AWS_ACCESS_KEY_ID={key}\n  AWS_SECRET_ACCESS_KEY={}\n\n",
        secret.expose()
    );
    let command = Command::CreateAccount { id, alias: name, access_key_id: key, secret };
    run(&at, command, |outcome| match outcome {
        Ok(Output::AccountCreated) => print(&credentials),
        Ok(_) => Err(unexpected()),
        Err(Failure::Lost) => {
            print(&credentials)?;
            let text = "the server went away before it answered: see `claviger account list` \
                        whether the account was made; if so, the access key above is its";
            Err(StartError::Other(text.into()))
        }
        Err(Failure::Start(error)) => Err(error),
    })
}

fn list(arguments: &ListArguments) -> Result<(), StartError> {
    run(&arguments.at, Command::ListAccounts, |outcome| match outcome? {
        Output::Accounts(entries) if arguments.json => {
            let json = serde_json::to_string_pretty(&entries);
            print(&format!("{}\n", json.map_err(|e| StartError::Other(e.to_string()))?))
        }
        Output::Accounts(entries) => print(&table(&entries)),
        _ => Err(unexpected()),
    })
}

fn table(entries: &[AccountEntry]) -> String {
    let mut text = String::new();
    let mut line = |cells: [&str; 7]| {
        let [id, alias, created, users, roles, keys, secrets] = cells;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{id:<12}  {created:<20}  {users:>5}  {roles:>5}  {keys:>6}  {secrets:>7}  {alias}"
        );
    };
    line(["ACCOUNT", "ALIAS", "CREATED", "USERS", "ROLES", "KEYS", "SECRETS"]);
    for entry in entries {
        let AccountEntry { id, alias, created, users, roles, keys, secrets } = entry;
        let [users, roles, keys, secrets] = [users, roles, keys, secrets].map(usize::to_string);
        let alias = alias.as_deref().unwrap_or("-");
        line([id.as_str(), alias, created, &users, &roles, &keys, &secrets]);
    }
    text
}
