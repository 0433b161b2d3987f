"""Keys on a PKCS#11 token (SoftHSM2): the key is used where it is, and a wrong PIN is only a wrong PIN."""

from pathlib import Path

import pytest
from command import call, refused, vanthu, vanthu_json
from judges import openssl_cms, pdfsig, pyhanko

PIN = "4711-đúng"
MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")


class Token:
    """A token of its own in a folder of its own."""

    def __init__(self, folder):
        (folder / "tokens").mkdir()
        config = folder / "softhsm2.conf"
        config.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
        self.folder, self.env = folder, {"SOFTHSM2_CONF": str(config)}
        self.module = next(path for path in MODULES if Path(path).exists())
        self.pin_file = folder / "pin"
        self.pin_file.write_text(f"{PIN}\n")
        self.add("agency")

    def add(self, label):
        call(
            "softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "12345678", "--pin", PIN,
            env=self.env,
        )  # fmt: skip

    def put(self, signer, label, id_, certificate=True):
        """Imports a key, and its certificate unless it is to be missing."""
        pkcs8 = self.folder / "key.der"
        call("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", signer.key, "-outform", "DER", "-out", pkcs8)
        self._write(pkcs8, "privkey", label, id_)
        if certificate:
            der = self.folder / "cert.der"
            call("openssl", "x509", "-in", signer.cert, "-outform", "DER", "-out", der)
            self._write(der, "cert", label, id_)

    def _write(self, path, kind, label, id_):
        call(
            "pkcs11-tool", "--module", self.module, "--token-label", "agency", "--login", "--pin", PIN,
            "--write-object", path, "--type", kind, "--label", label, "--id", id_,
            *(["--usage-sign"] if kind == "privkey" else []), env=self.env,
        )  # fmt: skip

    @property
    def options(self):
        return ("--pkcs11", self.module, "--pin-file", self.pin_file)


@pytest.fixture
def token(tmp_path):
    (tmp_path / "token").mkdir()
    return Token(tmp_path / "token")


@pytest.mark.parametrize("kind", ["rsa", "p256"])
def test_a_key_on_a_token_signs_and_everyone_believes_it(request, token, letter, tmp_path, kind):
    country = request.getfixturevalue({"rsa": "rsa_pki", "p256": "pki"}[kind])
    seal = country.signer("seals/H49.151")
    token.put(seal, "con dau", "01")
    out, p7s = tmp_path / "out.pdf", tmp_path / "out.p7s"
    vanthu_json("sign", letter, *token.options, "--cert", seal.cert, "-o", out, env=token.env)
    country.passes(out, 1)
    pyhanko(country, out.read_bytes())
    assert pdfsig(out) == (1, 1)
    vanthu_json("sign", letter, *token.options, "--detached", "-o", p7s, env=token.env)
    country.passes(p7s, 1, "--detached", letter)
    openssl_cms(country, p7s, letter)


def test_the_certificate_and_the_pin_may_come_from_token_and_environment(pki, token, letter, tmp_path):
    token.put(pki.signer("seals/H49"), "một", "01")
    token.put(pki.signer("seals/H49.151"), "hai", "02")
    out = tmp_path / "out.pdf"
    options = ("--pkcs11", token.module, "--token", "agency", "--key-label", "hai", "-o", out)
    vanthu_json("sign", letter, *options, env=token.env | {"VANTHU_PIN": PIN})
    [signature] = pki.passes(out, 1)
    assert "H49.151" in str(signature["signer"])


def test_a_wrong_pin_is_told_and_appears_nowhere(pki, token, letter, tmp_path):
    token.put(pki.signer("seals/H49"), "k", "01")
    out = tmp_path / "out.pdf"
    for wrong in ("0000-wrong", "1", PIN + " "):
        token.pin_file.write_text(wrong)
        done = refused(
            5, "the token does not take the PIN: it is wrong", letter, *token.options, "-o", out, env=token.env
        )
        assert "locked" in done.err and wrong not in done.err.replace("it is wrong", "")
    assert not out.exists()
    message = "no PIN"
    refused(3, message, letter, "--pkcs11", token.module, env=token.env)


def test_what_the_token_does_not_have_is_named(pki, token, letter):
    def with_(*more):
        return (letter, *token.options, *more)

    refused(6, "the token has no private key", *with_(), env=token.env)
    token.put(pki.signer("seals/H49"), "một", "01", certificate=False)
    refused(6, "the token has no certificate for the key", *with_(), env=token.env)
    refused(6, "the token has no private key “hai”", *with_("--key-label", "hai"), env=token.env)
    refused(6, "there is no token “khác”", *with_("--token", "khác"), env=token.env)
    token.put(pki.signer("seals/H49.151"), "hai", "02")
    refused(6, "the token has several private keys; name one", *with_(), env=token.env)
    token.add("second")
    refused(6, "there are several tokens; name one", *with_(), env=token.env)


def test_a_certificate_of_another_key_is_noticed(pki, token, letter, tmp_path):
    token.put(pki.signer("seals/H49"), "k", "01")
    other = pki.signer("seals/H49.151").cert
    out = tmp_path / "out.pdf"
    message = "the certificate does not belong to the key"
    refused(3, message, letter, *token.options, "--cert", other, "-o", out, env=token.env)
    assert not out.exists()


def test_a_module_that_is_none_is_named(letter, token, tmp_path):
    for module in (tmp_path / "none.so", letter):
        done = vanthu("sign", letter, "--pkcs11", module, "--pin-file", token.pin_file, code=3)
        assert done.err.startswith(f"vanthu: error: the PKCS#11 module {module} cannot be loaded: ")
        assert PIN not in done.err
