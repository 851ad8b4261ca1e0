//! AWS STS. To add an operation: write its file, declare it, add its line to the table.
mod fault;
mod get_caller_identity;

pub use fault::StsError as Error;

crate::operations! {
    get_caller_identity::GetCallerIdentity,
}

crate::service! {
    /// AWS Security Token Service.
    Sts {
        error: Error,
        source: "sts.amazonaws.com",
        signing_name: "sts",
        protocol: Query { version: "2011-06-15" },
        model: "sts.json",
    }
}
