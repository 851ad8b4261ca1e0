//! What the proxy of an external key store is told of a call.
use crate::call::Call;
use crate::external::RequestMetadata;
use crate::keys::stores::external::Asking;
use crate::types::PrincipalKind;

/// For the operation that KMS was asked for. The KMS key is told beside it.
pub(super) fn asking(call: &Call<'_>, operation: &str) -> Asking {
    let principal = call.principal();
    // As `aws:PrincipalArn`: of a session, the role's.
    let arn = match &principal.kind {
        PrincipalKind::AssumedRole { role, .. } => role.to_string(),
        PrincipalKind::Service { name } => (*name).to_owned(),
        _ => principal.arn.to_string(),
    };
    let service = || format!("secretsmanager.{}.amazonaws.com", call.region());
    // What a service asks of KMS does not come through the caller's endpoint.
    let endpoint = call.arrival.endpoint.as_ref().filter(|_| !call.is_on_behalf());
    let metadata = RequestMetadata {
        aws_principal_arn: Some(arn),
        aws_source_vpc: endpoint.map(|endpoint| endpoint.vpc.clone()),
        aws_source_vpce: endpoint.map(|endpoint| endpoint.id.clone()),
        kms_key_arn: None,
        kms_operation: Some(operation.to_owned()),
        kms_request_id: Some(call.arrival.request_id.to_string()),
        kms_via_service: call.is_on_behalf().then(service),
    };
    let server = call.server;
    Asking { proxies: server.proxies.clone(), metadata, now_secs: server.clock.wall().secs() }
}
