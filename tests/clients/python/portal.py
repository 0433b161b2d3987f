"""The stand-in of the National Public Service Portal, and the courier between it and a gateway."""

import http.client
import json
import re
import subprocess
import threading
import uuid

from gateway import CALL_SECONDS, START_SECONDS_MAX, STOP_SECONDS_MAX, binary, wait_until
from papers import Letter, part

AGENCY = "G22.DVC"
MEDIA_TYPE = "application/vnd.vanthu.dvcqg+json"

#: Compulsory fields, from the page of facts and not from the program, with values that the portal takes.
DOSSIER = {
    "MaHoSo": "", "MaTTHC": "1.003003", "TenTTHC": "Đăng ký biến động", "MaLinhVuc": "G15-DD",
    "TenLinhVuc": "Đất đai", "LoaiDoiTuong": "1", "Email": "cong.dan@example.invalid",
    "SoDienThoai": "0900000000", "TrichYeuHoSo": "Đăng ký biến động đất đai", "NgayTiepNhan": "20261123080000",
    "NgayHenTra": "20261211170000", "TrangThaiHoSo": "2", "HinhThuc": "0", "DonViXuLy": "UBND xã",
}
STEP = {"MaHoSo": "", "NguoiXuLy": "Trần Thị B", "ThoiDiemXuLy": "20261124090000", "NoiDungXuLy": "Thẩm định",
        "TrangThai": "4"}
STATUS = {"MaHoSo": "", "TrangThai": "9"}
FROM_CATALOGUE = ["TenTTHC", "MaLinhVuc", "TenLinhVuc"]


def ask(port, method, path, body=None):
    """Status and JSON of one call to this machine."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_SECONDS)
    line.request(method, path, body if body is None or isinstance(body, bytes) else json.dumps(body))
    answer = line.getresponse()
    text = answer.read()
    line.close()
    return answer.status, json.loads(text) if text.startswith(b"{") else None


class Process:
    """A running command that says on its first line that it is ready."""

    def __init__(self, traces, line, *arguments):
        self.traces_path = traces
        with open(traces, "ab") as errors:
            command = [binary(), *map(str, arguments)]
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        alarm = threading.Timer(START_SECONDS_MAX, self.process.kill)
        alarm.start()
        said = self.process.stdout.readline()
        alarm.cancel()
        self.ready = re.fullmatch(line, said)
        assert self.ready, f"no first line but {said!r}: {self.traces()}"

    def traces(self):
        return self.traces_path.read_text()

    def kill(self):
        self.process.kill()
        self.process.wait(STOP_SECONDS_MAX)
        self.process.stdout.close()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(STOP_SECONDS_MAX)
        self.process.stdout.close()


class Portal(Process):
    """The stand-in."""

    def __init__(self, folder, session_seconds=600):
        self.folder, self.credentials = folder, folder / "login.toml"
        self.set_login("hcm", "mat-khau-1")
        super().__init__(folder / "portal.traces", r"stand-in (http://127\.0\.0\.1:(\d+))\n", "portal", "stand-in",
                         "--listen", "127.0.0.1:0", "--credentials", self.credentials,
                         "--session-seconds", session_seconds)
        self.url, self.port = self.ready[1], int(self.ready[2])

    def set_login(self, username, password):
        self.credentials.write_text(f'username = "{username}"\npassword = "{password}"\n')

    def ask(self, method, path, body=None):
        """Status and JSON of one call."""
        return ask(self.port, method, path, body)

    def fail(self, **faults):
        """How calls fail from now on; without a word, they do not."""
        assert self.ask("POST", "/faults", faults)[0] == 204

    def book(self):
        return self.ask("GET", "/book")[1]

    def calls(self, name):
        return self.book()["calls"].get(name, 0)

    def session(self):
        answer = self.ask("POST", "/login", {"username": "hcm", "password": "mat-khau-1"})[1]
        return answer["session"]

    def call(self, service, session=None, **more):
        body = {"session": session or self.session(), "madonvi": "000.00.00.H49", "service": service}
        return self.ask("POST", "/api", body | more)[1]

    def config(self, credentials=None, more=""):
        """A file for those who call it."""
        path = self.folder / f"portal-{uuid.uuid4()}.toml"
        path.write_text(f'agency = "{AGENCY}"\nmadonvi = "000.00.00.H49"\nlogin = "{self.url}/login"\n'
                        f'integration = "{self.url}/api"\ncredentials = "{credentials or self.credentials}"\n'
                        f"retry_seconds = 1\nretry_seconds_max = 2\n{more}")
        return path


class Courier(Process):
    """`vanthu portal run`; where its configuration says so, with the door at which the portal calls."""

    def __init__(self, gateway, portal, config=None):
        folder = gateway.folder
        server = f"https://localhost:{gateway.address.rsplit(':', 1)[1]}"
        super().__init__(folder / "courier.traces", r"handing over G22\.DVC operations (\S+)(?: receive \S+:(\d+))?\n",
                         "portal", "run",
                         "--config", config or portal.config(), "--server", server,
                         "--ca", gateway.pki.folder / "tls/ca.pem",
                         "--cert", gateway.pki.folder / "systems/portal.pem", "--operations", "127.0.0.1:0")
        self.operations, self.door = self.ready[1], int(self.ready[2] or 0)

    def log_in(self, username="cong", password="mat-khau-cong"):
        return ask(self.door, "POST", "/login", {"username": username, "password": password})[1]

    def ask(self, body):
        """Status and JSON of one call at the door."""
        return ask(self.door, "POST", "/api", body)

    def call(self, service, session=None, **more):
        session = session or self.log_in()["session"]
        status, answer = self.ask({"session": session, "madonvi": "000.00.00.G22", "service": service} | more)
        assert status == 200
        return answer

    def tell(self, service, record, session=None):
        """The portal tells of a record; gives the error code and the words."""
        data = record if service == "DongBoTrangThaiHoSo" else [record]
        answer = self.call(service, session, isUpdating="False", data=data)
        return int(answer["error_code"]), answer.get("message", "")

    def find(self, code, session=None):
        answer = self.call("TraCuuHoSo", session, mahoso=code)
        assert answer["error_code"] == "0", answer
        return answer["result"]

    def metric(self, name):
        line = http.client.HTTPConnection(self.operations, timeout=CALL_SECONDS)
        line.request("GET", "/metrics")
        text = line.getresponse().read().decode()
        line.close()
        found = re.search(rf"(?m)^{re.escape(name)} (\S+)$", text)
        return float(found[1]) if found else None


def receiving(portal, more=""):
    """A configuration with a door for the portal, and its user."""
    path = portal.folder / "cong.toml"
    path.write_text('username = "cong"\npassword = "mat-khau-cong"\n')
    return portal.config(more=f'receive = "127.0.0.1:0"\nreceive_credentials = "{path}"\n{more}')


def code_of(number):
    return f"H49.151-20261123-{number:04}"


def message(service, data):
    return json.dumps({"service": service, "data": data}, ensure_ascii=False).encode()


def send(gateway, content, dossier, **fields):
    """A message to the portal, from the commune; gives its consignment."""
    listed = part("ho-so.dvcqg", content, media_type=MEDIA_TYPE)
    letter = Letter(to=(AGENCY,), content=content, parts=[listed], dossier_code=dossier, **fields)
    return letter.send(gateway.system("commune")).consignment_id


def send_dossier(gateway, code, **changes):
    return send(gateway, message("DongBoHoSoMC", DOSSIER | {"MaHoSo": code} | changes), code)


def send_step(gateway, code, **changes):
    return send(gateway, message("CapNhatTienDoHoSoMC", STEP | {"MaHoSo": code} | changes), code)


__all__ = ["AGENCY", "Courier", "DOSSIER", "FROM_CATALOGUE", "MEDIA_TYPE", "Portal", "STATUS", "STEP", "ask", "code_of", "message",
           "receiving", "send", "send_dossier", "send_step", "wait_until"]
