//! The policy of the VPC endpoint that a request came through, for operations that ask for nothing
//! else.
use super::{
    AccessDenied, Account, Caller, Conditions, NamedPolicy, Policies, ask, describe_call, refusal,
};
use crate::policy::{self, Kind, Policy, PolicyRef};
use std::sync::LazyLock;

/// What an operation that needs no permission has in place of the caller's policies.
static ANYTHING: LazyLock<Policy> = LazyLock::new(|| {
    let text = r#"{"Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;
    Policy::parse_stored(text, Kind::Identity)
});

/// Whether an operation that needs no permission may be done through this endpoint.
pub fn pass(
    caller: &Caller,
    action: &str,
    mut conditions: Conditions,
    endpoint: &NamedPolicy,
) -> Result<(), AccessDenied> {
    let what = Account(caller.principal.account.clone());
    describe_call(caller, &what, &mut conditions);
    let through = Some(endpoint);
    let outcome =
        ask(caller, action, &what, None, &conditions, through, |request, all, owner, rule| {
            let identity = [PolicyRef { name: "", policy: &ANYTHING }];
            let guardrails = all.guardrails;
            let policies = Policies { identity: &identity, guardrails, ..Policies::default() };
            policy::permit(request, &policies, owner, rule)
        });
    outcome.map_err(|denied| refusal(caller, action, &what, denied, conditions))
}
