"""A folder of files to be served, and secrets beside it that must never be."""

from __future__ import annotations

import gzip
import os
import socket
from pathlib import Path

#: Stands in every file outside of the folder.
SECRET = b"SECRET-BESIDE-THE-ROOT"

#: When files were modified: seconds and nanoseconds, as the float of `os.stat` rounds them differently.
TIMES = {
    "plain.txt": 1_700_000_000_000_000_000,
    "style.css": 1_700_000_000_123_456_789,
    "page.html": 1_700_000_000_999_999_900,
    "app.js": 1_600_000_000_500_000_000,
    "old.bin": 0,
    "ancient.bin": -86_400_000_000_000,
}

BIG = bytes(range(256)) * 1024  # 256 KiB

FILES: dict[str, bytes] = {
    "plain.txt": b"0123456789" * 10,
    "style.css": b"body { color: black }\n" * 20,
    "page.html": b"<p>page</p>\n" * 50,
    "app.js": b"let x = 1;\n" * 200,
    "app-0123abcd.js": b"let y = 2;\n" * 200,
    "old.bin": b"old",
    "ancient.bin": b"ancient",
    "empty.txt": b"",
    "data.json": b"{}",
    "archive.tar.gz": b"\x1f\x8bnothing",
    "archive.tgz": b"\x1f\x8bnothing",
    "odd.XYZ": b"odd",
    "UPPER.TXT": b"upper",
    "no-extension": b"none",
    ".hidden": b"hidden",
    ".well-known/security.txt": b"contact",
    "exact.bin": BIG[: 64 * 1024],
    "below.bin": BIG[: 64 * 1024 - 1],
    "above.bin": BIG[: 64 * 1024 + 1],
    "big.bin": BIG,
    "big.txt": b"a line of text\n" * 20_000,
    "index.html": b"<p>index</p>",
    "404.html": b"<p>nothing here</p>",
    "sub/index.html": b"<p>sub</p>",
    "sub/file.txt": b"in sub",
    "sub/deep/er/file.txt": b"deep",
    "empty-dir/.keep": b"",
    "na\u00efve name.txt": b"named",
    "a&b<c>\"d'.txt": b"escaped",
    "per%cent.txt": b"percent",
    "plus+sign.txt": b"plus",
    "back\\slash.txt": b"backslash",
    "..dots.txt": b"dots",
    "...": b"three dots",
    "ques?tion#hash.txt": b"marks",
}


def make_tree(base: Path) -> Path:
    """Make `base/root` and what lies beside it; returns the root."""
    root = base / "root"
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        time = TIMES.get(name, 1_650_000_000_000_000_000)
        os.utime(path, ns=(time, time))
    outside = base / "outside"
    outside.mkdir()
    for path in (base / "secret.txt", outside / "secret.txt", outside / "index.html", base / "root-secret.txt"):
        path.write_bytes(SECRET)
    links = {
        "link.txt": "plain.txt",
        "link.css": "app.js",
        "absolute.txt": str(root / "sub" / "file.txt"),
        "linked-dir": "sub",
        "out.txt": "../secret.txt",
        "out-absolute.txt": str(outside / "secret.txt"),
        "out-dir": "../outside",
        "out-chain": "out-dir",
        "out-and-in": f"../{root.name}/plain.txt",
        "dangling": "nowhere",
        "dangling-out": "../nowhere",
        "loop": "loop",
        "to-root": ".",
        "etc": "/etc",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(root)
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
    (root / "device").symlink_to("/dev/zero")
    return root


def pack(root: Path) -> None:
    """Packed variants of some files. What is in them is marked, to tell them from what the server might pack."""
    for name in ("app.js", "app-0123abcd.js", "page.html", "sub/index.html", "404.html"):
        (root / f"{name}.gz").write_bytes(gzip.compress(FILES[name], mtime=0))
    for name in ("app.js", "app-0123abcd.js"):
        (root / f"{name}.br").write_bytes(b"brotli of " + name.encode())
    (root / "app.js.zst").write_bytes(b"zstd of app.js")
    # As large and as old as the file.
    for suffix in ("", ".gz", ".br", ".zst"):
        path = root / f"deep.txt{suffix}"
        path.write_bytes(suffix.ljust(6).encode())
        os.utime(path, ns=(10**18, 10**18))
    # None of these counts.
    (root / "style.css.gz").mkdir()
    (root / "plain.txt.gz").symlink_to("../secret.txt")
    os.mkfifo(root / "data.json.gz")
