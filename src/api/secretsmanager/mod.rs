//! AWS Secrets Manager. To add an operation: write its file, declare it, add its line to the table.
mod common;
mod create_secret;
mod delete_secret;
mod describe_secret;
mod fault;
mod get_secret_value;
mod kms;
mod list_secret_version_ids;
mod list_secrets;
mod put_secret_value;
mod restore_secret;
mod shapes;
mod tag_resource;
mod untag_resource;
mod update_secret;
mod values;

pub use crate::secrets::SecretError as Error;

crate::operations! {
    create_secret::CreateSecret,
    delete_secret::DeleteSecret,
    describe_secret::DescribeSecret,
    get_secret_value::GetSecretValue,
    list_secret_version_ids::ListSecretVersionIds,
    list_secrets::ListSecrets,
    put_secret_value::PutSecretValue,
    restore_secret::RestoreSecret,
    tag_resource::TagResource,
    untag_resource::UntagResource,
    update_secret::UpdateSecret,
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
