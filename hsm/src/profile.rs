//! What is known of vendors' PKCS#11 modules, as data: `profiles.toml`.
//!
//! A profile says what to try first and what an operator should know. It never replaces a test:
//! how a token wraps is what it has shown in [`negotiate`](crate::pkcs11).

use crate::{HsmError, Mechanism};
use serde::{Deserialize, Serialize};
use std::path::Path;

const TEXT: &str = include_str!("../profiles.toml");

/// One vendor's module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// How a configuration names it.
    pub name: String,
    /// For people.
    pub vendor: String,
    /// What its library's file name begins with, in lower case.
    #[serde(default)]
    pub modules: Vec<String>,
    /// What the token's manufacturer begins with (CK_TOKEN_INFO.manufacturerID), in lower case.
    #[serde(default)]
    pub manufacturers: Vec<String>,
    /// What the token's model begins with, in lower case; any model if empty.
    #[serde(default)]
    pub models: Vec<String>,
    /// How root keys may wrap, best first. The first that the token can do is taken.
    pub wraps: Vec<Mechanism>,
    /// Who chooses the IV of CKM_AES_GCM: tried first.
    pub gcm_iv: GcmIv,
    /// Whether a template for C_UnwrapKey has CKA_VALUE_LEN: tried first. Some tokens refuse it
    /// (SoftHSM 2.6), others refuse a template without.
    #[serde(default)]
    pub unwrap_value_len: bool,
    /// Whether token objects can have CKA_ALLOWED_MECHANISMS and CKA_COPYABLE. A token that says
    /// no to them in so many words is asked again without; NSS says CKR_GENERAL_ERROR.
    #[serde(default = "yes")]
    pub young_attributes: bool,
    /// Whether the token has read-only sessions.
    #[serde(default = "yes")]
    pub read_only_sessions: bool,
    /// Whether the token has session objects: keys that are gone with their session. Where it has
    /// not, every probe writes into the token, and keys are not imported for wrapping.
    #[serde(default = "yes")]
    pub session_objects: bool,
    /// What a PIN looks like, for the operator.
    pub pin_form: String,
    /// What C_Initialize must be given in pReserved, for the operator to complete; for NSS.
    pub parameters: Option<String>,
    /// Whether the module should run in a process of its own. False only for what this project's tests run.
    #[serde(default = "yes")]
    pub helper: bool,
    /// Whether it is known to be software: its keys can be copied with its files.
    pub software: bool,
    /// Where these facts are from.
    pub source: Source,
    /// What else an operator should know.
    pub notes: Option<String>,
}

/// Who chooses the IV of CKM_AES_GCM (PKCS#11 v3.1, 6.13.4, leaves it open).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GcmIv {
    /// We do; the token takes it as it is.
    Caller,
    /// The token does; it wants 12 bytes of zeros and writes the IV there.
    ZeroWrittenBack,
    /// The token does; it wants none and appends the IV to ciphertext and tag.
    Appended,
}

impl GcmIv {
    pub(crate) const ALL: [Self; 3] = [Self::Caller, Self::ZeroWrittenBack, Self::Appended];
}

/// Where what a profile says is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The module was run and measured.
    Run,
    /// The vendor's documents; nobody has tried.
    Documentation,
}

fn yes() -> bool {
    true
}

impl Profile {
    /// The profile of a token: by what it says of itself, else by its library, else "generic".
    pub fn recognise(module: &Path, manufacturer: &str, model: &str) -> Result<Self, HsmError> {
        let file = module.file_name().map(|name| name.to_string_lossy().to_lowercase());
        let (manufacturer, model) = (manufacturer.to_lowercase(), model.to_lowercase());
        let mut all = Self::all()?;
        let of_token = |profile: &Self| {
            begins(&manufacturer, &profile.manufacturers)
                && (profile.models.is_empty() || begins(&model, &profile.models))
        };
        let of_file =
            |profile: &Self| file.as_ref().is_some_and(|file| begins(file, &profile.modules));
        let known = all.iter().position(of_token).or_else(|| all.iter().position(of_file));
        let generic = all.len().checked_sub(1);
        let Some(found) = known.or(generic) else {
            return Err(HsmError::Refused("profiles.toml: no profile".into()));
        };
        Ok(all.swap_remove(found))
    }

    /// The profile of a module before any token of it is known.
    pub fn of_module(module: &Path) -> Result<Self, HsmError> {
        Self::recognise(module, "", "")
    }

    /// The profile with this name.
    pub fn named(name: &str) -> Result<Self, HsmError> {
        let all = Self::all()?;
        let names: Vec<&str> = all.iter().map(|profile| profile.name.as_str()).collect();
        let names = names.join(", ");
        all.into_iter()
            .find(|profile| profile.name == name)
            .ok_or_else(|| HsmError::Refused(format!("profile {name:?}: wanted one of {names}")))
    }

    /// Every profile, in the order of the file.
    pub fn all() -> Result<Vec<Self>, HsmError> {
        parse(TEXT)
    }
}

fn begins(name: &str, any_of: &[String]) -> bool {
    any_of.iter().any(|beginning| name.starts_with(beginning.as_str()))
}

fn parse(text: &str) -> Result<Vec<Profile>, HsmError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        profile: Vec<Profile>,
    }
    let file: File =
        toml::from_str(text).map_err(|e| HsmError::Refused(format!("profiles.toml: {e}")))?;
    Ok(file.profile)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn all_are_well_formed() {
        let all = Profile::all().unwrap();
        let names: BTreeSet<&str> = all.iter().map(|profile| profile.name.as_str()).collect();
        assert_eq!(names.len(), all.len(), "two have one name");
        for profile in &all {
            let name = &profile.name;
            assert!(!profile.wraps.is_empty() && !profile.wraps.contains(&Mechanism::TpmSeal));
            let wraps: BTreeSet<&Mechanism> = profile.wraps.iter().collect();
            assert_eq!(wraps.len(), profile.wraps.len(), "{name}: one wrap twice");
            // Best first, whatever is left out.
            assert!(profile.wraps.is_sorted(), "{name}: {:?}", profile.wraps);
            let lists = [&profile.modules, &profile.manufacturers, &profile.models];
            for entry in lists.into_iter().flatten() {
                assert!(entry.len() > 3 && *entry == entry.to_lowercase(), "{name}: {entry:?}");
            }
            assert!(profile.pin_form.len() > 3 && profile.vendor.len() > 3, "{name}");
            // KW and KWP wrap a key that was imported for a moment.
            let imports =
                profile.wraps.iter().any(|w| [Mechanism::AesKw, Mechanism::AesKwp].contains(w));
            assert!(profile.session_objects || !imports, "{name}");
            // Nobody's library runs inside the server before somebody has run it.
            assert!(profile.helper || profile.source == Source::Run, "{name}");
        }
        let generic = all.last().unwrap();
        assert_eq!(generic.name, "generic");
        assert!(generic.helper && generic.modules.is_empty() && generic.manufacturers.is_empty());
    }

    #[test]
    fn each_is_recognised_by_its_module_and_by_its_token() {
        for profile in Profile::all().unwrap() {
            for module in &profile.modules {
                let path = format!("/usr/lib/{module}.so.1");
                let found = Profile::recognise(Path::new(&path), "somebody", "something").unwrap();
                assert_eq!(found.name, profile.name, "{module}");
            }
            for manufacturer in &profile.manufacturers {
                let loud = manufacturer.to_uppercase();
                let found = Profile::recognise(Path::new("/p11-kit-proxy.so"), &loud, "x").unwrap();
                assert_eq!(found.name, profile.name, "{manufacturer}");
            }
            assert_eq!(Profile::named(&profile.name), Ok(profile));
        }
    }

    #[test]
    fn what_tokens_really_say_is_recognised() {
        for (module, manufacturer, model, name) in [
            ("/usr/lib/softhsm/libsofthsm2.so", "SoftHSM project", "SoftHSM v2", "softhsm"),
            ("/x/libsoftokn3.so", "Mozilla Foundation", "NSS 3", "nss"),
            ("/x/libopencryptoki.so.0", "IBM", "Soft", "opencryptoki"),
            // A swtpm calls itself IBM too.
            ("/x/libtpm2_pkcs11.so.1", "IBM", "SW   TPM", "tpm2-pkcs11"),
            ("/x/opensc-pkcs11.so", "www.CardContact.de", "PKCS#15 emulated", "smartcard-hsm"),
            ("/x/opensc-pkcs11.so", "Swissbit", "iShield", "generic"),
            ("/x/libclaviger_pkcs11_shim.so", "SoftHSM project", "SoftHSM v2", "softhsm"),
            ("", "", "", "generic"),
        ] {
            let found = Profile::recognise(Path::new(module), manufacturer, model).unwrap();
            assert_eq!(found.name, name, "{module} {manufacturer}");
        }
        // A token's own words weigh more than the name of a file.
        let found = Profile::recognise(Path::new("/x/libsofthsm2.so"), "Yubico", "YubiHSM");
        assert_eq!(found.unwrap().name, "yubihsm2");
    }

    #[test]
    fn a_file_with_a_mistake_is_refused_and_an_unknown_name_says_the_known_ones() {
        let one = TEXT.split("[[profile]]").nth(1).unwrap();
        let good = format!("[[profile]]{one}");
        assert!(parse(&good).is_ok());
        for (from, to) in [("helper", "hleper"), ("aes-gcm", "aes-ecb"), ("\"run\"", "\"heard\"")] {
            assert!(parse(&good.replace(from, to)).is_err(), "{to}");
        }
        let error = Profile::named("lunar").unwrap_err().to_string();
        assert!(error.contains("lunar") && error.contains("luna,"), "{error}");
    }
}
