"""Time-stamps from an authority on loopback, which is OpenSSL: PAdES B-T, CAdES B-T, and bad answers."""

import http.server
import ssl
import subprocess
import threading

import pytest
from asn1crypto import tsp
from command import refused, vanthu, vanthu_json
from judges import openssl_cms, pyhanko

CONFIG = """
[tsa]
default_tsa = own
[own]
serial = {folder}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


class Authority:
    """An RFC 3161 responder whose next answers can be bent."""

    def __init__(self, pki, folder, tls=None):
        self.folder, self.signer = folder, pki.signer("tsa")
        (folder / "serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder))
        self.requests, self.answer = [], self.stamp
        authority = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                query = self.rfile.read(int(self.headers["Content-Length"]))
                authority.requests.append((self.path, self.headers["Content-Type"], query))
                status, body = authority.answer(query)
                self.send_response(status)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except ConnectionError:
                    pass

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.cert, tls.key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_address[1]}/tsa"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stamp(self, query):
        (self.folder / "query").write_bytes(query)
        command = [
            "openssl", "ts", "-reply", "-config", "tsa.cnf", "-section", "own", "-queryfile", "query",
            "-signer", self.signer.cert, "-inkey", self.signer.key, "-chain", self.signer.cert, "-out", "reply",
        ]  # fmt: skip
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, timeout=60)
        return 200, (self.folder / "reply").read_bytes()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def authority(rsa_pki, tmp_path):
    (tmp_path / "tsa").mkdir()
    authority = Authority(rsa_pki, tmp_path / "tsa")
    yield authority
    authority.close()


def test_a_pdf_is_stamped(rsa_pki, authority, letter, tmp_path):
    out = tmp_path / "out.pdf"
    seal = rsa_pki.signer("seals/H49")
    told = vanthu_json("sign", letter, *seal.options, "-o", out, "--timestamp", authority.url)
    assert told["timestamp"]
    [signature] = rsa_pki.passes(out, 1)
    assert signature["best_time"], signature
    [status] = pyhanko(rsa_pki, out.read_bytes())
    assert status.timestamp_validity.valid and status.timestamp_validity.intact
    [(path, kind, query)] = authority.requests
    assert (path, kind) == ("/tsa", "application/timestamp-query")
    asked = tsp.TimeStampReq.load(query)
    assert asked["cert_req"].native and asked["nonce"].native
    assert asked["message_imprint"]["hash_algorithm"]["algorithm"].native == "sha256"


def test_a_detached_signature_is_stamped(rsa_pki, authority, letter, tmp_path):
    p7s = tmp_path / "out.p7s"
    seal = rsa_pki.signer("seals/H49")
    vanthu_json("sign", letter, *seal.options, "--detached", "-o", p7s, "--timestamp", authority.url)
    [signature] = rsa_pki.passes(p7s, 1, "--detached", letter)
    assert signature["best_time"]
    openssl_cms(rsa_pki, p7s, letter)


def _other_nonce(authority):
    def answer(query):
        asked = tsp.TimeStampReq.load(query)
        asked["nonce"] = asked["nonce"].native ^ 1
        return authority.stamp(asked.dump(force=True))

    return answer


def _other_digest(authority):
    def answer(query):
        asked = tsp.TimeStampReq.load(query)
        asked["message_imprint"]["hashed_message"] = b"\x07" * 32
        return authority.stamp(asked.dump(force=True))

    return answer


def _refusal(_query):
    status = {"status": "rejection", "status_string": ["hết hạn ngạch"], "fail_info": {"bad_request"}}
    body = tsp.PKIStatusInfo(status).dump()
    return 200, bytes([0x30, len(body)]) + body


@pytest.mark.parametrize(
    "bend, code, message",
    [
        (lambda _: lambda query: (503, b"later"), 1, "answered with HTTP status 503 Service Unavailable"),
        (lambda _: lambda query: (302, b""), 1, "answered with HTTP status 302 Found"),
        (lambda _: lambda query: (200, b""), 1, "answered with something that is no time-stamp"),
        (lambda _: lambda query: (200, b"<html>login</html>"), 1, "answered with something that is no time-stamp"),
        (lambda _: lambda query: (200, b"0" * 1_000_000), 1, "broke off, or answered at too great length"),
        (lambda _: _refusal, 1, "refused with status 2: hết hạn ngạch"),
        (_other_nonce, 1, "stamped something else than it was asked to"),
        (_other_digest, 1, "stamped something else than it was asked to"),
    ],
    ids=["503", "302", "empty", "html", "long", "refusal", "nonce", "digest"],
)
def test_a_bad_answer_writes_nothing(rsa_pki, authority, letter, tmp_path, bend, code, message):
    out = tmp_path / "out.pdf"
    authority.answer = bend(authority)
    seal = rsa_pki.signer("seals/H49")
    refused(
        code, f"the time-stamping authority {message}", letter, *seal.options, "-o", out, "--timestamp", authority.url
    )
    assert not out.exists()


def test_a_token_that_does_not_hold_writes_nothing(rsa_pki, authority, letter, tmp_path):
    def answer(query):
        status, body = authority.stamp(query)
        # The last bytes are the authority's signature.
        return status, body[:-1] + bytes([body[-1] ^ 1])

    authority.answer = answer
    out = tmp_path / "out.pdf"
    seal = rsa_pki.signer("seals/H49")
    done = vanthu("sign", letter, *seal.options, "-o", out, "--timestamp", authority.url, code=1)
    assert done.err.startswith("vanthu: error: the signature that was made does not hold: "), done.err
    assert not out.exists()


def test_an_authority_that_is_slow_or_away_is_given_up(rsa_pki, authority, letter, tmp_path):
    ended = threading.Event()

    def answer(query):
        ended.wait(60)
        return 200, b""

    authority.answer = answer
    seal = rsa_pki.signer("seals/H49")
    message = "the time-stamping authority cannot be reached: no answer within 1 s"
    options = (letter, *seal.options, "-o", tmp_path / "out.pdf", "--timestamp")
    refused(4, message, *options, authority.url, "--timestamp-wait", "1")
    ended.set()
    authority.close()
    message = "the time-stamping authority cannot be reached: Connection refused (os error 111)"
    refused(4, message, *options, authority.url)
    message = "the time-stamping authority has no http or https address: ftp://tsa.example/"
    refused(1, message, *options, "ftp://tsa.example/")


@pytest.fixture
def https(rsa_pki, tmp_path):
    """The same behind TLS, with a certificate under the anchors of the dev PKI's servers."""
    (tmp_path / "tsa").mkdir()
    authority = Authority(rsa_pki, tmp_path / "tsa", tls=rsa_pki.signer("tls/gateway"))
    yield authority
    authority.close()


def test_an_authority_behind_tls_is_asked_if_its_certificate_leads_to_an_anchor(rsa_pki, https, letter, tmp_path):
    out = tmp_path / "out.pdf"
    options = (letter, *rsa_pki.signer("seals/H49").options, "-o", out, "--timestamp", https.url)
    told = vanthu_json("sign", *options, "--timestamp-trust", rsa_pki.folder / "tls/ca.pem")
    assert told["timestamp"]
    [signature] = rsa_pki.passes(out, 1)
    assert signature["best_time"], signature


def test_an_authority_behind_tls_that_is_not_known_is_not_asked(rsa_pki, https, letter, tmp_path):
    out = tmp_path / "out.pdf"
    options = (letter, *rsa_pki.signer("seals/H49").options, "-o", out, "--timestamp")
    message = "the time-stamping authority is reached by https, and no certificate says who it is"
    done = refused(3, message, *options, https.url)
    assert "--timestamp-trust" in done.err
    message = "the time-stamping authority cannot be reached: invalid peer certificate: UnknownIssuer"
    refused(4, message, *options, https.url, "--timestamp-trust", rsa_pki.anchors()[0])
    # The certificate is good, but for another name.
    other = https.url.replace("127.0.0.1", "127.0.0.2")
    done = vanthu("sign", *options, other, "--timestamp-trust", rsa_pki.folder / "tls/ca.pem", code=4)
    assert "cannot be reached: " in done.err
    # Nothing answers in TLS.
    plain = https.url.replace("https", "http")
    done = vanthu("sign", *options, plain, code=4)
    assert "cannot be reached: " in done.err
    assert https.requests == [] and not out.exists()
