//! Several processes at one token, and processes that are started beside an open module: nobody
//! takes anything from another.

use super::recovery::{key, with_root};
use super::support::{TestToken, logins, on_token, root_id};
use crate::worker::support::helper;
use claviger_hsm::pkcs11::restarts;
use claviger_hsm::worker::OpenRequest;
use claviger_hsm::{HelperHsm, Hsm, HsmError, RootKeyId};
use cryptoki::object::Attribute;
use std::process::Command;

fn process(token: &TestToken) -> HelperHsm {
    HelperHsm::start(helper(), OpenRequest::Pkcs11(token.config())).unwrap()
}

#[test]
fn two_processes_share_a_token() {
    on_token(two_processes_share_a_token, |token| {
        let (one, two) = (process(token), process(token));
        assert_ne!(one.status().pid, two.status().pid);
        one.create_root_key(&root_id()).unwrap();
        // What one makes the other sees, without a new login.
        let wrapped = two.wrap(&root_id(), &key(), b"two").unwrap();
        std::thread::scope(|scope| {
            for hsm in [&one, &two] {
                scope.spawn(|| {
                    for _ in 0..200 {
                        assert_eq!(hsm.unwrap(&wrapped, b"two"), Ok(key()));
                    }
                });
            }
        });
        // One ends; the other stays logged in.
        drop(one);
        assert_eq!(two.unwrap(&wrapped, b"two"), Ok(key()));
        // What one destroys is gone for the other, though it has used it a moment ago.
        process(token).destroy_root_key(&root_id()).unwrap();
        let gone = two.unwrap(&wrapped, b"two");
        assert!(matches!(gone, Err(HsmError::NoSuchKey { .. })), "{gone:?}");
    });
}

/// PKCS#11 has no "make it if it is not there": both may find the name free. Who finds two destroys
/// his own. SoftHSM shows one process what another has made a moment later, so that both may be told
/// yes; then the two are found by the next who looks, and neither is used.
#[test]
fn of_two_keys_of_one_name_neither_is_used() {
    on_token(of_two_keys_of_one_name_neither_is_used, |token| {
        let (one, two) = (process(token), process(token));
        let mut made = [0; 3];
        for round in 0..12 {
            let id = RootKeyId::new(format!("claviger/test/rk-d/raced-{round}"));
            let both = std::thread::scope(|scope| {
                let calls = [&one, &two].map(|hsm| scope.spawn(|| hsm.create_root_key(&id)));
                calls.map(|call| call.join().unwrap())
            });
            let label = [Attribute::Label(id.as_str().into())];
            let found = token.raw_session().find_objects(&label).unwrap().len();
            let won = both.iter().filter(|result| result.is_ok()).count();
            assert_eq!(found, won, "{both:?}");
            for result in &both {
                let is_known = matches!(
                    result,
                    Ok(()) | Err(HsmError::KeyExists(_) | HsmError::DuplicateKey { .. })
                );
                // Or the other one took its key away just while this one looked at it.
                let is_known = is_known
                    || *result
                        == Err(HsmError::Unavailable(
                            "C_GetAttributeValue answered ObjectHandleInvalid".into(),
                        ));
                assert!(is_known, "{result:?}");
            }
            let next = process(token);
            let checked = next.check_root_key(&id);
            match won {
                0 => assert!(matches!(checked, Err(HsmError::NoSuchKey { .. })), "{checked:?}"),
                1 => {
                    let wrapped = one.wrap(&id, &key(), b"").unwrap();
                    assert_eq!(two.unwrap(&wrapped, b""), Ok(key()));
                }
                _ => assert_eq!(checked, Err(HsmError::DuplicateKey { id: id.clone(), count: 2 })),
            }
            next.destroy_root_key(&id).unwrap();
            assert_eq!(token.raw_session().find_objects(&label).unwrap().len(), 0);
            made[won] += 1;
        }
        println!("none, one and two keys were left so often: {made:?}");
    });
}

/// Between fork and exec a child has the module's memory and our sessions; nothing of it is used.
#[test]
fn processes_started_beside_an_open_module_do_it_no_harm() {
    on_token(processes_started_beside_an_open_module_do_it_no_harm, |token| {
        let (hsm, wrapped) = with_root(token);
        std::thread::scope(|scope| {
            let calls = [(); 3].map(|()| {
                scope.spawn(|| {
                    for _ in 0..150 {
                        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
                    }
                })
            });
            for _ in 0..40 {
                assert!(Command::new("true").status().unwrap().success());
            }
            // One that logs in and out itself, and finalises its module.
            drop(process(token));
            calls.into_iter().for_each(|call| call.join().unwrap());
        });
        assert_eq!(hsm.unwrap(&wrapped, b""), Ok(key()));
        assert_eq!((logins(&token.module), restarts(&token.module)), (1, 0));
    });
}
