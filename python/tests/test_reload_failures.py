"""Every failure of a plugin that is known, at the start and at a reload.

At the start it is one line and exit code 1; a reload is refused with the same text and the old version goes on serving. The
tests without a file are here; `loading`, `reload`, `calls`, `generations` are those of `native-handlers/host/tests`, which hold
the exact texts.

| what fails | tests |
|---|---|
| path missing; a folder | `test_at_the_start[missing]`, `test_at_a_reload[missing]`, `loading::files_that_cannot_be_plugins` |
| path that leads elsewhere | `test_a_link_is_judged_by_its_target` (there is no plugin folder that a path could escape from) |
| others can write the file | `[writable]`, `loading::files_that_cannot_be_plugins` |
| hash not on the list | `test_hashes_that_are_not_allowed`, `test_a_list_of_hashes_on_the_command_line`, `reload::only_listed_...` |
| not before `dlopen` | `test_nothing_of_a_refused_library_runs`, `loading::a_library_that_is_no_plugin_is_refused_before_its_code_runs` |
| not ELF, another machine, cut short | `[text]`, `[empty]`, `[machine]`, `[truncated]`, `loading::files_that_cannot_be_plugins` |
| missing symbol, missing dependency | `[symbol]`, `[dependency]`, `loading::the_systems_loader_is_explained` |
| no export, bad magic number | `[export]`, `[magic]`, `loading::a_table_that_is_wrong_is_refused` |
| other ABI, other capabilities, `panic=abort` | `[abi]`, `[capability]`, `[abort]`, `loading::another_abi_is_named` |
| static TLS | `[tls]`, `library::each_known_complaint_of_the_loader_has_its_fix` |
| `init` fails, panics, does not return | `[fails]`, `[panics]`, `test_an_init_that_does_not_return`, `loading::an_init_that_fails_...` |
| duplicate handler | `[duplicate]`, `loading::one_name_belongs_to_one_handler`, `test_a_name_that_another_plugin_has` |
| missing handler | `[handler]`, `loading::binding_explains_what_does_not_fit`, `test_start_errors.py::test_an_unknown_plugin_of_a_name` |
| stub and schema differ | `[schema]`, `test_start_errors.py::test_a_stub_that_disagrees_with_the_handler`, `test_what_differs_is_listed` |
| path without the parameter | `test_start_errors.py::test_a_path_without_the_parameter_the_handler_reads` |
| invalid metadata | `[metadata]`, `loading::a_table_that_is_wrong_is_refused` |
| too many generations | `test_reload.py::test_the_sixty_fifth_library_asks_for_a_new_process`, `generations` |
| a handler panics | `test_native.py::test_handlers_that_panic`, `calls::a_panic_is_a_500_and_the_server_goes_on` |
| bad response | `test_native.py::test_an_odd_status_of_a_plugin_is_a_failure`, `calls::a_response_that_breaks_the_rules_is_a_500` |
| an answer never comes | `test_a_handler_that_never_answers`, `reload::a_handler_without_an_answer_is_a_504_at_its_deadline` |
| file overwritten in place | `test_a_file_that_is_overwritten_in_place`, `loading::overwriting_the_file_does_not_touch_what_runs` |

A plugin that crashes the process, ends it, or does not return from a `sync` handler cannot be contained.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bimetal.compile.replacement import check_replacement
from harness.plugins import compile_generation
from harness.servers import ServerProcess, run_bimetal, start_bimetal
from harness.wire import Connection, get, request

pytestmark = pytest.mark.bimetal_only


def build(folder: Path, *defines: str, flags: tuple[str, ...] = ()) -> None:
    """Another version at `gen.so`."""
    compile_generation(folder, "new", *defines, flags=flags).rename(folder / "gen.so")


def rewrite(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        build(folder)
        library = folder / "gen.so"
        library.write_bytes(change(library.read_bytes()))

    return act


def compiled(*defines: str, flags: tuple[str, ...] = ()) -> Callable[[Path], None]:
    return lambda folder: build(folder, *defines, flags=flags)


def missing(folder: Path) -> None:
    (folder / "gen.so").unlink(missing_ok=True)


def writable(folder: Path) -> None:
    build(folder)
    (folder / "gen.so").chmod(0o777)


def foreign(folder: Path) -> None:
    """A library that is no plugin, and that would leave a trace if its code ran."""
    source = folder / "foreign.c"
    source.write_text(
        '#include <stdio.h>\n__attribute__((constructor)) static void run(void) { fclose(fopen("'
        + str(folder / "ran")
        + '", "w")); }\n'
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(folder / "gen.so"), str(source)], check=True, timeout=60)
    (folder / "gen.so").chmod(0o755)


def dependent(folder: Path) -> None:
    """A plugin that needs a library which is gone by the time it is loaded."""
    needed = folder / "libneeded.so"
    (folder / "needed.c").write_text("int needed(void) { return 1; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(needed), str(folder / "needed.c")], check=True, timeout=60)
    build(folder, flags=("-Wl,--no-as-needed", f"-L{folder}", "-lneeded"))
    needed.unlink()


def greedy(folder: Path) -> None:
    """A plugin with more static thread-local storage than a running process has left."""
    (folder / "greedy.c").write_text(
        '__thread char greedy[8 << 20] __attribute__((tls_model("initial-exec")));\n'
        "char *first(void) { return greedy; }\n"
    )
    build(folder, flags=(str(folder / "greedy.c"),))


def lacking(folder: Path) -> None:
    (folder / "lacking.c").write_text("void absent(void);\nvoid call(void) { absent(); }\n")
    build(folder, flags=(str(folder / "lacking.c"),))


CASES: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "missing": (missing, ["build it"]),
    "writable": (writable, ["file:", "others can change it (mode 0777)", "chmod go-w"]),
    "empty": (rewrite(lambda _: b""), ["format:", "empty", "build"]),
    "text": (rewrite(lambda _: b"#!/bin/sh\n"), ["format:", "not a shared library", "target/release"]),
    "truncated": (rewrite(lambda library: library[: len(library) // 2]), ["format:", "cut short", "build it again"]),
    "machine": (
        rewrite(lambda library: library[:18] + b"\x08" + library[19:]),
        ["format:", "another machine", "build it for"],
    ),
    "symbol": (lacking, ["load:", "undefined symbol: absent", "link the plugin"]),
    "dependency": (dependent, ["load:", "libneeded.so", "install the library"]),
    "tls": (greedy, ["load:", "static TLS", "allocator"]),
    "export": (foreign, ["export:", "not a Bimetal plugin", "bimetal_plugin_v1"]),
    "magic": (compiled("MAGIC=1"), ["handshake:", "magic number", "not a Bimetal plugin"]),
    "abi": (compiled("MAJOR=9"), ["handshake:", "plugin ABI 9.1", "this host has 1.1", "rebuild"]),
    "capability": (
        compiled("CAPS=(UINT64_C(1)<<40)"),
        ["handshake:", "capabilities", "0x10000000000", "it has headers, ", "update Bimetal"],
    ),
    "abort": (compiled("PANICS=BM_PANIC_ABORT"), ["handshake:", "panic=abort", "remove"]),
    "fails": (compiled("INIT_RESULT=BM_RESULT_FAILED"), ["init:", "the price list is gone", "config"]),
    "panics": (compiled("INIT_RESULT=BM_RESULT_PANIC"), ["init:", "panicked", "the price list is gone"]),
    "duplicate": (compiled('LAST="gen.owned"'), ["handlers:", "`gen.owned`", "twice", "rename"]),
    "metadata": (compiled('META="nope"'), ["handler `gen.owned`", "not a JSON object", "rebuild"]),
}

#: What only a version that takes another's place can do wrong. At the start, `test_start_errors.py` has the same.
REPLACED = {
    "handler": (compiled("WITHOUT_VERSION"), ["reload:", "route GET /version", "'gen.version'", "does not have"]),
    "schema": (
        compiled('PARAM="length"'),
        ["reload:", "route GET /owned/{size}", "path parameter 'size'", "path parameter 'length'", "restart"],
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gen")


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[ServerProcess]:
    """A server whose library is good when it starts."""
    build(folder, 'VERSION="old"')
    with start_bimetal("reloading:app", env={"FOLDER": str(folder)}) as server:
        yield server.wait_ready()


@pytest.mark.parametrize("case", [*CASES, *REPLACED])
def test_at_a_reload(served: ServerProcess, folder: Path, case: str) -> None:
    spoil, says = (CASES | REPLACED)[case]
    with Connection(served.port) as connection:
        assert connection.request("GET", "/version").text == "old"
        spoil(folder)
        refused = connection.request("POST", "/reload")
        assert refused.status == 409, refused.text
        for part in [str(folder / "gen.so"), *says]:
            assert part in refused.json()
        assert "\n" not in refused.json()
        assert connection.request("GET", "/version").text == "old"
    assert get(served.port, "/owned/10").text == "o" * 10


def test_after_all_that_a_good_version_is_taken(served: ServerProcess, folder: Path) -> None:
    """Behind the cases above in this module's order; nothing of them has been left."""
    build(folder, 'VERSION="good"')
    assert request(served.port, "POST", "/reload").status == 200
    assert get(served.port, "/version").text == "good"
    copies = Path(os.environ.get("TMPDIR", "/tmp")) / f"bimetal-plugins-{os.geteuid()}"
    assert not list(copies.glob(f"*-{served.pid}-*"))


@pytest.mark.parametrize("case", CASES)
def test_at_the_start(tmp_path: Path, case: str) -> None:
    spoil, says = CASES[case]
    spoil(tmp_path)
    text = refused_start(tmp_path, "reloading:app")
    for part in [str(tmp_path / "gen.so"), *says]:
        assert part in text


def refused_start(folder: Path, app: str, *args: str, **env: str) -> str:
    completed = run_bimetal("run", app, "--port", "0", *args, env={"FOLDER": str(folder), **env})
    assert completed.returncode == 1, completed.stdout + completed.stderr
    lines = [line for line in completed.stderr.splitlines() if line.startswith("bimetal: error: ")]
    assert len(lines) == 1 and "Traceback" not in completed.stderr, completed.stderr
    return lines[0]


def test_nothing_of_a_refused_library_runs(tmp_path: Path) -> None:
    foreign(tmp_path)
    refused_start(tmp_path, "reloading:app")
    assert not (tmp_path / "ran").exists()


def test_a_link_is_judged_by_its_target(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    build(target)
    (tmp_path / "gen.so").symlink_to(target / "gen.so")
    with start_bimetal("reloading:app", env={"FOLDER": str(tmp_path)}) as server:
        assert get(server.wait_ready().port, "/version").text == "new"
    (target / "gen.so").chmod(0o766)
    assert "others can change it (mode 0766)" in refused_start(tmp_path, "reloading:app")


def test_a_name_that_another_plugin_has(tmp_path: Path) -> None:
    build(tmp_path)
    other = compile_generation(tmp_path, "other")
    text = refused_start(tmp_path, "reloading:app", "--plugin", str(other))
    for part in (str(other), str(tmp_path / "gen.so"), "`gen.blocks` exists already", "rename"):
        assert part in text


def test_an_init_that_does_not_return(tmp_path: Path) -> None:
    build(tmp_path, "INIT_WAITS")
    text = refused_start(tmp_path, "reloading:impatient", "--factory")
    for part in (str(tmp_path / "gen.so"), "init: did not return within 0.2 s", "plugin_init_timeout"):
        assert part in text


def test_an_init_that_does_not_return_at_a_reload(tmp_path: Path) -> None:
    build(tmp_path, 'VERSION="old"')
    with start_bimetal("reloading:impatient", "--factory", env={"FOLDER": str(tmp_path)}) as server:
        server.wait_ready()
        build(tmp_path, "INIT_WAITS")
        refused = request(server.port, "POST", "/reload")
        assert refused.status == 409 and "init: did not return within 0.2 s" in refused.text
        assert get(server.port, "/version").text == "old"
        (tmp_path / "go").touch()
        build(tmp_path, 'VERSION="next"')
        assert request(server.port, "POST", "/reload").status == 200
        assert get(server.port, "/version").text == "next"


def sha256(library: Path) -> str:
    return hashlib.sha256(library.read_bytes()).hexdigest()


def test_hashes_that_are_not_allowed(tmp_path: Path) -> None:
    library = tmp_path / "gen.so"
    build(tmp_path)
    allowed = sha256(library)
    env = {"FOLDER": str(tmp_path), "HASHES": f"sha256:{allowed}"}
    with start_bimetal("reloading:allowing", "--factory", env=env) as server:
        server.wait_ready()
        build(tmp_path, 'VERSION="2"')
        refused = request(server.port, "POST", "/reload")
        assert refused.status == 409
        for part in (str(library), "hash:", sha256(library), "may be loaded"):
            assert part in refused.text
        assert get(server.port, "/version").text == "new"
    journal = (tmp_path / "journal").read_text()
    text = refused_start(tmp_path, "reloading:allowing", "--factory", HASHES=allowed)
    assert sha256(library) in text and "hash:" in text
    # Nothing is allowed by a list without a hash.
    assert "among the 0 that may be loaded" in refused_start(tmp_path, "reloading:allowing", "--factory", HASHES="")
    assert (tmp_path / "journal").read_text() == journal
    assert "'abc' is not a SHA-256" in refused_start(tmp_path, "reloading:allowing", "--factory", HASHES="abc")


def test_a_list_of_hashes_on_the_command_line(tmp_path: Path) -> None:
    library = tmp_path / "gen.so"
    build(tmp_path)
    text = refused_start(tmp_path, "reloading:app", "--plugin-hash", "0" * 64)
    assert sha256(library) in text
    hashes = ["--plugin-hash", "0" * 64, "--plugin-hash", sha256(library).upper()]
    with start_bimetal("reloading:app", *hashes, env={"FOLDER": str(tmp_path)}) as server:
        assert get(server.wait_ready().port, "/version").text == "new"


def test_the_table_of_routes_keeps_to_the_list(tmp_path: Path) -> None:
    library = tmp_path / "gen.so"
    build(tmp_path)
    command = [
        "routes",
        "parameters:app",
        "--plugin",
        str(library),
        "--native",
        "/version=gen.version",
        "--plugin-hash",
    ]
    refused = run_bimetal(*command, "0" * 64)
    assert refused.returncode == 1 and sha256(library) in refused.stderr
    shown = run_bimetal(*command, sha256(library))
    assert shown.returncode == 0 and "/version" in shown.stdout, shown.stderr


def test_a_handler_that_never_answers(tmp_path: Path) -> None:
    build(tmp_path)
    env = {"FOLDER": str(tmp_path)}
    with start_bimetal("reloading:app", "--native-timeout", "0.2", env=env) as server:
        server.wait_ready()
        with Connection(server.port) as connection:
            for path, handler in [("/never", "gen.never"), ("/blocks", "gen.blocks")]:
                reply = connection.request("GET", path)
                assert (reply.status, reply.json()) == (504, {"detail": "The handler did not answer in time"})
                server.wait_output(f"native handler `{handler}` had no answer to GET {path} after 0.2 s")
            assert connection.request("GET", "/version").text == "new"
        (tmp_path / "go").touch()


def test_a_file_that_is_overwritten_in_place(tmp_path: Path) -> None:
    build(tmp_path)
    library = tmp_path / "gen.so"
    with start_bimetal("reloading:app", env={"FOLDER": str(tmp_path)}) as server:
        server.wait_ready()
        with library.open("r+b") as file:
            file.write(b"\xcc" * library.stat().st_size)
        assert get(server.port, "/owned/100000").text == "n" * 100000
        assert get(server.port, "/version").text == "new"


def test_what_differs_is_listed() -> None:
    def handler(**schemas: object) -> dict[str, object]:
        parameters = [
            {"name": name, "in": "query", "required": required, "schema": {"type": kind}}
            for name, required, kind in [("kept", True, "string"), *schemas.pop("parameters", [])]  # type: ignore[misc]
        ]
        return {"parameters": parameters, **schemas}

    def body(required: list[str], **fields: str) -> dict[str, object]:
        properties = {name: {"type": kind} for name, kind in fields.items()}
        return {"schema": {"type": "object", "properties": properties, "required": required}}

    assert check_replacement(handler(), handler()) == []
    assert check_replacement(
        handler(parameters=[("gone", True, "string"), ("laxer", True, "string"), ("other", True, "string")]),
        handler(parameters=[("laxer", False, "string"), ("other", True, "integer"), ("fresh", False, "string")]),
    ) == [
        "query parameter 'gone' is in the old one only",
        "query parameter 'laxer' is required in the old one, optional in the new one",
        "query parameter 'other' is string in the old one, integer in the new one",
        "query parameter 'fresh' is in the new one only",
    ]
    assert check_replacement(handler(request_body=body([], a="string")), handler()) == [
        "only the old one takes a request body"
    ]
    assert check_replacement(
        handler(request_body=body(["a"], a="string", b="number")),
        handler(request_body=body([], a="string", c="number")),
    ) == [
        "body field 'a' is required in the old one, optional in the new one",
        "body field 'b' is in the old one only",
        "body field 'c' is in the new one only",
    ]
