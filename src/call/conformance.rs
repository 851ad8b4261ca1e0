//! Our types have exactly the members of AWS's model: a value with every member goes in and comes
//! back unchanged. Runs over the tables, so a new operation is covered by being declared.
use super::{Operation, ServiceTable};
use crate::wire::model::MARKER;
use serde_json::Value;

/// What the test needs to know of an operation's types.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    request: fn(Value) -> Result<(Value, String), String>,
    response: fn(Value) -> Result<Value, String>,
    recorded: &'static [&'static str],
    answer_recorded: &'static [&'static str],
}

impl Probe {
    pub(crate) const fn of<O: Operation>() -> Self {
        Self {
            request: |v| {
                serde_json::from_value::<O>(v)
                    .map(|o| (serde_json::to_value(&o).unwrap(), format!("{o:?}")))
                    .map_err(|e| e.to_string())
            },
            response: |v| {
                serde_json::from_value::<O::Response>(v)
                    .map(|r| serde_json::to_value(&r).unwrap())
                    .map_err(|e| e.to_string())
            },
            recorded: O::RECORDED,
            answer_recorded: O::ANSWER_RECORDED,
        }
    }
}

pub(crate) fn conforms(table: &ServiceTable) {
    let model = (table.model)();
    let mut last = "";
    for entry in table.operations {
        assert!(entry.name > last, "{} is not in the order of the names", entry.name);
        last = entry.name;
        let operation =
            model.operation(entry.name).unwrap_or_else(|| panic!("{} is not AWS's", entry.name));

        let full = operation.sample_input();
        let (ours, printed) = (entry.probe.request)(full.clone())
            .unwrap_or_else(|e| panic!("request of {}: {e}", entry.name));
        assert_eq!(ours, full, "request of {}", entry.name);
        // The marker stands in sensitive members only.
        assert!(!printed.contains(MARKER), "{} prints a secret: {printed}", entry.name);

        let full = operation.sample_output();
        if full.as_object().is_some_and(|members| !members.is_empty()) {
            assert_eq!((entry.probe.response)(full.clone()), Ok(full), "answer of {}", entry.name);
        }
        recorded_members_exist(entry.name, entry.probe.recorded, operation.input());
        recorded_members_exist(entry.name, entry.probe.answer_recorded, operation.output());
    }
}

/// What the audit event shows are members of the model, and none of them is sensitive.
fn recorded_members_exist(name: &str, recorded: &[&str], shape: &crate::wire::model::Shape) {
    let sensitive = shape.sensitive_paths();
    for entry in recorded {
        let path = entry.split(['=', ':']).next().unwrap();
        let member = path.split('.').next().unwrap();
        assert!(shape.member(member).is_some(), "{name} records {member}, which it does not have");
        let leaks = sensitive.iter().any(|s| s == path || s.starts_with(&format!("{path}.")));
        assert!(!leaks, "{name} records {path}, which is sensitive");
    }
}
