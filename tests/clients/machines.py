"""A machine with a certificate, by the AWS CLI's and boto3's `credential_process`; and tokens of
GetWebIdentityToken, checked by others' cryptography."""

import base64
import datetime
import ipaddress
import json
import os
import pathlib
import ssl
import subprocess
import sys
import time
import urllib.request

import boto3
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import harness
from harness import ACCOUNT, expect

AWS = pathlib.Path(sys.executable).parent / "aws"
SPIFFE = "spiffe://example.org/payroll"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/payroll"
PUBLIC_URL = "https://kms.example.org"
ISSUER = f"{PUBLIC_URL}/web-identity/{ACCOUNT}"


class Authority:
    def __init__(self, directory, name):
        self.directory, self.key = directory, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(self.name, self.key).add_extension(x509.BasicConstraints(True, None), True)
        made = made.sign(self.key, hashes.SHA256())
        self.file = self._write(f"{name}.pem", made.public_bytes(serialization.Encoding.PEM))

    def _write(self, name, content):
        path = self.directory / name
        path.write_bytes(content)
        return path

    def _builder(self, subject, key):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
            .serial_number(0x0A1B2C).not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(minutes=30))
        )

    def issue(self, name, usage, *alternatives):
        """Writes NAME.pem and NAME.key; answers their paths."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(subject, key).add_extension(x509.SubjectAlternativeName(alternatives), False)
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), False).sign(self.key, hashes.SHA256())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        certificate = made.public_bytes(serialization.Encoding.PEM)
        return self._write(f"{name}.pem", certificate), self._write(f"{name}.key", pem)


class Secured(harness.Deployed):
    """`claviger serve` with TLS, which knows one machine."""

    def __init__(self, program):
        self.program = program
        super().__init__(program, self._more)

    def _more(self, directory):
        self.authority = Authority(directory, "example")
        self.payroll = self.authority.issue(
            "payroll", ExtendedKeyUsageOID.CLIENT_AUTH, x509.UniformResourceIdentifier(SPIFFE)
        )
        certificate, key = self.authority.issue(
            "server", ExtendedKeyUsageOID.SERVER_AUTH, x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        )
        return (
            f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\nclient_ca = "{self.authority.file}"\n'
            f'[federation]\nissuer = "{PUBLIC_URL}"\n'
            f'[[machine]]\ncertificate = "{SPIFFE}"\nrole = "{ROLE}"\n'
        )

    def _start(self, words):
        self.env_file.write_text(self.env_file.read_text().replace("=http://", "=https://"))
        super()._start(words)

    def get(self, path):
        context = ssl.create_default_context(cafile=str(self.authority.file))
        with urllib.request.urlopen(self.endpoint + path, timeout=5, context=context) as answer:
            return answer.read()

    def _ready(self):
        try:
            return self.get("/readyz") == b"ready\n"
        except OSError:
            return False

    def admin(self, service):
        session = boto3.Session(
            self.exports["AWS_ACCESS_KEY_ID"], self.exports["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1"
        )
        return session.client(service, endpoint_url=self.endpoint, verify=str(self.authority.file))

    def helper(self, identity=None, endpoint=None):
        certificate, key = identity or self.payroll
        return [
            str(self.program), "credentials", "--endpoint", endpoint or self.endpoint,
            "--certificate", str(certificate), "--key", str(key), "--ca", str(self.authority.file),
        ]


serve = Secured


def run(results, server):
    iam = server.admin("iam")
    trust = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "rolesanywhere.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
        "Condition": {"StringEquals": {"aws:PrincipalTag/x509SAN/URI": SPIFFE}},
    }]}
    iam.create_role(RoleName="payroll", AssumeRolePolicyDocument=json.dumps(trust))
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": ["kms:ListKeys", "sts:GetWebIdentityToken"], "Resource": "*",
    }]}
    iam.put_role_policy(RoleName="payroll", PolicyName="p", PolicyDocument=json.dumps(policy))
    harness.run_all(results, sys.modules[__name__], lambda _: server)


def profile(server):
    path = server.directory / "config"
    process = " ".join(server.helper())
    path.write_text(f"[profile payroll]\nregion = us-east-1\ncredential_process = {process}\n")
    return str(path)


def test_boto3_by_credential_process(server):
    os.environ["AWS_CONFIG_FILE"] = profile(server)
    try:
        session = boto3.Session(profile_name="payroll")
        client = lambda name: session.client(
            name, endpoint_url=server.endpoint, verify=str(server.authority.file)
        )
        me = client("sts").get_caller_identity()
        expect(me["Arn"], f"arn:aws:sts::{ACCOUNT}:assumed-role/payroll/0a1b2c")
        expect(client("kms").list_keys()["Keys"], [])
    finally:
        os.environ["AWS_CONFIG_FILE"] = "/dev/null"


def test_the_cli_by_credential_process(server):
    env = harness.client_environment()
    env.update(AWS_CONFIG_FILE=profile(server), AWS_CA_BUNDLE=str(server.authority.file))
    words = [AWS, "--profile", "payroll", "--endpoint-url", server.endpoint, "sts", "get-caller-identity"]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=harness.COMMAND_SECONDS)
    assert done.returncode == 0, done.stderr
    expect(json.loads(done.stdout)["Arn"], f"arn:aws:sts::{ACCOUNT}:assumed-role/payroll/0a1b2c")


def test_credentials_end_with_the_certificate(server):
    done = subprocess.run(server.helper(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    ends = datetime.datetime.fromisoformat(answer["Expiration"]).timestamp()
    # The certificate has less than half an hour left; the session would have an hour.
    assert 1000 < ends - time.time() <= 1800, answer["Expiration"]


def test_refusals_are_said_on_standard_error(server):
    other = Authority(server.directory, "other")
    stranger = other.issue("stranger", ExtendedKeyUsageOID.CLIENT_AUTH, x509.UniformResourceIdentifier(SPIFFE))
    unknown = server.authority.issue("unknown", ExtendedKeyUsageOID.CLIENT_AUTH, x509.DNSName("unknown.example"))
    missing = (server.directory / "none", server.directory / "none")
    swapped = (server.payroll[0], unknown[1])
    for words, text in (
        (server.helper(unknown), "No role is configured for the certificate"),
        (server.helper(stranger), "UnknownCA"),
        (server.helper(missing), "none"),
        (server.helper(swapped), "cannot be used"),
        (server.helper(endpoint="http://127.0.0.1:1"), "https://"),
        (server.helper(endpoint="https://127.0.0.1:1"), "cannot ask"),
        ([*server.helper(), "--role", f"{ROLE}x"], "No role is configured for the certificate"),
    ):
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        expect((done.returncode, done.stdout), (1, ""))
        assert text in done.stderr, done.stderr


def test_tokens_verify_with_the_published_keys(server):
    expect(server.admin("iam").enable_outbound_web_identity_federation()["IssuerIdentifier"], ISSUER)
    expect(server.admin("iam").get_outbound_web_identity_federation_info()["JwtVendingEnabled"], True)
    path = ISSUER.removeprefix(PUBLIC_URL) + "/.well-known/"
    document = json.loads(server.get(path + "openid-configuration"))
    expect((document["issuer"], document["jwks_uri"]), (ISSUER, f"{ISSUER}/.well-known/jwks.json"))
    keys = {key["kid"]: key for key in json.loads(server.get(path + "jwks.json"))["keys"]}
    for algorithm in ("RS256", "ES384"):
        made = server.admin("sts").get_web_identity_token(
            Audience=["https://api.example.com"], SigningAlgorithm=algorithm, DurationSeconds=60,
            Tags=[{"Key": "job", "Value": "nightly"}],
        )
        message, _, signature = made["WebIdentityToken"].rpartition(".")
        header, claims = (json.loads(plain(part)) for part in message.split("."))
        expect(header["alg"], algorithm)
        verify(keys[header["kid"]], message.encode(), plain(signature))
        try:
            verify(keys[header["kid"]], message.encode() + b"x", plain(signature))
            raise AssertionError("a changed token verifies")
        except InvalidSignature:
            pass
        expect((claims["iss"], claims["aud"]), (ISSUER, "https://api.example.com"))
        expect(claims["sub"], f"arn:aws:iam::{ACCOUNT}:user/admin")
        expect(claims["exp"] - claims["iat"], 60)
        expect(claims["https://sts.amazonaws.com/"]["request_tags"], {"job": "nightly"})
    server.admin("iam").disable_outbound_web_identity_federation()


def plain(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(text):
    return int.from_bytes(plain(text), "big")


def verify(key, message, signature):
    if key["kty"] == "RSA":
        public = rsa.RSAPublicNumbers(number(key["e"]), number(key["n"])).public_key()
        public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    else:
        public = ec.EllipticCurvePublicNumbers(number(key["x"]), number(key["y"]), ec.SECP384R1()).public_key()
        r, s = (int.from_bytes(half, "big") for half in (signature[:48], signature[48:]))
        public.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA384()))
