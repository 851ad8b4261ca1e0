//! The documents are held to the code: what they list is what there is, what they name exists.
//!
//! `CLAVIGER_WRITE_DOCS=1 cargo test --test documents` writes the tables of README.md anew.
#![cfg(test)]

#[path = "documents/device_keys.rs"]
mod device_keys;
#[path = "documents/metrics.rs"]
mod metrics;

use claviger::api;
use claviger::call::ServiceTable;
use claviger::config::Config;
use claviger::functions::{self, Functions};
use claviger::quotas::{FIGURES, Requests, Settings};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const BEGIN: &str = "<!-- operations:begin -->\n";
const END: &str = "<!-- operations:end -->";

/// The services in the order of the README, by signing name.
const SERVICES: [(&str, &str); 4] = [
    ("kms", "AWS KMS"),
    ("secretsmanager", "AWS Secrets Manager"),
    ("iam", "AWS IAM"),
    ("sts", "AWS STS"),
];

/// What an operation serves in part only: service, operations, note.
const NOTES: &[(&str, &str, &str)] = &[
    (
        "kms",
        "CreateKey",
        "`SM2`, which AWS has in China only, is `UnsupportedOperationException`; in the custom key \
         store of a device also RSA, ECC and HMAC keys, which AWS has not",
    ),
    (
        "kms",
        "CreateGrant",
        "grants for services (`GranteeServicePrincipal`, `SourceArn`) are kept; no service uses them \
         yet",
    ),
    (
        "kms",
        "ListGrants ListRetirableGrants",
        "the filters by service are refused, as AWS refuses them to whoever is not one",
    ),
    (
        "kms",
        "Decrypt DeriveSharedSecret GenerateDataKey GenerateDataKeyPair GenerateRandom",
        "`Recipient` is refused (`ValidationException`)",
    ),
    (
        "kms",
        "GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext",
        "`SM2` is `UnsupportedOperationException`",
    ),
    (
        "kms",
        "GetParametersForImport",
        "`RSAES_PKCS1_V1_5`, which AWS has given up, and `SM2` are `UnsupportedOperationException`",
    ),
    ("kms", "ListKeys", "no other account shares keys: of them the list is empty"),
    (
        "kms",
        "ReplicateKey UpdatePrimaryRegion",
        "among the regions that the deployment serves; done before the answer",
    ),
    ("kms", "ConnectCustomKeyStore", "to a device or a proxy of the configuration"),
    (
        "kms",
        "CreateCustomKeyStore UpdateCustomKeyStore",
        "a cluster is a device of the configuration, and a store keeps it; a proxy is one of the \
         configuration, too",
    ),
    (
        "kms",
        "GenerateRandom",
        "from the server's generator; with `CustomKeyStoreId` mixed with the device's",
    ),
    ("iam", "CreateUser", "`PermissionsBoundary` is refused"),
    (
        "iam",
        "SimulateCustomPolicy",
        "`OrderedOrganizationPolicyInputList` is refused (`InvalidInput`)",
    ),
    (
        "sts",
        "GetDelegatedAccessToken",
        "for [services that the operator registers](docs/identity.md#services-that-act-for-their-users); \
         the `TradeInToken` is a request that a user signed",
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The documents: every `*.md` at the root, in docs/ and beside what it explains.
fn documents() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["", "docs", "models", "softhsm-setup", "tests/data/sigv4"]
        .iter()
        .flat_map(|dir| root().join(dir).read_dir().unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .collect();
    found.sort();
    assert!(found.len() > 8, "{found:?}");
    found
}

/// A document without its fenced blocks.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut keep = |line: &&str| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    };
    text.lines().filter(|line| keep(line)).collect::<Vec<_>>().join("\n")
}

/// What stands between single backticks.
fn code_spans(prose: &str) -> Vec<&str> {
    prose.split('`').skip(1).step_by(2).collect()
}

fn section<'t>(text: &'t str, heading: &str) -> &'t str {
    let begin = text.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let level = heading.split(' ').next().unwrap();
    let rest = &text[begin + 1 + heading.len()..];
    &rest[..rest.find(&format!("\n{level} ")).unwrap_or(rest.len())]
}

fn table(service: &ServiceTable, title: &str) -> String {
    let served: Vec<String> =
        service.operations.iter().map(|entry| format!("`{}`", entry.name)).collect();
    let all = (service.model)().operations().count();
    let mut text = format!("#### {title}\n\n| | |\n|---|---|\n");
    writeln!(text, "| served: {} of {all} | {} |", served.len(), served.join(", ")).unwrap();
    for (_, operations, note) in NOTES.iter().filter(|(name, ..)| *name == service.signing_name) {
        for operation in operations.split(' ') {
            assert!(
                service.find(operation).is_some(),
                "a note on {operation}, which is not served"
            );
        }
        let names: Vec<String> = operations.split(' ').map(|name| format!("`{name}`")).collect();
        writeln!(text, "| {} | {note} |", names.join(", ")).unwrap();
    }
    text
}

#[test]
fn the_readme_lists_the_operations_that_are_served() {
    assert_eq!(SERVICES.len(), api::SERVICES.len(), "name every service in SERVICES");
    let tables: Vec<String> = SERVICES
        .iter()
        .map(|(name, title)| {
            let service = api::SERVICES.iter().find(|service| service.signing_name == *name);
            table(service.unwrap_or_else(|| panic!("no service {name}")), title)
        })
        .collect();
    let expected = format!(
        "\n{}\nCounted are the operations in [models](models/README.md); of IAM that is a selection.\n\n",
        tables.join("\n")
    );

    let path = root().join("README.md");
    let text = read(&path);
    let begin = text.find(BEGIN).expect("the begin marker") + BEGIN.len();
    let end = text.find(END).expect("the end marker");
    if std::env::var_os("CLAVIGER_WRITE_DOCS").is_some() {
        std::fs::write(&path, [&text[..begin], &expected, &text[end..]].concat()).unwrap();
        return;
    }
    let found = &text[begin..end];
    assert_eq!(found, expected, "run: CLAVIGER_WRITE_DOCS=1 cargo test --test documents");
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let mut checked = 0;
    for document in documents() {
        let text = read(&document);
        let prose = prose(&text);
        for link in prose.split("](").skip(1) {
            let target = link.split(')').next().unwrap();
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => document.clone(),
                file => document.parent().unwrap().join(file),
            };
            assert!(path.exists(), "{}: {target} leads nowhere", document.display());
            let headings = if path.is_file() { anchors(&read(&path)) } else { Vec::new() };
            assert!(
                anchor.is_empty() || headings.iter().any(|heading| heading == anchor),
                "{}: {target}: no such heading; there are {headings:?}",
                document.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}

/// The anchors of a document's headings.
fn anchors(text: &str) -> Vec<String> {
    let slug = |heading: &str| -> String {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    let headings = prose(text);
    headings
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| slug(line.trim_start_matches('#').trim()))
        .collect()
}

/// Code spans that name a file of ours name one that exists; `dir/a,b` forms and patterns excepted.
#[test]
fn every_file_that_is_named_exists() {
    let ours = ["src/", "tests/", "docs/", "hsm/", "benches/", "models/", "softhsm-setup/"];
    for document in documents() {
        // Its data comes from elsewhere, with the names it had there.
        if document.ends_with("tests/data/sigv4/README.md") {
            continue;
        }
        let text = read(&document);
        for span in code_spans(&prose(&text)) {
            let plain = !span.contains(['*', '{', '<', '…', ' ']);
            if plain && ours.iter().any(|dir| span.starts_with(dir)) {
                assert!(root().join(span).exists(), "{}: no {span}", document.display());
            }
        }
    }
}

/// How many tests a row of a table names in its last cell, as `file`: `test`, `test`. Each must exist.
fn tests_of(row: &str) -> usize {
    let Some(held_by) = row.trim_end_matches('|').rsplit('|').next() else { return 0 };
    let (mut source, mut named) = (String::new(), 0);
    for span in code_spans(held_by) {
        if span.contains('/') {
            source = read(&root().join(span));
        } else if !source.is_empty() {
            // A function that tests use is no test.
            let declared = format!("fn {span}(");
            let attribute = |line: &str| line.contains("test]") || line.contains("test(");
            let is_test =
                |(at, _): (usize, &str)| source[..at].lines().rev().take(4).any(attribute);
            let found = source.match_indices(&declared).any(is_test);
            assert!(found, "no test {span} where this row has it: {row}");
            named += 1;
        }
    }
    named
}

/// The invariants name the tests that hold them.
#[test]
fn every_test_of_an_invariant_exists() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let rows = section(&text, "## Invariants").lines().filter(|line| line.starts_with("| "));
    let checked: usize = rows.map(tests_of).sum();
    assert!(checked > 10, "{checked}");
}

/// And so does every fault of a device: none stands in the table that no test brings about.
#[test]
fn every_test_of_a_fault_exists() {
    let text = read(&root().join("docs/faults.md"));
    let mut faults = 0;
    for row in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| fault ")) {
        // Tables of other shapes have other columns.
        if row.matches('|').count() == 6 {
            assert!(tests_of(row) > 0, "no test shows it: {row}");
            faults += 1;
        }
    }
    assert!(faults > 20, "{faults}");
}

#[test]
fn the_example_of_an_operation_is_one() {
    let text = read(&root().join("CONTRIBUTING.md"));
    let operation = read(&root().join("src/api/kms/enable_key.rs"));
    assert!(
        text.contains(&format!("```rust\n{operation}```")),
        "src/api/kms/enable_key.rs changed"
    );
}

#[test]
fn no_document_speaks_of_one_machine() {
    // In pieces, or this file would be the first to do it.
    let forbidden: Vec<String> = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["/ho", "me/"],
        ["/Us", "ers/"],
        ["local", "host:8"],
        ["index.cra", "tes.io"],
        ["static.cra", "tes.io"],
        ["files.python", "hosted.org"],
        [".py", "env"],
        [".car", "go/registry"],
    ]
    .iter()
    .map(|pieces| pieces.concat())
    .collect();
    let others = ["deny.toml", "tests/documents.rs", "Makefile", "Cargo.toml"];
    let others = others.iter().map(|name| root().join(name)).filter(|path| path.exists());
    for document in documents().into_iter().chain(others) {
        let text = read(&document);
        for (number, line) in (1..).zip(text.lines()) {
            for word in &forbidden {
                assert!(!line.contains(word.as_str()), "{}:{number}: {line}", document.display());
            }
        }
    }
}

/// A line of one word in capitals is where something was to be put.
#[test]
fn no_placeholder_was_left() {
    for document in documents() {
        for line in prose(&read(&document)).lines().map(str::trim) {
            let left = line.len() > 2 && line.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
            assert!(!left, "{}: {line}", document.display());
        }
    }
}

#[test]
fn the_example_configuration_is_good() {
    let text = read(&root().join("docs/operations.md"));
    let blocks: Vec<&str> = text.split("```toml\n").skip(1).collect();
    assert_eq!(blocks.len(), 2, "one example, complete, and one of quotas");
    let example = blocks[0].split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("claviger.toml");
    std::fs::write(&path, example).unwrap();
    let config = Config::read(&path).unwrap();
    assert!(config.tls.is_some() && config.pkcs11.is_some() && config.listen.admin.is_some());
    assert_eq!(config.quotas, Settings::default());
    // The longer [quotas] section stands in place of the short one.
    let quotas = blocks[1].split("```").next().unwrap();
    let (before, _) = example.split_once("[quotas]").unwrap();
    std::fs::write(&path, format!("{before}{quotas}")).unwrap();
    let config = Config::read(&path).unwrap();
    assert_eq!((config.quotas.requests, config.quotas.accounts.len()), (Requests::Aws, 1));
}

/// A good value of each key of `[[function]]`.
const FUNCTION: [(&str, &str); 17] = [
    ("arn", "'arn:aws:lambda:eu-west-1:111122223333:function:rotate'"),
    ("role", "'arn:aws:iam::111122223333:role/rotation'"),
    ("policy", "'/p'"),
    ("timeout", "5"),
    ("drain", "5"),
    ("ca_file", "'/c'"),
    ("strategy", "'single-user'"),
    ("hosts", "['a.example']"),
    ("python", "'/f.py'"),
    ("handler", "'f.g'"),
    ("interpreter", "'/python'"),
    ("user", "'rotation'"),
    ("environment", "{ A = 'b' }"),
    ("endpoint", "'https://a.example'"),
    ("memory", "100"),
    ("url", "'https://a.example'"),
    ("token_file", "'/t'"),
];

/// Whether these keys make a function; `with` in place of the good value.
fn makes_a_function(keys: &BTreeSet<&str>, with: Option<(&str, &str)>) -> bool {
    let good = FUNCTION.iter().filter(|(key, _)| keys.contains(key));
    let values = good.map(|(key, value)| match with {
        Some((other, value)) if other == *key => format!("{key} = {value}\n"),
        _ => format!("{key} = {value}\n"),
    });
    let settings = toml::from_str(&values.collect::<String>());
    settings.is_ok_and(|settings| Functions::check(&[settings]).is_ok())
}

#[test]
fn the_keys_of_a_function_are_those_of_the_table() {
    let text = read(&root().join("docs/operations.md"));
    let rows = section(&text, "## Rotation functions").lines().filter(|row| row.starts_with("| `"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split('|').map(str::trim).collect()).collect();
    let documented: BTreeSet<&str> = rows.iter().map(|row| row[1].trim_matches('`')).collect();
    let unknown = toml::from_str::<functions::Settings>("no_such_key = 1").unwrap_err();
    let mut served: BTreeSet<&str> = code_spans(unknown.message()).into_iter().collect();
    assert!(served.remove("no_such_key"), "{unknown}");
    assert_eq!(documented, served);
    assert_eq!(FUNCTION.map(|(key, _)| key).into_iter().collect::<BTreeSet<_>>(), served);

    for row in &rows {
        let [_, key, of, default, bounds, ..] = row[..] else { panic!("{row:?}") };
        let (key, of) = (key.trim_matches('`'), of.trim_matches('`'));
        for kind in ["strategy", "python", "url"] {
            let mut keys = BTreeSet::from(["arn", "role", kind, key]);
            keys.extend((kind == "strategy").then_some("hosts"));
            let fits = of == "all" || of == kind;
            assert_eq!(makes_a_function(&keys, None), fits, "{key} of a {kind}");
            let Some((least, most)) = bounds.split_once('–').filter(|_| fits) else { continue };
            let (least, most): (i64, i64) = (least.parse().unwrap(), most.parse().unwrap());
            for (value, good) in
                [(least - 1, false), (least, true), (most, true), (most + 1, false)]
            {
                let made = makes_a_function(&keys, Some((key, &value.to_string())));
                assert_eq!(made, good, "{key} = {value}");
            }
        }
        let mut without = BTreeSet::from(["arn", "role", "strategy", "hosts"]);
        if without.remove(key) && key != "strategy" {
            assert_eq!(makes_a_function(&without, None), default != "required", "{key}");
        } else {
            assert_ne!(default, "required", "{key}");
        }
    }
}

#[test]
fn the_request_quotas_are_those_of_the_table() {
    let text = read(&root().join("docs/operations.md"));
    let mut documented = BTreeSet::new();
    for row in section(&text, "## Quotas").lines() {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, names, figure, ..] = cells[..] else { continue };
        for name in code_spans(names).into_iter().filter(|name| name.contains('.')) {
            let figure: String =
                figure.chars().take_while(|c| *c != ';').filter(char::is_ascii_digit).collect();
            assert!(documented.insert((name.to_owned(), figure)), "{name} twice");
        }
    }
    let all = FIGURES.iter().map(|figure| {
        let per_second = figure.per_second.map(|rate| rate.to_string()).unwrap_or_default();
        (figure.quota.to_string(), per_second)
    });
    assert_eq!(documented, all.collect());
}

#[test]
fn the_options_of_dev_are_those_of_its_help() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_claviger")).args(["dev", "--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let options = |text: &str| -> BTreeSet<String> {
        let part = |c: char| c.is_ascii_lowercase() || c == '-';
        let long = |word: &str| word.strip_prefix("--").is_some_and(|name| !name.is_empty());
        text.split(|c| !part(c)).filter(|word| long(word)).map(str::to_owned).collect()
    };
    let mut served = options(&help);
    served.remove("--help");
    let readme = read(&root().join("README.md"));
    let rows = section(&readme, "## `claviger dev`");
    let rows: Vec<&str> = rows.lines().filter(|line| line.starts_with("| `--")).collect();
    assert_eq!(options(&rows.join("\n")), served);
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let output = Command::new(env!("CARGO_BIN_EXE_claviger")).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let codes = help.split("Exit codes:").nth(1).unwrap().split("\n\n").next().unwrap();
    let of_help: Vec<&str> =
        codes.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let text = read(&root().join("docs/operations.md"));
    let of_document: Vec<&str> = section(&text, "## Exit codes")
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(' ').next())
        .filter(|code| code.parse::<u8>().is_ok())
        .collect();
    assert_eq!(of_document, of_help);
}
