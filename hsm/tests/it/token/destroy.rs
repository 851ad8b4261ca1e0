//! Root keys destroyed in the token: nothing is left, nothing else goes, and a token that only
//! says that it destroyed is found out.

use super::recovery::{key, with_root};
use super::support::{TestToken, assert_says, on_shim, on_token, root_id};
use claviger_hsm::pkcs11::restarts;
use claviger_hsm::{Hsm, HsmError, Mechanism, ResidentId, ResidentSpec, RootKeyId};
use cryptoki::mechanism::Mechanism as Cryptoki;
use cryptoki::object::Attribute;
use sha2::{Digest, Sha256};

/// How many objects there are in the token, whoever's.
fn objects(token: &TestToken) -> usize {
    token.raw_session().find_objects(&[Attribute::Token(true)]).unwrap().len()
}

/// An AES key of somebody who has the PIN.
fn planted(token: &TestToken, label: &str, id: Option<Vec<u8>>) {
    let mut template = vec![
        Attribute::ValueLen(32.into()),
        Attribute::Token(true),
        Attribute::Label(label.into()),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
    ];
    template.extend(id.map(Attribute::Id));
    token.raw_session().generate_key(&Cryptoki::AesKeyGen, &template).unwrap();
}

/// As documented in `objects.rs`.
fn object_id_of_gcm(label: &str) -> Vec<u8> {
    let hash = Sha256::new().chain_update(b"claviger/hsm/object-id\0").chain_update(label);
    hash.finalize()[..16].to_vec()
}

#[test]
fn every_object_of_a_root_key_goes_whatever_it_wraps_by() {
    on_token(every_object_of_a_root_key_goes_whatever_it_wraps_by, |token| {
        for (mechanism, parts) in [
            (Mechanism::AesGcm, 1),
            (Mechanism::AesKw, 1),
            (Mechanism::AesCbcHmac, 2),
            (Mechanism::RsaOaepSha1, 1),
        ] {
            let mut config = token.config();
            config.wrap = Some(mechanism);
            let hsm = claviger_hsm::Pkcs11Hsm::open(config).unwrap();
            hsm.create_root_key(&root_id()).unwrap();
            let wrapped = hsm.wrap(&root_id(), &key(), b"").unwrap();
            assert_eq!(objects(token), parts, "{mechanism:?}");
            hsm.destroy_root_key(&root_id()).unwrap();
            assert_eq!(objects(token), 0, "{mechanism:?}");
            // Another key of the same name opens nothing of the old one's.
            hsm.create_root_key(&root_id()).unwrap();
            assert_eq!(hsm.unwrap(&wrapped, b""), Err(HsmError::Authentication), "{mechanism:?}");
            hsm.destroy_root_key(&root_id()).unwrap();
        }
        // By a process that has never used it.
        with_root(token);
        token.open().destroy_root_key(&root_id()).unwrap();
        assert_eq!(objects(token), 0);
    });
}

#[test]
fn what_is_half_made_or_doubled_goes_too() {
    on_token(what_is_half_made_or_doubled_goes_too, |token| {
        let hsm = token.open();
        let id = root_id();
        // Its name and no CKA_ID yet; a second key; the name lost; the second part of a pair alone.
        planted(token, id.as_str(), None);
        planted(token, id.as_str(), Some(object_id_of_gcm(id.as_str())));
        planted(token, "lost", Some(object_id_of_gcm(id.as_str())));
        planted(token, &format!("{id}+mac"), None);
        let checked = hsm.check_root_key(&id);
        assert!(matches!(checked, Err(HsmError::DuplicateKey { .. })), "{checked:?}");
        hsm.destroy_root_key(&id).unwrap();
        assert_eq!(objects(token), 0);
        hsm.create_root_key(&id).unwrap();
    });
}

/// Who can make objects must not have others destroyed by a name.
#[test]
fn what_is_anothers_stays() {
    on_token(what_is_anothers_stays, |token| {
        let (hsm, _) = with_root(token);
        let resident = ResidentId::new("claviger/test/key/k/1");
        hsm.resident().unwrap().generate(&resident, ResidentSpec::Aes256).unwrap();
        let beside = RootKeyId::new(format!("{}0", root_id()));
        hsm.create_root_key(&beside).unwrap();
        planted(token, root_id().as_str(), Some(b"their own".to_vec()));
        assert_eq!(objects(token), 4);
        // Ours goes; that another has its name is said, again and again.
        for _ in 0..2 {
            let left = hsm.destroy_root_key(&root_id()).unwrap_err();
            assert!(matches!(left, HsmError::Refused(_)), "{left:?}");
            assert_says(&left, &[root_id().as_str(), "1 objects", "CKA_ID", "vendor's tool"]);
            assert_eq!(objects(token), 3);
        }
        // A resident key's name is no way to it, nor is the name of a part.
        assert!(hsm.destroy_root_key(&RootKeyId::new(resident.as_str())).is_err());
        hsm.resident().unwrap().check(&resident, None).unwrap();
        hsm.check_root_key(&beside).unwrap();
        let part = hsm.create_root_key(&RootKeyId::new(format!("{beside}+mac")));
        assert!(matches!(part, Err(HsmError::Refused(_))), "{part:?}");
    });
}

/// Whose an object is that cannot be read nobody knows, so it is not destroyed.
#[test]
fn what_cannot_be_read_just_now_stays() {
    on_shim(what_cannot_be_read_just_now_stays, |token| {
        let (hsm, _) = with_root(token);
        planted(token, root_id().as_str(), Some(b"their own".to_vec()));
        for code in ["0x30", "0x6", "0x2"] {
            token.rules(&format!("C_GetAttributeValue * return {code}"));
            hsm.destroy_root_key(&root_id()).unwrap_err();
            token.rules("");
            assert_eq!(objects(token), 2, "{code}");
        }
        hsm.destroy_root_key(&root_id()).unwrap_err();
        assert_eq!(objects(token), 1);
    });
}

#[test]
fn a_token_that_only_says_that_it_destroyed_is_found_out() {
    on_shim(a_token_that_only_says_that_it_destroyed_is_found_out, |token| {
        let (hsm, wrapped) = with_root(token);
        token.rules("C_DestroyObject * return 0");
        let error = hsm.destroy_root_key(&root_id()).unwrap_err();
        assert_says(&error, &[root_id().as_str(), "1 of its objects are still in the token"]);
        // CKR_ACTION_PROHIBITED: a key with CKA_DESTROYABLE=false.
        token.rules("C_DestroyObject * return 0x1b");
        let error = hsm.destroy_root_key(&root_id()).unwrap_err();
        assert_says(&error, &["still in the token", "C_DestroyObject answered ActionProhibited"]);
        token.rules("");
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
        hsm.destroy_root_key(&root_id()).unwrap();
        assert_eq!(objects(token), 0);
    });
}

/// To a session that was logged out no private object is there: that is not a key destroyed.
#[test]
fn a_lost_login_is_not_taken_for_a_destroyed_key() {
    on_shim(a_lost_login_is_not_taken_for_a_destroyed_key, |token| {
        for fault in [
            "C_FindObjectsInit 1 lose login",
            "C_FindObjectsInit 1 lose sessions",
            "C_FindObjectsInit 1 lose finalize",
            "C_FindObjectsInit 10- lose login",
            "C_FindObjects 1 return 0x30",
            "C_OpenSession 1 return 0xb1",
        ] {
            let (hsm, _) = with_root(token);
            token.rules(fault);
            let destroyed = hsm.destroy_root_key(&root_id());
            token.rules("");
            match destroyed {
                Ok(()) => assert_eq!(objects(token), 0, "{fault}"),
                Err(error) => assert!(!error.to_string().is_empty(), "{fault}"),
            }
            super::support::wait_until(std::time::Duration::from_secs(5), || {
                hsm.destroy_root_key(&root_id()) == Ok(())
            });
            assert_eq!(objects(token), 0, "{fault}");
        }
        assert!(restarts(&token.module) > 0);
    });
}
