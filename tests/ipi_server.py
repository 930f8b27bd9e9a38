"""The server's half of i-PI's protocol, written from i-PI's source and not from our own code."""

import socket
import struct

import numpy as np

BOHR_A = 0.529177210903  # CODATA 2018
HARTREE_EV = 27.211386245988


class Server:
    """What i-PI does on one accepted connection; positions in A, answers in eV and A."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.settimeout(30.0)  # a test that hangs fails

    def read(self, n_bytes: int) -> bytes:
        data = b""
        while len(data) < n_bytes:
            piece = self.sock.recv(n_bytes - len(data))
            if not piece:
                raise EOFError(f"got {len(data)} of {n_bytes} bytes")
            data += piece
        return data

    def status(self) -> str:
        self.sock.sendall(b"STATUS      ")
        return self.read(12).decode().strip()

    def init(self, text: str = " ", replica: int = 0) -> None:
        data = text.encode()
        self.sock.sendall(b"INIT        " + struct.pack("<ii", replica, len(data)) + data)

    def ask(self, positions: np.ndarray, cell: np.ndarray, getforce: bool = True) -> None:
        """POSDATA, and GETFORCE in the same message as i-PI 3.3 sends it."""
        self.sock.sendall(posdata(positions / BOHR_A, cell / BOHR_A) + b"GETFORCE    " * getforce)

    def forces(self) -> tuple[float, np.ndarray, np.ndarray, str]:
        """Read FORCEREADY: energy in eV, forces in eV/A, virial in eV, extras."""
        header = self.read(12)
        if header != b"FORCEREADY  ":
            raise AssertionError(f"expected FORCEREADY, got {header!r}")
        energy, n_atoms = struct.unpack("<di", self.read(12))
        forces = np.frombuffer(self.read(24 * n_atoms)).reshape(n_atoms, 3)
        virial = np.frombuffer(self.read(72)).reshape(3, 3)
        (length,) = struct.unpack("<i", self.read(4))
        extras = self.read(length).decode()
        return energy * HARTREE_EV, forces * HARTREE_EV / BOHR_A, virial * HARTREE_EV, extras

    def ask_batch(self, many: list[np.ndarray], cell: np.ndarray) -> None:
        """POSDATA and GETFORCE of a batch, all structures in one cell."""
        h = np.ascontiguousarray(cell.T) / BOHR_A
        cells = (h.tobytes() + np.linalg.inv(h).tobytes()) * len(many)
        data = b"".join((positions / BOHR_A).tobytes() for positions in many)
        head = b"POSDATA     " + struct.pack("<i", len(many[0]))
        self.sock.sendall(head + cells + data + b"GETFORCE    ")

    def batch_forces(self, n: int) -> list[tuple[float, np.ndarray, np.ndarray]]:
        """Read FORCEREADY of a batch: energy in eV, forces in eV/A, virial in eV of each."""
        header = self.read(12)
        if header != b"FORCEREADY  ":
            raise AssertionError(f"expected FORCEREADY, got {header!r}")
        energies = np.frombuffer(self.read(8 * n)) * HARTREE_EV
        (n_atoms,) = struct.unpack("<i", self.read(4))
        forces = np.frombuffer(self.read(24 * n_atoms * n)).reshape(n, n_atoms, 3)
        virials = np.frombuffer(self.read(72 * n)).reshape(n, 3, 3) * HARTREE_EV
        if self.read(4 * n) != bytes(4 * n):
            raise AssertionError("expected no extras")
        return list(zip(energies, forces * HARTREE_EV / BOHR_A, virials, strict=True))

    def exit(self) -> None:
        self.sock.sendall(b"EXIT        ")
        self.sock.close()


def posdata(positions: np.ndarray, cell: np.ndarray) -> bytes:
    """POSDATA in atomic units; i-PI sends the matrix whose columns are the lattice vectors."""
    inverse = np.linalg.pinv(cell)
    return (
        b"POSDATA     "
        + np.ascontiguousarray(cell.T).tobytes()
        + np.ascontiguousarray(inverse.T).tobytes()
        + struct.pack("<i", len(positions))
        + positions.tobytes()
    )
