"""A service of one's own that acts for its user: it takes requests that botocore signed, hands them over with
boto3, and decrypts in the user's name. Everything over HTTP, as the documents describe it."""

import base64
import hashlib
import http.client
import http.server
import json
import sys
import threading

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions

import harness
from boto import Boto, plain, refused
from boto_iam import user
from cli import allow
from harness import ACCOUNT, REGIONS, expect

SERVICE = f"""
[[service]]
name = "payroll.example"
signing_name = "payroll"
principal = "arn:aws:iam::{ACCOUNT}:user/payroll"
actions = ["kms:Decrypt"]
"""


def serve(program):
    return harness.Deployed(program, lambda directory: SERVICE)


def run(results, server):
    prepare = lambda number: Boto(server, REGIONS[number % len(REGIONS)])
    harness.run_all(results, sys.modules[__name__], prepare, threads=1)


def trade_in_token(method, path_and_query, headers, body):
    described = {
        "method": method,
        "uri": path_and_query,
        "headers": [[name, value] for name, value in headers],
        "bodySha256": hashlib.sha256(body).hexdigest(),
    }
    return base64.urlsafe_b64encode(json.dumps(described).encode()).decode()


class Payroll(http.server.BaseHTTPRequestHandler):
    """Decrypts what its user sends, with what the user may."""

    boto = key = None
    tokens = []

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        token = trade_in_token("POST", self.path, self.headers.items(), body)
        Payroll.tokens.append(token)
        try:
            sts = self.boto.client("sts", id=self.key["AccessKeyId"], secret=self.key["SecretAccessKey"])
            got = sts.get_delegated_access_token(TradeInToken=token)
            acting = got["Credentials"]
            kms = self.boto.client("kms", id=acting["AccessKeyId"], secret=acting["SecretAccessKey"],
                                   token=acting["SessionToken"])
            status, answer = 200, kms.decrypt(CiphertextBlob=body)["Plaintext"]
        except botocore.exceptions.ClientError as error:
            status, answer = 403, error.response["Error"]["Code"].encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def ask(address, region, key, body, secret=None, service="payroll"):
    """What a user of the service does."""
    url = f"http://{address[0]}:{address[1]}/decrypt?month=5&note=a%20b"
    request = botocore.awsrequest.AWSRequest("POST", url, {"content-type": "application/octet-stream"}, body)
    keys = botocore.credentials.Credentials(key["AccessKeyId"], secret or key["SecretAccessKey"])
    botocore.auth.SigV4Auth(keys, service, region).add_auth(request)
    connection = http.client.HTTPConnection(*address)
    connection.request("POST", "/decrypt?month=5&note=a%20b", body, dict(request.headers))
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_a_service_decrypts_for_whoever_may(boto):
    iam, kms = boto.client("iam"), boto.client("kms")
    Payroll.boto, Payroll.key = boto, user(iam, "payroll", allow("sts:GetDelegatedAccessToken"))
    via = {"StringEquals": {"kms:ViaService": f"payroll.{boto.region}.example"}}
    only = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*", "Condition": via}]}
    ann, bob = user(iam, "ann", only), user(iam, "bob", allow("kms:ListKeys"))
    key = kms.create_key()["KeyMetadata"]["Arn"]
    body = kms.encrypt(KeyId=key, Plaintext=b"salary")["CiphertextBlob"]

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Payroll) as payroll:
        threading.Thread(target=payroll.serve_forever, daemon=True).start()
        address = payroll.server_address
        expect(ask(address, boto.region, ann, body), (200, b"salary"))
        expect(ask(address, boto.region, bob, body), (403, b"AccessDeniedException"))
        expect(ask(address, boto.region, ann, body, secret="x" * 40), (403, b"AccessDenied"))
        expect(ask(address, boto.region, ann, body, service="kms"), (403, b"AccessDenied"))
        payroll.shutdown()

    # Ann herself may not, and what she sent is used up.
    own = boto.client("kms", id=ann["AccessKeyId"], secret=ann["SecretAccessKey"])
    expect(refused(botocore.exceptions.ClientError, own.decrypt, CiphertextBlob=body)[0], "AccessDeniedException")
    sts = boto.client("sts", id=Payroll.key["AccessKeyId"], secret=Payroll.key["SecretAccessKey"])
    error = sts.exceptions.ExpiredTradeInTokenException
    code, status, _ = refused(error, sts.get_delegated_access_token, TradeInToken=Payroll.tokens[0])
    expect((code, status), ("ExpiredTradeInTokenException", 400))
    assert "Plaintext" in plain(kms.decrypt(CiphertextBlob=body))
