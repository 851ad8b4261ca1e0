"""AWS's Encryption SDK for Python, with the keyrings of its material providers library.

The server is the KMS under keyrings of every kind: symmetric, several keys, multi-Region, RSA, ECDH.
"""

import logging
import sys

import aws_encryption_sdk
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders, models
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_encryption_sdk.exceptions import AWSEncryptionSDKClientError
from aws_encryption_sdk.identifiers import AlgorithmSuite, CommitmentPolicy

import harness
from boto import Boto, new_key, refused
from harness import ACCOUNT, MATERIAL, REGIONS, expect
from outside import openssl

CONTEXT = {"tenant": "a", "größe": "ü/+=", "purpose": "client tests"}
PLAINTEXT = bytes(range(256)) * 40


def run(results, server):
    prepare = lambda number: Sdk(server, REGIONS[number % len(REGIONS)])
    # The SDK logs every refusal, with a stack.
    logging.getLogger("aws_encryption_sdk").setLevel(logging.CRITICAL)
    # One after the other: nobody says that the SDK's library may be shared.
    harness.run_all(results, sys.modules[__name__], prepare, threads=1)


class Sdk(Boto):
    def __init__(self, server, region):
        super().__init__(server, region)
        # The SDK hides what KMS said: the codes, as they came.
        self.refusals = []
        self.kms = self.client("kms")
        policy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
        self.client_of_sdk = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy)
        self.providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())

    def client(self, service, *words, **more):
        client = super().client(service, *words, **more)
        client.meta.events.register("after-call", self._note)
        return client

    def _note(self, http_response, parsed, **_):
        if http_response.status_code >= 300:
            self.refusals.append(parsed["Error"]["Code"])

    def keyring(self, arn, kms=None, **more):
        words = models.CreateAwsKmsKeyringInput(kms_key_id=arn, kms_client=kms or self.kms, **more)
        return self.providers.create_aws_kms_keyring(words)

    def encrypt(self, keyring, **more):
        message, header = self.client_of_sdk.encrypt(
            source=PLAINTEXT, keyring=keyring, encryption_context=CONTEXT, **more)
        assert PLAINTEXT[:64] not in message
        return message, header

    def decrypts(self, keyring, message):
        plaintext, header = self.client_of_sdk.decrypt(
            source=message, keyring=keyring, encryption_context=CONTEXT)
        expect(plaintext, PLAINTEXT)
        assert CONTEXT.items() <= header.encryption_context.items()

    def refuses(self, keyring, message, code, context=None):
        """KMS must have refused with this code; None if the SDK did so before it asked."""
        self.refusals.clear()
        try:
            self.client_of_sdk.decrypt(
                source=message, keyring=keyring, encryption_context=context or CONTEXT)
        except AWSEncryptionSDKClientError:
            expect(self.refusals, [code] if code else [])
        else:
            raise AssertionError("decrypted")

    def data_key_of(self, header):
        """What KMS says of the one data key in a message, asked as the SDK asks."""
        (only,) = header.encrypted_data_keys
        return dict(CiphertextBlob=only.encrypted_data_key,
                    EncryptionContext=header.encryption_context)


def test_messages_of_before_and_after_a_rotation(sdk):
    kms, arn = sdk.kms, new_key(sdk.kms)
    keyring = sdk.keyring(arn)
    before, first = sdk.encrypt(keyring)
    sdk.decrypts(keyring, before)

    expect(kms.rotate_key_on_demand(KeyId=arn)["KeyId"], arn.rsplit("/", 1)[1])
    kms.enable_key_rotation(KeyId=arn, RotationPeriodInDays=90)
    status = kms.get_key_rotation_status(KeyId=arn)
    expect((status["KeyRotationEnabled"], status["RotationPeriodInDays"]), (True, 90))
    after, second = sdk.encrypt(keyring)
    for message in (before, after, before):
        sdk.decrypts(keyring, message)

    # They are of two materials, in the order of the rotations.
    answers = [kms.decrypt(**sdk.data_key_of(header)) for header in (first, second)]
    expect([len(answer["Plaintext"]) for answer in answers], [32, 32])
    expect([answer["KeyMaterialId"] for answer in answers], [MATERIAL, MATERIAL])
    listed = kms.list_key_rotations(KeyId=arn, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    states = {entry["KeyMaterialId"]: (entry["KeyMaterialState"], entry.get("RotationType"))
              for entry in listed}
    expect(states, {answers[0]["KeyMaterialId"]: ("NON_CURRENT", None),
                    answers[1]["KeyMaterialId"]: ("CURRENT", "ON_DEMAND")})
    expect(kms.describe_key(KeyId=arn)["KeyMetadata"]["CurrentKeyMaterialId"],
           answers[1]["KeyMaterialId"])


def test_another_context_is_refused(sdk):
    kms, arn = sdk.kms, new_key(sdk.kms)
    keyring = sdk.keyring(arn)
    message, header = sdk.encrypt(keyring)
    # What the message says otherwise the SDK refuses; what it does not say KMS is asked about.
    sdk.refuses(keyring, message, None, CONTEXT | {"tenant": "b"})
    sdk.refuses(keyring, message, "InvalidCiphertextException", CONTEXT | {"more": "x"})
    # Changed in the message's header too, it is again KMS that refuses.
    changed = message.replace(b"tenant\0\x01a", b"tenant\0\x01b")
    assert changed != message
    sdk.refuses(keyring, changed, "InvalidCiphertextException", CONTEXT | {"tenant": "b"})
    words = sdk.data_key_of(header)
    for context in ({}, CONTEXT, header.encryption_context | {"tenant": "A"}):
        told = refused(kms.exceptions.InvalidCiphertextException, kms.decrypt,
                       **words | {"EncryptionContext": context})
        expect(told[:2], ("InvalidCiphertextException", 400))
    # And with another key the SDK does not ask at all.
    sdk.refuses(sdk.keyring(new_key(kms)), message, None)
    sdk.decrypts(keyring, message)


def test_several_keys_open_a_message_alone(sdk):
    arns = [new_key(sdk.kms) for _ in range(3)]
    words = models.CreateMultiKeyringInput(
        generator=sdk.keyring(arns[0]), child_keyrings=[sdk.keyring(arn) for arn in arns[1:]])
    message, header = sdk.encrypt(sdk.providers.create_multi_keyring(words))
    expect(len(header.encrypted_data_keys), 3)
    sdk.kms.disable_key(KeyId=arns[0])
    sdk.refuses(sdk.keyring(arns[0]), message, "DisabledException")
    for arn in arns[1:]:
        sdk.decrypts(sdk.keyring(arn), message)


def test_a_grant_token_opens_at_once(sdk):
    arn, iam = new_key(sdk.kms), sdk.client("iam")
    user = iam.create_user(UserName="grantee")["User"]["Arn"]
    key = iam.create_access_key(UserName="grantee")["AccessKey"]
    theirs = sdk.client("kms", id=key["AccessKeyId"], secret=key["SecretAccessKey"])
    message, _ = sdk.encrypt(sdk.keyring(arn))
    sdk.refuses(sdk.keyring(arn, theirs), message, "AccessDeniedException")
    constraints = {"EncryptionContextSubset": {"tenant": "a"}}
    granted = sdk.kms.create_grant(KeyId=arn, GranteePrincipal=user, Constraints=constraints,
                                   Operations=["Decrypt", "GenerateDataKey"])
    keyring = sdk.keyring(arn, theirs, grant_tokens=[granted["GrantToken"]])
    sdk.decrypts(keyring, message)
    message, _ = sdk.encrypt(keyring)
    sdk.decrypts(sdk.keyring(arn), message)
    sdk.kms.revoke_grant(KeyId=arn, GrantId=granted["GrantId"])
    sdk.refuses(sdk.keyring(arn, theirs), message, "AccessDeniedException")


def test_a_replica_opens_what_its_primary_sealed(sdk):
    there = REGIONS[(REGIONS.index(sdk.region) + 1) % len(REGIONS)]
    primary, far = new_key(sdk.kms, MultiRegion=True), sdk.client("kms", there)
    near = models.CreateAwsKmsMrkKeyringInput(kms_key_id=primary, kms_client=sdk.kms)
    message, _ = sdk.encrypt(sdk.providers.create_aws_kms_mrk_keyring(near))

    def discovery(account):
        account_filter = models.DiscoveryFilter(account_ids=[account], partition="aws")
        words = models.CreateAwsKmsMrkDiscoveryKeyringInput(
            kms_client=far, region=there, discovery_filter=account_filter)
        return sdk.providers.create_aws_kms_mrk_discovery_keyring(words)

    sdk.refuses(discovery(ACCOUNT), message, "NotFoundException")
    sdk.kms.replicate_key(KeyId=primary, ReplicaRegion=there)
    replica = primary.replace(sdk.region, there)
    expect(far.describe_key(KeyId=replica)["KeyMetadata"]["MultiRegionConfiguration"]
           ["MultiRegionKeyType"], "REPLICA")
    sdk.decrypts(discovery(ACCOUNT), message)
    sdk.refuses(discovery("999999999999"), message, None)
    # And the other way, after the primary's rotation.
    sdk.kms.rotate_key_on_demand(KeyId=primary)
    by_replica = models.CreateAwsKmsMrkKeyringInput(kms_key_id=replica, kms_client=far)
    late, header = sdk.encrypt(sdk.providers.create_aws_kms_mrk_keyring(by_replica))
    for sealed in (message, late):
        sdk.decrypts(sdk.providers.create_aws_kms_mrk_keyring(near), sealed)
    expect(far.decrypt(**sdk.data_key_of(header))["KeyMaterialId"],
           sdk.kms.describe_key(KeyId=primary)["KeyMetadata"]["CurrentKeyMaterialId"])


def test_a_key_of_rsa(sdk):
    """The SDK encrypts with the public key on its own, and KMS decrypts."""
    arn = new_key(sdk.kms, KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    public = sdk.kms.get_public_key(KeyId=arn)["PublicKey"]
    pem = openssl("pkey", "-pubin", "-inform", "DER", "-in", public, "-pubout")
    for algorithm in ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"):
        words = models.CreateAwsKmsRsaKeyringInput(
            kms_key_id=arn, encryption_algorithm=algorithm, public_key=pem, kms_client=sdk.kms)
        keyring = sdk.providers.create_aws_kms_rsa_keyring(words)
        suite = AlgorithmSuite.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
        message, _ = sdk.encrypt(keyring, algorithm=suite)
        sdk.decrypts(keyring, message)
    expect(sdk.sent["Decrypt"], 2)


def test_two_keys_that_agree(sdk):
    """Sender and recipient each derive the secret in KMS."""
    for spec in ("ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"):
        ours, theirs = (new_key(sdk.kms, KeySpec=spec, KeyUsage="KEY_AGREEMENT") for _ in range(2))
        public = sdk.kms.get_public_key(KeyId=theirs)["PublicKey"]
        static = models.KmsPrivateKeyToStaticPublicKeyInput(
            sender_kms_identifier=ours, recipient_public_key=public)
        scheme = models.KmsEcdhStaticConfigurationsKmsPrivateKeyToStaticPublicKey(static)
        sender = sdk.providers.create_aws_kms_ecdh_keyring(models.CreateAwsKmsEcdhKeyringInput(
            key_agreement_scheme=scheme, curve_spec=spec, kms_client=sdk.kms))
        message, _ = sdk.encrypt(sender)
        discovery = models.KmsPublicKeyDiscoveryInput(recipient_kms_identifier=theirs)
        scheme = models.KmsEcdhStaticConfigurationsKmsPublicKeyDiscovery(discovery)
        receiver = sdk.providers.create_aws_kms_ecdh_keyring(models.CreateAwsKmsEcdhKeyringInput(
            key_agreement_scheme=scheme, curve_spec=spec, kms_client=sdk.kms))
        sdk.decrypts(receiver, message)
    expect(sdk.sent["DeriveSharedSecret"], 6)
