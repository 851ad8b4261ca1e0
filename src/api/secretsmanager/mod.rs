//! AWS Secrets Manager. To add an operation: write its file, declare it, add its line to the table.
mod associate_cross_account_replica;
mod batch_get_secret_value;
mod cancel_rotate_secret;
mod common;
mod create_secret;
mod cross_account;
mod cross_account_keys;
mod delete_resource_policy;
mod delete_secret;
mod describe_secret;
mod described;
mod disassociate_cross_account_replica;
mod external;
mod fault;
mod get_random_password;
mod get_resource_policy;
mod get_secret_value;
mod invocation;
mod kms;
mod list_resource_policies;
mod list_secret_version_ids;
mod list_secrets;
mod policies;
mod put_resource_policy;
mod put_secret_value;
mod remove_regions_from_replication;
mod replicate;
mod replicate_secret_to_regions;
mod restore_secret;
mod rotate_secret;
mod rotations;
mod shapes;
mod stop_replication_to_replica;
mod tag_resource;
mod untag_resource;
mod update_secret;
mod update_secret_version_stage;
mod validate_resource_policy;
mod values;

pub use crate::secrets::SecretError as Error;
pub use rotations::rotation_event;

crate::operations! {
    associate_cross_account_replica::AssociateCrossAccountReplica,
    batch_get_secret_value::BatchGetSecretValue,
    cancel_rotate_secret::CancelRotateSecret,
    create_secret::CreateSecret,
    delete_resource_policy::DeleteResourcePolicy,
    delete_secret::DeleteSecret,
    describe_secret::DescribeSecret,
    disassociate_cross_account_replica::DisassociateCrossAccountReplica,
    get_random_password::GetRandomPassword,
    get_resource_policy::GetResourcePolicy,
    get_secret_value::GetSecretValue,
    list_resource_policies::ListResourcePolicies,
    list_secret_version_ids::ListSecretVersionIds,
    list_secrets::ListSecrets,
    put_resource_policy::PutResourcePolicy,
    put_secret_value::PutSecretValue,
    remove_regions_from_replication::RemoveRegionsFromReplication,
    replicate_secret_to_regions::ReplicateSecretToRegions,
    restore_secret::RestoreSecret,
    rotate_secret::RotateSecret,
    stop_replication_to_replica::StopReplicationToReplica,
    tag_resource::TagResource,
    untag_resource::UntagResource,
    update_secret::UpdateSecret,
    update_secret_version_stage::UpdateSecretVersionStage,
    validate_resource_policy::ValidateResourcePolicy,
}

crate::service! {
    /// AWS Secrets Manager.
    SecretsManager {
        error: Error,
        source: "secretsmanager.amazonaws.com",
        signing_name: "secretsmanager",
        protocol: Json { target_prefix: "secretsmanager" },
        model: "secretsmanager.json",
    }
}
