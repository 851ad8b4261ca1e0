//! `Action=AssumeRole&Version=2011-06-15&Tags.member.1.Key=…`: reading the form.
use super::tree::{Node, Typed};
use crate::wire::fault::{Fault, Protocol};
use crate::wire::model::OperationModel;
use std::fmt;
use zeroize::Zeroizing;

/// The most parameters a request may have. IAM's largest, a policy simulation with long lists, stays
/// well below.
const MAX_PARAMETERS: usize = 4096;

/// A Query request, decoded but not yet read by a model. Its values may be passwords: they are wiped
/// when it is dropped, and it does not print.
pub struct Form {
    /// In the order of the request. Gathered into a tree only when a model reads them: until then
    /// the caller is not known, and costs no more than the bytes it sent.
    parameters: Vec<(Zeroizing<String>, Zeroizing<String>)>,
    size: usize,
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Form(..)")
    }
}

impl Form {
    /// Reads a form body, or the query string of a GET. Of parameters with the same name the first
    /// one counts.
    ///
    /// # Errors
    /// `MalformedInput`: too many parameters, a broken percent escape, no UTF-8.
    pub fn parse(text: &[u8]) -> Result<Self, Fault> {
        let mut parameters = Vec::new();
        let pairs = text.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty());
        for (count, pair) in pairs.enumerate() {
            if count >= MAX_PARAMETERS {
                return Err(malformed("Too many parameters"));
            }
            let mut halves = pair.splitn(2, |&byte| byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            parameters.push((name, value));
        }
        Ok(Self { parameters, size: text.len() })
    }

    fn first(&self, wanted: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(name, _)| name.as_str() == wanted);
        found.map(|(_, value)| value.as_str())
    }

    /// The operation that is called.
    #[must_use]
    pub fn action(&self) -> Option<&str> {
        self.first("Action")
    }

    /// The API version the client was made for.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.first("Version")
    }

    /// The request as JSON of the operation's input shape, ready for [`OperationModel::check`]: lists
    /// and maps gathered, numbers and booleans without quotes. Parameters the model does not know are
    /// left out.
    ///
    /// # Errors
    /// `MalformedInput`: names too deep, a value that is no number, boolean or moment where the model wants one, a
    /// list index that is none.
    pub fn to_json(&self, operation: &OperationModel) -> Result<Zeroizing<Vec<u8>>, Fault> {
        // The JSON is seldom longer than this, so its buffer seldom moves and leaves a copy behind.
        let mut json = Zeroizing::new(Vec::with_capacity(self.size * 2 + 2));
        let mut root = Node::default();
        for (name, value) in &self.parameters {
            root.insert(name, value.clone()).map_err(malformed)?;
        }
        let typed = Typed { node: &root, shape: operation.input() };
        // The only errors are those of `Typed`, and their text is ours.
        serde_json::to_writer(&mut *json, &typed).map_err(|e| malformed(&e.to_string()))?;
        Ok(json)
    }
}

fn malformed(text: &str) -> Fault {
    Fault::serialization(Protocol::Query, text)
}

/// `+` is a space and `%41` an `A`. What is no valid escape or no UTF-8 is refused, so that two forms
/// never come to mean the same by repair.
fn decode(text: &[u8]) -> Result<Zeroizing<String>, Fault> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        let mut digit = || rest.next().and_then(|&digit| char::from(digit).to_digit(16));
        let decoded = match byte {
            b'+' => Some(b' '),
            b'%' => {
                let escape = digit().zip(digit()).map(|(high, low)| high * 16 + low);
                escape.and_then(|byte| u8::try_from(byte).ok())
            }
            other => Some(other),
        };
        bytes.push(decoded.ok_or_else(|| malformed("Invalid percent-encoding"))?);
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed("Not UTF-8"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::model::{Model, Rejection};
    use serde_json::{Value, json};
    use std::sync::LazyLock;

    static STS: LazyLock<Model> =
        LazyLock::new(|| Model::parse(include_str!("../../../models/sts.json")));
    static IAM: LazyLock<Model> =
        LazyLock::new(|| Model::parse(include_str!("../../../models/iam.json")));

    fn read(model: &Model, form: &str) -> Result<Value, Fault> {
        let form = Form::parse(form.as_bytes())?;
        let operation = model.operation(form.action().unwrap()).unwrap();
        Ok(serde_json::from_slice(&form.to_json(operation)?).unwrap())
    }

    #[test]
    fn lists_and_structures() {
        let form = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fa\
            &RoleSessionName=a+b&DurationSeconds=900&Tags.member.2.Key=k2&Tags.member.10.Key=k10\
            &Tags.member.1.Key=k%2B1&Tags.member.1.Value=v=1&PolicyArns.member.1.arn=p\
            &TransitiveTagKeys.member.1=k1&TransitiveTagKeys.member.2=";
        assert_eq!(
            read(&STS, form).unwrap(),
            json!({
                "RoleArn": "arn:aws:iam::1:role/a", "RoleSessionName": "a b",
                "DurationSeconds": 900, "PolicyArns": [{"arn": "p"}],
                "Tags": [{"Key": "k+1", "Value": "v=1"}, {"Key": "k2"}, {"Key": "k10"}],
                "TransitiveTagKeys": ["k1", ""],
            })
        );
    }

    #[test]
    fn nested_lists_and_booleans() {
        let form = "Action=SimulateCustomPolicy&PolicyInputList.member.1=%7B%7D\
            &ContextEntries.member.1.ContextKeyName=n\
            &ContextEntries.member.1.ContextKeyValues.member.1=a\
            &ContextEntries.member.1.ContextKeyValues.member.2=b";
        assert_eq!(
            read(&IAM, form).unwrap(),
            json!({"PolicyInputList": ["{}"], "ContextEntries":
                [{"ContextKeyName": "n", "ContextKeyValues": ["a", "b"]}]})
        );
        let form = "Action=CreatePolicyVersion&SetAsDefault=true&PolicyArn=&PolicyDocument";
        assert_eq!(
            read(&IAM, form).unwrap(),
            json!({"SetAsDefault": true, "PolicyArn": "", "PolicyDocument": ""})
        );
    }

    #[test]
    fn the_first_counts_and_the_unknown_does_not() {
        let form = "Action=GetAccessKeyInfo&AccessKeyId=a&AccessKeyId=b&Nope=1&Nope.member.x=2\
            &AccessKeyId.member.1=c&X-Amz-Date=20260101T000000Z&Action=AssumeRole&accessKeyId=d";
        assert_eq!(read(&STS, form).unwrap(), json!({"AccessKeyId": "a"}));
    }

    #[test]
    fn an_empty_list_is_a_name_with_nothing() {
        let form = "Action=AssumeRole&Tags=&TransitiveTagKeys.member=&PolicyArns.nope=x";
        assert_eq!(read(&STS, form).unwrap(), json!({"Tags": [], "TransitiveTagKeys": []}));
    }

    #[test]
    fn large_indexes_cost_nothing_and_bad_ones_are_refused() {
        let form = "Action=AssumeRole&TransitiveTagKeys.member.999999999=z\
            &TransitiveTagKeys.member.7=a";
        assert_eq!(read(&STS, form).unwrap(), json!({"TransitiveTagKeys": ["a", "z"]}));
        for bad in ["0", "01", "-1", "x", "", "4294967296", "1e3", "%2B1", "%D9%A1"] {
            let form = format!("Action=AssumeRole&TransitiveTagKeys.member.{bad}=a");
            assert_eq!(read(&STS, &form).unwrap_err().code, "MalformedInput", "{bad}");
        }
    }

    #[test]
    fn values_of_the_wrong_type_are_refused() {
        for bad in ["abc", "", "1.5", "%2B900", "2147483648", "0x10"] {
            let form = format!("Action=AssumeRole&DurationSeconds={bad}");
            assert_eq!(read(&STS, &form).unwrap_err().code, "MalformedInput", "{bad}");
        }
        for bad in ["Tags=x", "Tags.member=x"] {
            let form = format!("Action=AssumeRole&{bad}");
            assert_eq!(read(&STS, &form).unwrap_err().code, "MalformedInput", "{bad}");
        }
        let bad = "Action=CreatePolicyVersion&SetAsDefault=yes";
        assert_eq!(read(&IAM, bad).unwrap_err().message, "Not a boolean");
    }

    #[test]
    fn broken_forms_are_refused() {
        let deep = format!("Action=AssumeRole&{}=1", "a.".repeat(20));
        assert_eq!(read(&STS, &deep).unwrap_err().code, "MalformedInput");
        for bad in ["a=%", "a=%4", "a=%zz", "a=%+1", "a=%ff", "%c3=1"] {
            assert_eq!(Form::parse(bad.as_bytes()).unwrap_err().code, "MalformedInput", "{bad}");
        }
        let many = "a=1&".repeat(MAX_PARAMETERS + 1);
        assert_eq!(Form::parse(many.as_bytes()).unwrap_err().message, "Too many parameters");
        assert!(Form::parse(b"").unwrap().action().is_none());
        assert!(Form::parse(b"&&=&==&a&=b").is_ok());
    }

    #[test]
    fn the_constraints_speak_query() {
        let form = Form::parse(b"Action=AssumeRole&Tags.member.1.Key=").unwrap();
        let operation = STS.operation(form.action().unwrap()).unwrap();
        let body = form.to_json(operation).unwrap();
        let fault = operation.check(&body).unwrap_err().fault(Protocol::Query);
        assert_eq!((fault.code, fault.status), ("ValidationError", 400));
        assert_eq!(
            fault.message,
            "5 validation errors detected: Value '' at 'tags.1.member.key' failed to satisfy \
             constraint: Member must have length greater than or equal to 1; Value '' at \
             'tags.1.member.key' failed to satisfy constraint: Member must satisfy regular \
             expression pattern: [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]+; Value null at \
             'tags.1.member.value' failed to satisfy constraint: Member must not be null; \
             Value null at 'roleArn' failed to satisfy constraint: Member must not be null; \
             Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null"
        );
    }

    #[test]
    fn noise_never_panics() {
        let alphabet = b"Action=AsumeRl&Tgs.mbr123%4Key+\xff\0";
        let mut state = 7u64;
        for _ in 0..20_000 {
            let mut noise = b"Action=AssumeRole&Tags.member.".to_vec();
            for _ in 0..40 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                noise.push(alphabet[usize::try_from(state >> 33).unwrap() % alphabet.len()]);
            }
            let Ok(form) = Form::parse(&noise) else { continue };
            let operation = form.action().and_then(|name| STS.operation(name));
            let Some(operation) = operation else { continue };
            let Ok(body) = form.to_json(operation) else { continue };
            assert!(!matches!(operation.check(&body), Err(Rejection::Malformed(_))));
        }
    }
}
