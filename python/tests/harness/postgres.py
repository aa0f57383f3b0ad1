"""A PostgreSQL server for a test: on a free port of 127.0.0.1, with a password, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from harness.servers import START_TIMEOUT, STOP_TIMEOUT, free_port, until


def programs() -> Path:
    """The folder with `initdb`, `postgres` and `psql`; skips the test where there is none."""
    folders = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    # Debian keeps them off the PATH, one folder for each version.
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    for folder in folders:
        if all((folder / name).exists() for name in ("initdb", "postgres", "psql", "pg_isready")):
            return folder
    pytest.skip("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")


def _version(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder.parent.name)]


class Postgres:
    """A server with an empty database `notes`. Entered, it runs; it can be stopped and started again meanwhile."""

    def __init__(self) -> None:
        self._programs = programs()
        self._folder = Path(tempfile.mkdtemp(prefix="bimetal-postgres-"))
        self._password = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._settings: dict[str, str] = {}
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"postgresql://owner:{self._password}@127.0.0.1:{self.port}/notes"

    def __enter__(self) -> Postgres:
        try:
            self._create()
            self.start()
            self._psql("postgres", "-c", "CREATE DATABASE notes")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it; returns when it takes connections."""
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            # Nobody needs the data after a crash.
            "fsync": "off",
            **self._settings,
        }
        command = [str(self._programs / "postgres"), "-D", str(self._folder / "data")]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                user=self._user(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, timeout=START_TIMEOUT).returncode:
            ended = self._process.poll() is not None
            assert not ended and time.monotonic() < deadline, (self._folder / "log").read_text(errors="replace")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it at once, with all its connections."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_TIMEOUT)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(STOP_TIMEOUT)

    def kill(self) -> None:
        """End it without a word to anybody, as the kernel would; returns when its processes are gone."""
        process, self._process = self._process, None
        assert process is not None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_TIMEOUT)
        until(lambda: not any(Path("/proc", child).exists() for child in children), "its children are gone")

    def pause(self, paused: bool) -> None:
        """Have it and all its processes stop where they are, or go on."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in [self._process.pid, *map(int, children)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP if paused else signal.SIGCONT)

    def encrypt(self, certificate: Path, key: Path) -> None:
        """Have it take encrypted connections from its next start on."""
        for name, file in (("server.crt", certificate), ("server.key", key)):
            copy = self._folder / name
            shutil.copy(file, copy)
            copy.chmod(0o600)
            user = self._user()
            if user is not None:
                shutil.chown(copy, user)
        self._settings |= {
            "ssl": "on",
            "ssl_cert_file": str(self._folder / "server.crt"),
            "ssl_key_file": str(self._folder / "server.key"),
        }

    def run(self, file: Path) -> None:
        """Run the SQL of a file in the database `notes`."""
        self._psql("notes", "-f", str(file))

    def _create(self) -> None:
        user = self._user()
        if user is not None:
            shutil.chown(self._folder, user)
        secret = self._folder / "password"
        secret.write_text(self._password)
        secret.chmod(0o644 if user is not None else 0o600)
        command = [str(self._programs / "initdb"), "-D", str(self._folder / "data"), "-U", "owner", "--no-sync"]
        command += ["--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C"]
        done = subprocess.run(
            command, cwd=self._folder, user=user, capture_output=True, text=True, timeout=START_TIMEOUT
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _psql(self, database: str, *args: str) -> None:
        command = [str(self._programs / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]
        command += ["-p", str(self.port), "-U", "owner", "-d", database, *args]
        env = os.environ | {"PGPASSWORD": self._password}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=START_TIMEOUT)
        assert done.returncode == 0, done.stderr

    def _user(self) -> str | None:
        """Who it runs as: PostgreSQL refuses to run as root."""
        if os.geteuid() != 0:
            return None
        names = {entry.pw_name for entry in pwd.getpwall()}
        return "postgres" if "postgres" in names else "nobody"
