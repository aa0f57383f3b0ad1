"""`bimetal plugin`: what `new` makes builds, packs and serves; what `check` and `list` say about libraries."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from harness.plugins import BUILD_TIMEOUT, PLUGIN_TARGET, compile_c
from harness.servers import REPOSITORY, run_bimetal, start_bimetal
from harness.wire import get

pytestmark = pytest.mark.bimetal_only

#: Uses the installed plugin `fresh`: no path anywhere.
APP = """
from bimetal import Bimetal

app = Bimetal()


@app.get("/hello/{name}", handler_type="native", native="fresh.hello")
def hello(name: str, shout: bool = False): ...
"""


def command(*args: str, cwd: Path, **env: str) -> str:
    """Run a program that has to succeed; gives what it prints."""
    done = subprocess.run(
        args,
        cwd=cwd,
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{' '.join(args)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plugin as `bimetal plugin new` makes it."""
    folder = tmp_path_factory.mktemp("new")
    made = run_bimetal("plugin", "new", "fresh", cwd=folder)
    assert made.returncode == 0, made.stderr
    assert "cargo build --release" in made.stdout
    # The versions of the example's dependencies, which have been compiled for it.
    shutil.copy(REPOSITORY / "examples" / "hybrid" / "hot" / "Cargo.lock", folder / "fresh")
    return folder / "fresh"


@pytest.fixture(scope="module")
def own_tests(fresh: Path) -> str:
    """What `cargo test` prints in it."""
    return command("cargo", "test", "--release", "--target-dir", str(PLUGIN_TARGET), cwd=fresh)


@pytest.fixture(scope="module")
def installed(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with the plugin's wheel installed."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip"]
    # The target directory of the other plugins has compiled what this one depends on.
    command(*pip, "wheel", "-q", "--no-deps", "-w", str(folder), ".", cwd=fresh, CARGO_TARGET_DIR=str(PLUGIN_TARGET))
    (wheel,) = folder.glob("*.whl")
    assert wheel.name.startswith("bimetal_plugin_fresh-0.1.0-py3-none-linux_")
    assert "bimetal_plugin_fresh/libfresh.so" in zipfile.ZipFile(wheel).namelist()
    packages = folder / "packages"
    command(*pip, "install", "-q", "--no-deps", "--no-index", "--target", str(packages), str(wheel), cwd=folder)
    return packages


def test_a_new_plugin_passes_its_own_test(own_tests: str) -> None:
    assert "it_greets_by_name ... ok" in own_tests


def test_an_installed_plugin_is_found_without_a_path_and_without_rust(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP)
    env = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{installed}", "PATH": "/usr/bin:/bin"}
    with start_bimetal("main:app", cwd=tmp_path, env=env) as server:
        server.wait_ready()
        assert get(server.port, "/hello/ann?shout=true").json() == {"greeting": "HELLO ANN"}
        assert get(server.port, "/hello/ann?shout=2").status == 422
    with start_bimetal("main:app", "--native", "/again/{name}=fresh.hello", cwd=tmp_path, env=env) as server:
        assert get(server.wait_ready().port, "/again/bob").json() == {"greeting": "hello bob"}


def test_installed_plugins_can_be_switched_off(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(APP)
    env = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{installed}"}
    assert run_bimetal("routes", "main:app", cwd=tmp_path, env=env).returncode == 0
    refused = run_bimetal("routes", "main:app", "--no-installed-plugins", cwd=tmp_path, env=env)
    assert refused.returncode == 1 and "no native handler 'fresh.hello'" in refused.stderr
    (tmp_path / "main.py").write_text(APP.replace("Bimetal()", "Bimetal(installed_plugins=False)"))
    refused = run_bimetal("routes", "main:app", cwd=tmp_path, env=env)
    assert refused.returncode == 1 and "no native handler 'fresh.hello'" in refused.stderr


def test_an_installed_plugin_by_its_name(installed: Path, tmp_path: Path) -> None:
    env = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{installed}"}
    (tmp_path / "main.py").write_text(APP.replace("Bimetal()", 'Bimetal(plugins=[("fresh", {})])'))
    assert run_bimetal("routes", "main:app", cwd=tmp_path, env=env).returncode == 0
    (tmp_path / "main.py").write_text(APP.replace("Bimetal()", 'Bimetal(plugins=["stale"])'))
    refused = run_bimetal("routes", "main:app", cwd=tmp_path, env=env)
    assert refused.returncode == 1
    assert "there is no installed plugin 'stale' (installed are: fresh)" in refused.stderr
    checked = run_bimetal("plugin", "check", "fresh", cwd=tmp_path, env=env)
    assert checked.returncode == 0 and "fresh.hello" in checked.stdout
    listed = json.loads(run_bimetal("plugin", "list", "--json", cwd=tmp_path, env=env).stdout)
    assert [(row["name"], row["distribution"], row["problem"]) for row in listed] == [
        ("fresh", "bimetal-plugin-fresh 0.1.0", None)
    ]


def offer(folder: Path, distribution: str, name: str, value: str) -> None:
    """What an installed distribution with an entry point leaves behind."""
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[bimetal.plugins]\n{name} = {value}\n")


def start_with(tmp_path: Path, handler: str) -> subprocess.CompletedProcess[str]:
    """`bimetal routes` on an application with this handler, where the packages of `tmp_path/packages` are installed."""
    (tmp_path / "main.py").write_text(APP.replace("fresh.hello", handler))
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(tmp_path / "packages")])}
    return run_bimetal("routes", "main:app", cwd=tmp_path, env=env)


def test_two_distributions_with_one_plugin(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    offer(packages, "acme-hot", "hot", "acme_hot:LIBRARY")
    offer(packages, "other-hot", "hot", "other_hot:LIBRARY")
    refused = start_with(tmp_path, "hot.hello")
    assert refused.returncode == 1
    for part in ["'hot'", "acme-hot 1.0", "other-hot 1.0", "uninstall"]:
        assert part in refused.stderr
    # Nobody who does not ask for it is concerned.
    (tmp_path / "main.py").write_text("from bimetal import Bimetal\napp = Bimetal()\n")
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(packages)])}
    assert run_bimetal("routes", "main:app", cwd=tmp_path, env=env).returncode == 0


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("raise RuntimeError('no licence')", ["RuntimeError: no licence"]),
        ("LIBRARY = '/nowhere/libhot.so'", ["/nowhere/libhot.so", "is not there"]),
        ("LIBRARY = 7", ["TypeError"]),
        ("LIBRARY = __file__", ["format", "not a shared library"]),
        ("", ["AttributeError"]),
    ],
)
def test_an_installed_plugin_that_fails(tmp_path: Path, module: str, says: list[str]) -> None:
    packages = tmp_path / "packages"
    offer(packages, "acme-hot", "hot", "acme_hot:LIBRARY")
    (packages / "acme_hot.py").write_text(module)
    (packages / "acme_hot.py").chmod(0o644)
    refused = start_with(tmp_path, "hot.hello")
    assert refused.returncode == 1
    for part in ["installed plugin 'hot' (acme-hot 1.0)", *says]:
        assert part in refused.stderr, refused.stderr


def test_an_installed_plugin_under_another_name(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    offer(packages, "acme-hot", "hot", "acme_hot:library")
    library = compile_c(tmp_path, "cold")
    (packages / "acme_hot.py").write_text(f"def library():\n    return {str(library)!r}\n")
    refused = start_with(tmp_path, "hot.hello")
    assert refused.returncode == 1
    for part in ["installed plugin 'hot' (acme-hot 1.0)", "'cold.broken'", "does not begin with 'hot.'"]:
        assert part in refused.stderr, refused.stderr


def test_a_loaded_plugin_comes_before_an_installed_one(tmp_path: Path) -> None:
    """The library of a path is being worked on: the installed version of it is not even looked at."""
    packages = tmp_path / "packages"
    offer(packages, "acme-hot", "hot", "acme_hot:LIBRARY")
    library = compile_c(tmp_path, "hot")
    source = APP.replace("fresh.hello", "hot.hello").replace("Bimetal()", f"Bimetal(plugins=[{str(library)!r}])")
    (tmp_path / "main.py").write_text(source.replace("name: str, shout: bool = False", ""))
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(packages)])}
    fine = run_bimetal("routes", "main:app", cwd=tmp_path, env=env)
    assert fine.returncode == 0, fine.stderr
    (tmp_path / "main.py").write_text(source.replace("hot.hello", "hot.none"))
    refused = run_bimetal("routes", "main:app", cwd=tmp_path, env=env)
    assert refused.returncode == 1 and "no native handler 'hot.none'" in refused.stderr


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Hot", "for example 'hot'"),
        ("my-plugin", "for example 'my_plugin'"),
        ("9lives", "for example 'lives'"),
        ("../up", "for example 'up'"),
        ("a" * 65, "up to 64"),
        ("", "lower-case letters"),
        ("fn", "a word of Rust"),
        ("serde", "crate plugins are built with"),
    ],
)
def test_names_that_cannot_be(tmp_path: Path, name: str, says: str) -> None:
    refused = run_bimetal("plugin", "new", name, cwd=tmp_path)
    assert refused.returncode == 1
    assert says in refused.stderr and len(refused.stderr.splitlines()) == 1
    assert not any(tmp_path.iterdir())


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "hot").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for args in [["hot"], ["hot", "--path", "file"], ["hot", "--path", "link"]]:
        refused = run_bimetal("plugin", "new", *args, cwd=tmp_path)
        assert refused.returncode == 1 and f"{args[-1]} is there already" in refused.stderr
    assert not any((tmp_path / "hot").iterdir())
    refused = run_bimetal("plugin", "new", "hot", "--path", "file/hot", cwd=tmp_path)
    assert refused.returncode == 1 and "cannot be made" in refused.stderr


def test_the_sdk_of_a_clone(tmp_path: Path) -> None:
    refused = run_bimetal("plugin", "new", "hot", "--sdk", ".", cwd=tmp_path)
    assert refused.returncode == 1 and "there is no crate `bimetal` in it" in refused.stderr
    for sdk in [REPOSITORY, REPOSITORY / "native-handlers" / "sdk"]:
        folder = tmp_path / sdk.name
        made = run_bimetal("plugin", "new", "hot", "--path", str(folder), "--sdk", str(sdk), cwd=tmp_path)
        assert made.returncode == 0, made.stderr
        assert not (folder / "bimetal-sdk").exists()
        command("cargo", "metadata", "--offline", "--no-deps", "--format-version", "1", cwd=folder)
        line = next(line for line in (folder / "Cargo.toml").read_text().splitlines() if line.startswith("bimetal = "))
        assert (folder / line.split('"')[1]).samefile(REPOSITORY / "native-handlers" / "sdk")


def test_check_shows_what_a_plugin_exports(hot_library: Path) -> None:
    checked = run_bimetal("plugin", "check", str(hot_library))
    assert checked.returncode == 0, checked.stderr
    (row,) = [line for line in checked.stdout.splitlines() if line.startswith("hot.get_user")]
    for part in ["sync", "path user_id: integer", "query verbose?: boolean", "User", "A user by number"]:
        assert part in row
    (schema,) = [line for line in checked.stdout.splitlines() if line.startswith("Item ")]
    assert "name: string, price: number, tags?: array of string" in schema
    assert "rustc 1." in checked.stdout and "plugin  hot 0.1.0" in checked.stdout

    checked = run_bimetal("plugin", "check", str(hot_library), "--json")
    found = json.loads(checked.stdout)
    assert found["loads"] is True
    assert found["plugin"]["abi"] == "1.1" and len(found["plugin"]["sha256"]) == 64
    handlers = {handler["name"]: handler for handler in found["handlers"]}
    assert handlers["hot.slow"]["kind"] == "async"
    assert [parameter["name"] for parameter in handlers["hot.get_user"]["parameters"]] == ["user_id", "verbose"]
    assert handlers["hot.create_item"]["request_body"]["required"] is True


def test_check_shows_why_a_library_does_not_load(tmp_path: Path) -> None:
    compile_c(tmp_path, "bad", "PANICS=BM_PANIC_ABORT")
    checked = run_bimetal("plugin", "check", "libbad.so", cwd=tmp_path)
    assert checked.returncode == 1
    rows = [line.split(maxsplit=1) for line in checked.stdout.splitlines() if line.startswith("  ")]
    assert [row[0] for row in rows] == ["stage", "reason", "fix"]
    assert rows[0][1] == "handshake" and "panic=abort" in rows[1][1] and "remove" in rows[2][1]
    checked = run_bimetal("plugin", "check", "libbad.so", "--json", cwd=tmp_path)
    assert checked.returncode == 1
    found = json.loads(checked.stdout)
    assert (found["file"], found["loads"], found["error"]["stage"]) == ("libbad.so", False, "handshake")
    for file, stage in [("none.so", "file"), ("nobody", "install")]:
        checked = run_bimetal("plugin", "check", file, "--json", cwd=tmp_path)
        assert checked.returncode == 1
        assert json.loads(checked.stdout)["error"]["stage"] == stage


def test_check_runs_init_with_its_configuration(hot_library: Path, tmp_path: Path) -> None:
    library = str(hot_library)
    refused = run_bimetal("plugin", "check", library, "--config", '{"max_tags": 0}', "--json", cwd=tmp_path)
    assert refused.returncode == 1
    error = json.loads(refused.stdout)["error"]
    assert error["stage"] == "init" and "max_tags is 0" in error["reason"]
    assert run_bimetal("plugin", "check", library, "--config", '{"max_tags": 1}', cwd=tmp_path).returncode == 0
    assert run_bimetal("plugin", "check", library, "--config", "{", cwd=tmp_path).returncode == 2
