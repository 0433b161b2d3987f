"""Compiles the protos, makes the PKIs and runs the gateways that the tests talk to."""

import shutil
import sys
import tempfile
from pathlib import Path

import grpc_tools
import pytest
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[3]
PROTO = ROOT / "proto"


def pytest_configure(config):
    """Clients come from the protos alone; what is generated lives as long as the session."""
    folder = tempfile.TemporaryDirectory(prefix="vanthu-protos-")
    config.add_cleanup(folder.cleanup)
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    files = sorted(str(path) for path in PROTO.glob("vanthu/v1/*.proto"))
    options = [f"-I{PROTO}", f"-I{well_known}"]
    outputs = [f"--python_out={folder.name}", f"--grpc_python_out={folder.name}"]
    if protoc.main(["protoc", *options, *outputs, *files]) != 0:
        raise pytest.UsageError("the protos do not compile")
    sys.path.insert(0, folder.name)


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """A country with P-256 keys: made in no time."""
    from gateway import Pki

    return Pki.make(tmp_path_factory.mktemp("country") / "pki")


@pytest.fixture(scope="session")
def rsa_pki(tmp_path_factory):
    """A country with RSA keys, like the real one."""
    from gateway import Pki

    return Pki.make(tmp_path_factory.mktemp("rsa") / "pki", rsa=True)


@pytest.fixture(scope="session")
def start(tmp_path_factory):
    """Starts gateways; `stop` of each is called at the end of the session at the latest."""
    from gateway import Gateway

    running = []

    def start(pki, more="", name=None, data=None):
        folder = tmp_path_factory.mktemp("gateway")
        if data:
            shutil.copytree(data, folder / "data")
        running.append(Gateway(pki, folder, more, name))
        return running[-1]

    yield start
    for gateway in running:
        gateway.stop()


@pytest.fixture
def gateway(pki, start):
    """A gateway with an empty log, for one test."""
    gateway = start(pki)
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def shared(pki, start):
    """A gateway for all tests of a module."""
    gateway = start(pki)
    yield gateway
    gateway.stop()
