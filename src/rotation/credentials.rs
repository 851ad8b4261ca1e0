//! What a function may do: it works with its role and nothing else. Inside the server it is a caller,
//! outside it gets credentials that end soon after its step.
use super::Failure;
use crate::api::lambda::{self, Assumed};
use crate::call::Server;
use crate::functions::Function;
use crate::wire::Fault;

/// What a session lives longer than a step may take: the difference of two clocks, and the last call.
const MARGIN_SECONDS: u64 = 60;
/// STS API reference, AssumeRole: the shortest session.
const SHORTEST_SECONDS: u64 = 900;

/// The function's role, for one step.
pub(super) async fn assume(server: &Server, function: &Function) -> Result<Assumed, Failure> {
    let seconds = function.timeout.as_secs().saturating_add(MARGIN_SECONDS).max(SHORTEST_SECONDS);
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let assumed = lambda::assume(server, function, &function.region, seconds).await;
    assumed.map_err(|fault| failure(&format!("AssumeRole of {}", function.role), &fault))
}

/// What a refused call means for the step: the server's own trouble and too many calls pass.
pub(super) fn failure(operation: &str, fault: &Fault) -> Failure {
    let text = match fault.message() {
        "" => format!("{operation}: {}", fault.code),
        message => format!("{operation}: {}: {message}", fault.code),
    };
    match fault.is_ours() || is_throttling(fault) {
        true => Failure::passing(text),
        false => Failure::lasting(text),
    }
}

pub(super) fn is_throttling(fault: &Fault) -> bool {
    fault.code.contains("Throttling") || fault.code == "TooManyRequestsException"
}
