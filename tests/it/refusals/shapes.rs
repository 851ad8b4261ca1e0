//! AWS's model as a file, and what it says against values: bounds, patterns, enumerations, types.
//! Read apart from the server's own reading of it.
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde_json::{Map, Value, json};

/// A place inside a request.
#[derive(Clone, Debug)]
pub enum Step {
    Member(String),
    /// The first element of a list.
    Element,
    /// The only value of a map.
    Entry,
}

/// What the server must say of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: the operation decides.
    Fits,
    /// ValidationException, with these words.
    Breaks(String),
    /// SerializationException.
    WrongType,
}

/// A request that differs from a good one in one place.
#[derive(Debug)]
pub struct Case {
    pub path: Vec<Step>,
    /// None: the member is left out.
    pub value: Option<Value>,
    pub verdict: Verdict,
    pub what: &'static str,
}

pub fn model(service: &str) -> Value {
    let text = match service {
        "iam" => include_str!("../../../models/iam.json"),
        "kms" => include_str!("../../../models/kms.json"),
        "secretsmanager" => include_str!("../../../models/secretsmanager.json"),
        "sts" => include_str!("../../../models/sts.json"),
        other => panic!("no model of {other}"),
    };
    serde_json::from_str(text).unwrap()
}

/// Every place in an operation's requests with everything that can stand there, beside `sample`.
pub fn cases(model: &Value, operation: &str, sample: &Value) -> Vec<Case> {
    let members = model["operations"][operation]["input"].as_object().unwrap();
    let mut cases = Vec::new();
    of_members(members, sample, &[], &mut cases);
    cases
}

fn of_members(members: &Map<String, Value>, sample: &Value, path: &[Step], cases: &mut Vec<Case>) {
    for (name, shape) in members {
        let path = [path, &[Step::Member(name.clone())]].concat();
        let missing = match shape["required"] == true {
            true => Verdict::Breaks("Member must not be null".into()),
            false => Verdict::Fits,
        };
        for value in [None, Some(Value::Null)] {
            let (path, verdict) = (path.clone(), missing.clone());
            cases.push(Case { path, value, verdict, what: "absent" });
        }
        of_shape(shape, &sample[name], &path, cases);
    }
}

fn of_shape(shape: &Value, sample: &Value, path: &[Step], cases: &mut Vec<Case>) {
    let mut add = |value: Value, verdict: Verdict, what: &'static str| {
        cases.push(Case { path: path.to_vec(), value: Some(value), verdict, what });
    };
    wrong_types(shape, &mut add);
    bounds(shape, sample, &mut add);
    if let Some(values) = shape.get("enum") {
        for value in values.as_array().unwrap() {
            add(value.clone(), Verdict::Fits, "enum");
        }
        let words = Verdict::Breaks("enum value set".into());
        add(json!("no_such_value"), words, "enum");
    }
    if shape.get("pattern").is_some() {
        // No pattern of the models has control characters; the length stays.
        let text = sample.as_str().unwrap();
        let rest: String = text.chars().skip(1).collect();
        let words = Verdict::Breaks("regular expression pattern".into());
        add(json!(format!("\u{1}{rest}")), words.clone(), "pattern");
        // Of one pattern, anything may be the end.
        if !shape["pattern"].as_str().unwrap().ends_with(".+$") {
            let begin: String = text.chars().take(text.chars().count() - 1).collect();
            add(json!(format!("{begin}\u{1}")), words, "pattern");
        }
    }
    let null = |step: Step| Case {
        path: [path, &[step]].concat(),
        value: Some(Value::Null),
        verdict: Verdict::Breaks("Member must not be null".into()),
        what: "absent",
    };
    match shape["type"].as_str().unwrap() {
        "structure" => of_members(shape["members"].as_object().unwrap(), sample, path, cases),
        "list" => {
            cases.push(null(Step::Element));
            let path = [path, &[Step::Element]].concat();
            of_shape(&shape["member"], &sample[0], &path, cases);
        }
        "map" => {
            cases.push(null(Step::Entry));
            let path = [path, &[Step::Entry]].concat();
            let first = sample.as_object().unwrap().values().next().unwrap();
            of_shape(&shape["value"], first, &path, cases);
        }
        _ => {}
    }
}

fn wrong_types(shape: &Value, add: &mut impl FnMut(Value, Verdict, &'static str)) {
    let kind = shape["type"].as_str().unwrap();
    let all = [
        (json!(true), ["boolean"].as_slice()),
        (json!(1), &["integer", "long", "double", "float", "timestamp"]),
        (json!(1.5), &["double", "float", "timestamp"]),
        (json!("no base64: !"), &["string"]),
        (json!([]), &["list"]),
        (json!({}), &["map", "structure"]),
    ];
    for (value, kinds) in all {
        if !kinds.contains(&kind) {
            add(value, Verdict::WrongType, "type");
        }
    }
    match kind {
        "integer" => add(json!(i64::from(i32::MAX) + 1), Verdict::WrongType, "type"),
        "long" => add(json!(u64::MAX), Verdict::WrongType, "type"),
        _ => {}
    }
}

/// One less than each bound, the bound, and one more.
fn bounds(shape: &Value, sample: &Value, add: &mut impl FnMut(Value, Verdict, &'static str)) {
    let bound = |name: &str| shape.get(name).and_then(Value::as_i64);
    let (min, max) = (bound("min"), bound("max"));
    let mut sizes: Vec<i64> =
        [min, max].into_iter().flatten().flat_map(|n| [n - 1, n, n + 1]).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let measure = match shape["type"].as_str().unwrap() {
        "integer" | "long" | "double" | "float" => "value",
        _ => "length",
    };
    for n in sizes {
        let verdict = match (min, max) {
            (Some(min), _) if n < min => Verdict::Breaks(format!(
                "Member must have {measure} greater than or equal to {min}"
            )),
            (_, Some(max)) if n > max => {
                Verdict::Breaks(format!("Member must have {measure} less than or equal to {max}"))
            }
            _ => Verdict::Fits,
        };
        for value in sized(shape, sample, n) {
            add(value, verdict.clone(), "bound");
        }
    }
}

/// Values of a shape with this length, or this number: texts in several ways, of which one or the
/// other fits a pattern.
fn sized(shape: &Value, sample: &Value, n: i64) -> Vec<Value> {
    if ["integer", "long", "double", "float"].contains(&shape["type"].as_str().unwrap()) {
        return vec![json!(n)];
    }
    let Ok(length) = usize::try_from(n) else { return Vec::new() };
    match shape["type"].as_str().unwrap() {
        "string" => texts(sample.as_str().unwrap(), length),
        "blob" => vec![B64.encode(vec![b'a'; length]).into()],
        "list" => vec![vec![sample[0].clone(); length].into()],
        "map" => {
            let value = sample.as_object().unwrap().values().next().unwrap();
            let entries = (0..length).map(|at| (format!("k{at}"), value.clone()));
            vec![Value::Object(entries.collect())]
        }
        _ => Vec::new(),
    }
}

/// The sample cut off, or drawn out at its end, or behind its first two characters, or with a folder
/// before it.
fn texts(sample: &str, length: usize) -> Vec<Value> {
    let count = sample.chars().count();
    if count >= length {
        return vec![sample.chars().take(length).collect::<String>().into()];
    }
    let more = length - count;
    let last = sample.chars().last().unwrap_or('a').to_string();
    let (one, rest): (String, String) =
        (sample.chars().take(2).collect(), sample.chars().skip(2).collect());
    let second = one.chars().last().unwrap_or('a').to_string();
    let drawn = format!("{one}{}{rest}", second.repeat(more));
    let inside = format!("/{}{sample}", "a".repeat(more - 1));
    vec![format!("{sample}{}", last.repeat(more)).into(), drawn.into(), inside.into()]
}

/// `sample` with one place changed.
pub fn changed(sample: &Value, path: &[Step], value: Option<&Value>) -> Value {
    let mut body = sample.clone();
    let (last, before) = path.split_last().unwrap();
    let mut at = &mut body;
    for step in before {
        at = match step {
            Step::Member(name) => &mut at[name],
            Step::Element => &mut at[0],
            Step::Entry => at.as_object_mut().unwrap().values_mut().next().unwrap(),
        };
    }
    match (last, value) {
        (Step::Member(name), Some(value)) => at[name] = value.clone(),
        (Step::Member(name), None) => drop(at.as_object_mut().unwrap().remove(name)),
        (Step::Element, value) => at[0] = value.cloned().unwrap_or_default(),
        (Step::Entry, value) => {
            let entry = at.as_object_mut().unwrap().values_mut().next().unwrap();
            *entry = value.cloned().unwrap_or_default();
        }
    }
    body
}
