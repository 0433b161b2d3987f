"""Keys in files: every kind and form signs, and what is unusable is refused before anything is written."""

import datetime

import pytest
from command import Signer, call, refused, vanthu, vanthu_json
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from judges import openssl_cms, pyhanko

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
PKCS8 = serialization.PrivateFormat.PKCS8
TRADITIONAL = serialization.PrivateFormat.TraditionalOpenSSL

KEYS = {
    "rsa": (lambda: rsa.generate_private_key(65537, 2048), PKCS8),
    "rsa pkcs1": (lambda: rsa.generate_private_key(65537, 3072), TRADITIONAL),
    "p256": (lambda: ec.generate_private_key(ec.SECP256R1()), PKCS8),
    "p256 sec1": (lambda: ec.generate_private_key(ec.SECP256R1()), TRADITIONAL),
    "p384": (lambda: ec.generate_private_key(ec.SECP384R1()), PKCS8),
    "p384 sec1": (lambda: ec.generate_private_key(ec.SECP384R1()), TRADITIONAL),
    "ed25519": (lambda: ed25519.Ed25519PrivateKey.generate(), PKCS8),
}


class Authority:
    """A root that certifies any key, shaped as trust material."""

    def __init__(self, folder):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test Root (WORTHLESS)")])
        self.root = self._build(self.name, self.key.public_key(), NOW - 9 * DAY, NOW + 9 * DAY, is_ca=True)
        for kind in ("anchors", "intermediates", "crls"):
            (folder / "trust" / "gov" / kind).mkdir(parents=True)
        self._write(folder / "trust" / "gov" / "anchors" / "root.pem", self.root)
        crl = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        crl = crl.last_update(NOW - DAY).next_update(NOW + 9 * DAY).sign(self.key, hashes.SHA256())
        der = crl.public_bytes(serialization.Encoding.DER)
        (folder / "trust" / "gov" / "crls" / "root.crl").write_bytes(der)
        self.trust = folder / "trust"

    def _build(self, subject, public, start, end, is_ca=False, usage=None):
        flags = dict.fromkeys(
            ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False,
        )  # fmt: skip
        wanted = ("key_cert_sign", "crl_sign") if is_ca else (usage or ("digital_signature", "content_commitment"))
        flags |= dict.fromkeys(wanted, True)
        return (
            x509.CertificateBuilder()
            .subject_name(subject).issuer_name(self.name).public_key(public)
            .serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**flags), critical=True)
            .sign(self.key, hashes.SHA256())
        )  # fmt: skip

    @staticmethod
    def _write(path, certificate):
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def signer(self, key, form=PKCS8, start=NOW - DAY, end=NOW + DAY, usage=None, password=None):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nguyễn Thị Phượng")])
        certificate = self._build(subject, key.public_key(), start, end, usage=usage)
        cert, path = self.folder / "signer.pem", self.folder / "signer.key"
        self._write(cert, certificate)
        hidden = serialization.NoEncryption()
        if password:
            hidden = serialization.BestAvailableEncryption(password)
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, hidden))
        return Signer(cert, path)

    def passes(self, path):
        report = vanthu_json("verify", path, "--trust", self.trust)
        assert report["indication"] == "TOTAL-PASSED", report

    def anchors(self):
        return [self.trust / "gov" / "anchors" / "root.pem"]

    def intermediates(self):
        return []


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "authority")


def p256():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_of_every_kind_signs_a_pdf_and_a_file(authority, letter, tmp_path, kind):
    make, form = KEYS[kind]
    signer = authority.signer(make(), form)
    out, p7s = tmp_path / "out.pdf", tmp_path / "letter.p7s"
    vanthu_json("sign", letter, *signer.options, "-o", out)
    report = vanthu_json("verify", out, "--trust", authority.trust)
    assert report["indication"] == "TOTAL-PASSED", report
    assert "Nguyễn Thị Phượng" in report["signatures"][0]["signer"]["subject"]
    told = vanthu_json("sign", letter, *signer.options, "--detached", "-o", p7s)
    assert told["out"] == str(p7s)
    report = vanthu_json("verify", p7s, "--detached", letter, "--trust", authority.trust)
    assert report["indication"] == "TOTAL-PASSED", report
    pyhanko(authority, out.read_bytes())
    if kind == "ed25519":
        # OpenSSL verifies no Ed25519 in CMS before version 3.2; pyHanko did above.
        return
    openssl_cms(authority, p7s, letter)
    other = tmp_path / "other.bin"
    other.write_bytes(b"another thing")
    openssl_cms(authority, p7s, other, code=4)


def test_a_detached_signature_of_any_file_stands_beside_it(pki, tmp_path):
    path = tmp_path / "số liệu.csv"
    path.write_bytes("mã,tên\n1,Đông Triều\n".encode() * 50_000)
    told = vanthu_json("sign", path, *pki.signer("seals/H49").options, "--detached")
    assert told["out"] == f"{path}.p7s"
    pki.passes(told["out"], 1, "--detached", path)


def test_a_certificate_in_der_is_taken(authority, letter, tmp_path):
    signer = authority.signer(p256())
    der = tmp_path / "signer.cer"
    call("openssl", "x509", "-in", signer.cert, "-outform", "DER", "-out", der)
    vanthu_json("sign", letter, "--cert", der, "--key", signer.key, "-o", tmp_path / "out.pdf")


def test_a_certificate_outside_its_time_is_refused(authority, letter, tmp_path):
    out = tmp_path / "out.pdf"
    end = (NOW - DAY).replace(microsecond=0)
    signer = authority.signer(p256(), start=NOW - 5 * DAY, end=end)
    vietnam = (end + datetime.timedelta(hours=7)).strftime("%d/%m/%Y %H:%M:%S")
    refused(3, f"the certificate expired on {vietnam}", letter, *signer.options, "-o", out)
    start = (NOW + DAY).replace(microsecond=0)
    signer = authority.signer(p256(), start=start, end=NOW + 5 * DAY)
    vietnam = (start + datetime.timedelta(hours=7)).strftime("%d/%m/%Y %H:%M:%S")
    refused(3, f"the certificate is not valid before {vietnam}", letter, *signer.options, "-o", out)
    assert not out.exists()


def test_a_certificate_for_another_purpose_is_refused(authority, letter):
    signer = authority.signer(p256(), usage=("key_agreement",))
    refused(3, "the certificate is not for signatures", letter, *signer.options)


def test_a_certificate_of_another_key_is_refused(pki, letter, tmp_path):
    message = "the certificate does not belong to the key"
    for key in ("seals/H49.151", "tsa"):
        cert, key = pki.signer("seals/H49").cert, pki.signer(key).key
        refused(3, message, letter, "--cert", cert, "--key", key, "-o", tmp_path / "out.pdf")
    assert not (tmp_path / "out.pdf").exists()


def test_an_encrypted_key_asks_for_its_password(authority, letter, tmp_path):
    signer = authority.signer(p256(), PKCS8, password=b"m\xe1\xba\xadt kh\xe1\xba\xa9u")
    done = refused(3, "the private key is encrypted", letter, *signer.options)
    assert "--key-password-file" in done.err
    out = tmp_path / "out.pdf"
    file = tmp_path / "password"
    file.write_text("mật khẩu\n")
    vanthu_json("sign", letter, *signer.options, "--key-password-file", file, "-o", out)
    authority.passes(out)
    out.unlink()
    given = {"VANTHU_KEY_PASSWORD": "mật khẩu"}
    vanthu_json("sign", letter, *signer.options, "-o", out, env=given)
    authority.passes(out)
    for wrong in ("", "mat khau", "mật khẩu "):
        file.write_text(wrong)
        options = (*signer.options, "--key-password-file", file)
        refused(3, "the password does not open the private key", letter, *options)


@pytest.mark.parametrize("cipher", ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc"])
@pytest.mark.parametrize("hmac", ["hmacWithSHA1", "hmacWithSHA256", "hmacWithSHA384", "hmacWithSHA512"])
def test_keys_that_openssl_encrypted_are_opened(authority, letter, tmp_path, cipher, hmac):
    signer = authority.signer(p256())
    topk8 = ("openssl", "pkcs8", "-topk8", "-in", signer.key, "-passout", "pass:secret")
    call(*topk8, "-v2", cipher, "-v2prf", hmac, "-iter", "100000", "-out", tmp_path / "key.pem")
    options = ("--cert", signer.cert, "--key", tmp_path / "key.pem")
    vanthu_json("sign", letter, *options, "-o", tmp_path / "out.pdf", env={"VANTHU_KEY_PASSWORD": "secret"})
    authority.passes(tmp_path / "out.pdf")


def test_keys_that_are_encrypted_otherwise_are_refused(authority, letter, tmp_path):
    given = {"VANTHU_KEY_PASSWORD": "secret"}
    old = authority.signer(p256(), TRADITIONAL, password=b"secret")
    message = "the private key is encrypted in a way that is not read here"
    done = refused(3, message, letter, *old.options, env=given)
    assert "openssl pkcs8 -topk8" in done.err
    signer = authority.signer(p256())
    topk8 = ("openssl", "pkcs8", "-topk8", "-in", signer.key, "-passout", "pass:secret", "-scrypt")
    call(*topk8, "-out", tmp_path / "key.pem")
    options = ("--cert", signer.cert, "--key", tmp_path / "key.pem")
    refused(3, message, letter, *options, env=given)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ec.generate_private_key(ec.SECP521R1()),
        lambda: rsa.generate_private_key(65537, 1024),
        lambda: ec.generate_private_key(ec.SECP256K1()),
    ],
    ids=["p521", "rsa1024", "secp256k1"],
)
def test_a_key_of_another_kind_is_refused_by_name(authority, letter, make):
    signer = authority.signer(make())
    message = "the private key is none of RSA (2048 to 8192 bits), P-256, P-384, Ed25519"
    refused(3, message, letter, *signer.options)


def test_missing_and_strange_files_are_named(pki, letter, tmp_path):
    seal, none, strange = pki.signer("seals/H49"), tmp_path / "none", tmp_path / "strange"
    strange.write_bytes(b"strange")
    missing = f"{none}: No such file or directory (os error 2)"
    refused(3, missing, letter, "--cert", seal.cert, "--key", none)
    refused(3, missing, letter, "--cert", none, "--key", seal.key)
    refused(3, "the private key (PEM) is not readable", letter, "--cert", seal.cert, "--key", strange)
    refused(3, f"{strange}: there is no certificate in it", letter, "--cert", strange, "--key", seal.key)


def test_a_call_without_key_or_with_two_is_wrong_usage(pki, letter):
    seal = pki.signer("seals/H49")
    for wrong in (
        ("--cert", seal.cert),
        ("--key", seal.key),
        (*seal.options, "--pkcs11", "x.so"),
        (*seal.options, "--token", "x"),
        (*seal.options, "--detached", "--field", "x"),
        (*seal.options, "--image", "x.png"),
        (*seal.options, "--place", "1,2,3"),
        (*seal.options, "--timestamp-wait", "0"),
    ):
        assert vanthu("sign", letter, *wrong, code=2).out == ""
