//! Objects under the name of a resident key that are none of ours, half made, doubled or weak.

use super::super::support::{TestToken, assert_says, on_shim, on_token, root_id, wait_until};
use super::{ONE_OF_EACH, id, id_of, keys, object_id, objects, text, use_once};
use claviger_hsm::{Hsm, HsmError, KeyBytes, ResidentId, ResidentSpec};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, ObjectHandle};
use std::time::Duration;

/// An AES key of somebody who has the PIN, made as he likes.
fn planted(token: &TestToken, id: &ResidentId, more: &[Attribute]) -> ObjectHandle {
    let mut template = vec![
        Attribute::ValueLen(32.into()),
        Attribute::Token(true),
        Attribute::Label(id.as_str().into()),
    ];
    template.extend_from_slice(more);
    token.raw_session().generate_key(&Mechanism::AesKeyGen, &template).unwrap()
}

#[test]
fn a_weak_key_is_refused_and_listed_and_destroyed() {
    on_token(a_weak_key_is_refused_and_listed_and_destroyed, |token| {
        let (hsm, id) = (token.open(), id("weak"));
        planted(
            token,
            &id,
            &[
                Attribute::Id(object_id(&id)),
                Attribute::Extractable(true),
                Attribute::Sensitive(false),
                Attribute::Wrap(true),
            ],
        );
        let sealed = keys(&hsm).encrypt(&id, &text(), b"");
        let Err(error @ HsmError::BadResidentKey { .. }) = sealed else { panic!("{sealed:?}") };
        assert_says(
            &error,
            &[
                id.as_str(),
                "CKA_EXTRACTABLE wanted false, found true",
                "CKA_SENSITIVE wanted true, found false",
                "CKA_WRAP wanted false, found true",
            ],
        );
        let made = keys(&hsm).generate(&id, ResidentSpec::Aes256);
        assert_eq!(made, Err(HsmError::ResidentKeyExists { id: id.clone(), found: 1 }));
        let sound = super::id("sound");
        keys(&hsm).generate(&sound, ResidentSpec::Aes256).unwrap();
        assert_eq!(keys(&hsm).resident_keys().unwrap(), [sound.clone(), id.clone()]);
        let broken = keys(&hsm).broken().unwrap();
        assert_eq!(broken.len(), 1);
        assert_eq!(broken[0].id, id);
        assert!(broken[0].reason.contains("CKA_EXTRACTABLE"), "{broken:?}");
        keys(&hsm).destroy(&id).unwrap();
        assert_eq!(keys(&hsm).resident_keys().unwrap(), [sound]);
        assert_eq!(keys(&hsm).broken().unwrap(), []);
    });
}

#[test]
fn two_objects_of_one_key_are_refused_and_both_destroyed() {
    on_token(two_objects_of_one_key_are_refused_and_both_destroyed, |token| {
        let (hsm, id) = (token.open(), id("two"));
        keys(&hsm).generate(&id, ResidentSpec::Aes256).unwrap();
        planted(token, &id, &[Attribute::Id(object_id(&id))]);
        // The one that was found before is still the one; who looks anew finds two.
        let checked = keys(&hsm).check(&id, None);
        assert_eq!(checked, Err(HsmError::DuplicateResidentKey { id: id.clone(), count: 2 }));
        let sealed = keys(&token.open()).encrypt(&id, &text(), b"");
        assert_eq!(sealed, Err(HsmError::DuplicateResidentKey { id: id.clone(), count: 2 }));
        assert!(keys(&hsm).broken().unwrap()[0].reason.contains("found 2"));
        keys(&hsm).destroy(&id).unwrap();
        assert_eq!(objects(&token.raw_session(), &id), []);
    });
}

#[test]
fn what_is_half_made_is_in_the_way_and_can_be_destroyed() {
    on_token(what_is_half_made_is_in_the_way_and_can_be_destroyed, |token| {
        let (hsm, id) = (token.open(), id("half"));
        // Without its CKA_ID yet.
        planted(token, &id, &[]);
        let found = keys(&hsm).check(&id, None);
        assert_eq!(found, Err(HsmError::NoSuchResidentKey { wanted: id.clone(), found: 1 }));
        let made = keys(&hsm).generate(&id, ResidentSpec::Aes256);
        assert_eq!(made, Err(HsmError::ResidentKeyExists { id: id.clone(), found: 1 }));
        keys(&hsm).destroy(&id).unwrap();
        keys(&hsm).generate(&id, ResidentSpec::Aes256).unwrap();
        // The label lost, the CKA_ID there.
        let lost = super::id("lost");
        let label = ResidentId::new("another-label");
        planted(token, &label, &[Attribute::Id(object_id(&lost))]);
        assert!(keys(&hsm).generate(&lost, ResidentSpec::Aes256).is_err());
        keys(&hsm).destroy(&lost).unwrap();
        assert_eq!(objects(&token.raw_session(), &label), []);
    });
}

/// Who can make objects must not have others destroyed by a name.
#[test]
fn what_is_anothers_is_neither_used_nor_destroyed() {
    on_token(what_is_anothers_is_neither_used_nor_destroyed, |token| {
        let (hsm, id) = (token.open(), id("theirs"));
        planted(token, &id, &[Attribute::Id(b"their own".to_vec())]);
        let found = keys(&hsm).encrypt(&id, &text(), b"");
        assert_eq!(found, Err(HsmError::NoSuchResidentKey { wanted: id.clone(), found: 1 }));
        keys(&hsm).destroy(&id).unwrap();
        assert_eq!(objects(&token.raw_session(), &id).len(), 1);
        assert_eq!(keys(&hsm).resident_keys().unwrap(), []);
        // A root key's name is no way to it.
        hsm.create_root_key(&root_id()).unwrap();
        let root = ResidentId::new(root_id().as_str());
        let found = keys(&hsm).encrypt(&root, &text(), b"");
        assert!(matches!(found, Err(HsmError::NoSuchResidentKey { .. })), "{found:?}");
        keys(&hsm).destroy(&root).unwrap();
        hsm.check_root_key(&root_id()).unwrap();
        let made = keys(&hsm).generate(&root, ResidentSpec::Aes256);
        assert!(matches!(made, Err(HsmError::ResidentKeyExists { .. })), "{made:?}");
        // Nor is a resident key a root key, even one that could serve as such.
        let resident = super::id("resident");
        keys(&hsm).generate(&resident, ResidentSpec::Aes256).unwrap();
        assert_eq!(hsm.root_keys().unwrap(), [root_id()]);
    });
}

/// By the book but for the mechanisms that it serves: AES-ECB opens GCM byte by byte.
#[test]
fn a_key_that_serves_more_than_its_mechanism_is_refused() {
    on_token(a_key_that_serves_more_than_its_mechanism_is_refused, |token| {
        let (hsm, id) = (token.open(), id("serves"));
        let mut by_the_book = vec![
            Attribute::Id(object_id(&id)),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Modifiable(false),
            Attribute::Copyable(false),
            Attribute::Encrypt(true),
            Attribute::Decrypt(true),
            Attribute::Wrap(false),
            Attribute::Unwrap(false),
            Attribute::Sign(false),
            Attribute::Verify(false),
            Attribute::Derive(false),
        ];
        let good = planted(token, &id, &by_the_book);
        use_once(keys(&hsm), &id, ResidentSpec::Aes256, &None).unwrap();
        token.raw_session().destroy_object(good).unwrap();
        let allowed = vec![MechanismType::AES_GCM, MechanismType::AES_ECB];
        by_the_book.push(Attribute::AllowedMechanisms(allowed));
        planted(token, &id, &by_the_book);
        let error = keys(&token.open()).encrypt(&id, &text(), b"").unwrap_err();
        let found = "CKA_ALLOWED_MECHANISMS wanted CKM_AES_GCM, found CKM_AES_ECB CKM_AES_GCM";
        assert_says(&error, &[found]);
    });
}

#[test]
fn the_name_of_a_trial_is_no_name_of_a_key() {
    on_token(the_name_of_a_trial_is_no_name_of_a_key, |token| {
        let id = ResidentId::new("claviger/hsm/trial/1");
        let made = keys(&token.open()).generate(&id, ResidentSpec::Aes256);
        assert!(matches!(made, Err(HsmError::Refused(_))), "{made:?}");
    });
}

/// The process ends after the token has made the key and before it was checked.
#[test]
fn a_key_that_could_not_be_checked_is_found_and_swept() {
    on_shim(a_key_that_could_not_be_checked_is_found_and_swept, |token| {
        let hsm = token.open();
        keys(&hsm).specs();
        for spec in ONE_OF_EACH {
            // Nothing works once the object is there, so that it cannot be destroyed either.
            let function = if spec.is_pair() { "C_GenerateKeyPair" } else { "C_GenerateKey" };
            keys(&hsm).generate(&id("warm-up"), spec).unwrap();
            keys(&hsm).destroy(&id("warm-up")).unwrap();
            token.rules(&format!(
                "{function} 1 after 0x30\nC_DestroyObject * return 0x30\n\
                 C_FindObjects 4- return 0x30"
            ));
            let made = keys(&hsm).generate(&id_of(spec), spec);
            assert!(made.is_err(), "{spec}: {made:?}");
            token.rules("");
            wait_until(Duration::from_secs(5), || hsm.probe().is_ok());
            assert!(keys(&hsm).resident_keys().unwrap().contains(&id_of(spec)), "{spec}");
            keys(&hsm).destroy(&id_of(spec)).unwrap();
            assert!(objects(&token.raw_session(), &id_of(spec)).is_empty(), "{spec}");
            keys(&hsm).generate(&id_of(spec), spec).unwrap();
        }
    });
}

/// SoftHSM does not sync its files.
#[test]
fn a_half_written_object_is_never_a_key() {
    on_token(a_half_written_object_is_never_a_key, |token| {
        let hsm = token.open();
        keys(&hsm).generate(&id("sound"), ResidentSpec::Aes256).unwrap();
        let tokens = token.dir.join("tokens");
        let dir = std::fs::read_dir(tokens).unwrap().next().unwrap().unwrap().path();
        let files = || -> Vec<_> {
            let all = std::fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path());
            all.filter(|path| path.extension().is_some_and(|end| end == "object")).collect()
        };
        let before = files();
        keys(&hsm).generate(&id("cut"), ResidentSpec::Aes256).unwrap();
        let sealed = keys(&hsm).encrypt(&id("cut"), &text(), b"").unwrap();
        drop(hsm);
        claviger_hsm::pkcs11::finalize_modules();
        let new: Vec<_> = files().into_iter().filter(|path| !before.contains(path)).collect();
        let [cut] = &new[..] else { panic!("{new:?}") };
        let whole = std::fs::read(cut).unwrap();
        for len in (0..whole.len()).step_by(whole.len() / 12) {
            std::fs::write(cut, &whole[..len]).unwrap();
            let hsm = token.open();
            match keys(&hsm).decrypt(&id("cut"), &sealed, b"") {
                // Enough of it is there.
                Ok(opened) => assert_eq!(opened, text(), "of {len} bytes"),
                Err(error) => assert_ne!(error, HsmError::Authentication, "{len} bytes"),
            }
            // The others are not hidden by it.
            use_once(keys(&hsm), &id("sound"), ResidentSpec::Aes256, &None).unwrap();
            assert!(keys(&hsm).resident_keys().unwrap().contains(&id("sound")));
            keys(&hsm).broken().unwrap();
            drop(hsm);
            claviger_hsm::pkcs11::finalize_modules();
        }
        std::fs::write(cut, &whole).unwrap();
        let hsm = token.open();
        assert_eq!(keys(&hsm).decrypt(&id("cut"), &sealed, b""), Ok(text()));
    });
}

#[test]
fn nothing_secret_is_printed() {
    on_token(nothing_secret_is_printed, |token| {
        let hsm = token.open();
        keys(&hsm).generate(&id("k"), ResidentSpec::Aes256).unwrap();
        let plaintext = KeyBytes::new(b"attack at dawn".to_vec());
        keys(&hsm).encrypt(&id("k"), &plaintext, b"").unwrap();
        let printed = format!("{hsm:?} {plaintext:?}");
        assert!(!printed.contains("attack") && printed.contains("KeyBytes(..)"), "{printed}");
    });
}
