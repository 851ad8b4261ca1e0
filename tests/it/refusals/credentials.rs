//! Requests of the operations on MFA devices, passwords and web identity providers, each with a thing
//! of its own.
use crate::iam::mfa::{device, enabling};
use crate::world::World;
use serde_json::{Value, json};

const PASSWORD: &str = "Correct-horse7";

pub async fn request(world: &World, name: &str) -> Option<Value> {
    if name.contains("MFADevice") {
        return Some(of_devices(world, name).await);
    }
    if name.contains("OutboundWebIdentityFederation") {
        let before = if name.starts_with("Enable") { "Disable" } else { "Enable" };
        // It may be so already.
        let _ =
            world.call("iam", &format!("{before}OutboundWebIdentityFederation"), json!({})).await;
        return Some(json!({}));
    }
    if name.contains("OpenIDConnect") {
        return Some(of_providers(world, name).await);
    }
    if name == "ChangePassword" {
        return Some(json!({"OldPassword": PASSWORD, "NewPassword": "Battery-staple9"}));
    }
    name.contains("LoginProfile").then_some(())?;
    let user = json!({"UserName": format!("of{name}")});
    world.iam("CreateUser", user.clone()).await;
    let with_password = json!({"UserName": user["UserName"], "Password": PASSWORD});
    if name == "CreateLoginProfile" {
        return Some(with_password);
    }
    world.iam("CreateLoginProfile", with_password.clone()).await;
    Some(if name == "UpdateLoginProfile" { with_password } else { user })
}

async fn of_devices(world: &World, name: &str) -> Value {
    match name {
        "CreateVirtualMFADevice" => return json!({"VirtualMFADeviceName": "new"}),
        "ListVirtualMFADevices" => return json!({}),
        "ListMFADevices" => return json!({"UserName": "victim"}),
        _ => {}
    }
    let (serial, seed) = device(world, name).await;
    let enabling = enabling(world, "victim", &serial, &seed);
    match name {
        "EnableMFADevice" => enabling,
        "DeactivateMFADevice" => {
            world.iam("EnableMFADevice", enabling).await;
            json!({"UserName": "victim", "SerialNumber": serial})
        }
        _ => json!({"SerialNumber": serial}),
    }
}

async fn of_providers(world: &World, name: &str) -> Value {
    if name == "ListOpenIDConnectProviders" {
        return json!({});
    }
    let url = json!({"Url": format!("https://{}.example.com", name.to_lowercase())});
    if name == "CreateOpenIDConnectProvider" {
        return url;
    }
    let made = world.iam("CreateOpenIDConnectProvider", url).await;
    let mut body = json!({"OpenIDConnectProviderArn": made["OpenIDConnectProviderArn"]});
    if name.contains("ClientID") {
        body["ClientID"] = json!("client");
    }
    if name.contains("Thumbprint") {
        body["ThumbprintList"] = json!(["a".repeat(40)]);
    }
    body
}
