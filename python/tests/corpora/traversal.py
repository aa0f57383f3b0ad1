"""Paths that try to leave a folder, generated: 500 and more, each as bytes to stand in a request line behind the folder's URL."""

from __future__ import annotations

from itertools import product

#: Ways to write the two dots.
DOTS = (
    b"..", b"%2e%2e", b".%2e", b"%2e.", b"%2E%2E", b"%252e%252e", b"%25252e%25252e", b"%c0%ae%c0%ae", b"%c0%2e%c0%2e", b"%e0%80%ae%e0%80%ae",
    b"%f0%80%80%ae%f0%80%80%ae", b"%c0%5e%c0%5e", b"%uff0e%uff0e", b"%u002e%u002e", b"%ef%bc%8e%ef%bc%8e", b"%e2%80%a5", b"%e2%80%a4%e2%80%a4",
    b"%ef%b8%b0", b"...", b"....", b". .", b".%00.", b"..%00", b"..%20", b"..%09", b"..;", b"..;/", b".%0d.", b"%2e%00%2e", b"..%c0%af",
)  # fmt: skip

#: Ways to write the slash.
SLASHES = (
    b"/", b"//", b"/./", b"%2f", b"%2F", b"%252f", b"%25252f", b"\\", b"%5c", b"%5C", b"%255c", b"%c0%af", b"%c1%9c", b"%e0%80%af", b"%ef%bc%8f",
    b"%e2%81%84", b"%e2%88%95", b"%uff0f", b"%u2215", b"/%00/",
)  # fmt: skip

#: What lies outside: beside the folder, and far from it.
TARGETS = (b"secret.txt", b"outside/secret.txt", b"etc/passwd")


def _climbing() -> list[bytes]:
    found = []
    for dots, slash in product(DOTS, SLASHES):
        for depth, target in ((1, TARGETS[0]), (8, TARGETS[2])):
            found.append((dots + slash) * depth + target)
    return found


def _others() -> list[bytes]:
    return [
        # Absolute, of Unix and of Windows.
        b"/etc/passwd", b"//etc/passwd", b"///etc/passwd", b"%2fetc%2fpasswd", b"%2f%2fetc/passwd", b"file:///etc/passwd", b"file:/etc/passwd",
        b"C:/etc/passwd",
        b"C:%5cetc%5cpasswd", b"c:..%5csecret.txt", b"%5c%5cserver%5cshare%5cx", b"%5c%5c?%5cC:%5cx", b"%5c%5c.%5cC:%5cx", b"\\\\localhost\\c$\\x",
        b"CON", b"NUL.txt",
        b"plain.txt::$DATA", b"plain.txt:stream", b"PLAIN~1.TXT", b"AUX/../secret.txt",
        # In the middle, and through folders that are there.
        b"sub/../../secret.txt", b"sub/deep/../../../secret.txt", b"nothing/../../secret.txt", b"sub/%2e%2e/%2e%2e/secret.txt",
        b"sub%2f..%2f..%2fsecret.txt",
        b"plain.txt/../../secret.txt", b"./../secret.txt", b"././.././../secret.txt", b"..//..//secret.txt", b"..././..././secret.txt",
        b"....//....//secret.txt",
        b"..//../root/../secret.txt", b"../root/../../../../../../../../../../etc/passwd", b"../root-secret.txt", b"..%2froot-secret.txt",
        b"../outside", b"../outside/",
        # Through links, which the tests have made.
        b"out.txt", b"out-absolute.txt", b"out-dir/secret.txt", b"out-dir/", b"out-chain/secret.txt", b"etc/passwd", b"etc/", b"to-root/out.txt",
        b"to-root/../secret.txt",
        b"linked-dir/../../secret.txt", b"linked-dir/../out.txt", b"to-root/to-root/out-dir/secret.txt", b"device", b"dangling-out",
        # With an end that somebody might cut off.
        b"../secret.txt%00.txt", b"../secret.txt%00", b"%00../secret.txt", b"..%00/secret.txt", b"../secret.txt%0a", b"../secret.txt%20",
        b"../secret.txt.", b"../secret.txt?x",
        b"../secret.txt%3fx", b"../secret.txt%23x", b"../secret.txt;x", b"../secret.txt/", b"../secret.txt/.", b"../secret.txt/x/..",
        b"..?/secret.txt", b"..%0d%0a/secret.txt",
        # Very long.
        b"../" * 50 + b"etc/passwd", b"../" * 500 + b"etc/passwd", b"../" * 2000 + b"etc/passwd", b"%2e%2e%2f" * 200 + b"etc/passwd",
        b"a/" * 1000 + b"../" * 1001 + b"secret.txt",
        b"./" * 1500 + b"../secret.txt", b"/" * 3000 + b"etc/passwd", b"x" * 300 + b"/../../secret.txt", b"x" * 5000, b"../" + b"x" * 255,
        b"../" * 4000 + b"etc/passwd",
        # What the system has to tell about the process.
        b"../" * 12 + b"proc/self/environ", b"../" * 12 + b"proc/self/root/etc/passwd", b"../" * 12 + b"proc/self/cwd/secret.txt", b"../" * 12 + b"dev/zero",
        b"../" * 12 + b"dev/fd/0",
        # Odd characters of Unicode that some systems make dots or slashes of.
        *(b"%s/%s/secret.txt" % (dot, dot) for dot in (b"%ef%bd%a1%ef%bd%a1", b"%cc%87", b"%c2%b7%c2%b7", b"%ef%b9%92%ef%b9%92", b"%e2%80%a6",
        b"%00%2e%00%2e", b"%fe%fe")),
    ]  # fmt: skip


#: All of them, each once.
TRAVERSALS: tuple[bytes, ...] = tuple(dict.fromkeys([*_climbing(), *_others()]))
