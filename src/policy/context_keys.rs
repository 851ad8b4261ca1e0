//! Which condition keys a policy asks about: what a simulation of it must be given.
//!
//! Read from the text and not from the compiled policy, which has the keys in lower case only.

use super::document::{Kind, Policy};
use super::error::PolicyError;
use super::json::Json;
use super::template::variable_end;
use std::collections::BTreeMap;

/// The keys as the policy writes them, each once, whatever its case.
pub fn context_keys(text: &str, kind: Kind) -> Result<Vec<String>, PolicyError> {
    // What is no policy is refused for AWS's reasons; below, everything has its shape.
    let policy = Policy::parse(text, kind)?;
    let variables = policy.version() == "2012-10-17";
    let json = Json::read(text)?;
    let mut keys = BTreeMap::new();
    for (name, value) in json.object("the policy")? {
        if name == "Statement" {
            for statement in value.one_or_many("Statement")? {
                of_statement(statement, variables, &mut keys)?;
            }
        }
    }
    Ok(keys.into_values().collect())
}

fn of_statement(
    statement: &Json,
    variables: bool,
    keys: &mut BTreeMap<String, String>,
) -> Result<(), PolicyError> {
    for (name, value) in statement.object("a statement")? {
        match name.as_str() {
            "Condition" => {
                for (_, asked) in value.object("Condition")? {
                    for (key, values) in asked.object("a condition operator")? {
                        note(keys, key);
                        if variables {
                            of_texts(values, keys)?;
                        }
                    }
                }
            }
            "Resource" | "NotResource" if variables => of_texts(value, keys)?,
            _ => {}
        }
    }
    Ok(())
}

/// The keys of the policy variables in one text or in many.
fn of_texts(value: &Json, keys: &mut BTreeMap<String, String>) -> Result<(), PolicyError> {
    for json in value.one_or_many("a list")? {
        let Json::String(text) = json else { continue };
        let mut rest = text.as_str();
        while let Some(at) = rest.find("${") {
            let Some((inside, after)) = rest.get(at..).and_then(variable_end) else { break };
            let name = inside.split(',').next().unwrap_or_default().trim();
            // `${*}` and its like are characters.
            if name.contains(':') {
                note(keys, name);
            }
            rest = after;
        }
    }
    Ok(())
}

fn note(keys: &mut BTreeMap<String, String>, key: &str) {
    keys.entry(key.to_lowercase()).or_insert_with(|| key.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_and_variables_are_found_once() {
        let text = r#"{"Version":"2012-10-17","Statement":[
            {"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}/${*}",
             "Condition":{"StringEquals":{"aws:PrincipalTag/a":["${kms:ViaService, 'none'}"]}}},
            {"Effect":"Deny","Action":"*","Resource":"*",
             "Condition":{"Bool":{"AWS:PrincipalTag/A":"true","aws:SecureTransport":"false"}}}]}"#;
        let keys = context_keys(text, Kind::Identity).unwrap();
        let expected =
            ["aws:PrincipalTag/a", "aws:SecureTransport", "aws:username", "kms:ViaService"];
        assert_eq!(keys, expected);
        // Before 2012-10-17 a variable is plain text.
        let old = text.replace("2012-10-17", "2008-10-17");
        let keys = context_keys(&old, Kind::Identity).unwrap();
        assert_eq!(keys, ["aws:PrincipalTag/a", "aws:SecureTransport"]);
        assert!(context_keys("{}", Kind::Identity).is_err());
    }
}
