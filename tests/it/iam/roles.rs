//! Roles: made, read, changed, listed, deleted.
use crate::support::{failed, policy, user_arn};
use crate::world::{ACCOUNT, World};
use serde_json::{Value, json};

fn trust(principal: &Value) -> String {
    policy(&[json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})])
        .to_string()
}

fn account() -> String {
    trust(&json!({"AWS": ACCOUNT}))
}

fn decoded(text: &Value) -> String {
    let text = text.as_str().unwrap();
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

async fn role(world: &World, name: &str) -> Value {
    let body = json!({"RoleName": name, "AssumeRolePolicyDocument": account()});
    world.iam("CreateRole", body).await
}

#[tokio::test]
async fn a_role_is_made_read_changed_and_deleted() {
    let world = World::new().await;
    let body = json!({"RoleName": "Deploy", "Path": "/ci/", "Description": "of the pipeline",
        "MaxSessionDuration": 7200, "AssumeRolePolicyDocument": account(),
        "Tags": [{"Key": "Team", "Value": "a"}]});
    let made = world.iam("CreateRole", body).await["Role"].clone();
    let id = made["RoleId"].as_str().unwrap();
    assert!(id.starts_with("AROA") && id.len() == 21, "{id}");
    assert_eq!(made["Arn"], format!("arn:aws:iam::{ACCOUNT}:role/ci/Deploy"));
    assert_eq!(decoded(&made["AssumeRolePolicyDocument"]), account());
    let get = async || world.iam("GetRole", json!({"RoleName": "deploy"})).await["Role"].clone();
    let read = get().await;
    for member in [
        "Arn",
        "RoleId",
        "RoleName",
        "Path",
        "Description",
        "MaxSessionDuration",
        "Tags",
        "CreateDate",
        "AssumeRolePolicyDocument",
    ] {
        assert_eq!(read[member], made[member], "{member}");
    }
    assert_eq!(read["RoleLastUsed"], json!({}));
    let again = world
        .iam_fails(
            "CreateRole",
            json!({"RoleName": "DEPLOY",
        "AssumeRolePolicyDocument": account()}),
        )
        .await;
    assert_eq!(again, failed("EntityAlreadyExists", "Role with name DEPLOY already exists."));

    world.iam("UpdateRole", json!({"RoleName": "Deploy", "MaxSessionDuration": 3600})).await;
    world.iam("UpdateRole", json!({"RoleName": "Deploy", "Description": "new"})).await;
    let read = get().await;
    assert_eq!((&read["MaxSessionDuration"], &read["Description"]), (&json!(3600), &json!("new")));
    let body = json!({"RoleName": "Deploy", "Description": "newer"});
    let answer = world.iam("UpdateRoleDescription", body).await;
    assert_eq!(answer["Role"]["Description"], "newer");
    let service = trust(&json!({"Service": "lambda.amazonaws.com"}));
    let body = json!({"RoleName": "Deploy", "PolicyDocument": service});
    world.iam("UpdateAssumeRolePolicy", body).await;
    assert_eq!(decoded(&get().await["AssumeRolePolicyDocument"]), service);

    let profiles = world.iam("ListInstanceProfilesForRole", json!({"RoleName": "Deploy"})).await;
    assert_eq!(profiles, json!({"InstanceProfiles": [], "IsTruncated": false}));
    world.iam("DeleteRole", json!({"RoleName": "Deploy"})).await;
    let gone = failed("NoSuchEntity", "The role with name Deploy cannot be found.");
    for name in
        ["GetRole", "DeleteRole", "UpdateRole", "ListRoleTags", "ListInstanceProfilesForRole"]
    {
        assert_eq!(world.iam_fails(name, json!({"RoleName": "Deploy"})).await, gone, "{name}");
    }
    assert_ne!(role(&world, "Deploy").await["Role"]["RoleId"], json!(id));
}

#[tokio::test]
async fn roles_are_listed_by_name_and_path() {
    let world = World::new().await;
    for (name, path) in [("a", "/x/"), ("b", "/y/"), ("c", "/x/")] {
        let body = json!({"RoleName": name, "Path": path, "AssumeRolePolicyDocument": account(),
            "Tags": [{"Key": "k", "Value": "v"}]});
        world.iam("CreateRole", body).await;
    }
    let names = |page: &Value| {
        let roles = page["Roles"].as_array().unwrap().iter();
        roles.map(|role| role["RoleName"].as_str().unwrap().to_owned()).collect::<String>()
    };
    let page = world.iam("ListRoles", json!({"MaxItems": 2})).await;
    assert_eq!((names(&page).as_str(), &page["IsTruncated"]), ("ab", &json!(true)));
    assert!(page["Roles"][0].get("Tags").is_none());
    let page = world.iam("ListRoles", json!({"Marker": page["Marker"]})).await;
    assert_eq!((names(&page).as_str(), &page["IsTruncated"]), ("c", &json!(false)));
    assert_eq!(names(&world.iam("ListRoles", json!({"PathPrefix": "/x/"})).await), "ac");
    let foreign = world.call_as(&world.other_root(), "iam", "ListRoles", json!({})).await.unwrap();
    assert_eq!(foreign["Roles"], json!([]));
    let refused = world.iam_fails("ListRoles", json!({"Marker": "nonsense"})).await;
    assert_eq!(refused, failed("ValidationError", "Invalid Marker."));
}

#[tokio::test]
async fn a_trust_policy_names_people_who_exist() {
    let world = World::new().await;
    role(&world, "there").await;
    world.iam("CreateUser", json!({"UserName": "ann"})).await;
    let of_role = |name: &str| json!({"AWS": format!("arn:aws:iam::{ACCOUNT}:role/{name}")});
    let good = [
        json!({"AWS": user_arn("ann")}),
        json!("*"),
        of_role("there"),
        json!({"Federated": "accounts.example.com"}),
        json!({"AWS": "444455556666"}),
    ];
    for (at, principal) in good.iter().enumerate() {
        let body =
            json!({"RoleName": format!("r{at}"), "AssumeRolePolicyDocument": trust(principal)});
        world.iam("CreateRole", body).await;
    }
    let bob = user_arn("bob");
    let refused = world
        .iam_fails(
            "CreateRole",
            json!({"RoleName": "r", "AssumeRolePolicyDocument": trust(&json!({"AWS": bob}))}),
        )
        .await;
    let text = format!("Invalid principal in policy: \"AWS\":\"{bob}\"");
    assert_eq!(refused, failed("MalformedPolicyDocument", text));
    let without = policy(&[json!({"Effect": "Allow", "Action": "sts:AssumeRole"})]).to_string();
    let resource = account().replace("\"Action\"", "\"Resource\":\"*\",\"Action\"");
    for bad in [
        "{}",
        "x",
        &without,
        &resource,
        &trust(&of_role("gone")),
        &trust(&json!({"AWS": "999999999999"})),
    ] {
        for (name, member) in [
            ("CreateRole", "AssumeRolePolicyDocument"),
            ("UpdateAssumeRolePolicy", "PolicyDocument"),
        ] {
            let role = if name == "CreateRole" { "new" } else { "there" };
            let refused = world.iam_fails(name, json!({"RoleName": role, member: bad})).await;
            assert_eq!(refused.code, "MalformedPolicyDocument", "{name} {bad}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn limits_of_a_role() {
    let world = World::new().await;
    role(&world, "there").await;
    let many: Vec<Value> = (0..30)
        .map(|at| {
            json!({"Sid": format!("s{at}"), "Effect": "Allow", "Principal": {"AWS": ACCOUNT},
            "Action": "sts:AssumeRole"})
        })
        .collect();
    let long = policy(&many).to_string();
    let text = "Cannot exceed quota for ACLSizePerRole: 2048";
    let body = json!({"RoleName": "r", "AssumeRolePolicyDocument": long});
    assert_eq!(world.iam_fails("CreateRole", body).await, failed("LimitExceeded", text));
    let body = json!({"RoleName": "there", "PolicyDocument": long});
    assert_eq!(
        world.iam_fails("UpdateAssumeRolePolicy", body).await,
        failed("LimitExceeded", text)
    );
    // White space does not count.
    let body = json!({"RoleName": "there", "PolicyDocument": account() + &" ".repeat(3000)});
    world.iam("UpdateAssumeRolePolicy", body).await;
    for more in [
        json!({"RoleName": "r".repeat(65)}),
        json!({"RoleName": "a b"}),
        json!({"RoleName": "r", "Path": "x"}),
        json!({"RoleName": "r", "MaxSessionDuration": 3599}),
        json!({"RoleName": "r", "MaxSessionDuration": 43_201}),
        json!({"RoleName": "r", "Description": "d".repeat(1001)}),
    ] {
        let mut body = json!({"AssumeRolePolicyDocument": account()});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(world.iam_fails("CreateRole", body).await.code, "ValidationError", "{more}");
    }
}

#[tokio::test]
async fn a_role_with_policies_stays() {
    let world = World::new().await;
    role(&world, "there").await;
    let attached =
        json!({"RoleName": "there", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"});
    world.iam("AttachRolePolicy", attached.clone()).await;
    let refused = world.iam_fails("DeleteRole", json!({"RoleName": "there"})).await;
    assert_eq!(
        refused,
        failed("DeleteConflict", "Cannot delete entity, must detach all policies first.")
    );
    world.iam("DetachRolePolicy", attached).await;
    world.iam("DeleteRole", json!({"RoleName": "there"})).await;
}

#[tokio::test]
async fn permission_is_for_a_role() {
    let world = World::new().await;
    role(&world, "mine").await;
    role(&world, "other").await;
    let may = policy(&[json!({"Effect": "Allow", "Action": "iam:*",
        "Resource": format!("arn:aws:iam::{ACCOUNT}:role/mine")})]);
    let ann = world.user("ann", may).await;
    for (name, may) in [("mine", true), ("other", false), ("nowhere", false)] {
        for action in ["GetRole", "UpdateRole", "ListRoleTags", "DeleteRole"] {
            let outcome = world.call_as(&ann, "iam", action, json!({"RoleName": name})).await;
            assert_eq!(outcome.is_ok(), may, "{action} {name} {outcome:?}");
            if let Err(error) = outcome {
                assert_eq!(error.code, "AccessDenied");
                assert!(error.message.contains(&format!("role/{name} ")), "{}", error.message);
            }
        }
    }
}
