//! Somebody else's client of the same TPM: knows our formats, has the TPM, and does without
//! this crate.

use super::support::Swtpm;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use claviger_hsm::{RootKeyId, WrappedKey};
use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};
use tss_esapi::Context;
use tss_esapi::constants::SessionType;
use tss_esapi::handles::KeyHandle;
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::resource_handles::Hierarchy;
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{Auth, Digest, Private, Public, SensitiveData, SymmetricDefinition};
use tss_esapi::tcti_ldr::TctiNameConf;
use tss_esapi::traits::{Marshall, UnMarshall};

/// TPMT_PUBLIC of a root key, up to the point.
const ROOT_KEY: [u8; 22] = *b"\0\x23\0\x0b\0\x03\x04\x72\0\0\0\x06\0\x80\0\x43\0\x10\0\x03\0\x10";
/// TPMT_PUBLIC of a sealed object without a policy: fixedTPM, fixedParent, userWithAuth; and noDA
/// where it has no auth value.
const WITH_AUTH: [u8; 14] = *b"\0\x08\0\x0b\0\0\0\x52\0\0\0\x10\0\0";
const WITHOUT_AUTH: [u8; 14] = *b"\0\x08\0\x0b\0\0\x04\x52\0\0\0\x10\0\0";

/// As `hsm/src/tpm/root.rs` says.
pub fn auth_value(configured: &str, root: &RootKeyId) -> Vec<u8> {
    let mut value = vec![0; 32];
    let info = [b"claviger/tpm/auth\0", root.as_str().as_bytes()].concat();
    Hkdf::<Sha256>::new(None, configured.as_bytes()).expand(&info, &mut value).unwrap();
    value[31] |= 1;
    value
}

/// The device's part of a wrapped key of format 02.
fn blob(wrapped: &WrappedKey) -> &[u8] {
    let len = usize::from(u16::from_be_bytes([wrapped.bytes[2], wrapped.bytes[3]]));
    &wrapped.bytes[4..4 + len]
}

/// Public and private part, as `hsm/src/tpm/blob.rs` draws them.
fn parts(blob: &[u8]) -> (Public, Private) {
    let pcrs: u32 = blob[3..6].iter().map(|byte| byte.count_ones()).sum();
    let rest = &blob[6 + 32 * pcrs as usize..];
    let (public, rest) = rest[2..].split_at(usize::from(u16::from_be_bytes([rest[0], rest[1]])));
    (Public::unmarshall(public).unwrap(), Private::try_from(&rest[2..]).unwrap())
}

pub fn connect(tcti: &str) -> Context {
    Context::new(tcti.parse::<TctiNameConf>().unwrap()).unwrap()
}

/// The root key, made anew from its name: the template is no secret.
fn root_key(context: &mut Context, root: &RootKeyId) -> KeyHandle {
    let unique = Sha256::digest([b"claviger/tpm/root\0", root.as_str().as_bytes()].concat());
    let template = [&ROOT_KEY[..], &[0, 32], &unique, &[0, 0]].concat();
    let template = Public::unmarshall(&template).unwrap();
    context.set_sessions((Some(AuthSession::Password), None, None));
    let made = context.create_primary(Hierarchy::Owner, template, None, None, None, None);
    made.unwrap().key_handle
}

/// Opens the wrapping key with everything in the clear: no salt, no encryption.
pub fn unseal_in_the_clear(tcti: &str, wrapped: &WrappedKey, auth: &[u8]) -> Vec<u8> {
    let mut context = connect(tcti);
    let root = root_key(&mut context, &wrapped.root);
    let (public, private) = parts(blob(wrapped));
    let bound = !public.auth_policy().value().is_empty();
    let handle = context.load(root, private, public).unwrap();
    context.tr_set_auth(handle.into(), Auth::try_from(auth).unwrap()).unwrap();
    if bound {
        context.clear_sessions();
        let session = context.start_auth_session(
            None,
            None,
            None,
            SessionType::Policy,
            SymmetricDefinition::AES_128_CFB,
            HashingAlgorithm::Sha256,
        );
        let session = session.unwrap().unwrap();
        let policy = PolicySession::try_from(session).unwrap();
        let selection = {
            let blob = blob(wrapped);
            use tss_esapi::structures::{PcrSelectionList, PcrSlot};
            let bits = u32::from_le_bytes([blob[3], blob[4], blob[5], 0]);
            let slots: Vec<PcrSlot> = (0..24)
                .filter(|n| bits >> n & 1 == 1)
                .map(|n| PcrSlot::try_from(1_u32 << n).unwrap())
                .collect();
            PcrSelectionList::builder()
                .with_selection(HashingAlgorithm::Sha256, &slots)
                .build()
                .unwrap()
        };
        context.policy_pcr(policy, Digest::default(), selection).unwrap();
        if !auth.is_empty() {
            context.policy_auth_value(policy).unwrap();
        }
        context.set_sessions((Some(session), None, None));
    }
    let opened = context.unseal(handle.into()).unwrap().value().to_vec();
    context.clear_sessions();
    opened
}

/// A wrapped key that this crate did not make: `secret` sealed under the root key with this auth
/// value, described as `described_auth`, wrapping `key`.
pub fn forge(
    tpm: &Swtpm,
    root: &RootKeyId,
    secret: &[u8],
    auth: Option<&[u8]>,
    described_auth: bool,
    key: &[u8],
) -> WrappedKey {
    let mut context = connect(&tpm.tcti());
    let parent = root_key(&mut context, root);
    let template = if described_auth { WITH_AUTH } else { WITHOUT_AUTH };
    let public = Public::unmarshall(&template).unwrap();
    let auth = auth.map(|auth| Auth::try_from(auth).unwrap());
    let sealed = SensitiveData::try_from(secret.to_vec()).unwrap();
    let made = context.create(parent, public, auth, Some(sealed), None, None).unwrap();
    let public = made.out_public.marshall().unwrap();
    let mut device = vec![u8::from(described_auth), 0, 0, 0, 0, 0];
    for part in [&public[..], made.out_private.value()] {
        device.extend_from_slice(&u16::try_from(part.len()).unwrap().to_be_bytes());
        device.extend_from_slice(part);
    }
    let mut bytes = vec![2, 6];
    bytes.extend_from_slice(&u16::try_from(device.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(&device);
    let mut wrapping = [0; 32];
    let info = [b"claviger/hsm/hybrid\0", &bytes[..]].concat();
    Hkdf::<Sha256>::new(None, secret).expand(&info, &mut wrapping).unwrap();
    let cipher = Aes256Gcm::new_from_slice(&wrapping).unwrap();
    let payload = Payload { msg: key, aad: &bytes };
    let sealed = cipher.encrypt(&Nonce::from([9; 12]), payload).unwrap();
    bytes.extend_from_slice(&[9; 12]);
    bytes.extend_from_slice(&sealed);
    WrappedKey { root: root.clone(), bytes }
}
