//! AWS KMS. To add an operation: write its file, declare it, add its line to the table.
mod cancel_key_deletion;
mod common;
mod create_alias;
mod create_key;
mod decrypt;
mod delete_alias;
mod describe_key;
mod disable_key;
mod enable_key;
mod encrypt;
mod fault;
mod generate_data_key;
mod generate_data_key_without_plaintext;
mod generate_random;
mod get_key_policy;
mod list_aliases;
mod list_keys;
mod list_resource_tags;
mod metadata;
mod put_key_policy;
mod re_encrypt;
mod schedule_key_deletion;
mod tag_resource;
mod untag_resource;
mod update_alias;

pub use crate::keys::KeyError as Error;
pub(in crate::api) use common::{
    authorized_found, authorized_key, authorized_key_of, crypto_conditions,
};
pub(in crate::api) use describe_key::service_key;

crate::operations! {
    cancel_key_deletion::CancelKeyDeletion,
    create_alias::CreateAlias,
    create_key::CreateKey,
    decrypt::Decrypt,
    delete_alias::DeleteAlias,
    describe_key::DescribeKey,
    disable_key::DisableKey,
    enable_key::EnableKey,
    encrypt::Encrypt,
    generate_data_key::GenerateDataKey,
    generate_data_key_without_plaintext::GenerateDataKeyWithoutPlaintext,
    generate_random::GenerateRandom,
    get_key_policy::GetKeyPolicy,
    list_aliases::ListAliases,
    list_keys::ListKeys,
    list_resource_tags::ListResourceTags,
    put_key_policy::PutKeyPolicy,
    re_encrypt::ReEncrypt,
    schedule_key_deletion::ScheduleKeyDeletion,
    tag_resource::TagResource,
    untag_resource::UntagResource,
    update_alias::UpdateAlias,
}

crate::service! {
    /// AWS Key Management Service.
    Kms {
        error: Error,
        source: "kms.amazonaws.com",
        signing_name: "kms",
        protocol: Json { target_prefix: "TrentService" },
        model: "kms.json",
    }
}
