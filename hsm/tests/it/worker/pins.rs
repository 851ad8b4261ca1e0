//! A wrong PIN costs one attempt, whatever the module does over it and however often the device is
//! opened.

use super::support::{helper, root, unavailable};
use crate::token::support::{PIN, TestToken, on_shim};
use claviger_hsm::pkcs11::PinSource;
use claviger_hsm::worker::{OpenRequest, PinRule};
use claviger_hsm::{HelperConfig, HelperHsm, Hsm, HsmError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

/// A helper that counts its starts, and a PIN file.
struct Counted {
    config: HelperConfig,
    starts: PathBuf,
    pin: PathBuf,
    rule: Arc<PinRule>,
}

impl Counted {
    fn new(token: &TestToken) -> Self {
        let mut config = helper();
        let (starts, pin) = (token.dir.join("starts"), token.dir.join("pin"));
        let program = config.program.display().to_string();
        let script = format!("echo start >> {}; exec {program}", starts.display());
        config.program = "/bin/sh".into();
        config.args = vec!["-c".into(), script.into()];
        Self { config, starts, pin, rule: Arc::new(PinRule::new().unwrap()) }
    }

    fn write_pin(&self, text: &str) {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&self.pin).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    }

    /// As whoever looks now and then whether the device is there.
    fn open(&self, token: &TestToken) -> Result<HelperHsm, HsmError> {
        let mut device = token.config();
        device.pin = PinSource::File(self.pin.clone());
        let device = OpenRequest::Pkcs11(device);
        HelperHsm::start_by(self.config.clone(), device, Arc::clone(&self.rule))
    }

    fn started(&self) -> usize {
        std::fs::read_to_string(&self.starts).unwrap().lines().count()
    }
}

#[test]
fn a_module_that_crashes_over_a_wrong_pin_gets_it_once() {
    on_shim(a_module_that_crashes_over_a_wrong_pin_gets_it_once, |token| {
        let counted = Counted::new(token);
        counted.write_pin("wrong-horse-7");
        token.rules("C_Login * abort");
        unavailable(counted.open(token), "ended by signal 6");
        for _ in 0..20 {
            let error = counted.open(token).unwrap_err();
            assert!(matches!(error, HsmError::PinNotTried { .. }), "{error:?}");
            assert!(error.to_string().contains("tried before and not accepted"), "{error}");
            assert!(!error.to_string().contains("wrong-horse"), "{error}");
        }
        assert_eq!(counted.started(), 1, "a helper was started with it again");
        // The operator puts the right one there; the module has no quarrel with it.
        counted.write_pin(PIN);
        token.rules("");
        let hsm = counted.open(token).unwrap();
        hsm.create_root_key(&root()).unwrap();
        drop(hsm);
        // One that was accepted once may be tried again after a crash.
        token.rules("C_Login * abort");
        unavailable(counted.open(token), "ended by signal 6");
        token.rules("");
        counted.open(token).unwrap().check_root_key(&root()).unwrap();
    });
}

#[test]
fn a_module_that_hangs_over_a_wrong_pin_gets_it_once() {
    on_shim(a_module_that_hangs_over_a_wrong_pin_gets_it_once, |token| {
        let mut counted = Counted::new(token);
        counted.config.start_deadline = std::time::Duration::from_millis(1500);
        counted.write_pin("wrong-horse-7");
        token.rules("C_Login * hang");
        unavailable(counted.open(token), "was killed");
        let error = counted.open(token).unwrap_err();
        assert!(matches!(error, HsmError::PinNotTried { .. }), "{error:?}");
        assert_eq!(counted.started(), 1);
    });
}

/// A refusal is remembered as well by who opens the device anew.
#[test]
fn a_refused_pin_is_not_tried_by_who_opens_the_device_anew() {
    on_shim(a_refused_pin_is_not_tried_by_who_opens_the_device_anew, |token| {
        let counted = Counted::new(token);
        counted.write_pin("wrong-horse-7");
        for _ in 0..5 {
            let error = counted.open(token).unwrap_err();
            assert!(matches!(error, HsmError::WrongPin { .. }), "{error:?}");
        }
        assert_eq!((counted.started(), token.calls("C_Login")), (1, 1 + INIT_LOGINS));
        counted.write_pin(PIN);
        counted.open(token).unwrap();
    });
}

/// C_Login of the security officer, while the token was made.
const INIT_LOGINS: usize = 1;

/// A device that is away before it comes to the PIN says nothing about the PIN.
#[test]
fn a_helper_that_ends_before_the_login_is_not_held_against_the_pin() {
    on_shim(a_helper_that_ends_before_the_login_is_not_held_against_the_pin, |token| {
        let counted = Counted::new(token);
        counted.write_pin(PIN);
        for function in ["C_Initialize", "C_GetSlotList", "C_OpenSession"] {
            token.rules(&format!("{function} * abort"));
            unavailable(counted.open(token), "ended by signal 6");
        }
        token.rules("");
        counted.open(token).unwrap().create_root_key(&root()).unwrap();
    });
}
