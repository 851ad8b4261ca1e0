//! Values with every member the model has, for tests: what goes through our types unchanged has
//! the model's members, and what shows the marker prints a secret.
use super::{Kind, OperationModel, Shape};
use serde_json::{Map, Value, json};

/// In every sample of a sensitive member, and in no other: the base64 of `ABC`.
pub const MARKER: &str = "QUJD";

/// Texts that somewhere satisfy the models' patterns and our types, the likeliest first.
const CANDIDATES: [&str; 12] = [
    "arn:aws:kms:eu-west-1:111122223333:key/x",
    "eu-west-1",
    "111122223333",
    "sample",
    "cluster-2222222222a",
    "https://example.com",
    "/kms/xks/v1",
    "com.amazonaws.vpce.eu-west-1.vpce-svc-0a",
    "sts.amazonaws.com",
    "v1",
    "1h",
    "/",
];
/// Repeated until long enough, where no candidate fits.
const FILLERS: [char; 3] = ['a', '2', 'A'];

impl OperationModel {
    /// A request with every member present, each within its constraints.
    #[must_use]
    pub fn sample_input(&self) -> Value {
        self.input.sample()
    }

    /// An answer with every member present.
    #[must_use]
    pub fn sample_output(&self) -> Value {
        self.output.sample()
    }
}

impl Shape {
    /// A value with every member present, each within its constraints; [`MARKER`] in what is
    /// sensitive.
    #[must_use]
    pub fn sample(&self) -> Value {
        self.value(false)
    }

    /// The members the model calls sensitive, however deep: `Credentials.SecretAccessKey`, elements
    /// and map values without a step of their own.
    #[must_use]
    pub fn sensitive_paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_sensitive("", &mut paths);
        paths
    }

    fn collect_sensitive(&self, path: &str, paths: &mut Vec<String>) {
        if self.sensitive {
            return paths.push(path.to_owned());
        }
        match &self.kind {
            Kind::List(element) => element.collect_sensitive(path, paths),
            Kind::Map { value, .. } => value.collect_sensitive(path, paths),
            Kind::Structure(members) => {
                for member in members {
                    let dot = if path.is_empty() { "" } else { "." };
                    member.shape.collect_sensitive(&format!("{path}{dot}{}", member.name), paths);
                }
            }
            _ => {}
        }
    }

    fn value(&self, secret: bool) -> Value {
        let secret = secret || self.sensitive;
        match &self.kind {
            Kind::Structure(members) => {
                let members = members.iter().map(|m| (m.name.to_string(), m.shape.value(secret)));
                Value::Object(members.collect())
            }
            Kind::List(element) => vec![element.value(secret); self.at_least(1)].into(),
            Kind::Map { key, value } => {
                Value::Object(Map::from_iter([(key.text(false), value.value(secret))]))
            }
            Kind::String { .. } => self.text(secret).into(),
            Kind::Blob if secret => MARKER.repeat(self.at_least(3).div_ceil(3)).into(),
            Kind::Blob => "eHl6".repeat(self.at_least(3).div_ceil(3)).into(),
            Kind::Boolean => true.into(),
            Kind::Integer | Kind::Long => self.min.unwrap_or(1).max(1).into(),
            Kind::Double => json!(1.5),
            Kind::Timestamp => json!(1_700_000_000),
        }
    }

    fn at_least(&self, n: usize) -> usize {
        self.min.and_then(|min| usize::try_from(min).ok()).map_or(n, |min| min.max(n))
    }

    /// The first text that satisfies every constraint; a test holds that there is one everywhere.
    fn text(&self, secret: bool) -> String {
        let values = match &self.kind {
            Kind::String { values, .. } => values.as_slice(),
            _ => &[],
        };
        if let Some(first) = values.first() {
            return first.to_string();
        }
        let marked = MARKER.repeat(self.at_least(1).div_ceil(MARKER.len()));
        let candidates = CANDIDATES.iter().map(|text| (*text).to_owned());
        let padded = |text: &str, filler: char| {
            let missing = self.at_least(0).saturating_sub(text.chars().count());
            text.chars().chain(std::iter::repeat_n(filler, missing)).collect::<String>()
        };
        let padded = CANDIDATES
            .iter()
            .chain(&[""])
            .flat_map(|text| FILLERS.map(|filler| padded(text, filler)));
        let mut all = std::iter::once(marked).filter(|_| secret).chain(candidates).chain(padded);
        all.find(|text| self.broken_by_text(text).is_empty()).unwrap_or_default()
    }
}
