"""Where the files that a fleet file names are: beside it, or in the current directory."""

from __future__ import annotations

from pathlib import Path

from pipeline.config.base import mask_value
from pipeline.config.locate import Document, KeyPath, Tree
from pipeline.config.url import scheme_of

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
"""What pictures' names end with, in small letters."""
_FILE = "file://"


def resolve_files(document: Document) -> None:
    """Replace the paths of recordings, folders, model and certificate by absolute ones; report what is nowhere."""
    if not isinstance(document.data, dict):
        return
    cameras = document.data.get("cameras")
    for name, camera in cameras.items() if isinstance(cameras, dict) else ():
        if isinstance(camera, dict):
            camera["url"] = _recording(camera.get("url"), ("cameras", name, "url"), document)
            if camera["url"] is None:
                del camera["url"]
    _model(document.data.get("model"), ("model",), document)
    cascade = document.data.get("cascade")
    for name, look in cascade.items() if isinstance(cascade, dict) else ():
        if isinstance(look, dict):
            _model(look.get("model"), ("cascade", name, "model"), document)
    if isinstance(page := document.data.get("page"), dict):
        _certificate(page, document)


def _model(model: Tree, at: KeyPath, document: Document) -> None:
    """Replace the paths in a section that describes a model; `at` is where that is."""
    if not isinstance(model, dict):
        return
    if isinstance(model.get("path"), str):
        model["path"] = _weights(str(model["path"]), model.get("backend"), (*at, "path"), document)
    if isinstance(triton := model.get("triton"), dict):
        for name in ("metadata", "ca_file", "cert_file", "key_file"):
            _named(triton, name, (*at, "triton", name), document)
    openvino = model.get("openvino")
    if isinstance(openvino, dict) and isinstance(openvino.get("int8_from"), str):
        openvino["int8_from"] = _pictures(str(openvino["int8_from"]), (*at, "openvino", "int8_from"), document)


def _certificate(page: dict[str, Tree], document: Document) -> None:
    """Replace the paths of a page's certificate and key."""
    for name in ("cert", "key"):
        _named(page, name, ("page", name), document)


def _named(section: dict[str, Tree], name: str, path: KeyPath, document: Document) -> None:
    """Replace the path of a file that a section names, if it does."""
    written = section.get(name)
    if not isinstance(written, str) or (not written and path[0] != "page"):
        return
    found = look_up(written, document.file)
    if found is None:
        document.report(path, f"there is no file “{written}” in {places(written, document.file)}")
    else:
        section[name] = str(found)


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder by name, as a camera's or a data set's are numbered; not those of folders in it.

    Raises:
        OSError: The folder cannot be read.
    """
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)


def _recording(url: Tree, path: KeyPath, document: Document) -> Tree:
    if not isinstance(url, str) or not url.strip() or scheme_of(url) not in ("", "file"):
        return url
    if url.startswith(("/dev/", "python:")):
        return url
    written = url[len(_FILE) :] if scheme_of(url) == "file" else url
    found = look_up(written, document.file)
    if found is None:
        hint = "" if scheme_of(url) else "; the address of a network camera begins with a scheme such as rtsp://"
        document.report(
            path, f"there is no recording “{mask_value(written)}” in {places(written, document.file)}{hint}"
        )
    elif found.is_dir() and (why := _why_no_pictures(found)):
        document.report(path, why)
    return str(found) if found else url


def _why_no_pictures(folder: Path) -> str:
    """Empty where a folder can be played."""
    try:
        if pictures_in(folder):
            return ""
    except OSError as error:
        return f"the folder “{folder}” cannot be read: {error.strerror}"
    return f"there is no picture in the folder “{folder}” ({' '.join(sorted(PICTURES))}); name the recording in it"


def _weights(written: str, backend: Tree, at: KeyPath, document: Document) -> str:
    if not written.strip() or scheme_of(written) or backend in ("stub", "triton"):
        return written
    found = look_up(written, document.file)
    if found:
        return str(found)
    # A bare name may be one that Ultralytics fetches, and a plug-in may call its models as it likes.
    plugged_in = isinstance(backend, str) and ":" in backend
    if len(Path(written).parts) > 1 and not plugged_in:
        document.report(at, f"there is no model “{written}” in {places(written, document.file)}")
    return written


def _pictures(written: str, at: KeyPath, document: Document) -> str:
    found = look_up(written, document.file) if written.strip() else None
    if written.strip() and (found is None or not found.is_dir()):
        where = places(written, document.file)
        document.report(at, f"there is no folder “{mask_value(written)}” in {where}")
    return str(found) if found else written


def look_up(written: str, fleet_file: Path) -> Path | None:
    """The absolute path of what `written` names, beside the file that names it first; None if it is nowhere."""
    try:
        relative = Path(written).expanduser() if written.startswith("~/") else Path(written)
    except RuntimeError:  # Nobody knows where this user's home is.
        return None
    for folder in (fleet_file.absolute().parent, Path.cwd()):
        try:
            if (folder / relative).exists():
                return (folder / relative).resolve()
        except (OSError, ValueError):
            # Too long or with a zero in it: no name of a file, so there is none.
            return None
    return None


def places(written: str, fleet_file: Path) -> str:
    """Where `look_up` has looked, in words."""
    if written.startswith(("/", "~/")):
        return "this machine"
    beside, current = fleet_file.absolute().parent, Path.cwd()
    return (
        f"{beside}" if beside == current else f"{beside} (beside the fleet file) or {current} (the current directory)"
    )
