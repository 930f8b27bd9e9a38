"""Libraries that a metatomic file names are loaded from the user's directory, or not at all."""

import json
import logging
import zipfile

import pytest

from ncforce_ipi.drivers import metatomic_extensions as extensions
from ncforce_ipi.errors import InputError, ModelError


@pytest.fixture
def model(tmp_path):
    """``model(extensions, deps)``: the archive of a model that names these libraries."""

    def make(named="[]", deps="[]", top="final"):
        path = tmp_path / "model.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{top}/data.pkl", b"")
            for record, text in zip(extensions.RECORDS, (named, deps), strict=True):
                archive.writestr(f"{top}/{record}", text)
        return path

    return make


@pytest.fixture
def directory(tmp_path):
    """A user's directory with one library in a folder."""
    folder = tmp_path / "extensions" / "pet" / "lib"
    folder.mkdir(parents=True)
    (folder / "libpet.so").write_bytes(b"a library")
    (tmp_path / "libevil.so").write_bytes(b"another")
    return tmp_path / "extensions"


def one(name, path):
    return json.dumps([{"name": name, "path": path, "sha256": "0"}])


def test_a_model_without_libraries_needs_nothing(model, tmp_path):
    extensions.check(model(), None)
    (tmp_path / "text.pt").write_text("no archive: metatomic will say so")
    extensions.check(tmp_path / "text.pt", None)
    extensions.check(tmp_path / "not there", None)


def test_libraries_of_the_users_directory(model, directory, caplog):
    caplog.set_level(logging.INFO)
    for path in ("pet/lib/libpet.so", str(directory / "pet" / "lib" / "libpet.so")):
        extensions.check(model(one("pet", path)), directory)
        assert "libpet.so for model.pt, SHA-256 31f109ab3834" in caplog.text
        caplog.clear()


@pytest.mark.parametrize("record", [0, 1])
@pytest.mark.parametrize("top", ["final", "anything"])
def test_none_is_loaded_without_a_directory(model, record, top):
    """As metatomic would by itself: from an absolute path, whatever lies there."""
    texts = ["[]", "[]"]
    texts[record] = one("evil", "/tmp/libevil.so")
    with pytest.raises(InputError, match=r"asks for the libraries evil .* give --extensions DIR"):
        extensions.check(model(*texts, top=top), None)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("evil", "/tmp/libevil.so"),
        ("evil", "../libevil.so"),
        ("evil", "pet/../../libevil.so"),
        ("evil", "gone.so"),
        ("evil", "."),
        ("../libevil.so", "pet/lib/libpet.so"),  # metatomic also tries the name as a path
        ("/tmp/libevil.so", "pet/lib/libpet.so"),
    ],
)
def test_none_is_loaded_from_elsewhere(model, directory, name, path):
    with pytest.raises(InputError, match=r"asks for the library .*, which isn't in "):
        extensions.check(model(one(name, path)), directory)


def test_a_link_out_of_the_directory(model, directory, tmp_path):
    (directory / "link.so").symlink_to(tmp_path / "libevil.so")
    with pytest.raises(InputError, match="which isn't in"):
        extensions.check(model(one("evil", "link.so")), directory)


def test_two_records_of_one_name(model, directory):
    """Readers of archives differ in which they take: both count."""
    path = model()
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(f"final/{extensions.RECORDS[0]}", one("evil", "/tmp/libevil.so"))
    with pytest.raises(InputError, match="asks for the libraries evil"):
        extensions.check(path, None)


@pytest.mark.parametrize("text", ["{", "5", '["x"]', '[{"name": "x"}]', "\\xff"])
def test_records_that_can_not_be_read(model, text):
    with pytest.raises(ModelError, match="the libraries that it asks for can't be read"):
        extensions.check(model(text), None)


def test_the_gate_stands_before_the_model_is_loaded(model):
    torch = pytest.importorskip("metatomic.torch")
    assert torch is not None
    from ncforce_ipi.drivers import metatomic

    with pytest.raises(InputError, match="asks for the libraries evil"):
        metatomic.load(str(model(one("evil", "/tmp/libevil.so"))))
