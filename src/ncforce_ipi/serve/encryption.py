"""TLS with a certificate of one run, which is known by its fingerprint and nothing else.

There is no authority and no name: the fingerprint stands in the file of the secret, and the
handshake of the secret covers it.
"""

from __future__ import annotations

import hashlib
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

from ncforce_ipi.errors import InputError
from ncforce_ipi.serve.secret import HANDSHAKE_S, RefusedError

KEY, CERTIFICATE = "key.pem", "certificate.pem"
DAYS = "3650"  # its end means nothing: it lives as long as the run
OPENSSL_S = 30.0


def make_certificate(directory: Path) -> str:
    """Make a key and a certificate in a private directory; the certificate's SHA-256.

    Raises
    ------
    InputError
        The program openssl isn't here, or fails.
    """
    program = shutil.which("openssl")
    if not program:
        raise InputError(
            "--remote encrypts with the program openssl, which isn't here; install it, or give "
            "--clear where you trust the network"
        )
    words = [
        program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-subj", "/CN=ncforce", "-days", DAYS,
        "-keyout", str(directory / KEY), "-out", str(directory / CERTIFICATE),
    ]  # fmt: skip
    try:
        subprocess.run(words, check=True, capture_output=True, text=True, timeout=OPENSSL_S)
    except (OSError, subprocess.SubprocessError) as err:
        said = str(getattr(err, "stderr", "") or err).strip().splitlines()[-1]
        raise InputError(f"openssl made no certificate ({said}); --clear goes without") from err
    (directory / KEY).chmod(0o600)
    return fingerprint(ssl.PEM_cert_to_DER_cert((directory / CERTIFICATE).read_text()))


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate, hexadecimal."""
    return hashlib.sha256(certificate).hexdigest()


def server_context(directory: Path) -> ssl.SSLContext:
    """With the key and certificate that were made there."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # a connection is made once
    context.load_cert_chain(directory / CERTIFICATE, directory / KEY)
    return context


def as_client(sock: socket.socket, certificate_sha256: str, address: str) -> ssl.SSLSocket:
    """An encrypted connection to who has this certificate; takes the socket.

    Raises
    ------
    RefusedError
        The other end has another certificate, or speaks no TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the fingerprint below is the check
    sock.settimeout(HANDSHAKE_S)
    try:
        found = context.wrap_socket(sock)
    except OSError as err:
        sock.close()
        raise RefusedError(
            f"{address} speaks no TLS ({err.strerror or err}): it is not the run that wrote the "
            "--token-file"
        ) from err
    if fingerprint(found.getpeercert(binary_form=True) or b"") != certificate_sha256:
        found.close()
        raise RefusedError(
            f"{address} has another certificate than the run that wrote the --token-file"
        )
    return found
