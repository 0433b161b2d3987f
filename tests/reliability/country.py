"""Three gateways, a province, the nation and another province, each with neighbours that it reaches
through a proxy with faults."""

import base64
import hashlib
import random
import re
import shutil
import socket
import threading
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import gateway as outside

#: The gateways, and which of them are neighbours.
NAMES = {"h49": "h49.example", "nation": "nation.example", "h01": "h01.example"}
LINES = [("h49", "nation"), ("nation", "h49"), ("nation", "h01"), ("h01", "nation")]
#: Agencies, the system that hosts each, and the gateway that it is at.
AGENCIES = {
    "G22": ("portal", "nation"),
    "H01": ("district", "h01"),
    "H01.7": ("district", "h01"),
    "H49": ("province", "h49"),
    "H49.11": ("province", "h49"),
    "H49.151": ("commune", "h49"),
}
outside.HOSTS.update({code: host for code, (host, _) in AGENCIES.items()})


def vkey(name, public):
    """A C2SP vkey."""
    typed = b"\x01" + public
    identifier = hashlib.sha256(name.encode() + b"\n" + typed).hexdigest()[:8]
    return f"{name}+{identifier}+{base64.b64encode(typed).decode()}"


def next_hop(here, there):
    """The neighbour of `here` behind which `there` is."""
    return there if (here, there) in LINES else "nation"


class Proxy:
    """Carries one line from a gateway to its neighbour, badly if it is told to."""

    FAULTS = ["none", "none", "cut", "delay", "slow", "half-open", "duplicate"]

    def __init__(self, rng):
        self.rng = random.Random(rng.getrandbits(64))
        self.target, self.fault, self.sockets = None, "none", []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.carried = self.cuts = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(near,), daemon=True).start()

    def carry(self, near):
        try:
            host, port = self.target.rsplit(":", 1)
            far = socket.create_connection((host, int(port)), timeout=5)
            far.settimeout(None)
            if self.fault == "duplicate":
                self.keep(socket.create_connection((host, int(port)), timeout=5))
        except (OSError, AttributeError):
            near.close()
            return
        self.keep(near)
        self.keep(far)
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=self.pump, args=(one, other), daemon=True).start()

    def keep(self, one):
        with self.lock:
            self.sockets.append(one)

    def pump(self, one, other):
        left = self.rng.randrange(2_000, 60_000)
        try:
            while data := one.recv(16_384):
                if self.fault == "delay":
                    time.sleep(self.rng.uniform(0, 0.05))
                elif self.fault == "slow":
                    for start in range(0, len(data), 512):
                        other.sendall(data[start:start + 512])
                        time.sleep(0.001)
                    continue
                elif self.fault in ("cut", "half-open"):
                    left -= len(data)
                    if left < 0 and self.fault == "cut":
                        other.sendall(data[: len(data) // 2])
                        self.cuts += 1
                        break
                    if left < 0:
                        continue
                self.carried += len(data)
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def reset(self, fault="none"):
        """Cuts what is open; what comes is carried with this fault."""
        self.fault = fault
        with self.lock:
            sockets, self.sockets = self.sockets, []
        for one in sockets:
            one.close() if one.fileno() < 0 else _cut(one)

    def close(self):
        self.listener.close()
        self.reset()


def _cut(one):
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    one.close()


class Country:
    """The three gateways and their lines."""

    def __init__(self, folder, rng=None, more=None):
        rng = rng or random.Random(0)
        self.lines = {line: Proxy(rng) for line in LINES}
        first = outside.make_home(folder / "h49")
        homes = {"h49": first}
        for place in ("nation", "h01"):
            homes[place] = shutil.copytree(first, folder / place)
        keys = {}
        for place, home in homes.items():
            key = Ed25519PrivateKey.generate()
            home.joinpath("log.key").write_bytes(key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption()))
            public = key.public_key().public_bytes_raw()
            keys[place] = vkey(NAMES[place], public)
            home.joinpath("log.vkey").write_text(keys[place] + "\n")
        for place, home in homes.items():
            self.configure(place, home, keys, (more or {}).get(place, ""))
        self.gateways = {place: outside.Gateway(home) for place, home in homes.items()}

    def configure(self, place, home, keys, more):
        path = home / "vanthu.toml"
        text = re.sub(r"^name = .*$", f'name = "{NAMES[place]}"', path.read_text(), flags=re.M)
        for here, there in LINES:
            if here == place:
                port = self.lines[here, there].port
                text += (f'\n[[neighbour]]\nname = "{NAMES[there]}"\nvkey = "{keys[there]}"\n'
                         f'address = "https://127.0.0.1:{port}"\n')
        text += (f'\n[relay]\ncertificate = "systems/gateway-{place}.pem"\n'
                 f'key = "systems/gateway-{place}.key"\n')
        path.write_text(text)
        home.joinpath("directory.toml").write_text(directory(place) + more)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for gateway in self.gateways.values():
            if gateway.process:
                gateway.kill()
        for line in self.lines.values():
            line.close()

    def start(self, place):
        self.gateways[place].start()
        self.gateways[place].channels = {}
        for (_, there), line in self.lines.items():
            if there == place:
                line.target = self.gateways[place].address
        return self

    def kill(self, place):
        # Nobody opens a channel to where it was.
        self.gateways[place].address = None
        self.gateways[place].kill()

    def start_all(self):
        for place, gateway in self.gateways.items():
            self.start(place)
            # The head guard begins with the first answer; a kill before it asks for an operator.
            assert list(gateway.entries())
        return self

    def at(self, agency):
        return self.gateways[AGENCIES[agency][1]]

    def stop_and_audit(self):
        reports = {}
        for place, gateway in self.gateways.items():
            assert gateway.stop() == 0
            reports[place] = outside.audit(gateway.home)
        return reports


def directory(place):
    """The directory of one gateway: who is here, and who is behind which neighbour."""
    text = 'as_of = "2026-11-22"\n'
    local = {host for host, at in AGENCIES.values() if at == place}
    for system, role in sorted({(host, "portal" if host == "portal" else "agency")
                                for host in local} | {("auditor", "auditor")}):
        text += (f'[[system]]\nid = "{system}"\nidentities = ["urn:vanthu:system:{system}"]\n'
                 f'role = "{role}"\n')
    for here, there in LINES:
        if here == place:
            text += (f'[[system]]\nid = "at-{there}"\nrole = "gateway"\n'
                     f'identities = ["urn:vanthu:system:gateway-{there}"]\n'
                     f'gateway = "{NAMES[there]}"\n')
    for code, (host, at) in AGENCIES.items():
        host = host if at == place else f"at-{next_hop(place, at)}"
        text += agency(code, host)
    return text


def agency(code, host, **more):
    """A row of the directory."""
    text = (f'[[agency]]\ncode = "{code}"\nname = "Cơ quan {code}"\nlevel = 1\nkind = "state"\n'
            f'valid_from = "2020-07-22"\n')
    if host:
        text += f'host = "{host}"\n'
    return text + "".join(f'{name} = "{value}"\n' for name, value in more.items())


def wait_for(what, seconds=60, message="it does not come"):
    """Waits until it is true; gives what it is then."""
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, message() if callable(message) else message
        time.sleep(0.05)
    return found
