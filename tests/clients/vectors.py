#!/usr/bin/env python3
"""Checks tests/vectors with Python's `cryptography`: the formats from the outside.

Every positive case must open to its plaintext and, sealed again from the N and IV given, come out bit
for bit; every negative case must be refused. Exit code 0 only if all of it holds.

    pip install cryptography
    python3 tests/clients/vectors.py [directory of the vectors]

The formats are those of docs/ciphertext-format.md; nothing here calls claviger.
"""

import hashlib
import hmac
import json
import pathlib
import re
import struct
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Refused(Exception):
    """The message is not one of ours."""


def require(condition):
    if not condition:
        raise Refused


# The scheme, shared by blobs, rows and tokens.


def prefixed(data):
    return struct.pack(">I", len(data)) + data


def parts(items):
    return struct.pack(">I", len(items)) + b"".join(map(prefixed, items))


def message_keys(key, label, header, nonce, aad):
    """Returns K, Com and GCM's associated data."""
    hdr = header + nonce
    digest = hashlib.sha256(b"claviger/v1/aad\0" + prefixed(hdr) + prefixed(aad)).digest()
    info = label.encode() + b"\0" + digest
    both = HKDF(algorithm=hashes.SHA256(), length=64, salt=nonce, info=info).derive(key)
    return both[:32], both[32:], hdr + digest + both[32:]


def seal(key, label, header, aad, nonce, iv, plaintext):
    encryption_key, commitment, associated = message_keys(key, label, header, nonce, aad)
    body = AESGCM(encryption_key).encrypt(iv, plaintext, associated)
    return header + nonce + commitment + iv + body


def open_sealed(key, label, header_length, aad, sealed):
    require(len(sealed) >= header_length + 32 + 32 + 12 + 16)
    header, rest = sealed[:header_length], sealed[header_length:]
    nonce, commitment, iv, body = rest[:32], rest[32:64], rest[64:76], rest[76:]
    encryption_key, expected, associated = message_keys(key, label, header, nonce, aad)
    require(hmac.compare_digest(expected, commitment))
    try:
        return AESGCM(encryption_key).decrypt(iv, body, associated)
    except InvalidTag:
        raise Refused from None


# Ciphertext blobs.


def key_id_bytes(text):
    """Returns the flags and the 16 bytes of a key id."""
    if re.fullmatch("mrk-[0-9a-f]{32}", text):
        return 1, bytes.fromhex(text[4:])
    require(re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text))
    return 0, bytes.fromhex(text.replace("-", ""))


def encryption_context(context):
    pairs = sorted((k.encode(), v.encode()) for k, v in context.items())
    return struct.pack(">I", len(pairs)) + b"".join(prefixed(k) + prefixed(v) for k, v in pairs)


def open_blob(case):
    blob = bytes.fromhex(case["blob"])
    require(132 <= len(blob) <= 6144)
    require(blob[:7] == b"\x01\x02\x02\x00C\x01\x01" and blob[7] in (0, 1))
    aad = encryption_context(case["context"])
    return open_sealed(bytes.fromhex(case["material"]), "claviger/v1/enc", 40, aad, blob)


def seal_blob(case):
    flags, key_id = key_id_bytes(case["key_id"])
    material = bytes.fromhex(case["material"])
    material_id = bytes.fromhex(key_material_id(material, case["key_id"]))[:16]
    header = b"\x01\x02\x02\x00C\x01\x01" + bytes([flags]) + key_id + material_id
    aad = encryption_context(case["context"])
    return seal(material, "claviger/v1/enc", header, aad, *fresh(case)).hex() == case["blob"]


# Suite 02: keys that live in a device. The device's key is known here, as it never is else.


def gcm_open(key, iv, body, associated):
    try:
        return AESGCM(key).decrypt(iv, body, associated)
    except InvalidTag:
        raise Refused from None


def aad_digest(hdr, context):
    aad = encryption_context(context)
    return hashlib.sha256(b"claviger/v1/aad\0" + prefixed(hdr) + prefixed(aad)).digest()


def open_device_blob(case):
    blob = bytes.fromhex(case["blob"])
    require(69 <= len(blob) <= 6144)
    require(blob[:7] == b"\x01\x02\x02\x00C\x01\x02" and blob[7] in (0, 1))
    header, length = blob[:40], blob[40]
    require(12 <= length <= 16 and len(blob) >= 41 + length + 16)
    iv, body = blob[41 : 41 + length], blob[41 + length :]
    associated = bytes([length]) + header + aad_digest(header, case["context"])
    return gcm_open(bytes.fromhex(case["key"]), iv, body, associated)


def seal_device_blob(case):
    flags, key_id = key_id_bytes(case["key_id"])
    header = b"\x01\x02\x02\x00C\x01\x02" + bytes([flags]) + key_id
    header += bytes.fromhex(case["material_id"])
    iv = bytes.fromhex(case["iv"])
    associated = bytes([len(iv)]) + header + aad_digest(header, case["context"])
    key, plaintext = bytes.fromhex(case["key"]), bytes.fromhex(case["plaintext"])
    body = AESGCM(key).encrypt(iv, plaintext, associated)
    return (header + bytes([len(iv)]) + iv + body).hex() == case["blob"]


# Suite 03: external key stores. The proxy's key is known here, too.


def proxy_associated(hdr, context, metadata):
    """What AWS's protocol of external key store proxies has a proxy bind."""
    aad = hdr + aad_digest(hdr, context)
    if not metadata:
        return aad
    return struct.pack(">H", len(aad)) + aad + bytes([len(metadata)]) + metadata


def open_external_blob(case):
    blob = bytes.fromhex(case["blob"])
    require(178 <= len(blob) <= 6144)
    require(blob[:7] == b"\x01\x02\x02\x00C\x01\x03" and blob[7] in (0, 1))
    hdr, rest = blob[:56], blob[56:]
    require(rest[0] <= 20 and len(rest) > 1 + rest[0])
    metadata, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    require(rest[0] in (12, 16))
    iv, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    tag, ciphertext = rest[:16], rest[16:]
    require(len(ciphertext) >= 92)
    associated = proxy_associated(hdr, case["context"], metadata)
    sealed = gcm_open(bytes.fromhex(case["proxy_key"]), iv, ciphertext + tag, associated)
    material, aad = bytes.fromhex(case["material"]), encryption_context(case["context"])
    return open_sealed(material, "claviger/v1/xks-enc", 56, aad, hdr + sealed)


def seal_external_blob(case):
    flags, key_id = key_id_bytes(case["key_id"])
    material = bytes.fromhex(case["material"])
    material_id = bytes.fromhex(key_material_id(material, case["key_id"]))[:16]
    hdr = b"\x01\x02\x02\x00C\x01\x03" + bytes([flags]) + key_id + material_id
    hdr += bytes.fromhex(case["r"])
    aad = encryption_context(case["context"])
    sealed = seal(material, "claviger/v1/xks-enc", hdr, aad, *fresh(case))[len(hdr) :]
    metadata, iv = bytes.fromhex(case["proxy_metadata"]), bytes.fromhex(case["proxy_iv"])
    associated = proxy_associated(hdr, case["context"], metadata)
    body = AESGCM(bytes.fromhex(case["proxy_key"])).encrypt(iv, sealed, associated)
    outer = bytes([len(metadata)]) + metadata + bytes([len(iv)]) + iv + body[-16:] + body[:-16]
    return (hdr + outer).hex() == case["blob"]


# Store rows.


def row_aad(case):
    cluster, record_key = bytes.fromhex(case["cluster"]), bytes.fromhex(case["record_key"])
    revision = struct.pack(">Q", case["revision"])
    return parts([cluster, case["table"].encode(), record_key, revision])


def open_row(case):
    sealed, table = bytes.fromhex(case["sealed"]), case["table"].encode()
    require(sealed[:7] == b"CLVR\x01\x01" + bytes([len(table)]))
    require(sealed[7 : 7 + len(table)] == table)
    label = "claviger/v1/row/" + case["table"]
    return open_sealed(bytes.fromhex(case["key"]), label, 11 + len(table), row_aad(case), sealed)


def seal_row(case):
    table = case["table"].encode()
    header = b"CLVR\x01\x01" + bytes([len(table)]) + table + struct.pack(">I", case["generation"])
    label = "claviger/v1/row/" + case["table"]
    key = bytes.fromhex(case["key"])
    return seal(key, label, header, row_aad(case), *fresh(case)).hex() == case["sealed"]


# Tokens.


def token_aad(case):
    return parts([bytes.fromhex(part) for part in case["context"]])


def open_token(case):
    sealed = bytes.fromhex(case["sealed"])
    require(sealed[:6] == b"CLVT\x01\x01")
    return open_sealed(bytes.fromhex(case["key"]), case["label"], 10, token_aad(case), sealed)


def seal_token(case):
    header = b"CLVT\x01\x01" + struct.pack(">I", case["generation"])
    key = bytes.fromhex(case["key"])
    sealed = seal(key, case["label"], header, token_aad(case), *fresh(case))
    return sealed.hex() == case["sealed"]


# Key material ids.


def key_material_id(material, key_id):
    message = b"claviger/v1/key-material-id\0" + key_id.encode()
    return hmac.new(material, message, hashlib.sha256).hexdigest()


def open_material_id(case):
    """A wrong id is refused; a right one "opens" to itself."""
    key_id_bytes(case["key_id"])
    found = key_material_id(bytes.fromhex(case["material"]), case["key_id"])
    require(found == case["key_material_id"])
    return bytes.fromhex(found)


def fresh(case):
    return (bytes.fromhex(case[name]) for name in ("n", "iv", "plaintext"))


FILES = {
    "blob-v1": (open_blob, seal_blob),
    "blob-v1-suite-02": (open_device_blob, seal_device_blob),
    "blob-v1-suite-03": (open_external_blob, seal_external_blob),
    "row-v1": (open_row, seal_row),
    "token-v1": (open_token, seal_token),
    "key-material-id": (open_material_id, None),
}


def check(opening, sealing, case, positive):
    """Returns what is wrong with a case, or None."""
    try:
        plaintext = opening(case)
    except Refused:
        return "refused, but should open" if positive else None
    if not positive:
        return "opened, but should be refused"
    if sealing is None:
        return None
    if plaintext.hex() != case["plaintext"]:
        return "opened to another plaintext"
    return None if sealing(case) else "sealed again, it differs"


def main():
    here = pathlib.Path(__file__).resolve().parent
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent / "vectors"
    failures = 0
    for name, (opening, sealing) in FILES.items():
        cases = json.loads((directory / f"{name}.json").read_text(encoding="utf-8"))
        for kind in ("positive", "negative"):
            if not cases[kind]:
                print(f"FAIL {name}: no {kind} cases")
                failures += 1
            for case in cases[kind]:
                wrong = check(opening, sealing, case, kind == "positive")
                if wrong:
                    print(f"FAIL {name}: {case['name']}: {wrong}")
                    failures += 1
        positive, negative = len(cases["positive"]), len(cases["negative"])
        done = "opened and sealed again" if sealing else "confirmed"
        print(f"{name}: {positive} {done}, {negative} refused")
    print(f"{failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
