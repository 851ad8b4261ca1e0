//! The words and the table of specs, usages and algorithms.
use super::*;

#[test]
fn words_are_read_and_shown_as_aws_writes_them() {
    assert_eq!(KeySpec::ALL.len(), 19);
    for spec in KeySpec::ALL {
        assert_eq!(spec.as_str().parse(), Ok(*spec));
        assert_eq!(spec.to_string(), spec.as_str());
        let json = serde_json::to_string(spec).unwrap();
        assert_eq!(json, format!("\"{spec}\""));
        assert_eq!(serde_json::from_str::<KeySpec>(&json).unwrap(), *spec);
    }
    assert_eq!("ECC_SECG_P256K1".parse(), Ok(KeySpec::EccSecgP256K1));
    assert_eq!("RSASSA_PKCS1_V1_5_SHA_384".parse(), Ok(SigningAlgorithm::RsassaPkcs1V15Sha384));
    assert_eq!("EXTERNAL_MU".parse(), Ok(MessageType::ExternalMu));
    assert_eq!("RSA_AES_KEY_WRAP_SHA_1".parse(), Ok(WrappingAlgorithm::RsaAesKeyWrapSha1));
}

#[test]
fn sm2_and_what_aws_gave_up_are_no_words() {
    assert_eq!("SM2".parse::<KeySpec>(), Err(UnknownName("KeySpec")));
    assert_eq!("SM2DSA".parse::<SigningAlgorithm>(), Err(UnknownName("SigningAlgorithm")));
    assert_eq!("SM2PKE".parse::<EncryptionAlgorithm>(), Err(UnknownName("EncryptionAlgorithm")));
    for word in ["RSAES_PKCS1_V1_5", "SM2PKE", "", "rsaes_oaep_sha_1"] {
        assert_eq!(word.parse::<WrappingAlgorithm>(), Err(UnknownName("WrappingAlgorithm")));
    }
    assert!("SM2".parse::<WrappingKeySpec>().is_err());
}

#[test]
fn a_usage_has_algorithms_exactly_where_it_stands_in_the_table() {
    for spec in KeySpec::ALL.iter().copied() {
        let usages = spec.usages();
        assert_eq!(spec.signing_algorithms().is_empty(), !usages.contains(&KeyUsage::SignVerify));
        assert_eq!(
            spec.encryption_algorithms().is_empty(),
            !usages.contains(&KeyUsage::EncryptDecrypt)
        );
        assert_eq!(
            spec.mac_algorithms().is_empty(),
            !usages.contains(&KeyUsage::GenerateVerifyMac)
        );
        assert_eq!(spec.is_hmac(), usages == [KeyUsage::GenerateVerifyMac]);
    }
    let pairs = KeySpec::ALL.iter().filter(|spec| spec.pair_spec()).count();
    assert_eq!(pairs, 11, "AWS names twelve, one of them SM2");
}
