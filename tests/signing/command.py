"""The program under test and the other tools: how they are called."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120


def binary():
    named = os.environ.get("VANTHU_BIN")
    found = [Path(named)] if named else [ROOT / f"target/{kind}/vanthu" for kind in ("release", "debug")]
    for path in found:
        if path.is_file():
            return str(path.resolve())
    raise FileNotFoundError(f"no vanthu binary at {', '.join(map(str, found))}; set VANTHU_BIN")


def call(*command, code=0, env=None, **how):
    """Runs a program that must end with `code`; with any code if that is none."""
    command = [str(word) for word in command]
    environment = {key: value for key, value in os.environ.items() if key != "VANTHU_PIN"} | (env or {})
    done = subprocess.run(
        command, capture_output=True, timeout=SECONDS, check=False, env=environment, **how
    )
    done.out = done.stdout.decode("utf-8", "replace")
    done.err = done.stderr.decode("utf-8", "replace")
    assert code is None or done.returncode == code, f"{command} ended with {done.returncode}:\n{done.out}{done.err}"
    return done


def vanthu(*arguments, code=0, env=None):
    return call(binary(), *arguments, code=code, env=env)


def vanthu_json(*arguments, code=0, env=None):
    return json.loads(vanthu(*arguments, "--output", "json", code=code, env=env).out)


def refused(code, message, *arguments, env=None):
    """The command must end with `code` and say exactly `message`; hints may follow."""
    done = vanthu("sign", *arguments, code=code, env=env)
    first = done.err.splitlines()[0]
    assert first == f"vanthu: error: {message}", done.err
    assert done.out == ""
    return done


class Signer:
    """A certificate and a key in files."""

    def __init__(self, cert, key):
        self.cert, self.key = Path(cert), Path(key)
        self.options = ("--cert", self.cert, "--key", self.key)


class Pki:
    """The development PKI."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.trust = self.folder / "trust"

    @classmethod
    def make(cls, folder, rsa=False):
        vanthu("certs", "dev", "--out", folder, *([] if rsa else ["--p256"]))
        return cls(folder)

    def signer(self, name):
        """For example `officers/H49.151`."""
        return Signer(self.folder / f"{name}.pem", self.folder / f"{name}.key")

    def verify(self, path, *more, code=0):
        return vanthu_json("verify", path, "--trust", self.trust, *more, code=code)

    def passes(self, path, count, *more):
        """Every one of `count` signatures passes in full."""
        report = self.verify(path, *more)
        assert report["indication"] == "TOTAL-PASSED", report
        assert len(report["signatures"]) == count, report
        return report["signatures"]

    def anchors(self):
        return sorted(path for path in (self.trust / "gov" / "anchors").iterdir())

    def intermediates(self):
        return sorted(path for path in (self.trust / "gov" / "intermediates").iterdir())
