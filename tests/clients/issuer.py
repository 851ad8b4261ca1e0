"""An OpenID Connect issuer on this machine: HTTPS, discovery, a key set, and tokens of its service
accounts, as a Kubernetes cluster has them."""

import base64
import datetime
import http.server
import ipaddress
import json
import ssl
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

HOST = "oidc.example.com"
ISSUER = f"https://{HOST}/cluster"
AUDIENCE = "sts.amazonaws.com"
SUBJECT = "system:serviceaccount:shop:payments"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value):
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Issuer:
    """Answers at 127.0.0.1 under its own name, which the server's configuration pins there."""

    def __init__(self, directory):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.asked = []
        self.ca_file = directory / "issuer.pem"
        context = self._tls(directory)
        issuer = self

        class Answers(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked.append(self.path)
                documents = {
                    "/cluster/.well-known/openid-configuration": {
                        "issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys",
                        "id_token_signing_alg_values_supported": ["RS256"],
                    },
                    "/cluster/keys": issuer.key_set(),
                }
                document = documents.get(self.path)
                body = json.dumps(document).encode()
                self.send_response(200 if document else 404)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def settings(self):
        """What the server's configuration says of it."""
        address = "127.0.0.1:%d" % self.server.server_address[1]
        return (f'[[oidc]]\nissuer = "{ISSUER}"\nca_file = "{self.ca_file}"\n'
                f'address = "{address}"\n')

    def key_set(self):
        public = self.key.public_key().public_numbers()
        return {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "one",
                          "n": number(public.n), "e": number(public.e)}]}

    def token(self, key=None, **changed):
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": [AUDIENCE], "sub": SUBJECT, "iat": now, "nbf": now,
                  "exp": now + 600} | changed
        head = {"alg": "RS256", "kid": "one", "typ": "JWT"}
        message = ".".join(b64(json.dumps(part).encode()) for part in (head, claims)).encode()
        signature = (key or self.key).sign(message, padding.PKCS1v15(), hashes.SHA256())
        return f"{message.decode()}.{b64(signature)}"

    def _tls(self, directory):
        """A certificate of its own making, which is the authority too."""
        key = ec.generate_private_key(ec.SECP256R1())
        ca_key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.timezone.utc)
        name = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        def certificate(subject, public, ca):
            builder = x509.CertificateBuilder(name("issuer's authority"), name(subject), public,
                                              x509.random_serial_number(),
                                              now - datetime.timedelta(hours=1),
                                              now + datetime.timedelta(days=1))
            builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
            if not ca:
                names = x509.SubjectAlternativeName(
                    [x509.DNSName(HOST), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
                builder = builder.add_extension(names, critical=False)
            return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

        self.ca_file.write_bytes(certificate("issuer's authority", ca_key.public_key(), True))
        chain = directory / "chain.pem"
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                    serialization.NoEncryption())
        chain.write_bytes(certificate(HOST, key.public_key(), False) + private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context
