"""Every test gets a gateway of its own; what a failed one said is printed."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import gateway as outside  # noqa: E402


def pytest_report_header():
    return f"gateway: {outside.BIN}"


def pytest_configure():
    if not outside.BIN.is_file():
        pytest.exit(f"{outside.BIN} is missing: cargo build --release, or set VANTHU_BIN", 2)


@pytest.fixture
def home(tmp_path):
    return outside.make_home(tmp_path / "home")


@pytest.fixture
def gateway(home):
    with outside.Gateway(home) as running:
        yield running.start()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    running = item.funcargs.get("gateway")
    if report.when == "call" and report.failed and running is not None:
        report.sections.append(("stderr of the gateway", running.traces()[-6000:]))
