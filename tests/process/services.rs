//! `[[service]]`: a service that is not ours acts for its user, until the configuration says otherwise;
//! what it handed over once it does not hand over again, whatever happened to the server meanwhile.
use crate::client::{Client, Failed, elements};
use crate::harness::Process;
use crate::setup::{ACCOUNT, Deployment};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use claviger::clock::{Clock, SystemClock};
use claviger::sigv4::{self, Credentials};
use serde_json::json;

const SERVICE: &str = r#"
[[service]]
name = "payroll.example"
signing_name = "payroll"
principal = "arn:aws:iam::ACCOUNT:user/payroll"
actions = ["kms:GenerateDataKey*"]
"#;

fn section() -> String {
    SERVICE.replace("ACCOUNT", ACCOUNT)
}

/// A user with a policy; answers its access key.
fn user(admin: &mut Client, name: &str, action: &str) -> (String, String) {
    admin.query("iam", "CreateUser", &[("UserName", name)]).unwrap();
    let statement = json!({"Effect": "Allow", "Action": action, "Resource": "*"});
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    let parameters = [("UserName", name), ("PolicyName", "p"), ("PolicyDocument", &policy)];
    admin.query("iam", "PutUserPolicy", &parameters).unwrap();
    let made = admin.query("iam", "CreateAccessKey", &[("UserName", name)]).unwrap().value;
    let text = |tag| elements(&made, tag).remove(0);
    (text("AccessKeyId"), text("SecretAccessKey"))
}

/// What the user sends to the service, as the service hands it over.
fn trade_in_token((id, secret): &(String, String)) -> String {
    let request = http::Request::get("/run?month=5").header("host", "payroll.example");
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    let credentials = Credentials { access_key_id: id, secret, session_token: None };
    let now = SystemClock.now().secs();
    sigv4::sign(&mut head, b"", &credentials, ("us-east-1", "payroll"), now).unwrap();
    let pairs = head.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let headers: Vec<_> = pairs.map(|(name, value)| json!([name, value])).collect();
    let token = json!({"method": "GET", "uri": "/run?month=5", "headers": headers, "body": ""});
    URL_SAFE_NO_PAD.encode(token.to_string())
}

fn hand_over(process: &Process, payroll: &(String, String), token: &str) -> Result<String, Failed> {
    let mut client = process.client(&payroll.0, &payroll.1);
    let done = client.query("sts", "GetDelegatedAccessToken", &[("TradeInToken", token)]);
    done.map(|done| done.value)
}

fn acting(process: &Process, answer: &str) -> Client {
    let text = |tag| elements(answer, tag).remove(0);
    let mut client = process.client(&text("AccessKeyId"), &text("SecretAccessKey"));
    client.session_token = Some(text("SessionToken"));
    client
}

#[test]
fn what_was_handed_over_is_remembered_and_what_is_not_registered_ends() {
    let mut deployment = Deployment::blank(false);
    deployment.more = section();
    deployment.init();
    let mut process = deployment.serve();
    let mut admin = deployment.client(&process);
    let payroll = user(&mut admin, "payroll", "sts:GetDelegatedAccessToken");
    let ann = user(&mut admin, "ann", "kms:*");
    let key = admin.kms("CreateKey", json!({})).unwrap()["KeyMetadata"]["KeyId"].clone();
    let body = json!({"KeyId": key, "NumberOfBytes": 32});
    let token = trade_in_token(&ann);
    let answer = hand_over(&process, &payroll, &token).unwrap();
    acting(&process, &answer).kms("GenerateDataKey", body.clone()).unwrap();
    let refused = acting(&process, &answer).kms("ListKeys", json!({})).unwrap_err();
    assert_eq!(refused.code(), "AccessDeniedException");

    // Neither kill -9 nor a restart makes the request good again, and the session is none of ours to
    // remember.
    process.kill();
    let process = deployment.serve();
    let again = hand_over(&process, &payroll, &token).unwrap_err();
    assert_eq!(again.code(), "ExpiredTradeInTokenException", "{again}");
    acting(&process, &answer).kms("GenerateDataKey", body.clone()).unwrap();
    process.stop();

    // Without the registration.
    deployment.more = String::new();
    let process = deployment.serve();
    let ended = acting(&process, &answer).kms("GenerateDataKey", body.clone()).unwrap_err();
    assert_eq!(ended.code(), "UnrecognizedClientException", "{ended}");
    let refused = hand_over(&process, &payroll, &trade_in_token(&ann)).unwrap_err();
    assert_eq!(refused.code(), "AccessDenied", "{refused}");
    process.stop();

    // A name of AWS's is no name for it.
    deployment.more = section().replace("payroll.example", "secretsmanager.amazonaws.com");
    let exit = deployment.try_serve().unwrap_err();
    exit.assert(3, &["service secretsmanager.amazonaws.com", "one of AWS's"]);
}
