//! Policies: what a decision costs, by itself and in a call, and what the worst of patterns does.
use crate::Outcome;
use crate::parts::{KEY_ID, Wants, prepare};
use crate::timing::{time, time_within};
use crate::world::{ACCOUNT, Forgetful, REGION, World, entry};
use claviger::authorize::NamedPolicy;
use claviger::policy::{
    Conditions, Kind, Policies, Policy, PolicyRef, Principal, PrincipalKind, Request, ResourceRule,
    evaluate,
};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

fn key_policy() -> Outcome<Policy> {
    let statements: Vec<_> = (0..6)
        .map(|n| match n {
            0 => json!({
                "Sid": "Enable IAM User Permissions", "Effect": "Allow", "Action": "kms:*",
                "Resource": "*", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")}
            }),
            n => json!({
                "Sid": format!("Team {n}"), "Effect": "Allow", "Resource": "*",
                "Principal": {"AWS": [format!("arn:aws:iam::{ACCOUNT}:user/team-{n}")]},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"],
                "Condition": {"StringEquals": {"kms:EncryptionContext:team": n.to_string()}}
            }),
        })
        .collect();
    let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    Ok(Policy::parse(&text, Kind::Resource)?)
}

/// Ten policies of one or two statements; the last allows.
fn identity_policies() -> Outcome<Vec<Policy>> {
    let text = |n: u8| {
        let service = if n == 9 { "billing".to_owned() } else { format!("service-{n}") };
        json!({"Version": "2012-10-17", "Statement": [{
            "Sid": "Use", "Effect": "Allow",
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey*"],
            "Resource": format!("arn:aws:kms:*:{ACCOUNT}:key/*"),
            "Condition": {"StringEquals": {"kms:EncryptionContext:service": service}}
        }, {
            "Sid": "Never", "Effect": "Deny",
            "Action": ["kms:ScheduleKeyDeletion", "kms:DisableKey"], "Resource": "*"
        }]})
        .to_string()
    };
    (0..10).map(|n| Ok(Policy::parse(&text(n), Kind::Identity)?)).collect()
}

/// One decision about a Decrypt.
pub fn decision(wants: Wants<'_>) -> Outcome<()> {
    let (key_policy, policies) = (key_policy()?, identity_policies()?);
    let identity: Vec<PolicyRef<'_>> =
        policies.iter().map(|policy| PolicyRef { name: "policy", policy }).collect();
    let arn = format!("arn:aws:iam::{ACCOUNT}:user/billing");
    let resource = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY_ID}");
    let facts = [
        ("kms:encryptionalgorithm", "SYMMETRIC_DEFAULT"),
        ("kms:encryptioncontext:service", "billing"),
        ("kms:encryptioncontext:tenant", "tenant-0001"),
        ("kms:calleraccount", ACCOUNT),
        ("aws:sourceip", "127.0.0.1"),
        ("aws:securetransport", "true"),
        ("aws:requestedregion", REGION),
        ("aws:currenttime", "2026-01-01T00:00:00Z"),
        ("aws:epochtime", "1767225600"),
        ("aws:principalarn", &arn),
        ("aws:principalaccount", ACCOUNT),
        ("aws:resourceaccount", ACCOUNT),
    ];
    let decide = || {
        let mut conditions = Conditions::new();
        for (name, value) in facts {
            conditions.set(name, value);
        }
        let request = Request {
            principal: Principal {
                arn: &arn,
                unique_id: "AIDAIOSFODNN7EXAMPLE1",
                account: ACCOUNT,
                kind: PrincipalKind::User,
            },
            action: "kms:Decrypt",
            resource: &resource,
            conditions: &conditions,
        };
        let policies = Policies {
            identity: &identity,
            resource: Some(PolicyRef { name: "key policy", policy: &key_policy }),
            ..Policies::default()
        };
        evaluate(&request, &policies, ACCOUNT, ResourceRule::KeyPolicy)
    };
    if !decide().is_allowed() {
        return Err("the policies do not allow".into());
    }
    if wants("policy evaluation") {
        let name = "policy evaluation, 6 statements of the key, 10 policies of the user";
        time_within(name, 5_000, decide);
    }
    Ok(())
}

/// Two hundred wildcards against an ARN of 2 KB that they miss at its very end.
pub fn wildcards(wants: Wants<'_>) -> Outcome<()> {
    let prefix = format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/");
    let pattern = format!("{prefix}{}b", "a*".repeat(200));
    let text = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": "*", "Resource": pattern
    }});
    let policy = Policy::parse(&text.to_string(), Kind::Identity)?;
    let resource = format!("{prefix}{}", "a".repeat(2048 - prefix.len()));
    let conditions = Conditions::new();
    let decide = || {
        let principal = Principal {
            arn: "arn:aws:iam::123456789012:user/billing",
            unique_id: "AIDAIOSFODNN7EXAMPLE1",
            account: ACCOUNT,
            kind: PrincipalKind::User,
        };
        let (action, conditions) = ("kms:Decrypt", &conditions);
        let request = Request { principal, action, resource: &resource, conditions };
        let identity = [PolicyRef { name: "wild", policy: &policy }];
        let policies = Policies { identity: &identity, ..Policies::default() };
        evaluate(&request, &policies, ACCOUNT, ResourceRule::None)
    };
    if decide().is_allowed() {
        return Err("the wildcards match".into());
    }
    if wants("policy wildcards") {
        time_within("policy wildcards: 200 against an ARN of 2 KB", 5_000_000, decide);
    }
    // What a session with a policy of its own costs at each request: its token holds the text.
    let text = session_policy();
    Policy::parse(&text, Kind::Identity)?;
    if wants("policy compiled") {
        let name = format!("policy compiled: a session's, {} bytes", text.len());
        time(&name, || Policy::parse(&text, Kind::Identity).is_ok());
    }
    Ok(())
}

/// Close to the 2048 characters that AssumeRole takes.
fn session_policy() -> String {
    let statement = |n: u8| {
        json!({
            "Sid": format!("Team{n}"), "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*", "kms:DescribeKey"],
            "Resource": format!("arn:aws:kms:*:{ACCOUNT}:key/*"),
            "Condition": {"StringEquals": {"kms:EncryptionContext:team": n.to_string()}}
        })
    };
    let statements: Vec<_> = (0..8).map(statement).collect();
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// An Encrypt by a user with ten policies, of which the last allows.
pub fn call(wants: Wants<'_>, runtime: &Runtime, dir: &Path) -> Outcome<()> {
    if !wants("policy in an encrypt") {
        return Ok(());
    }
    let mut world = runtime.block_on(World::in_memory(&dir.join("ten"), Arc::new(Forgetful)))?;
    let (encrypt, ..) = runtime.block_on(prepare(&world))?;
    let named = |policy| NamedPolicy { name: "managed".into(), policy: Arc::new(policy) };
    world.caller.policies = identity_policies()?.into_iter().map(named).collect();
    let entry = entry("kms", "Encrypt")?;
    runtime.block_on(world.run(entry, &encrypt))?;
    let work = || runtime.block_on(world.run(entry, &encrypt)).is_ok();
    time("policy in an Encrypt through the operation table: 10 policies of the user", work);
    Ok(())
}
