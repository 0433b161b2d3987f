"""A gateway process, the country that it serves, and the systems that call it."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import urllib.request
from pathlib import Path

import grpc
from vanthu.v1 import (
    directory_service_pb2_grpc,
    dossier_service_pb2_grpc,
    evidence_service_pb2_grpc,
    log_service_pb2,
    log_service_pb2_grpc,
    mailbox_service_pb2_grpc,
    receipt_pb2,
    report_service_pb2_grpc,
    signature_service_pb2_grpc,
    submission_service_pb2_grpc,
    trace_service_pb2_grpc,
)

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 30
# Long enough for a busy machine; no test waits for it unless something is broken.
CALL_SECONDS = 45


def binary():
    """The program under test."""
    named = os.environ.get("VANTHU_BIN")
    found = [Path(named)] if named else [ROOT / f"target/{kind}/vanthu" for kind in ("release", "debug")]
    for path in found:
        if path.is_file():
            return str(path.resolve())
    raise FileNotFoundError(f"no vanthu binary at {', '.join(map(str, found))}; set VANTHU_BIN")


def vanthu(*arguments, code=0):
    """Runs a command that must end with `code`; gives its standard output."""
    command = [binary(), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def vanthu_json(*arguments, code=0):
    """As `vanthu`; gives the one JSON value that it prints."""
    return json.loads(vanthu(*arguments, "--output", "json", code=code))


class Pki:
    """Keys, certificates and the directory of a development country."""

    def __init__(self, folder):
        self.folder = Path(folder)

    @classmethod
    def make(cls, folder, rsa=False):
        vanthu("certs", "dev", "--out", folder, *([] if rsa else ["--p256"]))
        return cls(folder)

    def copy(self, folder):
        """The same country, to be changed by one test."""
        shutil.copytree(self.folder, folder)
        return Pki(folder)

    def read(self, name):
        return (self.folder / name).read_bytes()

    @property
    def vkey(self):
        """The public key of the log."""
        return self.read("log.vkey").decode().strip()

    def revoke(self, system):
        vanthu("certs", "revoke", "--pki", self.folder, system)


class Gateway:
    """A running gateway on ports of the system's choice."""

    def __init__(self, pki, folder, more="", name=None):
        self.pki, self.folder, self.name = pki, Path(folder), name
        self.config = self._write_config(more)
        self._connections = []
        self._systems = {}
        self._launch()

    def _write_config(self, more):
        """`more` goes on in the section [log], and may open others."""
        text = (self.pki.folder / "vanthu.toml").read_text()
        text = re.sub(r'(?m)^(listen|operations) = .*$', r'\1 = "127.0.0.1:0"', text)
        text = re.sub(r'(?m)^data = .*$', f'data = "{self.folder / "data"}"', text)
        # Every other path of a configuration is relative to its folder.
        if self.name:
            text = re.sub(r'(?m)^name = .*$', f'name = "{self.name}"', text)
        path = self.pki.folder / f"{self.folder.name}.toml"
        of_log, bracket, sections = more.partition("[")
        text = text.replace("[log]\n", f"[log]\n{of_log}", 1)
        path.write_text(f"{text}\n{bracket}{sections}")
        return path

    def _launch(self):
        with open(self.folder / "traces.jsonl", "ab") as traces:
            command = [binary(), "serve", "--config", str(self.config)]
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=traces, text=True)
        alarm = threading.Timer(START_SECONDS_MAX, self.process.kill)
        alarm.start()
        line = self.process.stdout.readline()
        alarm.cancel()
        serving = re.fullmatch(r"serving (\S+) operations (\S+)(?: readers (\S+))?\n", line)
        assert serving, f"no serving line but {line!r}: {self.traces()}"
        self.address, self.operations, self.readers = serving.groups()

    def traces(self):
        """What the gateway said about itself."""
        return (self.folder / "traces.jsonl").read_text()

    def stop(self):
        """Ends the gateway as an operator does; harmless if it has ended."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._systems.clear()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.process.stdout.close()
        assert code == 0, f"the gateway ended with {code}: {self.traces()[-2000:]}"

    def restart(self):
        self.stop()
        self._launch()

    def reload(self):
        """Has it read certificates, lists and directory again; returns when it has."""
        before = self.traces().count('"reloaded"')
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.traces().count('"reloaded"') > before)

    def system(self, name):
        """The connection of a registered system; one for all tests with this gateway."""
        if name not in self._systems:
            self._systems[name] = self.connect(name)
        return self._systems[name]

    def connect(self, name=None):
        """A new connection with the certificate of a system, or with none."""
        key, chain = (None, None) if name is None else (
            self.pki.read(f"systems/{name}.key"),
            self.pki.read(f"systems/{name}.pem"),
        )
        return self.connect_as(key, chain)

    def connect_as(self, key, chain):
        """A new connection with any key and certificate."""
        credentials = grpc.ssl_channel_credentials(self.pki.read("tls/ca.pem"), key, chain)
        connection = System(self.address, credentials)
        self._connections.append(connection)
        return connection

    def size(self):
        """Entries in the log, as the operator sees it; works for an empty log, too."""
        with urllib.request.urlopen(f"http://{self.operations}/readyz", timeout=CALL_SECONDS) as page:
            return int(re.fullmatch(r"ready: log at \d+/(\d+)\n", page.read().decode())[1])

    @contextlib.contextmanager
    def writes(self, entries):
        """What runs inside adds exactly so many entries to the log, apart from those that the gateway
        writes by itself when it gets to it."""
        before = self.size()
        yield
        # Receipts, because to read entries is an entry itself.
        places = (receipt_pb2.EntryId(epoch=1, index=index) for index in range(before, self.size()))
        requests = (log_service_pb2.GetReceiptRequest(entry_id=place) for place in places)
        auditor = self.system("auditor").log
        leaves = [auditor.GetReceipt(request).receipt.leaf for request in requests]
        added = [leaf for leaf in leaves if not UNATTENDED.search(leaf)]
        assert len(added) == entries, f"{len(added)} entries were written, not {entries}"


#: Events that nobody waits for: they come some time after what caused them.
UNATTENDED = re.compile(rb"^event (ConsignmentNotification|ContentAccessTracking)$", re.M)


def wait_until(condition, seconds=CALL_SECONDS):
    """Waits until something is so, and no longer."""
    pause, waited = threading.Event(), 0.0
    while not condition():
        assert waited < seconds, "waited for too long"
        pause.wait(0.01)
        waited += 0.01


class System:
    """A connection with a stub for every service."""

    def __init__(self, address, credentials):
        options = [("grpc.ssl_target_name_override", "localhost"), ("grpc.enable_retries", 0)]
        # Otherwise channels with the same arguments share one connection.
        options.append(("grpc.use_local_subchannel_pool", 1))
        # As it is without the interceptor: the raw channel, for calls that no stub makes.
        self.raw = grpc.secure_channel(address, credentials, options)
        channel = grpc.intercept_channel(self.raw, _Deadline())
        self.submission = submission_service_pb2_grpc.SubmissionServiceStub(channel)
        self.mailbox = mailbox_service_pb2_grpc.MailboxServiceStub(channel)
        self.signature = signature_service_pb2_grpc.SignatureServiceStub(channel)
        self.report = report_service_pb2_grpc.ReportServiceStub(channel)
        self.trace = trace_service_pb2_grpc.TraceServiceStub(channel)
        self.log = log_service_pb2_grpc.LogServiceStub(channel)
        self.evidence = evidence_service_pb2_grpc.EvidenceServiceStub(channel)
        self.directory = directory_service_pb2_grpc.DirectoryServiceStub(channel)
        self.dossier = dossier_service_pb2_grpc.DossierServiceStub(channel)

    def close(self):
        self.raw.close()


class _Deadline(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
):
    """Gives every call a deadline, so that a gateway that hangs fails a test instead of the run."""

    def _within(self, continuation, details, request):
        if details.timeout is None:
            details = details._replace(timeout=CALL_SECONDS)
        return continuation(details, request)

    intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = _within
