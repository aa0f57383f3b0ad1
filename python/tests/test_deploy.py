"""`examples/deploy`: each file as its reader would use it, as far as this machine can."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.load import Clients
from harness.servers import (
    APPS,
    REPOSITORY,
    STOP_TIMEOUT,
    ServerProcess,
    bimetal_command,
    free_port,
    run_bimetal,
    until,
)
from harness.wire import Connection, Reply, get, request

pytestmark = pytest.mark.bimetal_only

DEPLOY = REPOSITORY / "examples" / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
ACTIVATE = shutil.which("systemd-socket-activate")

#: What Debian's nginx.conf has around the files of conf.d, in one process of a test's own.
AROUND = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/app.conf;
}}
"""


def unit(name: str) -> dict[str, str]:
    """The settings of a unit; none of those of interest comes twice."""
    lines = (DEPLOY / "systemd" / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def command_of(name: str, **replaced: str) -> list[str]:
    """The command of a unit for the program under test, with what differs here in place of what is written."""
    line = unit(name)["ExecStart"]
    for old, new in {"/srv/app/.venv/bin/bimetal": bimetal_command(), **replaced}.items():
        assert old in line, old
        line = line.replace(old, new)
    return shlex.split(line)


class Instance:
    """One of the three, which can be ended and started again on its port."""

    def __init__(self, name: str, folder: Path, workers: str) -> None:
        self.name = name
        self.folder = folder
        self.port = free_port()
        # The ports of the unit are 8001 and 18001, and so on; here there is one more that is free.
        line = {"%i --admin": "%i --admin", "127.0.0.1:1%i": f"127.0.0.1:{free_port()}", "--workers 2": workers}
        command = command_of("app@.service", **line, **{"main:app": "instances:app"})
        self.command = [str(self.port) if part == "%i" else part for part in command]
        self.server = self._start()

    def _start(self) -> ServerProcess:
        env = {"FOLDER": str(self.folder), "INSTANCE": self.name}
        return ServerProcess(self.command, self.port, APPS, env).wait_ready()

    def start(self) -> None:
        self.server.__exit__()
        self.server = self._start()


class Site:
    """nginx by the example's configuration, in front of three instances."""

    def __init__(self, folder: Path, workers: str) -> None:
        self.folder = folder
        self.workers = workers
        self.instances = [Instance(name, folder, workers) for name in "abc"]
        self.log = folder / "access.log"
        self.port = free_port()
        text = (DEPLOY / "nginx" / "app.conf").read_text()
        for number, instance in enumerate(self.instances, 1):
            text = replaced(text, f"127.0.0.1:800{number}", f"127.0.0.1:{instance.port}")
        text = replaced(text, "listen 80;", f"listen 127.0.0.1:{self.port};")
        text = replaced(text, "/var/log/nginx/app.log", str(self.log))
        (folder / "app.conf").write_text(text)
        (folder / "nginx.conf").write_text(AROUND.format(folder=folder))
        command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
        self.nginx = ServerProcess(command, self.port, folder).wait_ready()

    def held(self, instance: Instance) -> set[str]:
        return {note.name for note in self.folder.glob(f"held-*-{instance.name}")}

    def failed(self) -> list[list[str]]:
        """For each request that nginx answered with a failure: the instances that had it."""
        found = []
        for line in self.log.read_text().splitlines():
            if re.search(r'" 5\d\d ', line):
                instances = re.search(r'instances="([^"]*)"', line)
                assert instances, line
                found.append(re.split(r"[,:] +", instances[1]))
        return found

    def close(self) -> None:
        with contextlib.ExitStack() as ending:
            for server in [*(instance.server for instance in self.instances), self.nginx]:
                ending.push(server)


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


class Traffic(Clients):
    """GET and POST requests over kept connections, without a pause; what was not answered by 200 is kept."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answered: dict[str, int] = {}
        self.refused: list[tuple[str, int]] = []
        self._lock = threading.Lock()
        kinds = [lambda: self._ask("GET"), lambda: self._ask("POST")] * 3
        #: Those that ask for what is not asked for again.
        self.posting = 3
        super().__init__(kinds)

    def _ask(self, method: str) -> None:
        while not self._stop.is_set():
            with Connection(self.port) as connection:
                while not self._stop.is_set():
                    body = b"x" * 100 if method == "POST" else None
                    reply = connection.request(method, "/orders" if body else "/who", (), body)
                    self._note(method, reply)
                    if reply.header("connection") == "close":
                        break

    def _note(self, method: str, reply: Reply) -> None:
        with self._lock:
            if reply.status != 200:
                self.refused.append((method, reply.status))
                return
            name = reply.json()["instance"]
            self.answered[name] = self.answered.get(name, 0) + 1

    def answers_of(self, instance: Instance, more: int = 50) -> None:
        """Wait until an instance has answered so many more requests."""
        before = self.answered.get(instance.name, 0)
        until(lambda: self.answered.get(instance.name, 0) >= before + more, f"answers of {instance.name}")


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    site = Site(tmp_path, getattr(request, "param", "--workers 2"))
    try:
        yield site
    finally:
        site.close()


def hold(site: Site, pool: ThreadPoolExecutor, numbers: range) -> list[Future[Reply]]:
    """Requests that wait in their handlers."""
    futures = [pool.submit(request, site.port, "POST", f"/held/{number}", (), b"") for number in numbers]
    until(lambda: sum(len(site.held(instance)) for instance in site.instances) >= len(numbers), "held requests")
    return futures


both = pytest.mark.parametrize("site", ["", "--workers 2"], ids=["one process", "two workers"], indirect=True)


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
class TestNginx:
    @both
    def test_an_instance_that_is_killed_takes_its_requests_along_and_no_other(self, site: Site) -> None:
        victim, *others = site.instances
        address = f"127.0.0.1:{victim.port}"
        with ThreadPoolExecutor(9) as pool, Traffic(site.port) as traffic:
            for instance in site.instances:
                traffic.answers_of(instance)
            held = hold(site, pool, range(9))
            lost = len(site.held(victim))
            assert lost > 0
            victim.server.kill()
            for instance in others:
                traffic.answers_of(instance, 300)
            (site.folder / "go").touch()
            statuses = sorted(future.result().status for future in held)
            refused = list(traffic.refused)
            victim.start()
            traffic.answers_of(victim)
            until(lambda: traffic.answered[victim.name] > 0, "the instance is back")
        assert not traffic.failures
        assert statuses == [200] * (9 - lost) + [502] * lost
        # One request at a time on each connection of a client; what can be asked for again has been.
        assert all(method == "POST" for method, _ in refused) and len(refused) <= traffic.posting, refused
        assert traffic.refused == refused, "none fails after its return"
        assert len(site.failed()) == len(refused) + lost
        assert all(instances[0] == address for instances in site.failed()), site.failed()

    @both
    def test_instances_that_are_stopped_one_after_the_other_fail_nothing(self, site: Site) -> None:
        with ThreadPoolExecutor(9) as pool, Traffic(site.port) as traffic:
            for round, instance in enumerate(site.instances[: 3 if site.workers == "" else 1]):
                # nginx leaves the one before alone for two seconds: without it and this one there would be one left, and
                # none if that has just been tried in vain.
                for each in site.instances:
                    traffic.answers_of(each)
                (site.folder / "go").unlink(missing_ok=True)
                for note in site.folder.glob("held-*"):
                    note.unlink()
                held = hold(site, pool, range(9 * round, 9 * round + 9))
                assert site.held(instance)
                instance.server.process.send_signal(signal.SIGTERM)
                until(lambda instance=instance: refuses(instance.port), "it accepts nothing")
                (site.folder / "go").touch()
                assert [future.result().status for future in held] == [200] * 9
                assert instance.server.process.wait(STOP_TIMEOUT) == 0
                instance.start()
        assert not traffic.failures and not traffic.refused
        assert not site.failed()

    def test_handlers_learn_of_the_client(self, site: Site) -> None:
        fields = [("Host", "example.org"), ("X-Forwarded-For", "192.0.2.7")]
        seen = get(site.port, "/seen", fields).json()
        # The client is this machine, and trusted; who it speaks for is believed, as behind another proxy.
        assert seen["client"] == "192.0.2.7" and seen["url"] == "http://example.org/seen"
        assert re.fullmatch("[0-9a-f]{32}", seen["id"]) and seen["connection"] in (None, "")
        assert f"id={seen['id']}" in site.log.read_text()

    def test_the_times_and_sizes_fit(self) -> None:
        text = (DEPLOY / "nginx" / "app.conf").read_text()
        seconds = {name: int(value) for name, value in re.findall(r"(\w+(?:timeout)) (\d+)s;", text)}
        defaults = run_bimetal("run", "--help").stdout
        default = {
            name: float(value)
            for name, value in re.findall(r"--([\w-]+) (?:FLOAT|INTEGER)[^[]*?\[default:\s+([\d.]+)", defaults, re.S)
        }
        assert seconds["keepalive_timeout"] < default["timeout-keep-alive"]
        assert seconds["proxy_read_timeout"] > max(default["native-timeout"], default["timeout-body"])
        assert "client_max_body_size 16m;" in text and default["max-body"] == 16 * 1024 * 1024


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


class TestSystemd:
    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
    def test_systemd_finds_no_fault(self, tmp_path: Path) -> None:
        for path in UNITS:
            text = path.read_text().replace("/srv/app/.venv/bin/bimetal", bimetal_command())
            (tmp_path / path.name).write_text(text)
        paths = [str(tmp_path / path.name) for path in UNITS]
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True, timeout=60
        )
        ours = [line for line in done.stderr.splitlines() if "app" in line]
        assert not ours, done.stderr

    def test_both_services_say_the_same_but_for_the_socket(self) -> None:
        plain, activated = unit("app@.service"), unit("app.service")
        differing = {name for name in plain | activated if plain.get(name) != activated.get(name)}
        assert differing == {"Description", "After", "Requires", "ExecStart"}

    @pytest.mark.parametrize("name", ["app@.service", "app.service"])
    def test_the_stop_has_more_time_than_the_drain(self, name: str) -> None:
        settings = unit(name)
        assert "--drain-timeout" not in settings["ExecStart"]
        assert int(settings["TimeoutStopSec"]) > 30 + 2 + 5
        assert settings["KillMode"] == "mixed" and settings["ExecReload"].endswith("kill -HUP $MAINPID")

    def test_one_instance_after_the_template(self) -> None:
        port, admin = free_port(), free_port()
        command = command_of("app@.service", **{"127.0.0.1:1%i": f"127.0.0.1:{admin}", "%i": str(port)})
        with ServerProcess(command, port, REPOSITORY / "examples" / "hello").wait_ready() as server:
            assert get(port, "/").json() == {"hello": "world"}
            until(lambda: get(admin, "/readyz").status == 200, "ready")
            size = server.output_size
            os.kill(server.pid, signal.SIGHUP)  # as ExecReload does
            server.wait_output("starting new workers", size)
            for number in (3, 4):
                server.wait_output(f"worker={number}", size)
            assert get(port, "/").status == 200
            assert server.stop() == 0

    @pytest.mark.skipif(ACTIVATE is None, reason="systemd-socket-activate is not installed")
    def test_a_socket_that_systemd_passes_on(self) -> None:
        assert "Accept=no" in (DEPLOY / "systemd" / "app.socket").read_text()
        port, admin = free_port(), free_port()
        command = command_of("app.service", **{"127.0.0.1:18000": f"127.0.0.1:{admin}"})
        listening = [str(ACTIVATE), "-l", f"127.0.0.1:{port}", *command]
        # The first connection starts the program, and waits for it.
        with ServerProcess(listening, port, REPOSITORY / "examples" / "hello").wait_ready() as server:
            assert get(port, "/").json() == {"hello": "world"}
            assert get(admin, "/startupz").status == 200
            assert server.stop() == 0


class TestDocker:
    TEXT = (DEPLOY / "docker" / "Dockerfile").read_text()

    def instructions(self, name: str) -> list[str]:
        return re.findall(rf"^{name} (.*)$", self.TEXT, re.M)

    def test_what_is_copied_is_there(self) -> None:
        sources = [line.split()[0] for line in self.instructions("COPY") if not line.startswith("--from")]
        assert sources == [".", "examples/hello/main.py"]
        assert all((REPOSITORY / source).exists() for source in sources)
        assert [line.split()[-1] for line in self.instructions("FROM")][:1] == ["build"]
        assert "COPY --from=build /app /app" in self.TEXT and "WORKDIR /app" in self.TEXT

    def test_the_extras_exist(self) -> None:
        extras = re.findall(r"/source/python\[(\w+)\]", self.TEXT)
        assert extras
        assert all(f"\n{extra} = [" in (REPOSITORY / "python" / "pyproject.toml").read_text() for extra in extras)

    def test_the_command_serves(self) -> None:
        (text,) = self.instructions("CMD")
        command = yaml.safe_load(text)
        assert command[0] == "/app/.venv/bin/bimetal"
        port, admin = free_port(), free_port()
        places = {command[0]: bimetal_command(), "8000": str(port), "0.0.0.0": "127.0.0.1"}
        command = [places.get(part, part) for part in command]
        command = [f"127.0.0.1:{admin}" if part == "0.0.0.0:9000" else part for part in command]
        env = dict(line.split("=") for line in self.instructions("ENV")[0].split())
        with ServerProcess(command, port, REPOSITORY / "examples" / "hello", env).wait_ready() as server:
            assert get(port, "/").json() == {"hello": "world"}
            assert get(admin, "/livez").status == 200
            assert server.stop() == 0
        assert {"8000", "9000"} == set(self.instructions("EXPOSE")[0].split())


def documents(name: str) -> dict[str, Any]:
    """The objects of a manifest by their kind."""
    found = list(yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()))
    assert len({document["kind"] for document in found}) == len(found)
    return {document["kind"]: document for document in found}


class TestKubernetes:
    APP = documents("app.yaml")
    POD = APP["Deployment"]["spec"]["template"]
    CONTAINER = POD["spec"]["containers"][0]

    def option(self, name: str) -> str:
        (value,) = [part.partition("=")[2] for part in self.CONTAINER["args"] if part.startswith(f"--{name}=")]
        return str(value)

    def ports(self) -> dict[str, int]:
        return {port["name"]: port["containerPort"] for port in self.CONTAINER["ports"]}

    def test_the_parts_name_each_other(self) -> None:
        labels = self.POD["metadata"]["labels"]
        assert self.APP["Deployment"]["apiVersion"] == "apps/v1"
        for selector in (
            self.APP["Deployment"]["spec"]["selector"]["matchLabels"],
            self.APP["Service"]["spec"]["selector"],
            self.APP["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        ):
            assert selector.items() <= labels.items()
        assert self.APP["Service"]["spec"]["ports"][0]["targetPort"] in self.ports()
        mounts = {mount["name"] for mount in self.CONTAINER["volumeMounts"]}
        assert mounts == {volume["name"] for volume in self.POD["spec"]["volumes"]}

    def test_the_ports_are_those_of_the_command(self) -> None:
        assert self.ports() == {"http": int(self.option("port")), "admin": int(self.option("admin").split(":")[1])}
        annotations = self.POD["metadata"]["annotations"]
        assert int(annotations["prometheus.io/port"]) == self.ports()["admin"]

    def test_a_pod_that_stops_has_the_time_it_needs(self) -> None:
        pause = float(self.CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1])
        needed = pause + float(self.option("drain-timeout")) + 5
        assert self.POD["spec"]["terminationGracePeriodSeconds"] > needed

    def test_the_probes_say_what_they_are_asked(self, tmp_path: Path) -> None:
        """The container's own command, asked by each probe as the kubelet would."""
        probes = {name: self.CONTAINER[name] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
        paths = {name: probe["httpGet"]["path"] for name, probe in probes.items()}
        assert paths == {"startupProbe": "/startupz", "readinessProbe": "/readyz", "livenessProbe": "/livez"}
        assert {probe["httpGet"]["port"] for probe in probes.values()} == {"admin"}
        known = {"httpGet", "periodSeconds", "timeoutSeconds", "failureThreshold"}
        assert all(probe.keys() <= known for probe in probes.values())
        # /readyz waits for the event loop that long.
        assert probes["readinessProbe"]["timeoutSeconds"] > 1.0
        port, admin = free_port(), free_port()
        mine = {"--host": "127.0.0.1", "--port": str(port), "--admin": f"127.0.0.1:{admin}"}
        command = [bimetal_command()]
        for part in self.CONTAINER["args"][1:]:
            name, _, _ = part.partition("=")
            command.append(f"{name}={mine[name]}" if name in mine else part)
        with ServerProcess(command, port, REPOSITORY / "examples" / "hello").wait_ready() as server:
            for path in paths.values():
                until(lambda path=path: get(admin, path).status == 200, path)
            assert get(port, "/metrics").status == 404
            assert server.stop() == 0

    def test_the_autoscaler_asks_for_what_there_is(self) -> None:
        scaled = documents("autoscaler.yaml")["ScaledObject"]
        assert scaled["spec"]["scaleTargetRef"]["name"] == self.APP["Deployment"]["metadata"]["name"]
        assert "replicas" not in self.APP["Deployment"]["spec"]
        queries = [trigger["metadata"]["query"] for trigger in scaled["spec"]["triggers"]]
        names = [name for query in queries for name in re.findall(r"bimetal_\w+", query)]
        port, admin = free_port(), free_port()
        command = [bimetal_command(), "run", "main:app", "--port", str(port), "--admin", f"127.0.0.1:{admin}"]
        with ServerProcess(command, port, REPOSITORY / "examples" / "hello").wait_ready():
            text = get(admin, "/metrics").body.decode()
        assert names == ["bimetal_queue_oldest_seconds", "bimetal_event_loop_lag_seconds"]
        assert all(f"\n{name} " in text for name in names)
        # Below the thresholds of /readyz, 2 s and 1 s.
        assert all(float(trigger["metadata"]["threshold"]) <= 0.5 for trigger in scaled["spec"]["triggers"])
