//! Managed policies and their versions: made, read, listed, tagged, deleted; AWS's own.
use crate::support::{failed, user_arn};
use crate::world::{ACCOUNT, OTHER_ACCOUNT, World, allow};
use serde_json::{Value, json};

const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

fn arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:policy/{name}")
}

async fn made(world: &World, name: &str) -> Value {
    let document = allow(&["s3:*"]).to_string();
    let body = json!({"PolicyName": name, "PolicyDocument": document});
    world.iam("CreatePolicy", body).await["Policy"].clone()
}

#[tokio::test]
async fn a_policy_is_made_read_and_deleted() {
    let world = World::new().await;
    let document = allow(&["s3:*"]).to_string();
    let body = json!({"PolicyName": "Read", "Path": "/a/b/", "PolicyDocument": document,
        "Description": "reads", "Tags": [{"Key": "k", "Value": "v"}]});
    let made = world.iam("CreatePolicy", body.clone()).await;
    let policy = &made["Policy"];
    let id = policy["PolicyId"].as_str().unwrap();
    assert!(id.starts_with("ANPA") && id.len() == 21, "{id}");
    assert_eq!(policy["Arn"], arn("a/b/Read"));
    assert_eq!(policy["DefaultVersionId"], "v1");
    assert_eq!((&policy["AttachmentCount"], &policy["IsAttachable"]), (&json!(0), &json!(true)));
    assert_eq!(policy["Tags"], json!([{"Key": "k", "Value": "v"}]));
    let name = json!({"PolicyArn": arn("a/b/Read")});
    assert_eq!(world.iam("GetPolicy", name.clone()).await, made);
    let again = json!({"PolicyName": "READ", "PolicyDocument": document});
    let text = "A policy called READ already exists. Duplicate names are not allowed.";
    assert_eq!(world.iam_fails("CreatePolicy", again).await, failed("EntityAlreadyExists", text));
    // The ARN of another path is another policy's.
    let text = format!("Policy {} does not exist or is not attachable.", arn("Read"));
    let refused = world.iam_fails("GetPolicy", json!({"PolicyArn": arn("Read")})).await;
    assert_eq!(refused, failed("NoSuchEntity", text));
    world.iam("DeletePolicy", name.clone()).await;
    for operation in ["GetPolicy", "DeletePolicy", "ListPolicyVersions", "ListEntitiesForPolicy"] {
        assert_eq!(world.iam_fails(operation, name.clone()).await.code, "NoSuchEntity");
    }
}

#[tokio::test]
async fn what_is_no_policy_is_refused() {
    let world = World::new().await;
    let good = allow(&["s3:*"]).to_string();
    for bad in ["x".to_owned(), "{}".to_owned(), good.replace("Allow", "Maybe")] {
        let body = json!({"PolicyName": "p", "PolicyDocument": bad});
        assert_eq!(world.iam_fails("CreatePolicy", body).await.code, "MalformedPolicyDocument");
    }
    let actions: Vec<String> = (0..62).map(|at| format!("s3:{at:0>97}")).collect();
    let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
    let body = |count: usize| {
        let text = allow(&actions[..count]).to_string() + &" ".repeat(5000);
        json!({"PolicyName": "p", "PolicyDocument": text})
    };
    let text = "Cannot exceed quota for PolicySize: 6144";
    assert_eq!(world.iam_fails("CreatePolicy", body(62)).await, failed("LimitExceeded", text));
    world.iam("CreatePolicy", body(58)).await;
    for bad in ["arn:aws:iam::policy-without-account", "arn:aws:s3:::some-bucket-of-ours"] {
        let refused = world.iam_fails("GetPolicy", json!({"PolicyArn": bad})).await;
        assert_eq!(refused, failed("InvalidInput", format!("ARN {bad} is not valid.")));
    }
    let short = world.iam_fails("GetPolicy", json!({"PolicyArn": "arn:aws"})).await;
    assert_eq!(short.code, "ValidationError");
}

#[tokio::test]
async fn a_policy_has_five_versions_at_most_and_one_is_in_force() {
    let world = World::new().await;
    made(&world, "p").await;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let arn = arn("p");
    world.iam("AttachUserPolicy", json!({"UserName": "ann", "PolicyArn": arn})).await;
    let list_keys = async || world.call_as(&ann, "kms", "ListKeys", json!({})).await.is_ok();
    let text = allow(&["kms:ListKeys"]).to_string();
    let version =
        |default: bool| json!({"PolicyArn": arn, "PolicyDocument": text, "SetAsDefault": default});
    let named = |id: &str| json!({"PolicyArn": arn, "VersionId": id});
    world.advance(60).await;
    let second = world.iam("CreatePolicyVersion", version(false)).await;
    assert_eq!(second["PolicyVersion"]["VersionId"], "v2");
    assert_eq!(second["PolicyVersion"]["IsDefaultVersion"], false);
    assert!(!list_keys().await);
    world.iam("SetDefaultPolicyVersion", named("v2")).await;
    assert!(list_keys().await);
    let read = world.iam("GetPolicyVersion", named("v2")).await;
    let shown = read["PolicyVersion"]["Document"].as_str().unwrap();
    let decoded = percent_encoding::percent_decode_str(shown).decode_utf8().unwrap();
    assert_eq!((&*decoded, &read["PolicyVersion"]["IsDefaultVersion"]), (&*text, &json!(true)));
    world.iam("SetDefaultPolicyVersion", named("v1")).await;
    assert!(!list_keys().await);
    world.iam("CreatePolicyVersion", version(true)).await;
    assert!(list_keys().await);
    for _ in 0..2 {
        world.iam("CreatePolicyVersion", version(false)).await;
    }
    let refused = world.iam_fails("CreatePolicyVersion", version(false)).await;
    assert_eq!(refused.code, "LimitExceeded");
    let refused = world.iam_fails("DeletePolicyVersion", named("v3")).await;
    let reason = "Cannot delete the default version of a policy.";
    assert_eq!(refused, failed("DeleteConflict", reason));
    world.iam("DeletePolicyVersion", named("v2")).await;
    for operation in ["GetPolicyVersion", "DeletePolicyVersion", "SetDefaultPolicyVersion"] {
        let reason = format!("Policy {arn} version v2 does not exist or is not attachable.");
        assert_eq!(world.iam_fails(operation, named("v2")).await, failed("NoSuchEntity", reason));
    }
    // Numbers are never given twice.
    let next = world.iam("CreatePolicyVersion", version(false)).await;
    assert_eq!(next["PolicyVersion"]["VersionId"], "v6");
    let (mut seen, mut marker) = (Vec::new(), Value::Null);
    loop {
        let body = json!({"PolicyArn": arn, "MaxItems": 2, "Marker": marker});
        let page = world.iam("ListPolicyVersions", body).await;
        seen.extend(page["Versions"].as_array().unwrap().clone());
        let Some(next) = page.get("Marker") else { break };
        marker = next.clone();
    }
    let ids: Vec<&str> = seen.iter().map(|v| v["VersionId"].as_str().unwrap()).collect();
    assert_eq!(ids, ["v6", "v5", "v4", "v3", "v1"]);
    assert!(seen.iter().all(|v| v.get("Document").is_none()));
    world.iam("DetachUserPolicy", json!({"UserName": "ann", "PolicyArn": arn})).await;
    assert!(!list_keys().await);
    let refused = world.iam_fails("DeletePolicy", json!({"PolicyArn": arn})).await;
    assert!(refused.message.starts_with("This policy has more than one version."), "{refused:?}");
    assert_eq!(refused.code, "DeleteConflict");
}

#[tokio::test]
async fn policies_are_listed_by_scope_path_and_use() {
    let world = World::new().await;
    for (name, path) in [("a", "/x/"), ("b", "/y/"), ("c", "/x/")] {
        let document = allow(&["s3:*"]).to_string();
        let body = json!({"PolicyName": name, "Path": path, "PolicyDocument": document});
        world.iam("CreatePolicy", body).await;
    }
    world.iam("CreateGroup", json!({"GroupName": "g"})).await;
    for policy in [arn("y/b"), ADMINISTRATOR.to_owned()] {
        let body = json!({"GroupName": "g", "PolicyArn": policy});
        world.iam("AttachGroupPolicy", body).await;
    }
    let names = async |mut body: Value| {
        let mut names = Vec::new();
        body["MaxItems"] = json!(2);
        loop {
            let page = world.iam("ListPolicies", body.clone()).await;
            for policy in page["Policies"].as_array().unwrap() {
                names.push(policy["PolicyName"].as_str().unwrap().to_owned());
                assert!(policy.get("Tags").is_none());
            }
            assert_eq!(page["IsTruncated"], page.get("Marker").is_some());
            let Some(next) = page.get("Marker") else { return names.join(" ") };
            body["Marker"] = next.clone();
        }
    };
    assert_eq!(names(json!({"Scope": "Local"})).await, "a b c");
    assert_eq!(names(json!({"Scope": "Local", "PathPrefix": "/x/"})).await, "a c");
    assert_eq!(names(json!({"OnlyAttached": true})).await, "b AdministratorAccess");
    assert_eq!(names(json!({"PolicyUsageFilter": "PermissionsBoundary"})).await, "");
    let usage = json!({"PolicyUsageFilter": "PermissionsPolicy", "Scope": "AWS"});
    assert_eq!(names(usage).await, "AdministratorAccess");
    assert_eq!(names(json!({"Scope": "AWS"})).await.split(' ').count(), 10);
    assert!(names(json!({})).await.starts_with("a b c AWSKey"));
    let marker = world.iam("ListPolicies", json!({"MaxItems": 1})).await["Marker"].clone();
    let refused = world.iam_fails("ListPolicies", json!({"Marker": marker, "Scope": "AWS"})).await;
    assert_eq!(refused, failed("ValidationError", "Invalid Marker."));
}

#[tokio::test]
async fn tags_are_added_replaced_listed_and_decide() {
    let world = World::new().await;
    made(&world, "p").await;
    let arn = arn("p");
    let tag = |key: &str, value: &str| json!({"Key": key, "Value": value});
    let tags = json!([tag("Team", "a"), tag("z", "1")]);
    world.iam("TagPolicy", json!({"PolicyArn": arn, "Tags": tags})).await;
    // Names that differ in case only are one.
    world.iam("TagPolicy", json!({"PolicyArn": arn, "Tags": [tag("team", "b")]})).await;
    let listed = world.iam("ListPolicyTags", json!({"PolicyArn": arn})).await;
    assert_eq!(listed["Tags"], json!([tag("team", "b"), tag("z", "1")]));
    let twice = json!({"PolicyArn": arn, "Tags": [tag("a", "1"), tag("A", "2")]});
    assert_eq!(world.iam_fails("TagPolicy", twice).await.code, "InvalidInput");
    let many: Vec<Value> = (0..49).map(|at| tag(&format!("k{at}"), "v")).collect();
    let refused = world.iam_fails("TagPolicy", json!({"PolicyArn": arn, "Tags": many})).await;
    assert_eq!(refused.code, "LimitExceeded");
    let ann = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "iam:*",
        "Resource": "*", "Condition": {"StringEquals": {"aws:ResourceTag/team": "b"}}}});
    let ann = world.user("ann", ann).await;
    let body = json!({"PolicyArn": arn});
    assert!(world.call_as(&ann, "iam", "GetPolicy", body.clone()).await.is_ok());
    world.iam("UntagPolicy", json!({"PolicyArn": arn, "TagKeys": ["TEAM", "none"]})).await;
    let refused = world.fails(&ann, "iam", "GetPolicy", body.clone()).await;
    let text = format!(
        "User: {} is not authorized to perform: iam:GetPolicy on resource: {arn} because no \
         identity-based policy allows the iam:GetPolicy action",
        user_arn("ann")
    );
    assert_eq!(refused, failed("AccessDenied", text));
    let listed = world.iam("ListPolicyTags", body).await;
    assert_eq!(listed["Tags"], json!([tag("z", "1")]));
}

#[tokio::test]
async fn policies_of_aws_are_everybodys_to_read_and_nobodys_to_change() {
    let world = World::new().await;
    let name = json!({"PolicyArn": ADMINISTRATOR});
    let policy = world.iam("GetPolicy", name.clone()).await["Policy"].clone();
    assert_eq!(
        (&policy["PolicyName"], &policy["AttachmentCount"]),
        (&json!("AdministratorAccess"), &json!(0))
    );
    let version = json!({"PolicyArn": ADMINISTRATOR, "VersionId": "v1"});
    let read = world.iam("GetPolicyVersion", version.clone()).await;
    assert!(read["PolicyVersion"]["Document"].as_str().unwrap().starts_with("%7B"));
    let document = allow(&["s3:*"]).to_string();
    for (operation, body) in [
        ("DeletePolicy", name.clone()),
        ("SetDefaultPolicyVersion", version.clone()),
        ("DeletePolicyVersion", version),
        ("CreatePolicyVersion", json!({"PolicyArn": ADMINISTRATOR, "PolicyDocument": document})),
        ("TagPolicy", json!({"PolicyArn": ADMINISTRATOR, "Tags": [{"Key": "a", "Value": "b"}]})),
    ] {
        assert_eq!(world.iam_fails(operation, body).await.code, "AccessDenied", "{operation}");
    }
    // Whoever may not read policies does not read these either.
    let ann = world.user("ann", allow(&["s3:*"])).await;
    assert_eq!(world.fails(&ann, "iam", "GetPolicy", name).await.code, "AccessDenied");
}

#[tokio::test]
async fn another_accounts_policy_is_out_of_reach() {
    let world = World::new().await;
    made(&world, "p").await;
    let other = world.other_root();
    let body = json!({"PolicyArn": arn("p")});
    for operation in ["GetPolicy", "DeletePolicy", "ListPolicyVersions", "ListEntitiesForPolicy"] {
        let refused = world.fails(&other, "iam", operation, body.clone()).await;
        assert_eq!(refused.code, "AccessDenied", "{operation}");
    }
    world.user_of(OTHER_ACCOUNT, "bob", allow(&["s3:*"])).await;
    let body = json!({"UserName": "bob", "PolicyArn": arn("p")});
    let refused = world.fails(&other, "iam", "AttachUserPolicy", body).await;
    let text = format!("Policy {} does not exist or is not attachable.", arn("p"));
    assert_eq!(refused, failed("NoSuchEntity", text));
    let listed = world.call_as(&other, "iam", "ListPolicies", json!({"Scope": "Local"})).await;
    assert_eq!(listed.unwrap()["Policies"], json!([]));
}
