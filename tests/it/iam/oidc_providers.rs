//! OpenID Connect providers.
use crate::world::{ACCOUNT, World};
use serde_json::json;

#[tokio::test]
async fn a_provider_is_made_changed_and_deleted() {
    let world = World::new().await;
    let body = json!({"Url": "https://OIDC.example.com/id/A", "ClientIDList": ["one", "one"],
        "ThumbprintList": ["0".repeat(40)], "Tags": [{"Key": "a", "Value": "b"}]});
    let made = world.iam("CreateOpenIDConnectProvider", body.clone()).await;
    let arn = format!("arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.example.com/id/A");
    assert_eq!(made["OpenIDConnectProviderArn"], arn);
    assert_eq!(
        world.iam_fails("CreateOpenIDConnectProvider", body).await.code,
        "EntityAlreadyExists"
    );
    for _ in 0..2 {
        let body = json!({"OpenIDConnectProviderArn": arn, "ClientID": "two"});
        world.iam("AddClientIDToOpenIDConnectProvider", body).await;
    }
    let body = json!({"OpenIDConnectProviderArn": arn, "ClientID": "one"});
    world.iam("RemoveClientIDFromOpenIDConnectProvider", body).await;
    let body = json!({"OpenIDConnectProviderArn": arn, "ThumbprintList": ["a".repeat(40)]});
    world.iam("UpdateOpenIDConnectProviderThumbprint", body).await;
    let named = json!({"OpenIDConnectProviderArn": arn});
    let shown = world.iam("GetOpenIDConnectProvider", named.clone()).await;
    assert_eq!(shown["Url"], "oidc.example.com/id/A");
    assert_eq!(shown["ClientIDList"], json!(["two"]));
    assert_eq!(shown["ThumbprintList"], json!(["a".repeat(40)]));
    assert_eq!(shown["Tags"], json!([{"Key": "a", "Value": "b"}]));
    let listed = world.iam("ListOpenIDConnectProviders", json!({})).await;
    assert_eq!(listed["OpenIDConnectProviderList"], json!([{"Arn": arn}]));
    // Another account has its own.
    let other = world.other_root();
    let theirs = world.call_as(&other, "iam", "ListOpenIDConnectProviders", json!({})).await;
    assert_eq!(theirs.unwrap()["OpenIDConnectProviderList"], json!([]));
    let refused = world.fails(&other, "iam", "GetOpenIDConnectProvider", named.clone()).await;
    assert_eq!(refused.code, "NoSuchEntity");
    world.iam("DeleteOpenIDConnectProvider", named.clone()).await;
    let gone = world.iam_fails("DeleteOpenIDConnectProvider", named).await;
    assert_eq!(gone.code, "NoSuchEntity");
}

#[tokio::test]
async fn urls_ids_and_thumbprints_have_rules() {
    let world = World::new().await;
    let url = "https://oidc.example.com";
    let many: Vec<String> = (0..101).map(|n| format!("c{n}")).collect();
    for (body, code) in [
        (json!({"Url": "http://oidc.example.com"}), "InvalidInput"),
        (json!({"Url": "https://oidc.example.com:8443"}), "InvalidInput"),
        (json!({"Url": "https://oidc.example.com?x=y"}), "InvalidInput"),
        (json!({"Url": ""}), "ValidationError"),
        (json!({"Url": url, "ThumbprintList": ["short"]}), "ValidationError"),
        (json!({"Url": url, "ThumbprintList": ["x".repeat(40)]}), "InvalidInput"),
        (json!({"Url": url, "ThumbprintList": vec!["a".repeat(40); 6]}), "InvalidInput"),
        (json!({"Url": url, "ClientIDList": many}), "LimitExceeded"),
    ] {
        let refused = world.iam_fails("CreateOpenIDConnectProvider", body.clone()).await;
        assert_eq!(refused.code, code, "{body}");
    }
    let bad = json!({"OpenIDConnectProviderArn": format!("arn:aws:iam::{ACCOUNT}:user/someone")});
    assert_eq!(world.iam_fails("GetOpenIDConnectProvider", bad).await.code, "InvalidInput");
}
