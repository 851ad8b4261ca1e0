//! claviger: keys rooted in hardware that you own, and secrets under them, with the wire protocol of
//! AWS KMS and AWS Secrets Manager.
//!
//! A call flows one way: `http` (listener, signature) → `call` (the pipeline) → `api` (the operation)
//! → `authorize` (the door) → `keys`, `secrets` → `store` and the device, with `audit` beside it.
//! ARCHITECTURE.md walks one Encrypt through it.

pub mod api; // what AWS offers: one folder a service, one file an operation
pub mod attest; // what can be shown of a root key, and checking it
pub mod audit; // CloudTrail-shaped events and the log that cannot be edited unseen
pub mod authorize; // `Authorized<T>`: the only door
pub mod background; // what happens by itself: rotation, deletion when a window ends
pub mod backup; // the store in one file: made, checked, put back
pub mod call; // what an operation is, and the pipeline every call takes
pub mod cli; // the commands
pub mod clock; // where time enters
pub mod config; // the configuration file
pub mod control; // what the operator of the machine may ask of a deployment
pub mod device_bench; // how fast devices are
pub mod devices; // HSMs, tokens and TPMs, by name
pub mod external; // the protocol of external key store proxies, and who asks one
pub mod failpoints; // where `claviger torture` kills a server and makes its disk fail
pub mod federation; // OpenID Connect tokens and the keys of their issuers
pub mod functions; // rotation functions: which are registered, and what each is
pub mod http; // listener, TLS, limits, signatures, the way to an operation
pub mod identity; // accounts, users, access keys
pub mod keys; // KMS keys: material, aliases, ciphertexts, states
pub mod last_use;
pub mod machines; // machines known by their certificate, and the roles they get
pub mod memory; // locked memory and process hardening
pub mod monitor; // metrics
pub mod nodes; // this process as one of several that serve a deployment
pub mod outgoing; // requests of our own to others: certificates, addresses, ends
pub mod policy; // IAM's policy language, as a pure evaluator
pub mod primitives; // what a key does by its spec: sign, decrypt, agree, MAC
pub mod quotas; // how often an account may call and how much it may have
pub mod random; // where randomness enters
pub mod root_of_trust; // the device, and the domain keys it wraps
pub mod rotation; // the rotation of secrets: the scheduler, and what functions do
pub mod seal; // the one authenticated encryption, its keys and labels
pub mod secrets; // secrets: versions, staging labels, envelopes
pub mod services; // services that are not ours and act for their users
pub mod sigv4; // AWS Signature Version 4: whose request it is
pub mod simulate; // what would be decided about a request that nobody made
pub mod store; // transactions over sealed rows
pub mod torture; // `claviger torture`: real servers under faults, and what must hold
pub mod types; // the words: ARN, account, region, bytes, encryption context
pub mod wire; // AWS's protocols and its models as data
pub mod xks; // the XKS proxy: keys of this deployment for another KMS
