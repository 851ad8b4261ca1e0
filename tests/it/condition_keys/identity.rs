//! The condition keys of STS and IAM: who may become a role in which way, and who may give what to whom.
use crate::sts::{assuming, issuer, trust_if, web_identity};
use crate::support::{policy, user_arn};
use crate::world::{ACCOUNT, World, allow};
use serde_json::{Value, json};

const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

/// A condition on the trust policy of a role; a request that it allows, and one that it does not.
struct Trusted {
    key: &'static str,
    condition: Value,
    good: Value,
    bad: Value,
}

fn trusted() -> Vec<Trusted> {
    let row = |key: &'static str, operator: &str, value: &str, good: Value, bad: Value| Trusted {
        key,
        condition: json!({operator: {key: value}}),
        good,
        bad,
    };
    let is = "StringEquals";
    let tags = |transitive: &[&str]| {
        json!({"Tags": [{"Key": "Cost", "Value": "7"}, {"Key": "Team", "Value": "red"}],
            "TransitiveTagKeys": transitive})
    };
    vec![
        row("sts:ExternalId", is, "agreed", json!({"ExternalId": "agreed"}), json!({})),
        row(
            "sts:ExternalId",
            is,
            "agreed",
            json!({"ExternalId": "agreed"}),
            json!({"ExternalId": "Agreed"}),
        ),
        row(
            "sts:RoleSessionName",
            "StringLike",
            "dev-*",
            json!({"RoleSessionName": "dev-1"}),
            json!({}),
        ),
        row(
            "sts:SourceIdentity",
            is,
            "ann",
            json!({"SourceIdentity": "ann"}),
            json!({"SourceIdentity": "bob"}),
        ),
        row("sts:SourceIdentity", "StringLike", "*", json!({"SourceIdentity": "ann"}), json!({})),
        row(
            "sts:TransitiveTagKeys",
            "ForAnyValue:StringEquals",
            "Cost",
            tags(&["Cost"]),
            tags(&["Team"]),
        ),
        row(
            "sts:TransitiveTagKeys",
            "ForAnyValue:StringEquals",
            "Cost",
            tags(&["Cost"]),
            tags(&[]),
        ),
        row(
            "sts:DurationSeconds",
            "NumericLessThanEquals",
            "1800",
            json!({"DurationSeconds": 1800}),
            json!({"DurationSeconds": 1801}),
        ),
        row(
            "aws:RequestTag/Cost",
            is,
            "7",
            tags(&[]),
            json!({"Tags": [{"Key": "Cost", "Value": "8"}]}),
        ),
        row(
            "aws:TagKeys",
            "ForAllValues:StringEquals",
            "Cost",
            json!({"Tags": [{"Key": "Cost", "Value": "8"}]}),
            tags(&[]),
        ),
    ]
}

/// A condition on what somebody may do in IAM or STS; a request that it allows, one that it does not.
struct Permitted {
    key: &'static str,
    condition: Value,
    service: &'static str,
    operation: &'static str,
    good: Value,
    bad: Value,
}

fn permitted() -> Vec<Permitted> {
    let (own, other) = (managed("own"), managed("other"));
    let is = "ArnEquals";
    let row =
        |key: &'static str, operator: &str, value: &str, operation, good: Value, bad: Value| {
            let condition = json!({operator: {key: value}});
            Permitted { key, condition, service: "iam", operation, good, bad }
        };
    let mut rows = vec![
        row(
            "iam:PermissionsBoundary",
            is,
            &own,
            "CreateUser",
            json!({"UserName": "new", "PermissionsBoundary": own}),
            json!({"UserName": "newer"}),
        ),
        row(
            "iam:PermissionsBoundary",
            is,
            &own,
            "CreateRole",
            role(json!({"PermissionsBoundary": own})),
            role(json!({"PermissionsBoundary": other})),
        ),
        row(
            "iam:PermissionsBoundary",
            is,
            &own,
            "PutUserPermissionsBoundary",
            json!({"UserName": "third", "PermissionsBoundary": own}),
            json!({"UserName": "third", "PermissionsBoundary": other}),
        ),
        row(
            "iam:PermissionsBoundary",
            is,
            &own,
            "PutRolePermissionsBoundary",
            json!({"RoleName": "third", "PermissionsBoundary": own}),
            json!({"RoleName": "third", "PermissionsBoundary": other}),
        ),
        row(
            "iam:ResourceTag/Team",
            "StringEquals",
            "red",
            "GetRole",
            json!({"RoleName": "bounded"}),
            json!({"RoleName": "free"}),
        ),
        row(
            "iam:ResourceTag/Team",
            "StringEquals",
            "red",
            "DeleteUser",
            json!({"UserName": "tagged"}),
            json!({"UserName": "free"}),
        ),
    ];
    for kind in ["User", "Group", "Role"] {
        let body = |arn: &str| json!({format!("{kind}Name"): "free", "PolicyArn": arn});
        let (good, bad) = (body(ADMINISTRATOR), body(&own));
        let [attach, detach] = match kind {
            "User" => ["AttachUserPolicy", "DetachUserPolicy"],
            "Group" => ["AttachGroupPolicy", "DetachGroupPolicy"],
            _ => ["AttachRolePolicy", "DetachRolePolicy"],
        };
        for operation in [attach, detach] {
            rows.push(row(
                "iam:PolicyARN",
                is,
                ADMINISTRATOR,
                operation,
                good.clone(),
                bad.clone(),
            ));
        }
    }
    // Whose boundary keeps to the limit may be given more: the others not.
    for (operation, more) in [
        (
            "PutUserPolicy",
            json!({"PolicyName": "p", "PolicyDocument": allow(&["s3:*"]).to_string()}),
        ),
        ("DeleteUserPolicy", json!({"PolicyName": "p"})),
        ("AttachUserPolicy", json!({"PolicyArn": own})),
        ("DetachUserPolicy", json!({"PolicyArn": own})),
        ("DeleteUserPermissionsBoundary", json!({})),
        (
            "PutRolePolicy",
            json!({"PolicyName": "p", "PolicyDocument": allow(&["s3:*"]).to_string()}),
        ),
        ("DeleteRolePolicy", json!({"PolicyName": "p"})),
        ("AttachRolePolicy", json!({"PolicyArn": own})),
        ("DetachRolePolicy", json!({"PolicyArn": own})),
        ("DeleteRolePermissionsBoundary", json!({})),
    ] {
        let whom = if operation.contains("User") { "UserName" } else { "RoleName" };
        let body = |name: &str| {
            let mut body = more.clone();
            body[whom] = json!(name);
            body
        };
        let (good, bad) = (body("bounded"), body("free"));
        rows.push(row("iam:PermissionsBoundary", is, &own, operation, good, bad));
    }
    rows.push(Permitted {
        key: "sts:DurationSeconds",
        condition: json!({"NumericLessThanEquals": {"sts:DurationSeconds": "900"}}),
        service: "sts",
        operation: "GetFederationToken",
        good: json!({"Name": "guest", "DurationSeconds": 900}),
        bad: json!({"Name": "guest", "DurationSeconds": 901}),
    });
    rows.push(Permitted {
        key: "aws:RequestTag/Cost",
        condition: json!({"StringEquals": {"aws:RequestTag/Cost": "7"}}),
        service: "sts",
        operation: "GetFederationToken",
        good: json!({"Name": "guest", "Tags": [{"Key": "Cost", "Value": "7"}]}),
        bad: json!({"Name": "guest"}),
    });
    rows
}

fn managed(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:policy/{name}")
}

fn role(more: Value) -> Value {
    let mut body = json!({"RoleName": "new",
        "AssumeRolePolicyDocument": crate::sts::trust(ACCOUNT).to_string()});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// The claims of a web identity, under their issuer's name.
const CLAIMS: [&str; 3] = [
    "oidc.example.com/cluster:sub",
    "oidc.example.com/cluster:aud",
    "oidc.example.com/cluster:amr",
];

/// The keys of this file.
pub fn keys() -> Vec<&'static str> {
    let trusted = trusted().into_iter().map(|row| row.key);
    trusted.chain(permitted().into_iter().map(|row| row.key)).chain(CLAIMS).collect()
}

#[tokio::test]
async fn on_becoming_a_role() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    for (at, row) in trusted().into_iter().enumerate() {
        let name = format!("r{at}");
        let trust = trust_if(&user_arn("ann"), row.condition.clone());
        world.role(&name, trust, allow(&["kms:*"])).await;
        let ask = async |more: &Value| {
            let body = assuming(&name, more.clone());
            world.call_as(&ann, "sts", "AssumeRole", body).await.err().map(|error| error.code)
        };
        assert_eq!(ask(&row.good).await, None, "{}: {}", row.condition, row.good);
        let refused = ask(&row.bad).await;
        assert_eq!(refused.as_deref(), Some("AccessDenied"), "{}: {}", row.condition, row.bad);
    }
}

#[tokio::test]
async fn on_giving_and_taking() {
    let world = World::new().await;
    for name in ["own", "other"] {
        let body = json!({"PolicyName": name, "PolicyDocument": allow(&["*"]).to_string()});
        world.iam("CreatePolicy", body).await;
    }
    world.iam("CreateGroup", json!({"GroupName": "free"})).await;
    let team = json!([{"Key": "Team", "Value": "red"}]);
    let users = [
        json!({"UserName": "free"}),
        json!({"UserName": "third"}),
        json!({"UserName": "tagged", "Tags": team}),
        json!({"UserName": "bounded", "PermissionsBoundary": managed("own")}),
    ];
    for body in users {
        world.iam("CreateUser", body).await;
    }
    for name in ["free", "third"] {
        world.iam("CreateRole", role(json!({"RoleName": name}))).await;
    }
    let bounded =
        json!({"RoleName": "bounded", "Tags": team, "PermissionsBoundary": managed("own")});
    world.iam("CreateRole", role(bounded)).await;
    for (at, row) in permitted().into_iter().enumerate() {
        let statement = json!({"Effect": "Allow", "Action": format!("{}:*", row.service),
            "Resource": "*", "Condition": row.condition});
        let who = world.user(&format!("u{at}"), policy(&[statement])).await;
        let what = format!("{} with {}", row.operation, row.condition);
        let refused = world.fails(&who, row.service, row.operation, row.bad).await;
        assert_eq!(refused.code, "AccessDenied", "{what}: {refused:?}");
        let outcome = world.call_as(&who, row.service, row.operation, row.good).await;
        assert!(outcome.is_ok(), "{what}: {outcome:?}");
    }
}

/// What a token says of its bearer decides who it may become.
#[tokio::test]
async fn claims_of_web_identities() {
    let world = World::new().await;
    web_identity::cluster(&world).await;
    let now = world.server.clock.now().secs();
    let mut claims = issuer::claims(now);
    claims["amr"] = json!(["mfa", "pwd"]);
    let token = issuer::token(&claims);
    let subject = claims["sub"].as_str().unwrap();
    let [sub, aud, amr] = CLAIMS;
    for (operator, key, good, bad) in [
        ("StringEquals", sub, subject, "system:serviceaccount:shop:other"),
        ("StringLike", sub, "system:serviceaccount:shop:*", "system:serviceaccount:bank:*"),
        ("StringEquals", aud, "sts.amazonaws.com", "other"),
        ("ForAnyValue:StringEquals", amr, "mfa", "hwk"),
        ("StringEquals", "sts:RoleSessionName", "pod-1", "pod-2"),
        (
            "StringEquals",
            "aws:FederatedProvider",
            &super::provider(),
            "arn:aws:iam::111122223333:oidc-provider/other.example.com",
        ),
    ] {
        for (value, allowed) in [(good, true), (bad, false)] {
            let trust = policy(&[json!({"Effect": "Allow", "Condition": {operator: {key: value}},
                "Principal": {"Federated": super::provider()},
                "Action": "sts:AssumeRoleWithWebIdentity"})]);
            let body = json!({"RoleName": "pod", "PolicyDocument": trust.to_string()});
            world.iam("UpdateAssumeRolePolicy", body).await;
            let request = web_identity::request(&token);
            let outcome = world.call("sts", "AssumeRoleWithWebIdentity", request).await;
            let code = outcome.err().map(|error| error.code);
            assert_eq!(code.as_deref(), (!allowed).then_some("AccessDenied"), "{key} {value}");
        }
    }
}
