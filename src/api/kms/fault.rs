//! How AWS names each failure of a key operation: the code and the status, one line each.
use super::Error;
use crate::call::OperationError;
use crate::devices;
use crate::keys::stores::KeyStoreError;
use crate::keys::stores::external::ExternalError;
use crate::store::StoreError;
use crate::wire::{Fault, Protocol, ServiceError};

impl ServiceError for Error {
    fn fault(&self) -> Fault {
        let code = match self {
            Self::NotFound(_) => "NotFoundException",
            Self::Disabled(_) => "DisabledException",
            Self::InvalidState(..) | Self::NotPendingDeletion(_) | Self::NothingToRotateTo(_) => {
                "KMSInvalidStateException"
            }
            Self::RotationIsNear(_) => "ConflictException",
            Self::InvalidCiphertext => "InvalidCiphertextException",
            Self::IncorrectKey => "IncorrectKeyException",
            Self::InvalidKeyUsage { .. }
            | Self::InvalidKeySpec { .. }
            | Self::IncompatibleAlgorithm { .. } => "InvalidKeyUsageException",
            Self::InvalidSignature => "KMSInvalidSignatureException",
            Self::InvalidMac => "KMSInvalidMacException",
            Self::Validation(_) => "ValidationException",
            Self::Unsupported(_) => "UnsupportedOperationException",
            Self::AliasExists(_) | Self::KeyExists(_) => "AlreadyExistsException",
            Self::InvalidAliasName(_) => "InvalidAliasNameException",
            Self::LimitExceeded(_) => "LimitExceededException",
            Self::Tag(_) => "TagException",
            Self::MalformedPolicy(_) => "MalformedPolicyDocumentException",
            Self::InvalidMarker => "InvalidMarkerException",
            Self::InvalidGrantToken => "InvalidGrantTokenException",
            Self::InvalidGrantId => "InvalidGrantIdException",
            Self::InvalidArn(_) => "InvalidArnException",
            Self::InvalidImportToken => "InvalidImportTokenException",
            Self::ExpiredImportToken => "ExpiredImportTokenException",
            Self::IncorrectKeyMaterial(_) => "IncorrectKeyMaterialException",
            Self::MaterialPending { .. } => "KMSInvalidStateException",
            Self::CustomKeyStoreNotFound(_) => "CustomKeyStoreNotFoundException",
            Self::KeyStore(e) => key_store(e),
            Self::External(e) => external(e),
            Self::DryRun => "DryRunOperationException",
            Self::Throttled(_) => "ThrottlingException",
            Self::AccessDenied(e) => return Fault::access_denied(Protocol::Json, e.to_string()),
            // The device is asked where keys are made, and the operations that make keys have no
            // KeyUnavailableException in the model. Whatever it is away for, it may come back.
            Self::Device(error) if devices::is_away(error) => {
                return Fault::server("DependencyTimeoutException");
            }
            Self::Device(_) | Self::Store(_) | Self::Primitive(_) => {
                return Fault::server("KMSInternalException");
            }
        };
        Fault::client(code, self.to_string())
    }
}

fn external(error: &ExternalError) -> &'static str {
    match error {
        ExternalError::Unreachable(_) => "XksProxyUriUnreachableException",
        ExternalError::IncorrectCredential(_) => {
            "XksProxyIncorrectAuthenticationCredentialException"
        }
        ExternalError::InvalidConfiguration(_) => "XksProxyInvalidConfigurationException",
        ExternalError::InvalidResponse(_) => "XksProxyInvalidResponseException",
        ExternalError::KeyNotFound(_) => "XksKeyNotFoundException",
        ExternalError::KeyInvalidConfiguration(_) => "XksKeyInvalidConfigurationException",
        ExternalError::KeyInUse(_) => "XksKeyAlreadyInUseException",
        ExternalError::StoreInvalidState(_) => "CustomKeyStoreInvalidStateException",
        ExternalError::KeyUnusable(_) => "KMSInvalidStateException",
    }
}

fn key_store(error: &KeyStoreError) -> &'static str {
    match error {
        KeyStoreError::InvalidState { .. } | KeyStoreError::ClusterAway(_) => {
            "CustomKeyStoreInvalidStateException"
        }
        KeyStoreError::NameInUse(_) => "CustomKeyStoreNameInUseException",
        KeyStoreError::HasKeys(_) => "CustomKeyStoreHasCMKsException",
        KeyStoreError::ClusterInUse(_) => "CloudHsmClusterInUseException",
        KeyStoreError::ClusterNotFound(_) => "CloudHsmClusterNotFoundException",
        KeyStoreError::ClusterInvalidConfiguration(_) => {
            "CloudHsmClusterInvalidConfigurationException"
        }
        KeyStoreError::ClusterNotActive(_) => "CloudHsmClusterNotActiveException",
        KeyStoreError::ClusterNotRelated(_) => "CloudHsmClusterNotRelatedException",
        KeyStoreError::UriInUse(_) => "XksProxyUriInUseException",
        KeyStoreError::EndpointInUse(_) => "XksProxyUriEndpointInUseException",
        KeyStoreError::VpcEndpointServiceInUse(_) => "XksProxyVpcEndpointServiceInUseException",
    }
}

impl OperationError for Error {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict))
    }
}
