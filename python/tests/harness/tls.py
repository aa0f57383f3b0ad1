"""Certificates for tests, and connections that are encrypted."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import trustme

from harness.wire import TIMEOUT, Connection


class Authority:
    """A certificate authority that nobody else knows, and the files of what it has issued."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._authority = trustme.CA()
        self.certificate = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.certificate))

    def issue(self, name: str, host: str = "127.0.0.1") -> Issued:
        """A certificate of `host` with its key."""
        issued = Issued(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        self.renew(issued, host)
        return issued

    def renew(self, issued: Issued, host: str = "127.0.0.1") -> None:
        """Another certificate with another key in the same files."""
        leaf = self._authority.issue_cert(host)
        issued.key.write_bytes(leaf.private_key_pem.bytes())
        issued.certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))

    def context(self, client: Issued | None = None, protocols: Sequence[str] = ()) -> ssl.SSLContext:
        """For clients that trust this authority."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        if client is not None:
            context.load_cert_chain(client.certificate, client.key)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


class Issued:
    """The files of a certificate and its key."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.certificate = certificate
        self.key = key

    @property
    def options(self) -> tuple[str, ...]:
        """For the command lines of both servers."""
        return ("--ssl-certfile", str(self.certificate), "--ssl-keyfile", str(self.key))


def encrypted(port: int, context: ssl.SSLContext) -> Connection:
    """A connection by TLS; an end of it that was not announced is an error."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
    return Connection.over(context.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False))


def serial(port: int, context: ssl.SSLContext) -> str:
    """Which certificate the server shows."""
    with encrypted(port, context) as connection:
        assert isinstance(connection.socket, ssl.SSLSocket)
        shown = connection.socket.getpeercert()
        assert shown
        return str(shown["serialNumber"])
