//! A key of the kind that an operation needs, with a past, and the request that acts on it: for
//! tests that go over all operations.
use crate::support::{delegate, id_of, policy};
use crate::world::{ACCOUNT, OTHER_REGION, World};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::{Engine, engine::general_purpose::STANDARD as B64};
use serde_json::{Value, json};

/// What an operation asks of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Symmetric,
    Signer,
    Mac,
    Agreement,
    Capsule,
    /// Symmetric, of the origin EXTERNAL.
    Imported,
    /// A multi-Region primary key, alone.
    Primary,
    /// One with a replica in the other region.
    Replicated,
}

impl Kind {
    /// None for operations that name no key.
    pub fn of(operation: &str) -> Option<Self> {
        Some(match operation {
            "ConnectCustomKeyStore"
            | "CreateCustomKeyStore"
            | "CreateKey"
            | "DeleteCustomKeyStore"
            | "DescribeCustomKeyStores"
            | "DisconnectCustomKeyStore"
            | "GenerateRandom"
            | "ListKeys"
            | "ListRetirableGrants"
            | "UpdateCustomKeyStore" => return None,
            "GetPublicKey" | "Sign" | "Verify" => Self::Signer,
            "GenerateMac" | "VerifyMac" => Self::Mac,
            "DeriveSharedSecret" => Self::Agreement,
            "Decapsulate" | "Encapsulate" => Self::Capsule,
            "DeleteImportedKeyMaterial" | "GetParametersForImport" | "ImportKeyMaterial" => {
                Self::Imported
            }
            "ReplicateKey" => Self::Primary,
            "UpdatePrimaryRegion" => Self::Replicated,
            _ => Self::Symmetric,
        })
    }

    /// The CreateKey of such a key.
    pub fn creation(self) -> Value {
        match self {
            Self::Symmetric => json!({}),
            Self::Signer => json!({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}),
            Self::Mac => json!({"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}),
            Self::Agreement => json!({"KeySpec": "ECC_NIST_P256", "KeyUsage": "KEY_AGREEMENT"}),
            Self::Capsule => {
                json!({"KeySpec": "ML_KEM_768", "KeyUsage": "ENCAPSULATE_DECAPSULATE"})
            }
            Self::Imported => json!({"Origin": "EXTERNAL"}),
            Self::Primary | Self::Replicated => json!({"MultiRegion": true}),
        }
    }

    /// Whether AWS lets material of this kind be imported.
    pub fn can_be_imported(self) -> bool {
        self != Self::Capsule
    }
}

/// The same with other members; those that are null are left out.
pub fn with(mut body: Value, more: Value) -> Value {
    let members = body.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    body
}

/// Somebody's public key on P-256.
pub const PUBLIC: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9\
                          KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==";
/// `hello`
pub const HELLO: &str = "aGVsbG8=";

/// A key, and what was made with it while it could still be used.
#[derive(Debug)]
pub struct Subject {
    pub key: String,
    /// Its alias.
    pub alias: String,
    /// The alias of another symmetric key.
    pub elsewhere: String,
    /// What of these the operation needs.
    past: Value,
}

impl Subject {
    /// A new key for this operation, made with these members besides. One of the origin EXTERNAL has
    /// no material yet.
    pub async fn new(world: &World, operation: &str, more: Value) -> Self {
        let kind = Kind::of(operation).expect("an operation on a key");
        let made = world.kms("CreateKey", with(kind.creation(), more)).await;
        let key = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
        let (alias, elsewhere) =
            (format!("alias/{}", id_of(&key)), format!("alias/x-{}", id_of(&key)));
        world.kms("CreateAlias", json!({"AliasName": alias, "TargetKeyId": key})).await;
        if operation == "UpdateAlias" {
            let other = world.key().await;
            world.kms("CreateAlias", json!({"AliasName": elsewhere, "TargetKeyId": other})).await;
        }
        Self { key, alias, elsewhere, past: json!({}) }
    }

    /// A key that can be used, and has been as the operation needs it.
    pub async fn used(world: &World, operation: &str, more: Value) -> Self {
        let mut subject = Self::new(world, operation, more).await;
        if world.state(&subject.key).await == "PendingImport" {
            subject.get_parameters(world).await;
            world.kms("ImportKeyMaterial", subject.body("ImportKeyMaterial")).await;
        }
        if Kind::of(operation) == Some(Kind::Replicated) {
            subject.replicate(world).await;
        }
        subject.use_for(world, operation).await;
        subject
    }

    /// Makes what the operation's request speaks of.
    async fn use_for(&mut self, world: &World, operation: &str) {
        let (name, body) = match operation {
            "Decrypt" | "ReEncrypt" => ("Encrypt", self.body("Encrypt")),
            "RetireGrant" | "RevokeGrant" => ("CreateGrant", self.body("CreateGrant")),
            "Verify" => ("Sign", self.body("Sign")),
            "VerifyMac" => ("GenerateMac", self.body("GenerateMac")),
            _ => return,
        };
        self.remember(&world.kms(name, body).await);
    }

    pub async fn replicate(&self, world: &World) {
        world.kms("ReplicateKey", self.body("ReplicateKey")).await;
    }

    /// Wraps material for the key, as a client does it; the same for every key.
    pub async fn get_parameters(&mut self, world: &World) {
        let given = world.kms("GetParametersForImport", self.body("GetParametersForImport")).await;
        let public = B64.decode(given["PublicKey"].as_str().unwrap()).unwrap();
        let wrapped = B64.encode(wrap(&public, &[7; 32]));
        let token = &given["ImportToken"];
        self.remember(&json!({"ImportToken": token, "EncryptedKeyMaterial": wrapped}));
    }

    fn remember(&mut self, more: &Value) {
        self.past = with(self.past.clone(), more.clone());
    }

    /// A member of an answer that was remembered, or what stands for it where the operation is
    /// refused before anybody looks at it.
    pub fn past(&self, member: &str) -> Value {
        self.past.get(member).cloned().unwrap_or_else(|| json!(HELLO))
    }

    /// A request of the operation that succeeds, if the key's state lets it.
    pub fn body(&self, operation: &str) -> Value {
        let key = &self.key;
        let own = match operation {
            "CreateAlias" => {
                let name = format!("alias/new-{}", id_of(key));
                return json!({"AliasName": name, "TargetKeyId": key});
            }
            "DeleteAlias" => return json!({"AliasName": self.alias}),
            "UpdateAlias" => return json!({"AliasName": self.elsewhere, "TargetKeyId": key}),
            "Decrypt" => return json!({"CiphertextBlob": self.past("CiphertextBlob")}),
            "ReEncrypt" => {
                let blob = self.past("CiphertextBlob");
                return json!({"CiphertextBlob": blob, "DestinationKeyId": key});
            }
            "CreateGrant" => {
                let grantee = format!("arn:aws:iam::{ACCOUNT}:root");
                json!({"GranteePrincipal": grantee, "Operations": ["DescribeKey"]})
            }
            "Decapsulate" => json!({"EncapsulationAlgorithm": "ML_KEM",
                "SharedSecretCiphertextBlob": B64.encode([7; 1088])}),
            "DeriveSharedSecret" => json!({"KeyAgreementAlgorithm": "ECDH", "PublicKey": PUBLIC}),
            "Encapsulate" => json!({"EncapsulationAlgorithm": "ML_KEM"}),
            "Encrypt" => json!({"Plaintext": HELLO}),
            "GenerateDataKey" | "GenerateDataKeyWithoutPlaintext" => json!({"KeySpec": "AES_256"}),
            "GenerateDataKeyPair" | "GenerateDataKeyPairWithoutPlaintext" => {
                json!({"KeyPairSpec": "ECC_NIST_P256"})
            }
            "GenerateMac" => json!({"Message": HELLO, "MacAlgorithm": "HMAC_SHA_256"}),
            "GetParametersForImport" => {
                json!({"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"})
            }
            "ImportKeyMaterial" => json!({"ImportToken": self.past("ImportToken"),
                "EncryptedKeyMaterial": self.past("EncryptedKeyMaterial"),
                "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}),
            "PutKeyPolicy" => json!({"Policy": policy(&[delegate()]).to_string()}),
            "ReplicateKey" => json!({"ReplicaRegion": OTHER_REGION}),
            "RetireGrant" | "RevokeGrant" => json!({"GrantId": self.past("GrantId")}),
            "Sign" => json!({"Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256"}),
            "TagResource" => json!({"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
            "UntagResource" => json!({"TagKeys": ["a"]}),
            "UpdateKeyDescription" => json!({"Description": "d"}),
            "UpdatePrimaryRegion" => json!({"PrimaryRegion": OTHER_REGION}),
            "Verify" => json!({"Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256",
                "Signature": self.past("Signature")}),
            "VerifyMac" => json!({"Message": HELLO, "MacAlgorithm": "HMAC_SHA_256",
                "Mac": self.past("Mac")}),
            _ => json!({}),
        };
        with(own, json!({"KeyId": key}))
    }
}

/// RSAES_OAEP_SHA_256.
pub fn wrap(public: &[u8], material: &[u8]) -> Vec<u8> {
    let key = PublicEncryptingKey::from_der(public).unwrap();
    let key = OaepPublicEncryptingKey::new(key).unwrap();
    let mut out = vec![0; key.ciphertext_size()];
    key.encrypt(&OAEP_SHA256_MGF1SHA256, material, &mut out, None).unwrap().to_vec()
}
