//! SimulatePrincipalPolicy and SimulateCustomPolicy: what they say is what the server does, they say
//! where it stands, and nothing of what is not the caller's.
mod input;
mod limits;
mod resources;
mod sight;

use crate::support::{policy, user_arn};
use crate::world::{ACCOUNT, World, allow};
use serde_json::{Value, json};

/// The results of a simulation by root that must succeed.
async fn custom(world: &World, body: Value) -> Vec<Value> {
    let answer = world.iam("SimulateCustomPolicy", body).await;
    assert_eq!(answer["IsTruncated"], false);
    answer["EvaluationResults"].as_array().unwrap().clone()
}

async fn principal(world: &World, body: Value) -> Vec<Value> {
    let answer = world.iam("SimulatePrincipalPolicy", body).await;
    answer["EvaluationResults"].as_array().unwrap().clone()
}

/// The decision about one action, on one resource or on `*`.
async fn decision(world: &World, source: &str, action: &str, resource: &str) -> String {
    let body =
        json!({"PolicySourceArn": source, "ActionNames": [action], "ResourceArns": [resource]});
    let results = principal(world, body).await;
    let [one] = results.as_slice() else { panic!("{results:?}") };
    assert_eq!(
        (&one["EvalActionName"], &one["EvalResourceName"]),
        (&json!(action), &json!(resource))
    );
    one["EvalDecision"].as_str().unwrap().to_owned()
}

/// `[source, type, line, column, line, column]` of each statement.
fn matched(result: &Value) -> Vec<Value> {
    let list = result["MatchedStatements"].as_array().unwrap().iter();
    list.map(|s| {
        let (start, end) = (&s["StartPosition"], &s["EndPosition"]);
        json!([
            s["SourcePolicyId"],
            s["SourcePolicyType"],
            start["Line"],
            start["Column"],
            end["Line"],
            end["Column"]
        ])
    })
    .collect()
}

const LINES: &str = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow", "Action": "kms:*", "Resource": "*"
    },
    {"Effect": "Deny", "Action": "kms:Disable*", "Resource": "*"}
  ]
}"#;

#[tokio::test]
async fn policies_as_text_are_decided_and_located() {
    let world = World::new().await;
    let one_line = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
    let body = json!({
        "PolicyInputList": [LINES, one_line],
        "ActionNames": ["kms:CreateKey", "kms:DisableKey", "s3:ListAllMyBuckets", "iam:GetUser"],
    });
    let results = custom(&world, body).await;
    let found: Vec<_> = results.iter().map(|r| (&r["EvalDecision"], matched(r))).collect();
    let expected = [
        ("allowed", vec![json!(["PolicyInputList.1", "none", 4, 5, 6, 6])]),
        ("explicitDeny", vec![json!(["PolicyInputList.1", "none", 7, 5, 7, 66])]),
        ("allowed", vec![json!(["PolicyInputList.2", "none", 1, 38, 1, 87])]),
        ("implicitDeny", vec![]),
    ];
    let expected = expected.map(|(word, list)| (json!(word), list));
    assert_eq!(found, expected.iter().map(|(w, l)| (w, l.clone())).collect::<Vec<_>>());
    for (result, name) in results.iter().zip(["kms:CreateKey", "kms:DisableKey"]) {
        assert_eq!(
            (&result["EvalActionName"], &result["EvalResourceName"]),
            (&json!(name), &json!("*"))
        );
        for absent in
            ["EvalDecisionDetails", "ResourceSpecificResults", "OrganizationsDecisionDetail"]
        {
            assert_eq!(result.get(absent), None, "{absent}");
        }
    }
}

#[tokio::test]
async fn all_policies_of_a_user_count_and_are_named() {
    let world = World::new().await;
    world
        .user("ann", policy(&[json!({"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"})]))
        .await;
    world.iam("CreateGroup", json!({"GroupName": "crew"})).await;
    world.iam("AddUserToGroup", json!({"GroupName": "crew", "UserName": "ann"})).await;
    let text = allow(&["s3:List*"]).to_string();
    let body = json!({"GroupName": "crew", "PolicyName": "lists", "PolicyDocument": text});
    world.iam("PutGroupPolicy", body).await;
    let text = allow(&["s3:Put*"]).to_string();
    let made =
        world.iam("CreatePolicy", json!({"PolicyName": "puts", "PolicyDocument": text})).await;
    let puts = made["Policy"]["Arn"].as_str().unwrap().to_owned();
    let audit = "arn:aws:iam::aws:policy/SecurityAudit";
    for arn in [puts.as_str(), audit] {
        world.iam("AttachUserPolicy", json!({"UserName": "ann", "PolicyArn": arn})).await;
    }
    let actions =
        ["s3:GetObject", "s3:ListBucket", "s3:PutObject", "kms:ListKeys", "s3:DeleteObject"];
    let ask = async |more: Value| {
        let mut body = json!({"PolicySourceArn": user_arn("ann"), "ActionNames": actions});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let results = principal(&world, body).await;
        results
            .iter()
            .map(|r| {
                let first = r["MatchedStatements"].get(0).cloned().unwrap_or_default();
                let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
                let source = (text(&first["SourcePolicyId"]), text(&first["SourcePolicyType"]));
                (r["EvalDecision"] == "allowed", source.0, source.1)
            })
            .collect::<Vec<_>>()
    };
    let row = |id: &str, kind: &str| (!id.is_empty(), id.to_owned(), kind.to_owned());
    let all = [
        row("user_ann_policy", "user"),
        row("group_crew_lists", "group"),
        row("puts", "user-managed"),
        row("SecurityAudit", "aws-managed"),
        row("", ""),
    ];
    assert_eq!(ask(json!({})).await, all);
    // One more, and those that are left out.
    let more = ask(json!({"PolicyInputList": [allow(&["s3:Delete*"]).to_string()]})).await;
    assert_eq!(more[4], row("PolicyInputList.1", "none"));
    for (excluded, gone) in [
        (json!({"PolicyType": "inline"}), vec![0, 1]),
        (json!({"PolicyType": "aws-managed"}), vec![3]),
        (json!({"PolicyArn": puts}), vec![2]),
        (
            json!({"InlinePolicyIdentifier": {"AttachmentType": "group", "AttachmentName": "crew",
                "PolicyName": "lists"}}),
            vec![1],
        ),
        (json!({"PolicyType": "scp"}), vec![]),
    ] {
        let found = ask(json!({"PolicyExclusionList": [excluded]})).await;
        for n in 0..4 {
            assert_eq!(found[n] == all[n], !gone.contains(&n), "{excluded} {n}: {found:?}");
        }
    }
    // The group alone, and nothing of the user.
    let crew = format!("arn:aws:iam::{ACCOUNT}:group/crew");
    assert_eq!(decision(&world, &crew, "s3:ListBucket", "*").await, "allowed");
    assert_eq!(decision(&world, &crew, "s3:GetObject", "*").await, "implicitDeny");
}

#[tokio::test]
async fn boundaries_are_told_apart() {
    let world = World::new().await;
    world.user("ann", allow(&["s3:*", "sns:*"])).await;
    let text = allow(&["s3:*"]).to_string();
    let made =
        world.iam("CreatePolicy", json!({"PolicyName": "limit", "PolicyDocument": text})).await;
    let limit = &made["Policy"]["Arn"];
    let body = json!({"UserName": "ann", "PermissionsBoundary": limit});
    world.iam("PutUserPermissionsBoundary", body).await;
    let ask = async |more: Value| {
        let actions = ["s3:GetObject", "sns:Publish", "sqs:SendMessage"];
        let mut body = json!({"PolicySourceArn": user_arn("ann"), "ActionNames": actions});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let results = principal(&world, body).await;
        let bound = |r: &Value| {
            let detail = r.get("PermissionsBoundaryDecisionDetail");
            detail.map(|d| d["AllowedByPermissionsBoundary"].as_bool().unwrap())
        };
        let row = |r: &Value| (r["EvalDecision"].as_str().unwrap().to_owned(), bound(r));
        results.iter().map(row).collect::<Vec<_>>()
    };
    let (yes, no, deny) =
        ("allowed".to_owned(), "implicitDeny".to_owned(), "explicitDeny".to_owned());
    let own = [(yes.clone(), Some(true)), (no.clone(), Some(false)), (no.clone(), Some(false))];
    assert_eq!(ask(json!({})).await, own);
    // One that is given stands in its place.
    let given = policy(&[
        json!({"Effect": "Allow", "Action": "*", "Resource": "*"}),
        json!({"Effect": "Deny", "Action": "s3:*", "Resource": "*"}),
    ]);
    let given = json!({"PermissionsBoundaryPolicyInputList": [given.to_string()]});
    let other = [(deny, Some(false)), (yes.clone(), Some(true)), (no.clone(), Some(true))];
    assert_eq!(ask(given).await, other);
    let without =
        ask(json!({"PolicyExclusionList": [{"PolicyType": "permission-boundary"}]})).await;
    assert_eq!(without, [(yes.clone(), None), (yes, None), (no, None)]);
    let two = json!({"PolicySourceArn": user_arn("ann"), "ActionNames": ["s3:GetObject"],
        "PermissionsBoundaryPolicyInputList": [text, text]});
    assert_eq!(world.iam_fails("SimulatePrincipalPolicy", two).await.code, "InvalidInput");
}

#[tokio::test]
async fn several_resources_are_told_one_by_one() {
    let world = World::new().await;
    let document = policy(&[
        json!({"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::a/*"}),
        json!({"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::c/*"}),
    ])
    .to_string();
    let names = ["arn:aws:s3:::a/x", "arn:aws:s3:::b/x", "arn:aws:s3:::c/x"];
    let body = json!({"PolicyInputList": [document], "ActionNames": ["s3:GetObject"],
        "ResourceArns": names});
    let found = custom(&world, body).await;
    assert_eq!((found.len(), &found[0]["EvalDecision"]), (1, &json!("explicitDeny")));
    let each = found[0]["ResourceSpecificResults"].as_array().unwrap();
    let rows: Vec<_> = each
        .iter()
        .map(|r| {
            (r["EvalResourceName"].as_str().unwrap(), r["EvalResourceDecision"].as_str().unwrap())
        })
        .collect();
    let words = ["allowed", "implicitDeny", "explicitDeny"];
    assert_eq!(rows, names.into_iter().zip(words).collect::<Vec<_>>());
    assert_eq!(each[2]["MatchedStatements"].as_array().unwrap().len(), 1);
}
