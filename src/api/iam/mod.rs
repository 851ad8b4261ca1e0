//! AWS IAM: users, their access keys and inline policies. To add an operation: write its file,
//! declare it, add its line to the table.
mod common;
mod create_access_key;
mod create_user;
mod delete_access_key;
mod delete_user;
mod delete_user_policy;
mod fault;
mod get_user;
mod get_user_policy;
mod list_access_keys;
mod list_user_policies;
mod list_users;
mod put_user_policy;
mod update_access_key;

pub use crate::identity::IdentityError as Error;

crate::operations! {
    create_access_key::CreateAccessKey,
    create_user::CreateUser,
    delete_access_key::DeleteAccessKey,
    delete_user::DeleteUser,
    delete_user_policy::DeleteUserPolicy,
    get_user::GetUser,
    get_user_policy::GetUserPolicy,
    list_access_keys::ListAccessKeys,
    list_user_policies::ListUserPolicies,
    list_users::ListUsers,
    put_user_policy::PutUserPolicy,
    update_access_key::UpdateAccessKey,
}

crate::service! {
    /// AWS Identity and Access Management.
    Iam {
        error: Error,
        source: "iam.amazonaws.com",
        signing_name: "iam",
        protocol: Query { version: "2010-05-08" },
        model: "iam.json",
    }
}
