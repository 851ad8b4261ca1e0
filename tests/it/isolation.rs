//! Two accounts of one deployment: whoever may do everything in one sees and touches nothing of the
//! other, whatever names and ARNs it knows.
use crate::refusals::things::Things;
use crate::world::{ACCOUNT, OTHER_ACCOUNT, World, allow, table};
use claviger::api::SERVICES;
use serde_json::{Value, json};

/// The answers of somebody who may, about what is not there; or about what is elsewhere.
const ABSENT: [&str; 14] = [
    "AccessDenied",
    "AccessDeniedException",
    "CustomKeyStoreNotFoundException",
    "DeleteConflict",
    "FeatureDisabled",
    "InvalidArnException",
    "InvalidAuthorizationMessageException",
    "InvalidCiphertextException",
    "NoSuchEntity",
    "NotFoundException",
    "OutboundWebIdentityFederationDisabledException",
    "ResourceNotFoundException",
    "ValidationError",
    "InvalidInput",
];

/// Operations that tell of the caller alone, or make something of its own.
fn is_own(name: &str) -> bool {
    let makes = ["CreateKey", "CreateSecret", "CreateUser", "CreateGroup", "CreateRole"];
    let more = ["CreatePolicy", "CreateCustomKeyStore", "CreateVirtualMFADevice"];
    let own = [
        "CreateOpenIDConnectProvider",
        "CreateAccountAlias",
        "GenerateRandom",
        "GetCallerIdentity",
        "GetSessionToken",
        "GetFederationToken",
        "GetContextKeysForCustomPolicy",
        "SimulateCustomPolicy",
        "GetAccessKeyInfo",
        "EnableOutboundWebIdentityFederation",
        "DisableOutboundWebIdentityFederation",
        "GetOutboundWebIdentityFederationInfo",
        "GetWebIdentityToken",
    ];
    [&makes[..], &more, &own].concat().contains(&name)
}

#[tokio::test]
async fn nothing_of_one_account_is_visible_in_another() {
    let world = World::new().await;
    let things = Things::new(&world).await;
    let stranger = world.user_of(OTHER_ACCOUNT, "stranger", allow(&["*"])).await;
    let (mut asked, mut refused, mut wrong) = (0, 0, Vec::new());
    let all =
        SERVICES.iter().flat_map(|service| service.operations.iter().map(move |e| (service, e)));
    let (own, others): (Vec<_>, Vec<_>) = all.partition(|(_, entry)| is_own(entry.name));
    // Lists come first: they hold what the stranger makes.
    for (service, entry) in others.into_iter().chain(own) {
        let (service, name) = (service.signing_name, entry.name);
        if entry.unsigned || name == "GetDelegatedAccessToken" {
            // The token says who asks.
            continue;
        }
        let body = things.request(&world, service, name).await;
        let before = world.server.store.acknowledged();
        let outcome = world.call_as(&stranger, service, name, body.clone()).await;
        asked += 1;
        match outcome {
            Ok(answer) if is_own(name) => {
                // An ARN that the request itself held may come back, nothing else.
                let text = answer.to_string();
                let theirs = text.contains(ACCOUNT) && name != "GetAccessKeyInfo";
                if theirs && !body.to_string().contains(ACCOUNT) {
                    wrong.push(format!("{name}: {text}"));
                }
            }
            Ok(answer) => {
                let text = answer.to_string();
                let unchanged = world.server.store.acknowledged() == before;
                if text.contains(ACCOUNT) || !shows_nothing(name, &answer) || !unchanged {
                    wrong.push(format!("{service} {name} {body}: {text}"));
                }
            }
            Err(error) => {
                refused += 1;
                let unchanged = world.server.store.acknowledged() == before;
                if !ABSENT.contains(&error.code.as_str()) || !unchanged {
                    wrong.push(format!("{name} {body}: {error:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused * 3 > asked * 2, "{refused} of {asked} were refused");
}

/// Lists are empty, or hold what is the stranger's own, or everybody's.
fn shows_nothing(name: &str, answer: &Value) -> bool {
    let own = ["ListUsers", "GetAccountAuthorizationDetails", "GetAccountSummary", "GetUser"];
    if own.contains(&name) || name == "ListPolicies" {
        let text = answer.to_string();
        return !["victim", "crew", "spare", "acme"].iter().any(|theirs| text.contains(theirs));
    }
    if name == "BatchGetSecretValue" {
        let codes: Vec<_> = answer["Errors"].as_array().unwrap().iter().collect();
        let none = codes.iter().all(|error| error["ErrorCode"] == "ResourceNotFoundException");
        return answer["SecretValues"] == json!([]) && none;
    }
    let filled = |value: &Value| value.as_array().is_some_and(|list| !list.is_empty());
    match answer {
        Value::Object(members) => !members.values().any(filled),
        _ => true,
    }
}

/// The same by ARNs that say whose it is.
#[tokio::test]
async fn an_arn_of_another_account_is_as_good_as_none() {
    let world = World::new().await;
    let _things = Things::new(&world).await;
    let stranger = world.user_of(OTHER_ACCOUNT, "stranger", allow(&["*"])).await;
    let key = world.key().await;
    world.kms("CreateAlias", json!({"AliasName": "alias/payroll", "TargetKeyId": key})).await;
    let alias = format!("arn:aws:kms:eu-west-1:{ACCOUNT}:alias/payroll");
    let secret = world.call("secretsmanager", "DescribeSecret", json!({"SecretId": "s"})).await;
    let secret = secret.unwrap()["ARN"].as_str().unwrap().to_owned();
    let (mut checked, mut wrong) = (0, Vec::new());
    for (service, member, there) in
        [("kms", "KeyId", &key), ("kms", "KeyId", &alias), ("secretsmanager", "SecretId", &secret)]
    {
        // The same ARN with a name that is nobody's.
        let at = there.len() - 3;
        let absent = format!("{}000", &there[..at]);
        for entry in table(service).operations {
            let takes = (table(service).model)().operation(entry.name).unwrap().input();
            let members: Vec<&str> = takes.members().iter().map(|m| m.name()).collect();
            if !members.contains(&member) {
                continue;
            }
            let mut answers = Vec::new();
            for named in [there, &absent] {
                let mut body = things_for(service, entry.name);
                body[member] = json!(named);
                let error = world.call_as(&stranger, service, entry.name, body).await.unwrap_err();
                let last = named.rsplit([':', '/']).next().unwrap();
                answers.push((error.code.clone(), error.message.replace(last, "IT")));
            }
            // What is there and closed cannot be told from what is not.
            if answers[0] != answers[1] {
                wrong.push(format!("{} {there}: {answers:?}", entry.name));
            }
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(checked > 80, "{checked}");
}

/// A request that passes the model, without what it names.
fn things_for(service: &str, name: &str) -> Value {
    (table(service).model)().operation(name).unwrap().input().sample()
}
