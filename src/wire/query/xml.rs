//! Answers of the Query protocol: XML by the model, two spaces a level, as STS and IAM send it.
use crate::types::Timestamp;
use crate::wire::fault::Fault;
use crate::wire::model::{Kind, OperationModel, Shape};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::{self, Write};
use zeroize::{Zeroize, Zeroizing};

/// The namespace of the one error that comes before there is a service.
const FAULT_NAMESPACE: &str = "http://webservices.amazon.com/AWSFault/2005-15-09";

/// The response is not of the model's shape; the conformance test keeps that from happening.
#[derive(Debug, thiserror::Error)]
#[error("the response does not fit the model: {0}")]
pub struct Unencodable(String);

/// The body of a successful answer. Wiped when dropped: an access key's secret may be in it.
///
/// # Errors
/// A response that is not of the operation's output shape.
pub fn encode<T: Serialize>(
    operation: &OperationModel,
    response: &T,
    request_id: &str,
) -> Result<Zeroizing<Vec<u8>>, Unencodable> {
    let mut value = serde_json::to_value(response).map_err(|e| Unencodable(e.to_string()))?;
    let mut xml = Xml::default();
    let name = format!("{}Response", operation.name());
    xml.open_root(&name, operation.xml_namespace());
    if let Some(wrapper) = operation.result_wrapper() {
        let written = match value {
            Value::Null => {
                xml.text(wrapper, "");
                Ok(())
            }
            _ => xml.value(wrapper, &value, operation.output()),
        };
        wipe(&mut value);
        written?;
    }
    xml.open("ResponseMetadata");
    xml.text("RequestId", request_id);
    xml.close("ResponseMetadata");
    xml.close(&name);
    Ok(xml.finish())
}

/// The body of a failed answer, in the namespace of the service that failed.
#[must_use]
pub fn encode_fault(fault: &Fault, xml_namespace: &str, request_id: &str) -> Vec<u8> {
    let namespace = if fault.code == "InvalidAction" { FAULT_NAMESPACE } else { xml_namespace };
    let mut xml = Xml::default();
    xml.open_root("ErrorResponse", namespace);
    xml.open("Error");
    xml.text("Type", if fault.is_ours() { "Receiver" } else { "Sender" });
    xml.text("Code", fault.code);
    if !fault.message().is_empty() {
        xml.text("Message", fault.message());
    }
    xml.close("Error");
    xml.text("RequestId", request_id);
    xml.close("ErrorResponse");
    std::mem::take(&mut *xml.finish())
}

/// A writer that knows tags, depth and escaping, and no more. Names come from the model, texts from
/// anywhere.
#[derive(Default)]
struct Xml {
    out: Zeroizing<String>,
    depth: usize,
}

impl Xml {
    fn line(&mut self, line: fmt::Arguments<'_>) {
        for _ in 0..self.depth {
            self.out.push_str("  ");
        }
        // Writing to a String cannot fail.
        _ = self.out.write_fmt(line);
        self.out.push('\n');
    }

    fn open_root(&mut self, name: &str, namespace: &str) {
        self.line(format_args!("<{name} xmlns=\"{}\">", escape(namespace)));
        self.depth += 1;
    }

    fn open(&mut self, name: &str) {
        self.line(format_args!("<{name}>"));
        self.depth += 1;
    }

    fn close(&mut self, name: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.line(format_args!("</{name}>"));
    }

    fn text(&mut self, name: &str, text: &str) {
        match text {
            "" => self.line(format_args!("<{name}/>")),
            _ => self.line(format_args!("<{name}>{}</{name}>", escape(text))),
        }
    }

    fn value(&mut self, name: &str, value: &Value, shape: &Shape) -> Result<(), Unencodable> {
        match (shape.kind(), value) {
            (Kind::Structure(members), Value::Object(given)) => {
                // Members the model has no name for are left out: no client could read them.
                let members = members.iter().filter_map(|m| Some((m, given.get(m.name())?)));
                let members = members.filter(|(_, value)| !value.is_null());
                self.container(name, members, |xml, (member, value)| {
                    xml.value(member.name(), value, member.shape())
                })?;
            }
            (Kind::List(element), Value::Array(given)) => {
                self.container(name, given, |xml, value| xml.value("member", value, element))?;
            }
            (Kind::Map { value: shape, .. }, Value::Object(given)) => {
                self.container(name, given, |xml, (key, value)| {
                    xml.open("entry");
                    xml.text("key", key);
                    xml.value("value", value, shape)?;
                    xml.close("entry");
                    Ok(())
                })?;
            }
            (Kind::Timestamp, Value::Number(_)) => {
                let moment = Timestamp::deserialize(value);
                let moment = moment.map_err(|e| Unencodable(e.to_string()))?;
                self.text(name, &moment.whole_secs().to_string());
            }
            (Kind::String { .. } | Kind::Blob, Value::String(text)) => self.text(name, text),
            (Kind::Boolean, Value::Bool(flag)) => self.text(name, &flag.to_string()),
            (Kind::Integer | Kind::Long | Kind::Double, Value::Number(number)) => {
                self.text(name, &number.to_string());
            }
            _ => return Err(Unencodable(format!("{name} is of another type"))),
        }
        Ok(())
    }

    fn container<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        write: impl Fn(&mut Self, T) -> Result<(), Unencodable>,
    ) -> Result<(), Unencodable> {
        let mut items = items.into_iter().peekable();
        if items.peek().is_none() {
            self.text(name, "");
            return Ok(());
        }
        self.open(name);
        for item in items {
            write(self, item)?;
        }
        self.close(name);
        Ok(())
    }

    fn finish(mut self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(std::mem::take(&mut *self.out).into_bytes())
    }
}

/// A text as XML 1.0 can carry it, in content and in attributes. A carriage return is written as a
/// reference, or a parser would read it as a line feed. What XML cannot carry at all, not even as a
/// reference, becomes U+FFFD: visible, and still well-formed.
fn escape(text: &str) -> Cow<'_, str> {
    let special = |c: char| {
        matches!(c, '&' | '<' | '>' | '"' | '\r' | '\u{fffe}' | '\u{ffff}')
            || (c < ' ' && c != '\t' && c != '\n')
    };
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#xD;"),
            c if special(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Secret access keys pass through here.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fault::Protocol;
    use crate::wire::model::Model;
    use roxmltree::{Document, Node};
    use serde_json::json;
    use std::sync::LazyLock;

    static STS: LazyLock<Model> =
        LazyLock::new(|| Model::parse(include_str!("../../../models/sts.json")));
    static IAM: LazyLock<Model> =
        LazyLock::new(|| Model::parse(include_str!("../../../models/iam.json")));

    fn xml(model: &Model, operation: &str, response: &Value) -> String {
        let body = encode(model.operation(operation).unwrap(), response, "id-1").unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn an_answer_in_full() {
        let response = json!({"User": {"UserName": "a&b", "CreateDate": 1_767_225_600.5,
            "Tags": [{"Key": "k", "Value": ""}, {"Key": "<", "Value": "\"'"}], "Nope": 1,
            "PasswordLastUsed": null, "PermissionsBoundary": {}}});
        let expected = "\
<CreateUserResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">
  <CreateUserResult>
    <User>
      <CreateDate>2026-01-01T00:00:00Z</CreateDate>
      <PermissionsBoundary/>
      <Tags>
        <member>
          <Key>k</Key>
          <Value/>
        </member>
        <member>
          <Key>&lt;</Key>
          <Value>&quot;'</Value>
        </member>
      </Tags>
      <UserName>a&amp;b</UserName>
    </User>
  </CreateUserResult>
  <ResponseMetadata>
    <RequestId>id-1</RequestId>
  </ResponseMetadata>
</CreateUserResponse>
";
        assert_eq!(xml(&IAM, "CreateUser", &response), expected);
    }

    #[test]
    fn no_result_no_wrapper() {
        let expected = "\
<PutUserPolicyResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">
  <ResponseMetadata>
    <RequestId>id-1</RequestId>
  </ResponseMetadata>
</PutUserPolicyResponse>
";
        for nothing in [json!({}), Value::Null] {
            assert_eq!(xml(&IAM, "PutUserPolicy", &nothing), expected);
            assert!(xml(&IAM, "UpdateRole", &nothing).contains("<UpdateRoleResult/>"));
        }
    }

    #[test]
    fn a_fault_in_full() {
        let text = "The security token included in the request is invalid.";
        let fault = Fault::client("InvalidClientTokenId", text).with_status(403);
        let sts = &STS.metadata().xml_namespace;
        let expected = "\
<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">
  <Error>
    <Type>Sender</Type>
    <Code>InvalidClientTokenId</Code>
    <Message>The security token included in the request is invalid.</Message>
  </Error>
  <RequestId>uuid</RequestId>
</ErrorResponse>
";
        assert_eq!(String::from_utf8(encode_fault(&fault, sts, "uuid")).unwrap(), expected);
        let unknown = Fault::unknown_operation(Protocol::Query, "<a>", None);
        let body = String::from_utf8(encode_fault(&unknown, sts, "uuid")).unwrap();
        assert!(body.contains("\"http://webservices.amazon.com/AWSFault/2005-15-09\""));
        assert!(body.contains("operation &lt;a&gt; for version NO_VERSION_SPECIFIED"));
        let ours = Fault { message: "disk".into(), ..Fault::server("ServiceFailure") };
        let body = String::from_utf8(encode_fault(&ours, sts, "uuid")).unwrap();
        assert!(body.contains("<Type>Receiver</Type>") && !body.contains("Message"), "{body}");
    }

    #[test]
    fn every_character_survives_or_is_replaced() {
        let odd = ['\u{fffd}', '\u{fffe}', '\u{ffff}', '🔑'];
        let all: String = ('\0'..='\u{3ff}').chain(odd).collect();
        let body = xml(&STS, "GetCallerIdentity", &json!({"Arn": all}));
        let document = Document::parse(&body).unwrap();
        let arn = document.descendants().find(|n| n.tag_name().name() == "Arn").unwrap();
        let lost = |c: char| (c < ' ' && !"\t\n\r".contains(c)) || "\u{fffe}\u{ffff}".contains(c);
        assert_eq!(arn.text().unwrap(), all.replace(lost, "\u{fffd}"));
    }

    /// Back from XML, by the model: what a client would read.
    fn read(node: Node<'_, '_>, shape: &Shape) -> Value {
        let children = || node.children().filter(Node::is_element);
        let child = |of: Node<'_, '_>, name: &str| {
            of.children().find(|n| n.tag_name().name() == name).unwrap().id()
        };
        let text = node.text().unwrap_or_default();
        match shape.kind() {
            Kind::Structure(_) => Value::from_iter(children().map(|n| {
                let name = n.tag_name().name();
                (name, read(n, shape.member(name).unwrap().shape()))
            })),
            Kind::List(element) => Value::from_iter(children().map(|n| read(n, element))),
            Kind::Map { key, value } => Value::from_iter(children().map(|entry| {
                let get = |name| node.document().get_node(child(entry, name)).unwrap();
                (read(get("key"), key).as_str().unwrap().to_owned(), read(get("value"), value))
            })),
            Kind::Boolean => (text == "true").into(),
            Kind::Integer | Kind::Long => text.parse::<i64>().unwrap().into(),
            Kind::Double => text.parse::<f64>().unwrap().into(),
            Kind::Timestamp => text.parse::<Timestamp>().unwrap().secs().into(),
            Kind::String { .. } | Kind::Blob => text.into(),
        }
    }

    #[test]
    fn every_answer_of_both_services_reads_back() {
        for operation in STS.operations().chain(IAM.operations()) {
            let sample = operation.sample_output();
            let body = encode(operation, &sample, "id-1").unwrap();
            let document = Document::parse(std::str::from_utf8(&body).unwrap()).unwrap();
            let root = document.root_element();
            assert_eq!(root.tag_name().name(), format!("{}Response", operation.name()));
            let result = root.first_element_child().unwrap();
            if operation.result_wrapper() == Some(result.tag_name().name()) {
                assert_eq!(read(result, operation.output()), sample, "{}", operation.name());
            } else {
                assert_eq!(sample, json!({}), "{}", operation.name());
            }
        }
    }

    #[test]
    fn a_response_of_another_shape_is_an_error() {
        let operation = STS.operation("GetCallerIdentity").unwrap();
        for bad in [json!({"Arn": 1}), json!({"Arn": ["x"]}), json!([])] {
            assert!(encode(operation, &bad, "").is_err(), "{bad}");
        }
    }
}
