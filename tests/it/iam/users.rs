//! Users: CreateUser, GetUser, ListUsers, DeleteUser.
use crate::support::{failed, policy, user_arn};
use crate::world::{ACCOUNT, World, allow};
use serde_json::{Value, json};

#[tokio::test]
async fn a_user_is_made_read_listed_and_deleted() {
    let world = World::new().await;
    let body = json!({"UserName": "Ann", "Path": "/team/a/",
        "Tags": [{"Key": "Dept", "Value": "hr"}]});
    let made = world.iam("CreateUser", body).await;
    let user = &made["User"];
    let id = user["UserId"].as_str().unwrap();
    assert!(id.starts_with("AIDA") && id.len() == 21, "{id}");
    assert_eq!(user["Arn"], format!("arn:aws:iam::{ACCOUNT}:user/team/a/Ann"));
    assert_eq!((&user["UserName"], &user["Path"]), (&json!("Ann"), &json!("/team/a/")));
    assert_eq!(user["Tags"], json!([{"Key": "Dept", "Value": "hr"}]));
    // Names that differ in case only are one user.
    for name in ["Ann", "ann", "ANN"] {
        assert_eq!(world.iam("GetUser", json!({"UserName": name})).await, made);
        let again = world.iam_fails("CreateUser", json!({"UserName": name})).await;
        let text = format!("User with name {name} already exists.");
        assert_eq!(again, failed("EntityAlreadyExists", text));
    }
    let listed = world.iam("ListUsers", json!({})).await;
    assert_eq!(listed["IsTruncated"], false);
    assert_eq!(listed["Users"].as_array().unwrap().len(), 1);
    assert_eq!(listed["Users"][0]["Arn"], user["Arn"]);
    world.iam("DeleteUser", json!({"UserName": "Ann"})).await;
    let gone = failed("NoSuchEntity", "The user with name Ann cannot be found.");
    for name in ["GetUser", "DeleteUser", "ListUserPolicies", "ListAccessKeys"] {
        assert_eq!(world.iam_fails(name, json!({"UserName": "Ann"})).await, gone, "{name}");
    }
}

#[tokio::test]
async fn without_a_name_the_caller_is_meant() {
    let world = World::new().await;
    let own = policy(&[json!({"Effect": "Allow", "Action": "iam:GetUser",
        "Resource": "arn:aws:iam::*:user/${aws:username}"})]);
    let ann = world.user("ann", own).await;
    world.user("bob", allow(&["s3:*"])).await;
    for body in [json!({}), json!({"UserName": "ann"})] {
        let answer = world.call_as(&ann, "iam", "GetUser", body).await.unwrap();
        assert_eq!(answer["User"]["Arn"], user_arn("ann"));
    }
    // Others exist or not: the answer is the same but for the name.
    for name in ["bob", "carl"] {
        let refused = world.fails(&ann, "iam", "GetUser", json!({"UserName": name})).await;
        let text = format!(
            "User: {} is not authorized to perform: iam:GetUser on resource: {} because no \
             identity-based policy allows the iam:GetUser action",
            user_arn("ann"),
            user_arn(name)
        );
        assert_eq!(refused, failed("AccessDenied", text));
    }
    let root = world.iam_fails("GetUser", json!({})).await;
    assert_eq!(root.code, "ValidationError");
}

#[tokio::test]
async fn names_paths_and_tags_have_rules() {
    let world = World::new().await;
    let many = |n: usize| {
        (0..n).map(|at| json!({"Key": format!("k{at}"), "Value": "v"})).collect::<Vec<_>>()
    };
    let twice = json!([{"Key": "Dept", "Value": "a"}, {"Key": "dept", "Value": "b"}]);
    for (body, code) in [
        (json!({}), "ValidationError"),
        (json!({"UserName": ""}), "ValidationError"),
        (json!({"UserName": "a b"}), "ValidationError"),
        (json!({"UserName": "a/b"}), "ValidationError"),
        (json!({"UserName": "u".repeat(65)}), "ValidationError"),
        (json!({"UserName": "u", "Path": "nope"}), "ValidationError"),
        (json!({"UserName": "u", "Tags": twice}), "InvalidInput"),
        (
            json!({"UserName": "u", "PermissionsBoundary": format!("arn:aws:iam::{ACCOUNT}:policy/p")}),
            "NoSuchEntity",
        ),
        (json!({"UserName": 7}), "MalformedInput"),
    ] {
        assert_eq!(world.iam_fails("CreateUser", body.clone()).await.code, code, "{body}");
    }
    assert!(
        world.call("iam", "CreateUser", json!({"UserName": "u", "Tags": many(51)})).await.is_err()
    );
    assert_eq!(world.iam("ListUsers", json!({})).await["Users"], json!([]));
    world.iam("CreateUser", json!({"UserName": "u+=,.@_-9", "Tags": many(50)})).await;
    world.iam("CreateUser", json!({"UserName": "v".repeat(64)})).await;
}

#[tokio::test]
async fn lists_are_paged_and_filtered_by_path() {
    let world = World::new().await;
    for (at, name) in ["a", "b", "c", "d", "e"].iter().enumerate() {
        let path = if at % 2 == 0 { "/x/" } else { "/y/" };
        world.iam("CreateUser", json!({"UserName": name, "Path": path})).await;
    }
    for prefix in [None, Some("/x/"), Some("/y")] {
        let (mut seen, mut marker) = (String::new(), Value::Null);
        loop {
            let body = json!({"MaxItems": 2, "Marker": marker, "PathPrefix": prefix});
            let page = world.iam("ListUsers", body).await;
            for user in page["Users"].as_array().unwrap() {
                seen += user["UserName"].as_str().unwrap();
                assert!(user.get("Tags").is_none());
            }
            assert_eq!(page["IsTruncated"], page.get("Marker").is_some());
            let Some(next) = page.get("Marker") else { break };
            marker = next.clone();
        }
        assert_eq!(
            seen,
            match prefix {
                None => "abcde",
                Some("/x/") => "ace",
                _ => "bd",
            }
        );
    }
    let marker = world.iam("ListUsers", json!({"MaxItems": 1})).await["Marker"].clone();
    let ann = world.user("ann", allow(&["iam:*"])).await;
    for (who, body) in [
        (&world.root, json!({"Marker": "nonsense"})),
        (&world.root, json!({"Marker": marker, "PathPrefix": "/x/"})),
        (&ann, json!({"Marker": marker})),
    ] {
        let refused = world.fails(who, "iam", "ListUsers", body).await;
        assert_eq!(refused, failed("ValidationError", "Invalid Marker."));
    }
}

#[tokio::test]
async fn a_user_with_keys_or_policies_stays() {
    let world = World::new().await;
    let name = json!({"UserName": "ann"});
    world.iam("CreateUser", name.clone()).await;
    let key = world.iam("CreateAccessKey", name.clone()).await;
    let text = "Cannot delete entity, must delete access keys first.";
    let refused = world.iam_fails("DeleteUser", name.clone()).await;
    assert_eq!(refused, failed("DeleteConflict", text));
    let body = json!({"UserName": "ann", "AccessKeyId": key["AccessKey"]["AccessKeyId"]});
    world.iam("DeleteAccessKey", body).await;
    let body = json!({"UserName": "ann", "PolicyName": "p",
        "PolicyDocument": allow(&["s3:*"]).to_string()});
    world.iam("PutUserPolicy", body).await;
    let text = "Cannot delete entity, must delete policies first.";
    let refused = world.iam_fails("DeleteUser", name.clone()).await;
    assert_eq!(refused, failed("DeleteConflict", text));
    world.iam("DeleteUserPolicy", json!({"UserName": "ann", "PolicyName": "p"})).await;
    world.iam("DeleteUser", name).await;
}
