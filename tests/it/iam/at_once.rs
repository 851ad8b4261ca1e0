//! What takes somebody's power away holds from their next request on, also on the connection that they
//! have open already: nothing of an identity is remembered with a connection.
use crate::front::{Client, Request, Response, code_of};
use crate::kms::grants;
use crate::sts::{Temporary, assuming, trust};
use crate::support::{delegate, policy, user_arn};
use crate::world::{ACCOUNT, NOW_SECS, REGION, Someone, World, allow};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DENIED: &str = "AccessDeniedException";
const UNKNOWN: &str = "UnrecognizedClientException";
const DENY: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;

/// One TCP connection, kept open: were it closed by the server, no further request would be answered.
struct Line {
    client: Client,
    stream: TcpStream,
    ends: (SocketAddr, SocketAddr),
    answered: usize,
}

impl Line {
    async fn new(world: &World) -> Self {
        let client = Client::new(world).await;
        let stream = TcpStream::connect(&client.host).await.unwrap();
        let ends = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
        Self { client, stream, ends, answered: 0 }
    }

    async fn send(&mut self, request: &Request) -> Response {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", request.method, request.uri);
        for (name, value) in &request.headers {
            bytes += &format!("{name}: {value}\r\n");
        }
        bytes += &format!("content-length: {}\r\n\r\n", request.body.len());
        self.stream.write_all(bytes.as_bytes()).await.unwrap();
        self.stream.write_all(&request.body).await.unwrap();
        let answer = Response::parse(&self.answer().await);
        assert_eq!(answer.header("connection"), None, "{answer:?}");
        let ends = (self.stream.local_addr().unwrap(), self.stream.peer_addr().unwrap());
        assert_eq!(ends, self.ends);
        self.answered += 1;
        answer
    }

    /// One answer: its head, and as much of a body as that says.
    async fn answer(&mut self) -> Vec<u8> {
        let (mut bytes, mut wanted) = (Vec::new(), None);
        while wanted.is_none_or(|wanted| bytes.len() < wanted) {
            let mut part = [0; 4096];
            let read = self.stream.read(&mut part).await.unwrap();
            assert_ne!(read, 0, "the server closed the connection");
            bytes.extend_from_slice(&part[..read]);
            if wanted.is_none()
                && let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n")
            {
                let head = std::str::from_utf8(&bytes[..end]).unwrap().to_lowercase();
                let length = head.split("content-length: ").nth(1).expect("a length");
                let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
                wanted = Some(end + 4 + length);
            }
        }
        assert_eq!(Some(bytes.len()), wanted, "more than was asked for");
        bytes
    }

    /// A KMS call; answers the code of the refusal, if it is one.
    async fn kms(
        &mut self,
        world: &World,
        who: &Caller<'_>,
        name: &str,
        body: &Value,
    ) -> Option<String> {
        let request = self.client.json(&format!("TrentService.{name}"), body);
        let now = world.server.clock.wall().secs();
        let (someone, token) = match who {
            Caller::Of(someone) => (*someone, None),
            Caller::In(session) => (&session.who, Some(session.token.as_str())),
        };
        let request = self.client.sign_at(request, someone, (REGION, "kms"), now, token);
        code_of(&self.send(&request).await)
    }

    /// A request to assume a role.
    async fn assume(&mut self, who: &Someone, role: &str) -> Option<String> {
        let form = format!(
            "Action=AssumeRole&Version=2011-06-15&RoleArn={}&RoleSessionName=s1",
            crate::sts::role_arn(role)
        );
        let request = self.client.sign(self.client.form(&form), who, "sts");
        code_of(&self.send(&request).await)
    }
}

/// Long-term credentials, or temporary ones.
enum Caller<'a> {
    Of(&'a Someone),
    In(&'a Temporary),
}

/// An operation of IAM with its body, the code of the refusal after it, and what undoes it.
type Change<'a> = (&'a str, Value, &'a str, Option<(&'a str, Value)>);

/// Changes of IAM that take something away, and those that give it back.
async fn each_takes_away(world: &World, line: &mut Line, who: &Caller<'_>, changes: &[Change<'_>]) {
    let none = json!({});
    for (name, body, code, back) in changes {
        assert_eq!(line.kms(world, who, "ListKeys", &none).await, None, "before {name}");
        world.iam(name, body.clone()).await;
        let refused = line.kms(world, who, "ListKeys", &none).await;
        assert_eq!(refused.as_deref(), Some(*code), "after {name} {body}");
        if let Some((name, body)) = back {
            world.iam(name, body.clone()).await;
            assert_eq!(line.kms(world, who, "ListKeys", &none).await, None, "after {name}");
        }
    }
    let asked = changes.iter().map(|change| if change.3.is_some() { 3 } else { 2 }).sum::<usize>();
    assert_eq!(line.answered, asked);
}

async fn managed(world: &World, name: &str, document: &Value) -> String {
    let body = json!({"PolicyName": name, "PolicyDocument": document.to_string()});
    let made = world.iam("CreatePolicy", body).await;
    made["Policy"]["Arn"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn access_keys() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["kms:ListKeys"])).await;
    let key = json!({"UserName": "ann", "AccessKeyId": ann.access_key_id});
    let status = |status: &str| {
        let mut body = key.clone();
        body["Status"] = json!(status);
        body
    };
    let active = ("UpdateAccessKey", status("Active"));
    let changes = [
        ("UpdateAccessKey", status("Inactive"), UNKNOWN, Some(active)),
        ("DeleteAccessKey", key.clone(), UNKNOWN, None),
    ];
    let mut line = Line::new(&world).await;
    each_takes_away(&world, &mut line, &Caller::Of(&ann), &changes).await;
}

#[tokio::test]
async fn policies_of_users_and_groups() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["s3:*"])).await;
    let reads = managed(&world, "reads", &allow(&["kms:ListKeys"])).await;
    let limit = managed(&world, "limit", &allow(&["s3:*"])).await;
    let version = json!({"PolicyArn": reads, "PolicyDocument": allow(&["s3:*"]).to_string()});
    world.iam("CreatePolicyVersion", version).await;
    let group = json!({"GroupName": "g", "UserName": "ann"});
    world.iam("CreateGroup", json!({"GroupName": "g"})).await;
    world.iam("AddUserToGroup", group.clone()).await;
    let of = |name: &str, kind: &str, policy: &Value| json!({format!("{kind}Name"): name, "PolicyArn": policy});
    let user_deny = json!({"UserName": "ann", "PolicyName": "no"});
    let group_deny = json!({"GroupName": "g", "PolicyName": "no"});
    let with_text = |body: &Value| {
        let mut body = body.clone();
        body["PolicyDocument"] = json!(DENY);
        body
    };
    let (reads, limit) = (json!(reads), json!(limit));
    let boundary = json!({"UserName": "ann", "PermissionsBoundary": limit});
    let version = |version: &str| json!({"PolicyArn": reads, "VersionId": version});
    let user_policy = of("ann", "User", &reads);
    world.iam("AttachUserPolicy", user_policy.clone()).await;
    let mut changes = vec![
        (
            "SetDefaultPolicyVersion",
            version("v2"),
            DENIED,
            Some(("SetDefaultPolicyVersion", version("v1"))),
        ),
        ("PutUserPolicy", with_text(&user_deny), DENIED, Some(("DeleteUserPolicy", user_deny))),
        ("PutGroupPolicy", with_text(&group_deny), DENIED, Some(("DeleteGroupPolicy", group_deny))),
        (
            "PutUserPermissionsBoundary",
            boundary,
            DENIED,
            Some(("DeleteUserPermissionsBoundary", json!({"UserName": "ann"}))),
        ),
        (
            "DetachUserPolicy",
            user_policy.clone(),
            DENIED,
            Some(("AttachGroupPolicy", of("g", "Group", &reads))),
        ),
        ("RemoveUserFromGroup", group.clone(), DENIED, Some(("AddUserToGroup", group))),
    ];
    changes.push(("DetachGroupPolicy", of("g", "Group", &reads), DENIED, None));
    let mut line = Line::new(&world).await;
    each_takes_away(&world, &mut line, &Caller::Of(&ann), &changes).await;
}

#[tokio::test]
async fn sessions() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    world.role("r", trust(ACCOUNT), allow(&["kms:ListKeys"])).await;
    let session = world.assume(&ann, "r", json!({})).await;
    let revoke = policy(&[json!({"Effect": "Deny", "Action": "*", "Resource": "*",
        "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2026-01-01T00:00:01Z"}}})]);
    let revoked = json!({"RoleName": "r", "PolicyName": "AWSRevokeOlderSessions"});
    let mut put = revoked.clone();
    put["PolicyDocument"] = json!(revoke.to_string());
    let limit = managed(&world, "limit", &allow(&["s3:*"])).await;
    let key = |status: &str| json!({"UserName": "ann", "AccessKeyId": ann.access_key_id, "Status": status});
    let changes = [
        ("PutRolePolicy", put.clone(), DENIED, Some(("DeleteRolePolicy", revoked.clone()))),
        (
            "PutRolePermissionsBoundary",
            json!({"RoleName": "r", "PermissionsBoundary": limit}),
            DENIED,
            Some(("DeleteRolePermissionsBoundary", json!({"RoleName": "r"}))),
        ),
        ("UpdateAccessKey", key("Inactive"), UNKNOWN, Some(("UpdateAccessKey", key("Active")))),
    ];
    let mut line = Line::new(&world).await;
    each_takes_away(&world, &mut line, &Caller::In(&session), &changes).await;

    // Revoked are the sessions there were; one that is made later works on the same connection.
    world.iam("PutRolePolicy", put).await;
    let none = json!({});
    world.advance(2).await;
    let new = world.assume(&ann, "r", json!({})).await;
    let old = line.kms(&world, &Caller::In(&session), "ListKeys", &none).await;
    assert_eq!(old.as_deref(), Some(DENIED));
    assert_eq!(line.kms(&world, &Caller::In(&new), "ListKeys", &none).await, None);
    assert_eq!(world.server.clock.now().secs(), NOW_SECS + 2);

    // Deleted with a session under way, and made anew under its name.
    world.iam("DeleteRolePolicy", revoked).await;
    world.delete_role("r").await;
    let gone = line.kms(&world, &Caller::In(&new), "ListKeys", &none).await;
    assert_eq!(gone.as_deref(), Some(UNKNOWN));
    world.role("r", trust(ACCOUNT), allow(&["kms:ListKeys"])).await;
    let gone = line.kms(&world, &Caller::In(&new), "ListKeys", &none).await;
    assert_eq!(gone.as_deref(), Some(UNKNOWN));
}

#[tokio::test]
async fn a_trust_policy() {
    let world = World::new().await;
    let ann = world.user("ann", allow(&["sts:*"])).await;
    world.role("r", trust(&user_arn("ann")), allow(&["kms:ListKeys"])).await;
    world.user("bob", allow(&["s3:*"])).await;
    let mut line = Line::new(&world).await;
    assert_eq!(line.assume(&ann, "r").await, None);
    let session = Temporary::of(
        &world.call_as(&ann, "sts", "AssumeRole", assuming("r", json!({}))).await.unwrap(),
    );
    let trusts =
        |name: &str| json!({"RoleName": "r", "PolicyDocument": trust(&user_arn(name)).to_string()});
    world.iam("UpdateAssumeRolePolicy", trusts("bob")).await;
    assert_eq!(line.assume(&ann, "r").await.as_deref(), Some("AccessDenied"));
    // AWS: who has become the role stays it until the session ends.
    assert_eq!(line.kms(&world, &Caller::In(&session), "ListKeys", &json!({})).await, None);
    world.iam("UpdateAssumeRolePolicy", trusts("ann")).await;
    assert_eq!(line.assume(&ann, "r").await, None);
}

#[tokio::test]
async fn grants_and_key_policies() {
    let world = World::new().await;
    let (ann, bob) =
        (grants::idle(&world, "ann").await, world.user("bob", allow(&["kms:*"])).await);
    let key = world.key().await;
    let encrypt = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
    let mut line = Line::new(&world).await;
    for ends in ["RevokeGrant", "RetireGrant"] {
        let who = Caller::Of(&ann);
        let refused = line.kms(&world, &who, "Encrypt", &encrypt).await;
        assert_eq!(refused.as_deref(), Some(DENIED));
        let grant = grants::grant(&world, &key, "ann", &["Encrypt"]).await;
        assert_eq!(line.kms(&world, &who, "Encrypt", &encrypt).await, None);
        world.kms(ends, json!({"KeyId": key, "GrantId": grant})).await;
        let refused = line.kms(&world, &who, "Encrypt", &encrypt).await;
        assert_eq!(refused.as_deref(), Some(DENIED), "{ends}");
    }
    let put = async |statements: &[Value]| {
        let text = policy(statements).to_string();
        world.kms("PutKeyPolicy", json!({"KeyId": key, "Policy": text})).await;
    };
    let deny = json!({"Effect": "Deny", "Principal": {"AWS": user_arn("bob")},
        "Action": "kms:Encrypt", "Resource": "*"});
    for statements in [
        vec![delegate(), deny],
        vec![json!({"Effect": "Allow", "Action": "kms:*",
        "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")}, "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalType": "Account"}}})],
    ] {
        let who = Caller::Of(&bob);
        assert_eq!(line.kms(&world, &who, "Encrypt", &encrypt).await, None);
        put(&statements).await;
        let refused = line.kms(&world, &who, "Encrypt", &encrypt).await;
        assert_eq!(refused.as_deref(), Some(DENIED), "{statements:?}");
        put(&[delegate()]).await;
    }
    assert_eq!(line.answered, 3 * 2 + 2 * 2);
}
