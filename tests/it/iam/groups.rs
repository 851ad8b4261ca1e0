//! Groups: made, joined, left, listed, deleted; and what their users may do at each moment.
use crate::support::{failed, policy, user_arn};
use crate::world::{ACCOUNT, World, allow};
use serde_json::{Value, json};

fn crew(user: &str) -> Value {
    json!({"GroupName": "Crew", "UserName": user})
}

#[tokio::test]
async fn a_group_is_made_read_listed_and_deleted() {
    let world = World::new().await;
    let made = world.iam("CreateGroup", json!({"GroupName": "Crew", "Path": "/sea/"})).await;
    let group = &made["Group"];
    let id = group["GroupId"].as_str().unwrap();
    assert!(id.starts_with("AGPA") && id.len() == 21, "{id}");
    assert_eq!(group["Arn"], format!("arn:aws:iam::{ACCOUNT}:group/sea/Crew"));
    for name in ["Crew", "crew", "CREW"] {
        let read = world.iam("GetGroup", json!({"GroupName": name})).await;
        assert_eq!((&read["Group"], &read["Users"]), (group, &json!([])));
        let again = world.iam_fails("CreateGroup", json!({"GroupName": name})).await;
        let text = format!("Group with name {name} already exists.");
        assert_eq!(again, failed("EntityAlreadyExists", text));
    }
    world.iam("CreateGroup", json!({"GroupName": "other"})).await;
    let listed = world.iam("ListGroups", json!({"PathPrefix": "/sea"})).await;
    assert_eq!(listed["Groups"], json!([group]));
    let listed = world.iam("ListGroups", json!({"MaxItems": 1})).await;
    assert_eq!((&listed["Groups"], &listed["IsTruncated"]), (&json!([group]), &json!(true)));
    let listed = world.iam("ListGroups", json!({"Marker": listed["Marker"]})).await;
    assert_eq!(listed["Groups"][0]["GroupName"], "other");
    world.iam("DeleteGroup", json!({"GroupName": "Crew"})).await;
    let gone = failed("NoSuchEntity", "The group with name Crew cannot be found.");
    for name in ["GetGroup", "DeleteGroup", "UpdateGroup"] {
        assert_eq!(world.iam_fails(name, json!({"GroupName": "Crew"})).await, gone, "{name}");
    }
    assert_eq!(world.other_groups().await, json!([]));
}

impl World {
    async fn other_groups(&self) -> Value {
        let listed = self.call_as(&self.other_root(), "iam", "ListGroups", json!({})).await;
        listed.unwrap()["Groups"].clone()
    }
}

#[tokio::test]
async fn users_come_and_go() {
    let world = World::new().await;
    world.iam("CreateGroup", json!({"GroupName": "Crew"})).await;
    for name in ["ann", "bob", "carl"] {
        world.iam("CreateUser", json!({"UserName": name})).await;
        world.iam("AddUserToGroup", crew(name)).await;
    }
    // Twice is once.
    world.iam("AddUserToGroup", crew("ann")).await;
    let page = world.iam("GetGroup", json!({"GroupName": "Crew", "MaxItems": 2})).await;
    let arns = [user_arn("ann"), user_arn("bob")];
    assert_eq!(page["Users"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&page["Users"][0]["Arn"], &page["Users"][1]["Arn"]),
        (&json!(arns[0]), &json!(arns[1]))
    );
    let body = json!({"GroupName": "Crew", "Marker": page["Marker"]});
    let page = world.iam("GetGroup", body).await;
    assert_eq!(
        (&page["Users"][0]["UserName"], &page["IsTruncated"]),
        (&json!("carl"), &json!(false))
    );
    let groups = world.iam("ListGroupsForUser", json!({"UserName": "ANN"})).await;
    assert_eq!(groups["Groups"][0]["GroupName"], "Crew");
    let text = "Cannot delete entity, must remove users from group first.";
    let refused = failed("DeleteConflict", text);
    assert_eq!(world.iam_fails("DeleteGroup", json!({"GroupName": "Crew"})).await, refused);
    assert_eq!(world.iam_fails("DeleteUser", json!({"UserName": "ann"})).await, refused);
    for name in ["ann", "bob", "carl"] {
        world.iam("RemoveUserFromGroup", crew(name)).await;
    }
    let text = "User ann is not in group Crew.";
    assert_eq!(
        world.iam_fails("RemoveUserFromGroup", crew("ann")).await,
        failed("NoSuchEntity", text)
    );
    let text = "The user with name dora cannot be found.";
    for name in ["AddUserToGroup", "RemoveUserFromGroup"] {
        assert_eq!(
            world.iam_fails(name, crew("dora")).await,
            failed("NoSuchEntity", text),
            "{name}"
        );
    }
    world.iam("DeleteUser", json!({"UserName": "ann"})).await;
    world.iam("DeleteGroup", json!({"GroupName": "Crew"})).await;
}

#[tokio::test]
async fn a_user_is_in_ten_groups_at_most() {
    let world = World::new().await;
    world.iam("CreateUser", json!({"UserName": "ann"})).await;
    for at in 0..11 {
        let name = format!("g{at}");
        world.iam("CreateGroup", json!({"GroupName": name})).await;
        let body = json!({"GroupName": name, "UserName": "ann"});
        if at < 10 {
            world.iam("AddUserToGroup", body).await;
        } else {
            let text = "Cannot exceed quota for GroupsPerUser: 10";
            assert_eq!(
                world.iam_fails("AddUserToGroup", body).await,
                failed("LimitExceeded", text)
            );
        }
    }
}

#[tokio::test]
async fn policies_of_a_group_are_its_users() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let admins =
        json!({"GroupName": "Crew", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"});
    world.iam("CreateGroup", json!({"GroupName": "Crew"})).await;
    world.iam("AttachGroupPolicy", admins.clone()).await;
    let ask = async || world.call_as(&ann, "kms", "ListKeys", json!({})).await.is_ok();
    assert!(!ask().await);
    world.iam("AddUserToGroup", crew("ann")).await;
    assert!(ask().await);
    world.iam("RemoveUserFromGroup", crew("ann")).await;
    assert!(!ask().await);
    world.iam("AddUserToGroup", crew("ann")).await;
    world.iam("DetachGroupPolicy", admins).await;
    assert!(!ask().await);
}

#[tokio::test]
async fn permission_is_for_a_group() {
    let world = World::new().await;
    for name in ["Crew", "Other"] {
        world.iam("CreateGroup", json!({"GroupName": name})).await;
    }
    world.iam("CreateUser", json!({"UserName": "bob"})).await;
    let mine = policy(&[json!({"Effect": "Allow", "Action": "iam:*",
        "Resource": format!("arn:aws:iam::{ACCOUNT}:group/Crew")})]);
    let ann = world.user("ann", mine).await;
    for (name, may) in [("Crew", true), ("Other", false), ("Nowhere", false)] {
        for action in ["AddUserToGroup", "GetGroup", "RemoveUserFromGroup", "DeleteGroup"] {
            let mut body = json!({"GroupName": name});
            if action.contains("User") {
                body["UserName"] = json!("bob");
            }
            let outcome = world.call_as(&ann, "iam", action, body).await;
            assert_eq!(outcome.is_ok(), may, "{action} {name} {outcome:?}");
            if let Err(error) = outcome {
                assert_eq!(error.code, "AccessDenied");
                assert!(error.message.contains(&format!("group/{name} ")), "{}", error.message);
            }
        }
    }
    for body in [json!({}), json!({"GroupName": "a b"}), json!({"GroupName": "g".repeat(129)})] {
        assert_eq!(world.iam_fails("CreateGroup", body).await.code, "ValidationError");
    }
}
