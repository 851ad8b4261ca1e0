//! `claviger policy check`: what is wrong with policies, before they are attached to anything.
use super::StartError;
use crate::api;
use crate::policy::check::{Finding, Services, Severity, Subject, check};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Say what is wrong with policies: what opens them to everybody, what has no effect, what is
    /// misspelt. Exits with 1 if there are errors or warnings
    Check(CheckArguments),
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// Policy documents in JSON; `-` is the standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What they are attached to [default: what each looks like]
    #[arg(long, value_enum)]
    kind: Option<Attached>,
    /// What a key is for: of a key for secrets, uses without kms:ViaService are reported
    #[arg(long = "for", value_enum, value_name = "PURPOSE", requires = "kind")]
    purpose: Option<Purpose>,
    /// For machines
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Attached {
    /// A user, group or role; a permissions boundary, a session
    Identity,
    /// A KMS key
    Key,
    /// A secret
    Secret,
    /// A role, for who may assume it
    Trust,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Purpose {
    Secrets,
}

/// What was found in one file.
#[derive(Serialize)]
struct Checked<'a> {
    file: &'a Path,
    kind: &'static str,
    findings: Vec<Finding>,
}

/// As `claviger --help` says: 1 for what was found, 2 for what was asked.
const FOUND: u8 = 1;
const WRONG_ARGUMENTS: u8 = 2;

pub(super) fn run(command: &PolicyCommand) -> ExitCode {
    let PolicyCommand::Check(arguments) = command;
    if arguments.purpose.is_some() && arguments.kind != Some(Attached::Key) {
        super::tell(format_args!("claviger: --for is about --kind key"));
        return ExitCode::from(WRONG_ARGUMENTS);
    }
    let services: Services<'_> = api::SERVICES
        .iter()
        .map(|service| {
            let names = (service.model)().operations().map(|operation| operation.name());
            (service.signing_name, names.collect())
        })
        .collect();
    let mut all = Vec::new();
    for file in &arguments.files {
        let text = match read(file) {
            Ok(text) => text,
            Err(error) => {
                super::tell(format_args!("claviger: {}: {error}", file.display()));
                return ExitCode::from(WRONG_ARGUMENTS);
            }
        };
        let subject = arguments.subject(&text);
        let findings = check(&text, subject, &services);
        all.push(Checked { file, kind: name(subject), findings });
    }
    let shown = if arguments.json {
        // Strings and numbers only: this cannot fail.
        let json = serde_json::to_string_pretty(&all).unwrap_or_default();
        super::control::print(&format!("{json}\n"))
    } else {
        all.iter().try_for_each(print)
    };
    if let Err(error) = shown {
        super::tell(format_args!("claviger: {error}"));
        return ExitCode::from(FOUND);
    }
    let fails = |finding: &Finding| finding.severity > Severity::Note;
    match all.iter().any(|checked| checked.findings.iter().any(fails)) {
        true => ExitCode::from(FOUND),
        false => ExitCode::SUCCESS,
    }
}

impl CheckArguments {
    fn subject(&self, text: &str) -> Subject {
        let of_secrets = self.purpose.is_some();
        match self.kind {
            Some(Attached::Identity) => Subject::Identity,
            Some(Attached::Key) => Subject::Key { of_secrets },
            Some(Attached::Secret) => Subject::Secret,
            Some(Attached::Trust) => Subject::Trust,
            None => Subject::guess(text).unwrap_or(Subject::Identity),
        }
    }
}

fn name(subject: Subject) -> &'static str {
    match subject {
        Subject::Identity => "identity",
        Subject::Key { .. } => "key",
        Subject::Secret => "secret",
        Subject::Trust => "trust",
    }
}

fn read(file: &Path) -> std::io::Result<String> {
    if file != Path::new("-") {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// `FILE:LINE:COLUMN: severity[rule]: message (statement 0, Sid)`
fn print(checked: &Checked<'_>) -> Result<(), StartError> {
    let file = checked.file.display();
    let mut text = String::new();
    for finding in &checked.findings {
        let place =
            finding.position.map_or_else(String::new, |p| format!(":{}:{}", p.line, p.column));
        let statement = match (finding.statement, &finding.sid) {
            (Some(index), Some(sid)) => format!(" (statement {index}, {sid})"),
            (Some(index), None) => format!(" (statement {index})"),
            (None, _) => String::new(),
        };
        let (severity, rule) = (finding.severity.name(), finding.rule);
        text += &format!("{file}{place}: {severity}[{rule}]: {}{statement}\n", finding.message);
    }
    super::control::print(&text)?;
    let count = |severity| checked.findings.iter().filter(|f| f.severity == severity).count();
    super::tell(format_args!(
        "{file}: checked as a policy of kind {}: errors {}, warnings {}, notes {}",
        checked.kind,
        count(Severity::Error),
        count(Severity::Warning),
        count(Severity::Note)
    ));
    Ok(())
}
