//! What each region of a multi-Region key has for itself: policy, aliases, tags, description, state,
//! grants; and secrets under such keys.
use super::{
    THIRD, assert_opens, at, fails_at, metadata, primary, refused_at, replica, sealed, state,
    three, world,
};
use crate::support::{delegate, denied, failed, id_of, policy, user_arn};
use crate::world::{OTHER_REGION, REGION, World, allow};
use serde_json::{Value, json};

async fn policy_of(world: &World, key: &str) -> Value {
    let region = super::region_of(key);
    at(world, region, "GetKeyPolicy", json!({"KeyId": key})).await["Policy"].take()
}

#[tokio::test]
async fn a_region_keeps_its_own_policy() {
    let world = world().await;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let key = primary(&world).await;
    let hers = json!({"Effect": "Allow", "Principal": {"AWS": user_arn("ann")},
        "Action": "kms:Decrypt", "Resource": "*"});
    let text = policy(&[delegate(), hers.clone()]).to_string();
    let body = json!({"KeyId": key, "ReplicaRegion": OTHER_REGION, "Policy": text});
    let made = world.kms("ReplicateKey", body).await;
    let other = made["ReplicaKeyMetadata"]["Arn"].as_str().unwrap();
    assert_eq!(policy_of(&world, other).await, *text);
    assert_ne!(policy_of(&world, &key).await, *text);
    // The same ciphertext, allowed there and not here.
    let body = json!({"CiphertextBlob": sealed(&world, &key).await});
    let opened = world.call_in(&ann, OTHER_REGION, "kms", "Decrypt", body.clone()).await;
    assert_eq!(opened.unwrap()["KeyId"], *other);
    let refused = refused_at(&world, &ann, REGION, "Decrypt", body.clone()).await;
    let why =
        format!("resource: {key} because no identity-based policy allows the kms:Decrypt action");
    assert_eq!(refused, denied(&user_arn("ann"), "kms:Decrypt", &why));
    // A later change stays where it was made.
    let changed = policy(&[delegate(), hers]).to_string();
    let wider = json!({"KeyId": key, "Policy": changed});
    world.kms("PutKeyPolicy", wider).await;
    let narrower = json!({"KeyId": other, "Policy": policy(&[delegate()]).to_string()});
    at(&world, OTHER_REGION, "PutKeyPolicy", narrower).await;
    world.kms_as(&ann, "Decrypt", body.clone()).await;
    refused_at(&world, &ann, OTHER_REGION, "Decrypt", body).await;
}

#[tokio::test]
async fn a_replica_begins_with_no_name_and_gets_its_own() {
    let world = world().await;
    let key = primary(&world).await;
    world.kms("CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key})).await;
    let other = replica(&world, &key, OTHER_REGION).await;
    let nameless = at(&world, OTHER_REGION, "ListAliases", json!({"KeyId": other})).await;
    assert_eq!(nameless["Aliases"], json!([]));
    // The same name may mean something else there.
    let local = at(&world, OTHER_REGION, "CreateKey", json!({})).await["KeyMetadata"]["Arn"].take();
    let body = json!({"AliasName": "alias/app", "TargetKeyId": local});
    at(&world, OTHER_REGION, "CreateAlias", body).await;
    let body = json!({"AliasName": "alias/there", "TargetKeyId": other});
    at(&world, OTHER_REGION, "CreateAlias", body).await;
    let blob = at(
        &world,
        OTHER_REGION,
        "Encrypt",
        json!({"KeyId": "alias/there", "Plaintext": "aGVsbG8="}),
    )
    .await;
    assert_opens(&world, &key, blob["CiphertextBlob"].as_str().unwrap()).await;
    let body = json!({"KeyId": "alias/there", "Plaintext": "aGVsbG8="});
    assert_eq!(world.kms_fails("Encrypt", body).await.code, "NotFoundException");
    at(&world, OTHER_REGION, "DeleteAlias", json!({"AliasName": "alias/app"})).await;
    let seen = world.kms("DescribeKey", json!({"KeyId": "alias/app"})).await;
    assert_eq!(seen["KeyMetadata"]["Arn"], *key);
}

#[tokio::test]
async fn tags_and_descriptions_are_each_regions_own() {
    let world = world().await;
    let tags = |value: &str| json!([{"TagKey": "where", "TagValue": value}]);
    let wish = json!({"MultiRegion": true, "Tags": tags("here"), "Description": "here"});
    let key = world.kms("CreateKey", wish).await["KeyMetadata"]["Arn"].take();
    let key = key.as_str().unwrap();
    let bare = replica(&world, key, THIRD).await;
    let body = json!({"KeyId": key, "ReplicaRegion": OTHER_REGION, "Tags": tags("there"),
        "Description": "there"});
    let made = world.kms("ReplicateKey", body).await;
    let other = made["ReplicaKeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    let tags_of = async |arn: &str| {
        at(&world, super::region_of(arn), "ListResourceTags", json!({"KeyId": arn})).await["Tags"]
            .take()
    };
    assert_eq!(tags_of(key).await, tags("here"));
    assert_eq!(tags_of(&other).await, tags("there"));
    assert_eq!(tags_of(&bare).await, json!([]));
    let more = json!({"KeyId": other, "Tags": [{"TagKey": "more", "TagValue": ""}]});
    at(&world, OTHER_REGION, "TagResource", more).await;
    let less = json!({"KeyId": key, "TagKeys": ["where"]});
    world.kms("UntagResource", less).await;
    assert_eq!(tags_of(key).await, json!([]));
    assert_eq!(tags_of(&other).await.as_array().unwrap().len(), 2);
    let body = json!({"KeyId": other, "Description": "changed"});
    at(&world, OTHER_REGION, "UpdateKeyDescription", body).await;
    for (arn, description) in [(key, "here"), (&*other, "changed"), (&*bare, "")] {
        assert_eq!(metadata(&world, arn).await["Description"], description);
    }
}

#[tokio::test]
async fn a_region_is_disabled_and_enabled_by_itself() {
    let world = world().await;
    let keys = three(&world).await;
    let blob = sealed(&world, &keys[0]).await;
    for (at_, off) in keys.iter().enumerate() {
        let region = super::region_of(off);
        at(&world, region, "DisableKey", json!({"KeyId": off})).await;
        let body = json!({"CiphertextBlob": blob});
        let refused = fails_at(&world, region, "Decrypt", body).await;
        assert_eq!(refused, failed("DisabledException", format!("{off} is disabled.")));
        for (other, on) in keys.iter().enumerate() {
            if other != at_ {
                assert_eq!(state(&world, on).await, "Enabled");
                assert_opens(&world, on, &blob).await;
            }
        }
        at(&world, region, "EnableKey", json!({"KeyId": off})).await;
        assert_opens(&world, off, &blob).await;
    }
}

#[tokio::test]
async fn a_grant_holds_in_its_region() {
    let world = world().await;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let key = primary(&world).await;
    let grant = json!({"KeyId": key, "GranteePrincipal": user_arn("ann"),
        "Operations": ["Decrypt"]});
    world.kms("CreateGrant", grant.clone()).await;
    let [other, third] =
        [replica(&world, &key, OTHER_REGION).await, replica(&world, &key, THIRD).await];
    let body = json!({"CiphertextBlob": sealed(&world, &key).await});
    world.kms_as(&ann, "Decrypt", body.clone()).await;
    for (region, arn) in [(OTHER_REGION, &other), (THIRD, &third)] {
        let refused = refused_at(&world, &ann, region, "Decrypt", body.clone()).await;
        assert_eq!(refused.code, "AccessDeniedException");
        let listed = at(&world, region, "ListGrants", json!({"KeyId": arn})).await;
        assert_eq!(listed["Grants"], json!([]));
    }
    let mut there = grant;
    there["KeyId"] = json!(other);
    let made = at(&world, OTHER_REGION, "CreateGrant", there).await;
    world.call_in(&ann, OTHER_REGION, "kms", "Decrypt", body.clone()).await.unwrap();
    refused_at(&world, &ann, THIRD, "Decrypt", body.clone()).await;
    // Revoked there, it still holds here; a region's end takes only its own grants.
    let revoke = json!({"KeyId": other, "GrantId": made["GrantId"]});
    at(&world, OTHER_REGION, "RevokeGrant", revoke).await;
    refused_at(&world, &ann, OTHER_REGION, "Decrypt", body.clone()).await;
    super::end(&world, &third).await;
    world.kms_as(&ann, "Decrypt", body.clone()).await;
    super::replica(&world, &key, THIRD).await;
    refused_at(&world, &ann, THIRD, "Decrypt", body).await;
}

#[tokio::test]
async fn secrets_are_kept_under_either_regions_key() {
    let world = world().await;
    let key = primary(&world).await;
    let other = replica(&world, &key, OTHER_REGION).await;
    for (region, arn) in [(REGION, &key), (OTHER_REGION, &other)] {
        for (name, named) in [("by-arn", &**arn), ("by-id", id_of(arn))] {
            let body = json!({"Name": name, "SecretString": region, "KmsKeyId": named,
                "ClientRequestToken": crate::support::token(1)});
            let call =
                |what, body| world.call_in(&world.root, region, "secretsmanager", what, body);
            call("CreateSecret", body).await.unwrap();
            let got = call("GetSecretValue", json!({"SecretId": name})).await.unwrap();
            assert_eq!(got["SecretString"], region);
        }
    }
    // A region's key that is off closes that region's secrets.
    at(&world, OTHER_REGION, "DisableKey", json!({"KeyId": other})).await;
    let body = json!({"SecretId": "by-arn"});
    let read = |region| {
        world.call_in(&world.root, region, "secretsmanager", "GetSecretValue", body.clone())
    };
    assert!(read(OTHER_REGION).await.is_err());
    assert!(read(REGION).await.is_ok());
}
