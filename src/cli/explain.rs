//! `claviger explain`: why a request is, or was, allowed or denied, and what another policy would change.
use super::StartError;
use super::control::{Where, print, run, unexpected};
use crate::control::{Attach, Command, Output, Question, Span, WhatIf};
use crate::types::Timestamp;
use serde::Serialize;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Events that `--what-if` looks at if nobody says.
const LAST: u64 = 10_000;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("question").required(true))]
pub(super) struct ExplainArguments {
    #[command(flatten)]
    at: Where,
    /// Whoever would ask: the ARN of a user, role, session, group or root
    #[arg(long, value_name = "ARN", group = "question", requires_all = ["action", "resource"])]
    principal: Option<String>,
    /// What they would do, such as kms:Decrypt
    #[arg(long, value_name = "ACTION", requires = "principal")]
    action: Option<String>,
    /// With what: an ARN, or *
    #[arg(long, value_name = "ARN", requires = "principal")]
    resource: Option<String>,
    /// A condition key of the request. Repeatable; a key twice has two values
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair, requires = "principal")]
    context: Vec<(String, String)>,
    /// A session policy that the session would have
    #[arg(long, value_name = "FILE", requires = "principal")]
    session_policy: Option<PathBuf>,
    /// A call that the audit log holds, by its eventID
    #[arg(long, value_name = "ID", group = "question")]
    event: Option<String>,
    /// A policy: whose answers would it have changed?
    #[arg(long, value_name = "FILE", group = "question", requires = "attach_to")]
    what_if: Option<PathBuf>,
    /// Where the policy would be: user/NAME, role/NAME, group/NAME, key/ID as the key policy, or an ARN
    #[arg(long, value_name = "WHERE", value_parser = attach_to, requires = "what_if")]
    attach_to: Option<Attaching>,
    /// The policy there whose place it would take
    #[arg(long, value_name = "NAME", requires = "what_if")]
    replace: Option<String>,
    /// How many of the last events are looked at [default: 10000]
    #[arg(long, value_name = "N", requires = "what_if", conflicts_with = "since")]
    last: Option<u64>,
    /// All events since then, such as 2026-01-31T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment, requires = "what_if")]
    since: Option<Timestamp>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What clap can clone.
#[derive(Clone, Debug)]
struct Attaching {
    kind: Kind,
    name: String,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    User,
    Role,
    Group,
    Key,
}

impl Attaching {
    fn into_attach(self) -> Attach {
        match self.kind {
            Kind::User => Attach::User(self.name),
            Kind::Role => Attach::Role(self.name),
            Kind::Group => Attach::Group(self.name),
            Kind::Key => Attach::Key(self.name),
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("wanted: KEY=VALUE")?;
    if !key.contains(':') {
        return Err("a condition key is written like aws:SourceIp".into());
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn attach_to(text: &str) -> Result<Attaching, String> {
    let wanted = "wanted: user/NAME, role/NAME, group/NAME, key/ID, or the ARN of one";
    // Of an ARN, what follows the fifth colon says the kind.
    let resource = if text.starts_with("arn:") { text.splitn(6, ':').nth(5) } else { Some(text) };
    let (kind, name) = resource.and_then(|resource| resource.split_once('/')).ok_or(wanted)?;
    let kind = match kind {
        "user" => Kind::User,
        "role" => Kind::Role,
        "group" => Kind::Group,
        "key" => Kind::Key,
        _ => return Err(wanted.into()),
    };
    let name = if text.starts_with("arn:") { text } else { name };
    Ok(Attaching { kind, name: name.to_owned() })
}

fn moment(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "wanted: a moment like 2026-01-31T00:00:00Z".into())
}

pub(super) fn main(arguments: &ExplainArguments) -> Result<(), StartError> {
    let ExplainArguments { at, json, .. } = arguments;
    let command = command(arguments)?;
    run(at, command, |outcome| match outcome? {
        Output::Explained(report) => show(&report, *json),
        Output::Event(report) => show(&report, *json),
        Output::WhatIf(report) => show(&report, *json),
        _ => Err(unexpected()),
    })
}

fn command(arguments: &ExplainArguments) -> Result<Command, StartError> {
    if let Some(id) = &arguments.event {
        return Ok(Command::ExplainEvent { id: id.clone() });
    }
    if let (Some(file), Some(attach_to)) = (&arguments.what_if, &arguments.attach_to) {
        let last = Span::Last(arguments.last.unwrap_or(LAST));
        return Ok(Command::WhatIf(WhatIf {
            policy: read(file)?,
            attach_to: attach_to.clone().into_attach(),
            replace: arguments.replace.clone(),
            span: arguments.since.map_or(last, Span::Since),
        }));
    }
    let mut context: Vec<(String, Vec<String>)> = Vec::new();
    for (key, value) in &arguments.context {
        match context.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(key)) {
            Some((_, values)) => values.push(value.clone()),
            None => context.push((key.clone(), vec![value.clone()])),
        }
    }
    let session_policy = arguments.session_policy.as_deref().map(read).transpose()?;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Ok(Command::Explain(Question {
        principal: text(&arguments.principal),
        action: text(&arguments.action),
        resource: text(&arguments.resource),
        context,
        session_policy,
    }))
}

fn read(file: &Path) -> Result<String, StartError> {
    let failed = |e| StartError::Other(format!("{}: {e}", file.display()));
    std::fs::read_to_string(file).map_err(failed)
}

fn show<T: Display + Serialize>(report: &T, json: bool) -> Result<(), StartError> {
    if !json {
        return print(&report.to_string());
    }
    let json = serde_json::to_string_pretty(report);
    print(&format!("{}\n", json.map_err(|e| StartError::Other(e.to_string()))?))
}
