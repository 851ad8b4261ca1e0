//! Policies that are mostly white space: AWS does not count it, but it is kept and sent.
use crate::support::failed;
use crate::world::{World, allow};
use serde_json::{Value, json};

/// A policy of so many characters.
fn padded(text: &Value, length: usize) -> String {
    let text = text.to_string();
    let padding = " ".repeat(length - text.len());
    text + &padding
}

fn trust() -> Value {
    crate::sts::trust("arn:aws:iam::111122223333:root")
}

#[tokio::test]
async fn white_space_is_not_without_end() {
    let world = World::new().await;
    let s3 = allow(&["s3:*"]);
    world.iam("CreateUser", json!({"UserName": "ann"})).await;
    let put = |name: &str, length: usize| json!({"UserName": "ann", "PolicyName": name, "PolicyDocument": padded(&s3, length)});
    world.iam("PutUserPolicy", put("p", 8000)).await;
    world.iam("PutUserPolicy", put("q", 192)).await;
    let refused = world.iam_fails("PutUserPolicy", put("q", 193)).await;
    let text = "Maximum policy size of 2048 bytes exceeded for user ann";
    assert_eq!(refused, failed("LimitExceeded", text));

    let managed = |length: usize| json!({"PolicyName": "p", "PolicyDocument": padded(&s3, length)});
    let too_long = failed("LimitExceeded", "Cannot exceed quota for PolicySize: 6144");
    assert_eq!(world.iam_fails("CreatePolicy", managed(4 * 6144 + 1)).await, too_long);
    let made = world.iam("CreatePolicy", managed(4 * 6144)).await;
    let version = json!({"PolicyArn": made["Policy"]["Arn"],
        "PolicyDocument": padded(&s3, 4 * 6144 + 1)});
    assert_eq!(world.iam_fails("CreatePolicyVersion", version).await, too_long);

    let role = |length: usize| json!({"RoleName": "r", "AssumeRolePolicyDocument": padded(&trust(), length)});
    let too_long = failed("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048");
    // Somewhat less fits: a policy is kept with the ids of those whom it names.
    world.iam("CreateRole", role(4 * 2048 - 200)).await;
    let update = json!({"RoleName": "r", "PolicyDocument": padded(&trust(), 4 * 2048 + 200)});
    assert_eq!(world.iam_fails("UpdateAssumeRolePolicy", update).await, too_long);
}

#[tokio::test]
async fn pages_end_where_their_policies_are_too_long() {
    let world = World::new().await;
    let (text, trust) = (padded(&allow(&["s3:*"]), 4 * 10_240), trust().to_string());
    let names: Vec<String> = (100..220).map(|n| format!("r{n}")).collect();
    for name in &names {
        let body = json!({"RoleName": name, "AssumeRolePolicyDocument": trust});
        world.iam("CreateRole", body).await;
        let body = json!({"RoleName": name, "PolicyName": "p", "PolicyDocument": text});
        world.iam("PutRolePolicy", body).await;
    }
    for (operation, list) in
        [("ListRoles", "Roles"), ("GetAccountAuthorizationDetails", "RoleDetailList")]
    {
        let mut body = json!({"MaxItems": 1000});
        let (mut found, mut pages) = (Vec::new(), 0);
        loop {
            let page = world.iam(operation, body.clone()).await;
            let roles = page[list].as_array().unwrap();
            assert!(roles.len() <= (4 << 20) / text.len(), "{operation}: {}", roles.len());
            found.extend(roles.iter().map(|r| r["RoleName"].as_str().unwrap().to_owned()));
            pages += 1;
            assert_eq!(page["IsTruncated"], page.get("Marker").is_some());
            let Some(marker) = page.get("Marker") else { break };
            body["Marker"] = marker.clone();
        }
        // The policies that AWS gives everybody may need a page more.
        assert!(found == names && pages >= 2, "{operation}: {pages} {found:?}");
    }
}
