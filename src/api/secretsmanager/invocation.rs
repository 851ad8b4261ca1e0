//! Who may have a rotation function invoked, and whether a function of ours has what it needs. Asked
//! when a rotation is set up; what is invoked later is asked for nothing more than its role has.
use super::{Error, SecretsManager, TABLE};
use crate::api::lambda;
use crate::authorize::{Caller, Conditions, Protected, Rule, authorize};
use crate::call::{Arrival, Call, Service};
use crate::functions::{Code, Function, Strategy};
use crate::policy::Policy;
use crate::secrets::database::Login;
use crate::secrets::{CURRENT, Secret};
use crate::store::StoreError;
use crate::types::{Arn, SecretText};
use crate::wire::Fault;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

const INVOKE: &str = "lambda:InvokeFunction";
/// How long the role is taken for, to read one value: the shortest session that there is.
const SESSION_SECONDS: i64 = 900;

/// A function, as policies see it.
struct Invocable<'a> {
    arn: &'a Arn,
    policy: Option<&'a Policy>,
}

impl Protected for Invocable<'_> {
    fn arn(&self) -> &str {
        self.arn.as_str()
    }
    fn account(&self) -> &str {
        self.arn.account()
    }
    fn rule(&self) -> Rule {
        Rule::Ordinary
    }
    fn policy(&self) -> Option<&Policy> {
        self.policy
    }
    fn kind(&self) -> &'static str {
        "AWS::Lambda::Function"
    }
}

/// The registered function of this ARN, if the caller may invoke it and Secrets Manager may, for this
/// secret. Whoever may not invoke it does not learn whether there is one.
pub(super) fn authorized_function<'a>(
    call: &mut Call<'a>,
    secret: &Secret,
    arn: &Arn,
) -> Result<&'a Function, Error> {
    let function = call.server.functions.find(arn);
    let policy = function.and_then(|function| function.policy.as_ref());
    call.authorize(INVOKE, Invocable { arn, policy }, Conditions::default())?;
    function.filter(|function| admits(function, secret)).ok_or(Error::CannotInvoke)
}

/// Whether the service itself may invoke the function. What is registered without a policy serves its
/// own account and region.
fn admits(function: &Function, secret: &Secret) -> bool {
    let Some(policy) = &function.policy else {
        return function.account == secret.account && function.region == secret.region;
    };
    let name = SecretsManager::SOURCE;
    // Of the function's account, so that its policy alone decides: a service has none of its own.
    let own = Arn::new("secretsmanager", "", function.account.as_str(), "service");
    let service = Caller::service(name, own, function.account.clone());
    let mut conditions = Conditions::default();
    conditions.add("aws:sourceaccount", secret.account.as_str());
    conditions.add("aws:sourcearn", secret.arn.as_str());
    let what = Invocable { arn: &function.arn, policy: Some(policy) };
    authorize(&service, INVOKE, what, conditions, None).is_ok()
}

/// Looks into the secret in the name of the function's role, if the function is one of ours: what it
/// could not work with is refused before anything is changed.
pub(super) async fn check_value(
    call: &Call<'_>,
    secret: &Secret,
    function: &Function,
) -> Result<(), Error> {
    let Code::BuiltIn { strategy, .. } = function.code else { return Ok(()) };
    let value = current_value(call, secret, function).await?;
    let refused = |what: &str| Error::InvalidParameter(format!("The secret's value {what}."));
    let login = Login::parse(&value).map_err(refused)?;
    match strategy {
        Strategy::DualPasswords => login.engine.has_two_passwords().map_err(refused)?,
        Strategy::AlternatingUsers => drop(login.other_user().map_err(refused)?),
        Strategy::SingleUser | Strategy::SingleUserWithAdministrator => {}
    }
    let administrator = login.administrator.as_deref();
    if strategy.needs_administrator() && administrator.is_none_or(|arn| !is_secret(arn)) {
        return Err(refused("has no masterarn, the ARN of an administrator's secret"));
    }
    Ok(())
}

fn is_secret(arn: &str) -> bool {
    let arn = arn.parse::<Arn>();
    arn.is_ok_and(|arn| arn.service() == "secretsmanager" && arn.resource().starts_with("secret:"))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Value {
    secret_string: Option<SecretText>,
}

/// An ordinary call of GetSecretValue: it asks for the role's permissions and has its own event.
async fn current_value(
    call: &Call<'_>,
    secret: &Secret,
    function: &Function,
) -> Result<SecretText, Error> {
    let (server, region) = (call.server, &secret.region);
    let assumed = lambda::assume(server, function, region, SESSION_SECONDS).await;
    let caller = assumed.map_err(|fault| unreadable(&fault))?.caller;
    let arrival = Arrival::within(&*server.random, region, lambda::SERVICE);
    let body = json!({"SecretId": secret.arn, "VersionStage": CURRENT}).to_string();
    let broken = || Error::Store(StoreError::Corrupt("no value in an answer with one".into()));
    let entry = TABLE.find("GetSecretValue").ok_or_else(broken)?;
    server.note_access(&caller, TABLE.signing_name, region);
    let answer = entry.run(server, &caller, &arrival, body.as_bytes()).await;
    let answer = Zeroizing::new(answer.map_err(|fault| unreadable(&fault))?);
    let value: Value = serde_json::from_slice(&answer).map_err(|_| broken())?;
    let bytes = "The secret's value is not text, which the rotation function needs.";
    value.secret_string.ok_or_else(|| Error::InvalidParameter(bytes.into()))
}

/// Why the function cannot read the value. What happened inside is in the log already.
fn unreadable(fault: &Fault) -> Error {
    if fault.is_ours() {
        let text = format!("the value could not be read for a function: {}", fault.code);
        return Error::Store(StoreError::Corrupt(text));
    }
    Error::InvalidParameter(format!(
        "The rotation function cannot read the secret's value: {}: {}",
        fault.code,
        fault.message()
    ))
}
