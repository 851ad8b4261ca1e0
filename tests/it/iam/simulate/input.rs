//! What a simulation is given, by whom, and how it answers on the wire.
use super::custom;
use crate::support::{delegate, failed, policy, user_arn};
use crate::world::{ACCOUNT, World, allow};
use serde_json::{Value, json};

#[tokio::test]
async fn context_is_typed_and_what_is_missing_is_said() {
    let world = World::new().await;
    let document = policy(&[json!({"Effect": "Allow", "Action": "s3:*",
        "Resource": "arn:aws:s3:::home/${aws:PrincipalTag/home}/*",
        "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"},
            "NumericLessThan": {"aws:MultiFactorAuthAge": "60"},
            "ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}})])
    .to_string();
    let entry = |name: &str, kind: &str, values: &[&str]| json!({"ContextKeyName": name, "ContextKeyType": kind, "ContextKeyValues": values});
    let good = vec![
        entry("aws:PrincipalTag/home", "string", &["ann"]),
        entry("aws:SourceIp", "ip", &["203.0.113.7"]),
        entry("aws:MultiFactorAuthAge", "numeric", &["59"]),
        entry("aws:TagKeys", "stringList", &["a", "b"]),
    ];
    let body = |entries: &[Value], resources: Value| {
        json!({"PolicyInputList": [document], "ActionNames": ["s3:GetObject"],
            "ResourceArns": resources, "ContextEntries": entries})
    };
    let one = json!(["arn:aws:s3:::home/ann/x"]);
    let found = custom(&world, body(&good, one.clone())).await;
    assert_eq!(found[0]["EvalDecision"], "allowed");
    assert_eq!(found[0]["ResourceSpecificResults"][0]["MissingContextValues"], json!([]));
    for (at, changed) in [
        (0, entry("aws:PrincipalTag/home", "string", &["bob"])),
        (1, entry("aws:SourceIp", "ip", &["203.0.114.7"])),
        (2, entry("aws:MultiFactorAuthAge", "numeric", &["60"])),
        (3, entry("aws:TagKeys", "stringList", &["a", "c"])),
    ] {
        let mut entries = good.clone();
        entries[at] = changed;
        let found = custom(&world, body(&entries, one.clone())).await;
        assert_eq!(found[0]["EvalDecision"], "implicitDeny", "{entries:?}");
    }
    // Missing: with resources beside each of them, else in the result itself.
    let found = custom(&world, body(&good[..1], one)).await;
    let missing = json!(["aws:MultiFactorAuthAge", "aws:SourceIp", "aws:TagKeys"]);
    assert_eq!(found[0]["MissingContextValues"], json!([]));
    assert_eq!(found[0]["ResourceSpecificResults"][0]["MissingContextValues"], missing);
    let found = custom(&world, body(&good[1..], json!(["*"]))).await;
    assert_eq!(found[0]["MissingContextValues"], json!(["aws:PrincipalTag/home"]));
    // Values that are not of their type, or not as many.
    for bad in [
        entry("aws:MultiFactorAuthAge", "numeric", &["soon"]),
        entry("aws:SourceIp", "ip", &["203.0.113.0/24"]),
        entry("aws:SecureTransport", "boolean", &["1"]),
        entry("aws:CurrentTime", "date", &["today"]),
        entry("aws:x:y", "binary", &["~~~~"]),
        entry("aws:username", "string", &["a", "b"]),
        entry("aws:username", "string", &[]),
        entry("username", "string", &["a"]),
    ] {
        let error = world
            .iam_fails("SimulateCustomPolicy", body(std::slice::from_ref(&bad), json!(["*"])))
            .await;
        assert_eq!(error.code, "InvalidInput", "{bad}");
    }
    let twice = [good[1].clone(), entry("AWS:sourceip", "ip", &["10.0.0.1"])];
    let error = world.iam_fails("SimulateCustomPolicy", body(&twice, json!(["*"]))).await;
    assert_eq!(error.code, "InvalidInput");
}

#[tokio::test]
async fn pages_hang_together() {
    let world = World::new().await;
    let actions: Vec<String> = (0..7).map(|n| format!("s3:Get{n}")).collect();
    let body = |marker: Option<&Value>| {
        let mut body = json!({"PolicyInputList": [allow(&["s3:*"]).to_string()],
            "ActionNames": actions, "MaxItems": 3});
        if let Some(marker) = marker {
            body["Marker"] = marker.clone();
        }
        body
    };
    let (mut found, mut marker) = (Vec::new(), None);
    loop {
        let answer = world.iam("SimulateCustomPolicy", body(marker.as_ref())).await;
        let page = answer["EvaluationResults"].as_array().unwrap();
        found.extend(page.iter().map(|r| r["EvalActionName"].as_str().unwrap().to_owned()));
        marker = answer.get("Marker").cloned();
        assert_eq!(answer["IsTruncated"], marker.is_some());
        if marker.is_none() {
            break;
        }
        // For nobody else, and for nothing else.
        let other = world.user(&format!("u{}", found.len()), allow(&["iam:*"])).await;
        let error = world.fails(&other, "iam", "SimulateCustomPolicy", body(marker.as_ref())).await;
        assert_eq!(error.code, "ValidationError");
    }
    assert_eq!(found, actions);
    assert_eq!(
        world.iam_fails("SimulateCustomPolicy", body(Some(&json!("3")))).await.code,
        "ValidationError"
    );
}

#[tokio::test]
async fn bad_input_is_refused() {
    let world = World::new().await;
    world.user("ann", allow(&["s3:*"])).await;
    let text = allow(&["s3:*"]).to_string();
    let good = json!({"PolicyInputList": [text], "ActionNames": ["s3:GetObject"]});
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    custom(&world, with("ResourceHandlingOption", json!("EC2-VPC-InstanceStore"))).await;
    let many: Vec<String> = (0..101).map(|n| format!("arn:aws:s3:::b/{n}")).collect();
    let mut too_many = with("ResourceArns", json!(many));
    too_many["ActionNames"] = json!((0..10).map(|n| format!("s3:Get{n}")).collect::<Vec<_>>());
    for body in [
        with("PolicyInputList", json!(["{}"])),
        with("PolicyInputList", json!([text, "nonsense"])),
        with("ActionNames", json!(["GetObject"])),
        with("ActionNames", json!(["s3:Get*"])),
        with("ActionNames", json!(["s3:GetObject", "*:*"])),
        with("ResourceArns", json!(["b/x"])),
        with("CallerArn", json!("ann")),
        with("CallerArn", json!(format!("arn:aws:iam::{ACCOUNT}:role/r"))),
        with("CallerArn", json!(format!("arn:aws:iam::{ACCOUNT}:user/"))),
        with("CallerArn", json!(format!("arn:aws:sts::{ACCOUNT}:assumed-role/r/s"))),
        with("ResourceOwner", json!(ACCOUNT)),
        with("ResourceOwner", json!(format!("arn:aws:iam::{ACCOUNT}:user/ann"))),
        with("PermissionsBoundaryPolicyInputList", json!([text, text])),
        with(
            "OrderedOrganizationPolicyInputList",
            json!([{"ServiceControlPolicyInputList": [text]}]),
        ),
        too_many,
    ] {
        let error = world.iam_fails("SimulateCustomPolicy", body.clone()).await;
        assert_eq!(error.code, "InvalidInput", "{body}: {error:?}");
    }
    for (arn, code) in [
        (user_arn("nobody"), "NoSuchEntity"),
        (format!("arn:aws:iam::{ACCOUNT}:user/path/ann"), "NoSuchEntity"),
        (format!("arn:aws:iam::{ACCOUNT}:root"), "InvalidInput"),
        (format!("arn:aws:iam::{ACCOUNT}:policy/ann"), "InvalidInput"),
    ] {
        let body = json!({"PolicySourceArn": arn, "ActionNames": ["s3:GetObject"]});
        assert_eq!(world.iam_fails("SimulatePrincipalPolicy", body).await.code, code, "{arn}");
    }
    let role = world.role("r", crate::sts::trust(&user_arn("ann")), allow(&["s3:*"])).await;
    let body = json!({"PolicySourceArn": role, "ActionNames": ["s3:GetObject"],
        "ResourcePolicy": policy(&[delegate()]).to_string()});
    assert_eq!(world.iam_fails("SimulatePrincipalPolicy", body).await.code, "InvalidInput");
}

#[tokio::test]
async fn whoever_may_simulate_one_may_not_simulate_others() {
    let world = World::new().await;
    world.user("ann", allow(&["s3:*"])).await;
    let may = policy(&[json!({"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy",
        "Resource": user_arn("ann")})]);
    let asker = world.user("asker", may).await;
    let body =
        |name: &str| json!({"PolicySourceArn": user_arn(name), "ActionNames": ["s3:GetObject"]});
    let simulate = async |name: &str| {
        world.call_as(&asker, "iam", "SimulatePrincipalPolicy", body(name)).await
    };
    assert!(simulate("ann").await.is_ok());
    for other in ["asker", "absent"] {
        let error = simulate(other).await.unwrap_err();
        let rest = format!(
            "User: {} is not authorized to perform: iam:SimulatePrincipalPolicy on resource: {} \
             because no identity-based policy allows the iam:SimulatePrincipalPolicy action",
            user_arn("asker"),
            user_arn(other)
        );
        assert_eq!(error, failed("AccessDenied", rest));
    }
    let custom = json!({"PolicyInputList": [allow(&["s3:*"]).to_string()],
        "ActionNames": ["s3:GetObject"]});
    let error = world.call_as(&asker, "iam", "SimulateCustomPolicy", custom.clone()).await;
    assert_eq!(error.unwrap_err().code, "AccessDenied");
    let writer = world.user("writer", allow(&["iam:SimulateCustomPolicy"])).await;
    assert!(world.call_as(&writer, "iam", "SimulateCustomPolicy", custom).await.is_ok());
    let event = world.last_event();
    assert_eq!(event.event_name, "SimulateCustomPolicy");
    assert_eq!(event.request_parameters.unwrap()["actionNames"], json!(["s3:GetObject"]));
}

#[tokio::test]
async fn on_the_wire_it_is_awss_xml() {
    let world = World::new().await;
    let client = crate::front::Client::new(&world).await;
    let form = "Action=SimulateCustomPolicy&Version=2010-05-08&ActionNames.member.1=s3%3AGetObject\
                &ResourceArns.member.1=arn%3Aaws%3As3%3A%3A%3Ab%2Fx\
                &PolicyInputList.member.1=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B\
                %22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A%2A%22%2C%22Resource%22%3A%22%2A%22\
                %7D%7D&ContextEntries.member.1.ContextKeyName=aws%3ASourceIp\
                &ContextEntries.member.1.ContextKeyType=ip\
                &ContextEntries.member.1.ContextKeyValues.member.1=10.0.0.1";
    let answer = client.iam(&world.root, form).await;
    let text = answer.text();
    for part in [
        "<SimulateCustomPolicyResult>",
        "<IsTruncated>false</IsTruncated>",
        "<EvalActionName>s3:GetObject</EvalActionName>",
        "<EvalResourceName>arn:aws:s3:::b/x</EvalResourceName>",
        "<EvalDecision>allowed</EvalDecision>",
        "<SourcePolicyId>PolicyInputList.1</SourcePolicyId>",
        "<EvalResourceDecision>allowed</EvalResourceDecision>",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let place = |name: &str| {
        let part = text.split(&format!("<{name}>")).nth(1).unwrap();
        let part = part.split(&format!("</{name}>")).next().unwrap().to_owned();
        let number = |tag: &str| {
            let begin = part.split(&format!("<{tag}>")).nth(1).unwrap();
            begin.split('<').next().unwrap().parse::<usize>().unwrap()
        };
        (number("Line"), number("Column"))
    };
    assert_eq!((place("StartPosition"), place("EndPosition")), ((1, 37), (1, 86)));
}

/// Whoever may simulate texts only learns nothing of the users whose ARNs it names.
#[tokio::test]
async fn tags_of_users_are_not_to_be_guessed() {
    let world = World::new().await;
    world.user("ann", allow(&["s3:*"])).await;
    let tags = json!([{"Key": "home", "Value": "ann"}]);
    world.iam("TagUser", json!({"UserName": "ann", "Tags": tags})).await;
    let document = policy(&[json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalTag/home": "ann"}}})]);
    let body = json!({"PolicyInputList": [document.to_string()], "CallerArn": user_arn("ann"),
        "ActionNames": ["s3:GetObject"]});
    assert_eq!(custom(&world, body.clone()).await[0]["EvalDecision"], "allowed");
    let writer = world.user("writer", allow(&["iam:SimulateCustomPolicy"])).await;
    let answer = world.call_as(&writer, "iam", "SimulateCustomPolicy", body).await.unwrap();
    let result = &answer["EvaluationResults"][0];
    assert_eq!(result["EvalDecision"], "implicitDeny");
    assert_eq!(result["MissingContextValues"], json!(["aws:PrincipalTag/home"]));
}
