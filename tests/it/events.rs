//! The audit log of a long mixed run over HTTP: an event for every call, and nothing secret in any.
use crate::front::{Client, Response, code_of};
use crate::support::token;
use crate::world::{Someone, World, allow};
use serde_json::{Value, json};

const PLAINTEXT: &str = "cGxhaW50ZXh0LW9mLXRoZS1ydW4="; // plaintext-of-the-run
const SECRET: &str = "secret-string-of-the-run";

/// What was done, and what must not be seen of it.
struct Run {
    world: World,
    client: Client,
    answers: Vec<Response>,
    secrets: Vec<String>,
}

impl Run {
    async fn json(&mut self, who: &Someone, target: &str, body: Value) -> Value {
        let service = if target.starts_with("Trent") { "kms" } else { "secretsmanager" };
        let request = self.client.sign(self.client.json(target, &body), who, service);
        let answer = self.client.send(&request).await;
        let said = if answer.body.is_empty() { Value::Null } else { answer.json() };
        for name in ["Plaintext", "CiphertextBlob", "SecretString", "SecretBinary", "NextMarker"] {
            if let Some(text) = said.get(name).and_then(Value::as_str) {
                self.secrets.push(text.to_owned());
            }
        }
        self.answers.push(answer);
        said
    }

    async fn iam(&mut self, who: &Someone, form: &str) -> String {
        let form = format!("{form}&Version=2010-05-08");
        let answer = self.client.iam(who, &form).await;
        let text = answer.text().to_owned();
        if let Some((_, rest)) = text.split_once("<SecretAccessKey>") {
            self.secrets.push(rest.split('<').next().unwrap().to_owned());
        }
        self.answers.push(answer);
        text
    }
}

async fn kms(run: &mut Run, who: &Someone) {
    let made = run.json(who, "TrentService.CreateKey", json!({"Description": "d"})).await;
    let key = made["KeyMetadata"]["Arn"].clone();
    let context = json!({"Purpose": "run"});
    let sealed = run
        .json(
            who,
            "TrentService.Encrypt",
            json!({"KeyId": key, "Plaintext": PLAINTEXT, "EncryptionContext": context}),
        )
        .await;
    let blob = sealed["CiphertextBlob"].clone();
    for (name, body) in [
        ("Decrypt", json!({"CiphertextBlob": blob, "EncryptionContext": context})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        (
            "ReEncrypt",
            json!({"CiphertextBlob": blob, "SourceEncryptionContext": context,
                "DestinationKeyId": key}),
        ),
        ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("GenerateDataKey", json!({"KeyId": key, "NumberOfBytes": 0})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key, "NumberOfBytes": 64})),
        ("GenerateRandom", json!({"NumberOfBytes": 32})),
        ("CreateAlias", json!({"AliasName": "alias/run", "TargetKeyId": key})),
        ("CreateKey", json!({})),
        ("ListKeys", json!({"Limit": 1})),
        ("Encrypt", json!({"KeyId": key, "Plaintext": "not base64 but secret-string-of-the-run"})),
        ("Encrypt", json!({"KeyId": key, "Plaintext": PLAINTEXT.repeat(400)})),
        ("Encrypt", json!({"KeyId": [PLAINTEXT], "Plaintext": 1})),
        ("Decrypt", json!({"CiphertextBlob": PLAINTEXT, "KeyId": key})),
        ("Encrypt", json!({"KeyId": key, "Plaintext": PLAINTEXT, "GrantTokens": [SECRET]})),
        ("Encrypt", json!({"KeyId": key, "Plaintext": PLAINTEXT, "Unknown": SECRET})),
        ("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})),
        ("Nope", json!({"Plaintext": PLAINTEXT})),
    ] {
        run.json(who, &format!("TrentService.{name}"), body).await;
    }
}

async fn secrets(run: &mut Run, who: &Someone) {
    for (at, (name, mut body)) in [
        ("CreateSecret", json!({"Name": "run", "SecretString": SECRET})),
        ("CreateSecret", json!({"Name": "run", "SecretString": SECRET})),
        ("CreateSecret", json!({"Name": "bin", "SecretBinary": PLAINTEXT})),
        ("GetSecretValue", json!({"SecretId": "run"})),
        ("GetSecretValue", json!({"SecretId": "bin"})),
        ("PutSecretValue", json!({"SecretId": "run", "SecretString": format!("{SECRET}-2")})),
        ("UpdateSecret", json!({"SecretId": "run", "SecretString": format!("{SECRET}-3")})),
        (
            "PutSecretValue",
            json!({"SecretId": "run", "SecretString": SECRET,
            "SecretBinary": PLAINTEXT}),
        ),
        ("PutSecretValue", json!({"SecretId": "none", "SecretString": SECRET})),
        ("ListSecrets", json!({"MaxResults": 1})),
        ("DescribeSecret", json!({"SecretId": "run"})),
        ("DeleteSecret", json!({"SecretId": "run"})),
        ("GetSecretValue", json!({"SecretId": "run"})),
        ("RestoreSecret", json!({"SecretId": "run"})),
    ]
    .into_iter()
    .enumerate()
    {
        if body.get("SecretString").or(body.get("SecretBinary")).is_some() {
            body["ClientRequestToken"] = json!(token(at));
        }
        run.json(who, &format!("secretsmanager.{name}"), body).await;
    }
}

async fn identities(run: &mut Run, who: &Someone) {
    run.iam(who, "Action=CreateUser&UserName=ann").await;
    for _ in 0..3 {
        run.iam(who, "Action=CreateAccessKey&UserName=ann").await;
    }
    run.iam(who, "Action=ListAccessKeys&UserName=ann&MaxItems=1").await;
    run.iam(who, "Action=Nope&UserName=ann").await;
    run.iam(who, "Action=GetUser&UserName=bob").await;
    let answer = run.client.sts(who, "Action=GetCallerIdentity&Version=2011-06-15").await;
    run.answers.push(answer);
    let unsigned = run.client.form("Action=CreateUser&Version=2010-05-08&UserName=eve");
    let answer = run.client.send(&unsigned).await;
    run.answers.push(answer);
}

#[tokio::test]
async fn every_call_has_its_event_and_no_event_has_a_secret() {
    let world = World::new().await;
    let client = Client::new(&world).await;
    let admin = world.user("admin", allow(&["*"])).await;
    let nobody = world.nobody().await;
    let root = world.root.clone();
    let mut secrets_known = vec![PLAINTEXT.to_owned(), SECRET.to_owned()];
    secrets_known.push("plaintext-of-the-run".to_owned());
    secrets_known.extend([&root, &admin, &nobody].map(|who| who.secret.clone()));
    let mut run = Run { world, client, answers: Vec::new(), secrets: secrets_known };
    for who in [root, admin, nobody] {
        kms(&mut run, &who).await;
        secrets(&mut run, &who).await;
        identities(&mut run, &who).await;
    }
    run.world.advance(8 * 86_400).await;

    let events = run.world.events();
    for answer in &run.answers {
        let id = answer.header("x-amzn-requestid").unwrap();
        let mine: Vec<_> = events.iter().filter(|event| event.request_id == id).collect();
        let outer: Vec<_> =
            mine.iter().filter(|event| event.user_identity.invoked_by.is_none()).collect();
        assert_eq!(outer.len(), 1, "{mine:?}");
        assert_eq!(outer[0].error_code, code_of(answer), "{:?}", outer[0]);
        if code_of(answer).is_some() {
            assert_eq!(outer[0].response_elements, None);
        }
    }
    let mut ids: Vec<&str> = events.iter().map(|event| event.event_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), events.len());
    assert!(run.secrets.len() > 25, "{}", run.secrets.len());
    for event in &events {
        let text = String::from_utf8(event.to_json().unwrap().to_vec()).unwrap();
        for secret in run.secrets.iter().filter(|secret| secret.len() >= 8) {
            assert!(!text.contains(secret.as_str()), "{secret} in {text}");
        }
    }
    // A request that is none shows nothing, one that breaks a constraint what may be seen of it.
    let shown = |code: &str| {
        let refused = events.iter().filter(move |event| event.error_code.as_deref() == Some(code));
        refused.map(|event| event.request_parameters.is_some()).collect::<Vec<_>>()
    };
    assert!(!shown("SerializationException").is_empty());
    assert!(shown("SerializationException").iter().all(|shown| !shown));
    assert!(shown("ValidationException").iter().any(|shown| *shown));
    // What may be seen is seen.
    let all = serde_json::to_string(&events).unwrap();
    for shown in ["alias/run", "\"encryptionContext\":{\"Purpose\":\"run\"}", "pendingWindowInDays"]
    {
        assert!(all.contains(shown), "{shown}");
    }
}
