//! What Lambda does before it runs a function: it takes the function's role. (Lambda developer guide,
//! "Defining Lambda function permissions with an execution role".)
use super::HIDDEN;
use crate::authorize::{AccessDenied, Authorized, Caller, Conditions};
use crate::call::{Arrival, Call, OperationError, Server, Unmodelled, run_unmodelled};
use crate::functions::Function;
use crate::identity::{Assumable, Issued, Role, Session};
use crate::quotas::Throttled;
use crate::store::StoreError;
use crate::types::{Arn, Region};
use crate::wire::{Fault, Protocol, ServiceError};
use serde_json::{Value, json};
use std::sync::Arc;

/// What a role's trust policy must name.
pub const SERVICE: &str = "lambda.amazonaws.com";
const ACTION: &str = "sts:AssumeRole";

/// A function's credentials, and who it is with them.
#[derive(Debug)]
pub struct Assumed {
    pub issued: Issued,
    pub caller: Caller,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("The role defined for the function cannot be assumed by Lambda.")]
    Denied(#[source] AccessDenied),
    #[error("The role defined for the function does not last for {0} seconds.")]
    TooLong(i64),
    #[error("{0}")]
    Throttled(#[from] Throttled),
    #[error("store: {0}")]
    Store(#[from] StoreError),
}

impl ServiceError for Error {
    fn fault(&self) -> Fault {
        let text = self.to_string();
        match self {
            Self::Denied(_) => Fault::client("AccessDenied", text).with_status(403),
            Self::TooLong(_) => Fault::client("ValidationError", text),
            Self::Throttled(_) => Fault::throttled(Protocol::Json),
            Self::Store(_) => Fault::internal(),
        }
    }
}

impl OperationError for Error {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict))
    }
}

/// Takes the function's role for so many seconds. A refusal says no more than that.
///
/// Not counted against the request quota of STS: what a service asks for by itself is not the
/// account's request.
pub async fn assume(
    server: &Server,
    function: &Function,
    region: &Region,
    seconds: i64,
) -> Result<Assumed, Fault> {
    let (who, arrival) =
        (service(function, region), Arrival::within(&*server.random, region, SERVICE));
    let issued = run_unmodelled(&AssumeRole { function, seconds }, server, &who, &arrival).await?;
    let token = Session::open(&server.root, &issued.access_key_id, issued.token.expose());
    let opened = token.ok_or_else(Fault::internal)?;
    let mut tx = server.store.begin();
    let caller = opened.caller(&mut tx, &server.services, &issued.access_key_id).await;
    let caller = caller.map_err(|error| {
        tracing::error!(function = function.arn.as_str(), %error, "cannot read a function's role");
        Fault::internal()
    })?;
    // Deleted a moment ago.
    let gone = || Fault::client("AccessDenied", "The role defined for the function is gone.");
    Ok(Assumed { issued, caller: caller.ok_or_else(gone)? })
}

/// Lambda itself, for a function of the account.
fn service(function: &Function, region: &Region) -> Caller {
    let account = function.account.clone();
    let arn = Arn::new("lambda", region.as_str(), account.as_str(), "service");
    Caller::service(SERVICE, arn, account)
}

struct AssumeRole<'a> {
    function: &'a Function,
    seconds: i64,
}

impl Unmodelled for AssumeRole<'_> {
    type Answer = Issued;
    type Error = Error;
    const SOURCE: &'static str = "sts.amazonaws.com";
    const NAME: &'static str = "AssumeRole";

    fn parameters(&self) -> Value {
        json!({
            "roleArn": self.function.role,
            "roleSessionName": self.function.name,
            "durationSeconds": self.seconds,
        })
    }

    async fn execute(&self, call: &mut Call<'_>) -> Result<(Issued, Value), Error> {
        let role = self.authorized_role(call).await?;
        let role = &role.0;
        if self.seconds > role.max_session_seconds {
            return Err(Error::TooLong(self.seconds));
        }
        let session_name = self.function.name.clone();
        let principal = role.principal(Some(&session_name));
        let random = call.random();
        let expires = call.now.plus_secs(self.seconds).whole_secs();
        let session = Session::new(role.actor(session_name), &*random, call.now, expires);
        let issued = session.issue(&call.server.root, &*random)?;
        let shown = json!({
            "assumedRoleUser": {"arn": principal.arn, "assumedRoleId": principal.unique_id},
            "credentials": {
                "accessKeyId": issued.access_key_id,
                "expiration": issued.expires.to_string(),
                "sessionToken": HIDDEN,
            },
        });
        Ok((issued, shown))
    }
}

impl AssumeRole<'_> {
    /// The role, if its trust policy allows Lambda to take it for this function. One that does not
    /// exist looks like one that is not to be had.
    async fn authorized_role(&self, call: &mut Call<'_>) -> Result<Authorized<Assumable>, Error> {
        let function = self.function;
        call.touched("AWS::IAM::Role", &function.role);
        let Some(role) = Role::by_arn(&mut call.tx, &function.role).await? else {
            let what = format!("resource: {}", function.role);
            let denied = AccessDenied::unknown_resource(call.principal(), ACTION, &what);
            return Err(Error::Denied(denied));
        };
        let mut conditions = Conditions::default();
        conditions.add("sts:rolesessionname", function.name.as_str());
        conditions.add("sts:durationseconds", self.seconds.to_string());
        conditions.add("aws:sourceaccount", function.account.as_str());
        conditions.add("aws:sourcearn", function.arn.as_str());
        call.authorize(ACTION, Assumable(Arc::clone(&role)), conditions).map_err(Error::Denied)
    }
}
