//! From a TPM's signature to its maker: certificates of endorsement keys, and the challenge that ties one
//! to the key that signs.
use super::{attest, check, good, offline, out};
use crate::roots::support::{Swtpm, root};
use crate::setup::Deployment;
use claviger::attest::{
    Bundle, Challenge, DomainKey, EndorsementError, Expected, Grade, HexBytes, Holds, Known,
    Refusal, Statement, Trust, Verdict, Words, challenge, verify,
};
use claviger_hsm::{Hsm, HsmError, RootKeyId, TpmConfig, TpmHsm};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, PublicKeyData, SignatureAlgorithm, date_time_ymd,
};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

const ROOT: &str = "claviger/test/rk-d/1";
/// In 2027.
const NOW: u64 = 1_800_000_000;

/// swtpm's own maker: an authority, one below it, and a certificate in the TPM.
fn manufacture(dir: &Path) {
    let ca = dir.join("ca");
    std::fs::create_dir(&ca).unwrap();
    let file = |name: &str, text: String| {
        std::fs::write(dir.join(name), text).unwrap();
        dir.join(name).display().to_string()
    };
    let path = |name: &str| ca.join(name).display().to_string();
    let config = file(
        "localca.conf",
        format!(
            "statedir = {}\nsigningkey = {}\nissuercert = {}\ncertserial = {}\n",
            ca.display(),
            path("signkey.pem"),
            path("issuercert.pem"),
            path("certserial")
        ),
    );
    let options = file(
        "localca.options",
        "--platform-manufacturer Ours --platform-version 1 --platform-model A".into(),
    );
    let tool = ["/usr/bin/swtpm_localca", "/usr/share/swtpm/swtpm-localca"];
    let tool = tool.into_iter().find(|path| Path::new(path).exists());
    let tool = tool.expect("swtpm_localca is not installed. Run softhsm-setup/install.sh swtpm");
    let setup = file(
        "setup.conf",
        format!(
            "create_certs_tool={tool}\ncreate_certs_tool_config={config}\n\
             create_certs_tool_options={options}\n"
        ),
    );
    let made = crate::harness::run({
        let mut command = Command::new("swtpm_setup");
        command.args(["--tpm2", "--create-ek-cert", "--overwrite", "--config", &setup]);
        command.arg("--tpmstate").arg(dir);
        command
    });
    assert!(made.status.success(), "{made:#?}");
}

#[test]
fn a_challenge_ties_the_signature_to_the_makers_certificate() {
    let mut deployment = Deployment::new(true);
    let swtpm = Swtpm::start_with(manufacture);
    deployment.more = swtpm.section("chip");
    deployment.write_config(&deployment.text(&deployment.data()));
    good(&root(&deployment, "add-wrap", &["chip"]));
    // The server has the TPM, and answers for it.
    let _process = deployment.serve();
    let file = |name: &str| deployment.dir.path().join(name).display().to_string();
    let authority = swtpm.file("ca/swtpm-localca-rootca-cert.pem").display().to_string();
    let below = swtpm.file("ca/issuercert.pem").display().to_string();
    let trust = ["--trust", &authority, "--intermediates", &below];
    let of_chip = ["--device", "chip"];
    good(&attest(&deployment, &["root"], &of_chip));
    let bundle = out(&deployment).display().to_string();
    let (asked, kept) = (file("challenge.json"), file("kept.json"));

    // A certificate alone ties nothing; without the one below there is no way, nor from another's.
    let checked = check(&deployment, &trust);
    good(&checked);
    assert!(checked.stdout.contains("nothing ties it to the attestation key"), "{checked:#?}");
    check(&deployment, &["--trust", &authority]).assert(1, &["no way leads from it"]);
    let stranger = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap().cert.pem();
    std::fs::write(file("stranger.pem"), stranger).unwrap();
    check(&deployment, &["--trust", &file("stranger.pem")]).assert(1, &["no way leads from it"]);
    check(&deployment, &["--trust", &bundle]).assert(1, &["bundle.json", "found none"]);
    check(&deployment, &["--intermediates", &below]).assert(2, &["--trust"]);

    let to = ["--out", &asked, "--keep", &kept];
    let words = [&["challenge", &bundle], &to[..]].concat();
    offline(&words).assert(1, &["no certificates were given"]);
    let made = offline(&[&words[..], &trust].concat());
    good(&made);
    let mode = std::fs::metadata(&kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // What is kept is not overwritten, and is not in the challenge.
    offline(&[&words[..], &trust].concat()).assert(1, &["kept.json", "exists"]);
    let expected = Expected::from_text(&std::fs::read_to_string(&kept).unwrap()).unwrap();
    let secret = hex::encode(&expected.nonce.0);
    assert!(!std::fs::read_to_string(&asked).unwrap().contains(&secret));

    good(&attest(&deployment, &["root"], &["--device", "chip", "--challenge", &asked]));
    let checked = check(&deployment, &[&trust[..], &["--kept", &kept, "--json"]].concat());
    good(&checked);
    let json: Value = serde_json::from_str(&checked.stdout).unwrap();
    // The maker says that it is software.
    assert_eq!(json["grade"], "software");
    let proven = json["devices"][0]["proven"].as_array().unwrap();
    let proven = |name: &str| &proven.iter().find(|claim| claim["name"] == name).unwrap()["value"];
    assert_eq!(
        (proven("TPM model"), proven("TPM manufacturer")),
        (&"swtpm".into(), &"id:00001014".into())
    );
    assert_eq!(json["said"]["nonce"], secret);
    // An older bundle is no answer, nor is a changed challenge answered.
    good(&attest(&deployment, &["root"], &of_chip));
    let old = check(&deployment, &[&trust[..], &["--kept", &kept]].concat());
    old.assert(1, &["made for another nonce"]);
    let changed = std::fs::read_to_string(&asked).unwrap();
    let mut changed = Challenge::from_text(&changed).unwrap();
    changed.credential.0[50] ^= 1;
    std::fs::write(&asked, serde_json::to_string(&changed).unwrap()).unwrap();
    attest(&deployment, &["root"], &["--challenge", &asked])
        .assert(1, &["the challenge is not for this TPM"]);
    changed.device = "pkcs11".into();
    std::fs::write(&asked, serde_json::to_string(&changed).unwrap()).unwrap();
    attest(&deployment, &["root"], &["--challenge", &asked]).assert(1, &["answering a challenge"]);
    std::fs::write(&asked, "{}").unwrap();
    attest(&deployment, &["root"], &["--challenge", &asked]).assert(1, &["not a challenge"]);
}

/// A maker of TPMs: a certificate that is trusted for one.
struct Maker(CertifiedIssuer<'static, KeyPair>);

/// RSAPublicKey.
struct Key(Vec<u8>);

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

impl Maker {
    fn new(until: i32) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(Self::params("Maker", until), key).unwrap())
    }

    /// An authority that this one certifies.
    fn below(&self, until: i32) -> Self {
        let (params, key) = (Self::params("Below", until), KeyPair::generate().unwrap());
        Self(CertifiedIssuer::signed_by(params, key, &self.0).unwrap())
    }

    fn params(name: &str, until: i32) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) =
            (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
        params
    }

    fn trust(&self, now: u64) -> Trust {
        Trust::from_pem(self.0.pem().as_bytes(), b"", now).unwrap()
    }

    /// A certificate of this endorsement key, in DER.
    fn certify(&self, key: &[u8], until: i32, purpose: &[u64]) -> Vec<u8> {
        let (_, key) = SubjectPublicKeyInfo::from_der(key).unwrap();
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) =
            (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
        if !purpose.is_empty() {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(purpose.to_vec())];
        }
        let key = Key(key.subject_public_key.data.to_vec());
        params.signed_by(&key, &self.0).unwrap().der().to_vec()
    }
}

const PURPOSE: [u64; 5] = [2, 23, 133, 8, 1];

/// A TPM that has a certificate of our making in it.
struct Chip {
    swtpm: Swtpm,
    hsm: TpmHsm,
    certificate: Vec<u8>,
}

fn endorsement_key(swtpm: &Swtpm) -> Vec<u8> {
    swtpm.tool("tpm2_createek", &["-G", "rsa", "-c", "ek.ctx", "-u", "ek.der", "-f", "der"]);
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    std::fs::read(swtpm.file("ek.der")).unwrap()
}

fn open(swtpm: &Swtpm) -> TpmHsm {
    let hsm = TpmHsm::open(TpmConfig::new(swtpm.tcti().parse().unwrap())).unwrap();
    hsm.create_root_key(&RootKeyId::new(ROOT)).unwrap();
    hsm
}

impl Chip {
    fn new(certificate: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        let swtpm = Swtpm::start();
        let certificate = certificate(&endorsement_key(&swtpm));
        std::fs::write(swtpm.file("certificate"), &certificate).unwrap();
        let len = certificate.len().to_string();
        let attributes = "ppwrite|ppread|ownerread|authread|no_da|platformcreate";
        let define = ["0x01c00002", "-C", "p", "-s", &len, "-a", attributes];
        swtpm.tool("tpm2_nvdefine", &define);
        swtpm.tool("tpm2_nvwrite", &["0x01c00002", "-C", "p", "-i", "certificate"]);
        let hsm = open(&swtpm);
        Self { swtpm, hsm, certificate }
    }

    /// The bundle's file, of a server that says that its TPM is no software.
    fn bundle(&self, nonce: &[u8]) -> Vec<u8> {
        bundle(&self.hsm, nonce, |_| ())
    }
}

fn bundle(hsm: &TpmHsm, nonce: &[u8], change: impl Fn(&mut Words)) -> Vec<u8> {
    let statement = Statement {
        cluster: HexBytes(vec![1; 16]),
        time: "2027-01-15T08:00:00Z".into(),
        nonce: HexBytes(nonce.to_vec()),
        program: "claviger".into(),
        key: None,
        domain_keys: Vec::<DomainKey>::new(),
    };
    let root = RootKeyId::new(ROOT);
    let mut info = hsm.info();
    info.hardware = true;
    let claims = hsm.root_key_claims(&root);
    let mut words = Words::of("chip", info, Holds::RootKey(ROOT.into()), claims);
    change(&mut words);
    let mut bundle = Bundle::of(statement, vec![words]).unwrap();
    bundle.sign(|_, root, nonce| hsm.certify_root_key(&RootKeyId::new(root), nonce)).unwrap();
    bundle.to_text().unwrap().into_bytes()
}

fn known(trust: &Trust, expected: Option<&Expected>) -> Known {
    Known { trust: Some(trust.clone()), expected: expected.cloned(), ..Known::default() }
}

/// Has the TPM answer a challenge for its bundle; the answer, and what the verifier kept.
fn converse(chip: &Chip, trust: &Trust) -> (Vec<u8>, Expected) {
    let first = chip.bundle(&[1; 16]);
    let (asked, expected) = challenge(&first, &known(trust, None), None, &[0x5e; 32]).unwrap();
    let opened = chip.hsm.answer_challenge(&asked.to_device()).unwrap();
    assert_eq!(opened.expose(), expected.nonce.0);
    (chip.bundle(opened.expose()), expected)
}

fn graded(bytes: &[u8], known: &Known) -> (Grade, Verdict) {
    let verdict = verify(bytes, known).unwrap();
    (verdict.grade, verdict)
}

fn endorsement(outcome: Result<Verdict, Refusal>) -> EndorsementError {
    match outcome {
        Err(Refusal::Endorsement(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn hardware_is_attested_by_its_maker_and_nothing_less() {
    let maker = Maker::new(2050);
    let chip = Chip::new(|key| maker.certify(key, 2040, &PURPOSE));
    let trust = maker.trust(NOW);
    let (answer, expected) = converse(&chip, &trust);
    let (grade, verdict) = graded(&answer, &known(&trust, Some(&expected)));
    assert_eq!(grade, Grade::HardwareAttested, "{verdict}");
    assert!(verdict.to_string().contains("EK certificate by       CN=Maker"), "{verdict}");

    // Less is known, less is proven.
    assert_eq!(graded(&answer, &known(&trust, None)).0, Grade::UnprovenKey);
    assert_eq!(graded(&answer, &Known::default()).0, Grade::UnprovenKey);
    let named =
        Known { attestation_keys: vec![expected.attestation_key.0.clone()], ..Known::default() };
    assert_eq!(graded(&answer, &named).0, Grade::KnownKey);

    // Another maker; later, and before; a certificate for something else.
    let other = Maker::new(2050);
    let refused = endorsement(verify(&answer, &known(&other.trust(NOW), Some(&expected))));
    assert_eq!(refused, EndorsementError::UnknownIssuer);
    let refused = endorsement(verify(&answer, &known(&maker.trust(2_300_000_000), None)));
    assert_eq!(refused, EndorsementError::Expired);
    let refused = endorsement(verify(&answer, &known(&maker.trust(1_000_000_000), None)));
    assert_eq!(refused, EndorsementError::NotYet);
    let below = maker.below(2021);
    let late = Chip::new(|key| below.certify(key, 2040, &PURPOSE));
    let way = Trust::from_pem(maker.0.pem().as_bytes(), below.0.pem().as_bytes(), NOW).unwrap();
    let refused = endorsement(verify(&late.bundle(&[1; 16]), &known(&way, None)));
    assert_eq!(refused, EndorsementError::Expired);
    // A server's, and one that does not say whose it is.
    for purpose in [&[1, 3, 6, 1, 5, 5, 7, 3, 1][..], &[]] {
        let other = Chip::new(|key| maker.certify(key, 2040, purpose));
        let refused = endorsement(verify(&other.bundle(&[1; 16]), &known(&trust, None)));
        assert_eq!(refused, EndorsementError::Purpose, "{purpose:?}");
    }

    // Another challenge's answer; an answer that another TPM signed.
    let mut wrong = expected.clone();
    wrong.attestation_key.0[10] ^= 1;
    let refused = verify(&answer, &known(&trust, Some(&wrong))).unwrap_err();
    assert!(matches!(refused, Refusal::OtherTpm), "{refused}");
    wrong = Expected { certificate: HexBytes(vec![0; 32]), ..expected.clone() };
    let refused = verify(&answer, &known(&trust, Some(&wrong))).unwrap_err();
    assert!(matches!(refused, Refusal::OtherTpm), "{refused}");
    let second = Chip::new(|key| maker.certify(key, 2040, &PURPOSE));
    let stolen = second.bundle(&expected.nonce.0);
    let refused = verify(&stolen, &known(&trust, Some(&expected))).unwrap_err();
    assert!(matches!(refused, Refusal::OtherTpm), "{refused}");
    drop(second.swtpm);
}

/// Who has a key of his own and somebody's good certificate is not that TPM.
#[test]
fn a_certificate_of_another_tpm_is_of_no_use() {
    let maker = Maker::new(2050);
    let trust = maker.trust(NOW);
    let honest = Chip::new(|key| maker.certify(key, 2040, &PURPOSE));
    let forger = Swtpm::start();
    let forger_hsm = open(&forger);
    // Without a certificate there is nothing to challenge.
    let refused =
        challenge(&bundle(&forger_hsm, &[1; 16], |_| ()), &known(&trust, None), None, &[1; 32]);
    assert!(matches!(refused, Err(Refusal::NoCertificate)), "{refused:?}");
    // He signs with his own TPM, over the honest one's certificate.
    let forged = |nonce: &[u8]| {
        bundle(&forger_hsm, nonce, |words| {
            let name = claviger_hsm::tpm::ENDORSEMENT_CERTIFICATE.to_owned();
            let value = hex::encode(&honest.certificate);
            words.claims.push(claviger::attest::Claim { name, value });
        })
    };
    let first = forged(&[1; 16]);
    assert_eq!(graded(&first, &known(&trust, None)).0, Grade::UnprovenKey);
    let (asked, expected) = challenge(&first, &known(&trust, None), None, &[0x5e; 32]).unwrap();
    // Neither TPM opens it: the one lacks the endorsement key, the other the attestation key.
    for hsm in [&forger_hsm, &honest.hsm] {
        let refused = hsm.answer_challenge(&asked.to_device()).unwrap_err();
        assert!(matches!(refused, HsmError::Refused(_)), "{refused}");
    }
    let guess = forged(&[2; 32]);
    let refused = verify(&guess, &known(&trust, Some(&expected))).unwrap_err();
    assert!(matches!(refused, Refusal::Nonce { .. }), "{refused}");
    // Swapped in the file, the signature is of other words.
    let mut swapped = Bundle::from_bytes(&honest.bundle(&[1; 16])).unwrap();
    let claims = &mut swapped.devices[0].words.claims;
    claims.last_mut().unwrap().value = hex::encode(maker.0.der());
    let words = swapped.devices.iter().map(|evidence| &evidence.words);
    swapped.digest.0 = Bundle::digest(&swapped.statement, words).unwrap().to_vec();
    let refused = verify(swapped.to_text().unwrap().as_bytes(), &known(&trust, None)).unwrap_err();
    assert!(matches!(refused, Refusal::Signature(_)), "{refused}");
    // Two certificates, of which one would do, are none.
    let both = bundle(&honest.hsm, &[1; 16], |words| {
        words.claims.push(words.claims.last().unwrap().clone());
    });
    let refused = verify(&both, &known(&trust, None)).unwrap_err();
    assert!(matches!(refused, Refusal::NoCertificate), "{refused}");
}

#[test]
fn a_software_tpm_stays_software_whatever_its_server_says() {
    let swtpm = Swtpm::start_with(manufacture);
    let hsm = open(&swtpm);
    let read = |name: &str| std::fs::read(swtpm.file(name)).unwrap();
    let (roots, below) = (read("ca/swtpm-localca-rootca-cert.pem"), read("ca/issuercert.pem"));
    let trust = Trust::from_pem(&roots, &below, NOW).unwrap();
    let first = bundle(&hsm, &[1; 16], |_| ());
    let (asked, expected) = challenge(&first, &known(&trust, None), None, &[0x5e; 32]).unwrap();
    let opened = hsm.answer_challenge(&asked.to_device()).unwrap();
    let answer = bundle(&hsm, opened.expose(), |_| ());
    assert_eq!(graded(&answer, &known(&trust, Some(&expected))).0, Grade::Software);
}
