"""A gateway under test: made, started, stopped, killed and called from outside."""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc  # noqa: E402
from grpc_tools import protoc  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("VANTHU_BIN", ROOT / "target/release/vanthu")).resolve()
START_SECONDS = 30
MIB = 1024 * 1024


def _stubs():
    """Compiles the interface into a folder of its own and makes it importable."""
    out = tempfile.mkdtemp(prefix="vanthu-stubs-")
    protos = sorted(str(path) for path in (ROOT / "proto/vanthu/v1").glob("*.proto"))
    google = pathlib.Path(protoc.__file__).parent / "_proto"
    arguments = ["protoc", f"-I{ROOT / 'proto'}", f"-I{google}", f"--python_out={out}"]
    if protoc.main([*arguments, f"--grpc_python_out={out}", *protos]) != 0:
        raise RuntimeError("the protos do not compile")
    sys.path.insert(0, out)
    import atexit

    atexit.register(shutil.rmtree, out, ignore_errors=True)


_stubs()

from vanthu.v1 import (  # noqa: E402
    directory_service_pb2 as directory,
    directory_service_pb2_grpc as directory_grpc,
    envelope_pb2 as envelope,
    evidence_service_pb2 as evidence,
    evidence_service_pb2_grpc as evidence_grpc,
    log_service_pb2 as log,
    log_service_pb2_grpc as log_grpc,
    mailbox_service_pb2 as mailbox,
    mailbox_service_pb2_grpc as mailbox_grpc,
    receipt_pb2 as receipt,
    submission_service_pb2 as submission,
    submission_service_pb2_grpc as submission_grpc,
    trace_service_pb2 as trace,
    trace_service_pb2_grpc as trace_grpc,
)

assert directory and evidence and receipt and trace

#: Which system speaks for which agency in the development country.
HOSTS = {"H49.151": "commune", "H49.152": "commune", "H49.11": "province", "G22": "portal",
         "H49": "province"}


def run(*arguments, code=0):
    """Runs the command line to its end; returns its stdout."""
    done = subprocess.run([BIN, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert done.returncode == code, (
        f"vanthu {' '.join(map(str, arguments))} ended with {done.returncode}, not {code}:\n"
        f"{done.stdout}\n{done.stderr}"
    )
    return done


def audit(home, since=None):
    """Audits the log of a stopped gateway, or what is new since the audit that this file remembers;
    every finding fails the test."""
    done = subprocess.run(
        [BIN, "log", "audit", "--key", home / "log.vkey", "--data", home / "data",
         "--output", "json", *(["--since", since] if since else [])],
        capture_output=True, text=True, timeout=300,
    )
    assert done.stdout, f"the audit ended with {done.returncode}: {done.stderr}"
    report = json.loads(done.stdout)
    assert report["valid"] and done.returncode == 0, report
    return report


def make_home(home, **config):
    """A folder with PKI, directory and configuration; ports are chosen by the system."""
    run("certs", "dev", "--out", home, "--p256")
    path = home / "vanthu.toml"
    text = path.read_text()
    text = re.sub(r'^listen = .*$', 'listen = "127.0.0.1:0"', text, flags=re.M)
    text = re.sub(r'^operations = .*$', 'operations = "127.0.0.1:0"', text, flags=re.M)
    if "epoch_entries" in config:
        text = text.replace("[log]\n", f"[log]\nepoch_entries = {config['epoch_entries']}\n")
    if "reserve_mib" in config:
        text = f"reserve_mib = {config['reserve_mib']}\n" + text
    path.write_text(text)
    return home


class Gateway:
    """One process on one home folder."""

    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.process = None
        self.address = self.pages = None
        self.channels = {}

    # ── the process ─────────────────────────────────────────────────────────────────────────────

    def launch(self, *options):
        """Starts the process and does not wait for it."""
        self.stderr = open(self.home / "stderr.txt", "ab")
        self.process = subprocess.Popen(
            [BIN, "serve", "--config", self.home / "vanthu.toml", *options],
            stdout=subprocess.PIPE, stderr=self.stderr, text=True,
        )
        self.lines = queue.Queue()
        out = self.process.stdout

        def read(lines=self.lines):
            for line in out:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        return self

    def start(self, *options):
        """Starts the process; returns once it serves."""
        self.launch(*options)
        line = self.lines.get(timeout=START_SECONDS)
        assert line, f"not started, exit code {self.process.wait()}:\n{self.traces()[-3000:]}"
        words = line.split()
        assert words[0] == "serving" and words[2] == "operations", line
        self.address, self.pages = words[1], words[3]
        return self

    def start_fails(self, code):
        """Starts the process, which must end by itself with this exit code; returns its stderr."""
        before = len(self.traces())
        self.launch()
        try:
            ended = self.process.wait(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the gateway serves and must not") from None
        said = self.traces()[before:]
        self.forget()
        assert ended == code, f"exit code {ended}, not {code}: {said}"
        return said

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.forget()

    def signal(self, which):
        self.process.send_signal(which)

    def stop(self, seconds=30):
        """SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        code = self.process.wait(timeout=seconds)
        self.forget()
        return code

    def forget(self):
        for channel in self.channels.values():
            channel.close()
        self.channels = {}
        self.process.stdout.close()
        self.stderr.close()
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.kill()

    def traces(self):
        path = self.home / "stderr.txt"
        return path.read_text(errors="replace") if path.exists() else ""

    def memory(self, field):
        """VmHWM (peak) or VmRSS in MiB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{field}:\s+(\d+) kB", status, re.M).group(1)) / 1024

    # ── calling it ──────────────────────────────────────────────────────────────────────────────

    def open_channel(self, system):
        """A connection of its own."""
        pem = lambda path: (self.home / path).read_bytes()  # noqa: E731
        credentials = grpc.ssl_channel_credentials(
            pem("tls/ca.pem"), pem(f"systems/{system}.key"), pem(f"systems/{system}.pem"))
        options = [("grpc.ssl_target_name_override", "localhost"),
                   ("grpc.use_local_subchannel_pool", 1),
                   ("grpc.enable_http_proxy", 0),
                   ("grpc.max_receive_message_length", 5 * MIB)]
        return grpc.secure_channel(self.address, credentials, options)

    def channel(self, system):
        if system not in self.channels:
            self.channels[system] = self.open_channel(system)
        return self.channels[system]

    def submissions(self, system="commune"):
        return submission_grpc.SubmissionServiceStub(self.channel(system))

    def mailboxes(self, system="province"):
        return mailbox_grpc.MailboxServiceStub(self.channel(system))

    def log(self, system="auditor"):
        return log_grpc.LogServiceStub(self.channel(system))

    def tracing(self, system="auditor"):
        return trace_grpc.TraceServiceStub(self.channel(system))

    def evidences(self, system="auditor"):
        return evidence_grpc.EvidenceServiceStub(self.channel(system))

    def agencies(self, system="auditor"):
        return directory_grpc.DirectoryServiceStub(self.channel(system))

    def page(self, path):
        """Status and text of an operations page."""
        try:
            with urllib.request.urlopen(f"http://{self.pages}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    # ── what tests ask again and again ──────────────────────────────────────────────────────────

    def submit(self, document, timeout=20):
        """Submits a small document; returns the SubmissionResult."""
        request = submission.SubmitDocumentRequest(
            request_id=document.request_id, envelope=document.envelope, parts=document.parts)
        return self.submissions(HOSTS[document.sender]).SubmitDocument(
            request, timeout=timeout).result

    def items(self, agency):
        """Everything that waits in a mailbox."""
        items, token = [], ""
        while True:
            page = self.mailboxes(HOSTS[agency]).ListItems(mailbox.ListItemsRequest(
                agency=agency, page_size=500, page_token=token), timeout=20)
            items += page.items
            token = page.next_page_token
            if not token:
                return items

    def entries(self, epoch=0, index=0):
        """(epoch, index, fields) of every entry from a point on."""
        start = receipt.EntryId(epoch=epoch, index=index)
        messages = self.log().ReadEntries(log.ReadEntriesRequest(**{"from": start}), timeout=120)
        for message in messages:
            for offset, leaf in enumerate(message.leaves):
                yield message.first.epoch, message.first.index + offset, leaf

    def trace(self, **term):
        """Every entry that a trace finds."""
        entries, token = [], ""
        while True:
            page = self.tracing().Trace(
                trace.TraceRequest(page_size=500, page_token=token, **term), timeout=20)
            entries += page.entries
            token = page.next_page_token
            if not token:
                return entries


def fields(leaf):
    """The fields of an entry (src/log/FORMAT.md §1)."""
    lines = leaf.decode().splitlines()
    assert lines[0] == "vanthu.entry.v1", lines
    return dict(line.split(" ", 1) for line in lines[1:])


def request_key(sender, request_id):
    return hashlib.sha256(f"{sender}\n{request_id}".encode()).hexdigest()


@dataclasses.dataclass
class Document:
    """A document as its sender keeps it for retries."""

    sender: str
    request_id: str
    envelope: bytes
    parts: list

    @property
    def key(self):
        return request_key(self.sender, self.request_id)


def listed(name, content=None, *, size=None, sha256=None, role=envelope.PART_ROLE_MAIN, signs="",
           media_type="text/plain"):
    """A part of an envelope, of these bytes or of this size and digest."""
    if content is not None:
        size, sha256 = len(content), hashlib.sha256(content).digest()
    return envelope.Part(name=name, media_type=media_type, size=size, sha256=sha256, role=role,
                         signs=signs)


def make_envelope(parts, sender="H49.151", recipients=("H49.11",), subject="Thử độ tin cậy",
                  urgency=envelope.URGENCY_NORMAL, **more):
    return envelope.Envelope(
        document_id=f"{sender},{uuid.uuid4()}", type_name="Công văn", subject=subject,
        issue_date=envelope.Date(year=2025, month=11, day=3), urgency=urgency,
        secrecy=envelope.SECRECY_NONE, form=envelope.FORM_ORIGINAL, sender=sender,
        recipients=recipients, parts=parts, **more,
    ).SerializeToString(deterministic=True)


def make_document(size=600, random=None, **more):
    """A small unsigned document that nobody has sent before."""
    seed = random.randbytes(16) if random else os.urandom(16)
    content = (b"Noi dung " + seed.hex().encode() + b"\n") * (size // 42 + 1)
    identifier = str(uuid.UUID(bytes=seed, version=4))
    envelope_bytes = make_envelope([listed("cong-van.txt", content)], **more)
    return Document(more.get("sender", "H49.151"), identifier, envelope_bytes, [content])


@contextlib.contextmanager
def timed(what):
    since = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - since:.1f} s", flush=True)


def copy_data(home, to):
    """A copy of a home whose gateway is stopped."""
    shutil.copytree(home, to)
    return to
