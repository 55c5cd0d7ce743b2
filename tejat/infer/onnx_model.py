"""A model in ONNX Runtime: its sessions, and the parts of it that are not the decoder's steps.

What is said of ONNX Runtime in words of its own comes from here only.
"""

import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from tejat import bundle, memory
from tejat.bundle import Bundle
from tejat.codecs import audio as sound
from tejat.codecs.image import Patches, cut, fitted, join, resize, whitened
from tejat.codecs.picture import PictureCodec
from tejat.codecs.vocabulary import LARGEST_SIDE, Vocabulary
from tejat.errors import BadInput
from tejat.infer import onnx_files
from tejat.model.picture import PictureConfig

OLDEST = (1, 24)
"""Of ONNX Runtime: before, its attention on a CPU saw one token more than the window."""

ROOM = 1.5
"""Memory that a session takes, as a multiple of its file: weights are arranged anew, beside those that were read."""


def cores() -> int:
    """That this process may use; where the system does not say, all there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class OnnxModel:
    """An export in memory. The decoder is read at once, towers when they are first needed."""

    def __init__(self, folder: Path, threads: int | None = None):
        """`threads`: of a step; by default as many as this process has cores.

        Raises BadInput for files that are missing or are not those that were exported, for an operator that the
        installed ONNX Runtime lacks, and where memory is short.
        """
        _check_version()
        self.folder, self.about = folder, onnx_files.check(folder)
        self._threads = threads or cores()
        self._sessions: dict[str, Any] = {}
        self._lock = threading.Lock()
        self.config = bundle.read_config(folder / "config.json")
        codes = self.config.picture.codes if self.config.picture else 0
        vocabulary = Vocabulary((folder / "tokenizer.model").read_bytes(), codes)
        pictures = OnnxPictures(self, self.config.picture) if self.config.picture else None
        self.bundle = Bundle(self.config, vocabulary, {}, pictures)
        self.decoder = self.session("decoder")
        kinds = {value.name: value.type for value in self.decoder.get_inputs()}
        self.cached = np.dtype(np.int8 if kinds["key.0"] == "tensor(int8)" else np.float32)
        """Of the keys and values that the decoder keeps."""

    def session(self, name: str) -> Any:
        """The session of one of its networks. Any thread may ask."""
        with self._lock:
            if name not in self._sessions:
                self._sessions[name] = self._load(name)
            return self._sessions[name]

    def _load(self, name: str) -> Any:
        import onnxruntime

        path = self.folder / f"{name}.onnx"
        files = [file for file in self.about["files"] if file.startswith(path.name)]
        enough(ROOM * sum(self.about["files"][file]["bytes"] for file in files), f"the weights in {path}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        options.log_severity_level = 3
        try:
            return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise BadInput(_told(path, str(error), onnxruntime.__version__)) from error

    def soft(self, pieces: Sequence[Any], counts: Sequence[int]) -> Float[np.ndarray, "n D"]:
        """Soft tokens of an image, or of the pieces of one sound: what `infer.soft` asks for."""
        first = pieces[0]
        return self._seen(first) if isinstance(first, Patches) else self._heard(pieces)

    def _seen(self, image: Patches) -> Float[np.ndarray, "n D"]:
        order = np.argsort(image.slots, kind="stable")  # those of one soft token side by side
        arrays = {"patches": image.patches[order], "positions": image.positions[order].astype(np.int64)}
        return self.session("vision").run(["soft"], arrays)[0]

    def _heard(self, pieces: Sequence[Float[np.ndarray, "F M"]]) -> Float[np.ndarray, "n D"]:
        session, found = self.session("audio"), []
        names = [value.name for value in session.get_inputs() if value.name not in ("mel", "real")]
        shapes = {value.name: value.shape for value in session.get_inputs()}
        state = {name: np.zeros(shapes[name], np.float32) for name in names}
        for piece in pieces:
            mel = np.asarray(piece, np.float32)
            short = -len(mel) % sound.STRIDE
            real = np.pad(np.ones(len(mel), np.float32), (0, short))
            arrays = {"mel": np.pad(mel, ((0, short), (0, 0)))[None], "real": real[None], **state}
            rows, *after = session.run(["soft", *(f"new_{name}" for name in names)], arrays)
            found.append(rows)
            state = dict(zip(names, after, strict=True))
        return np.concatenate(found)


class OnnxPictures(PictureCodec):
    """The image tokenizer, its networks in ONNX Runtime."""

    def __init__(self, model: OnnxModel, config: PictureConfig):
        super().__init__({}, config)
        self._model = model

    def encode_many(self, pictures: Sequence[UInt8[np.ndarray, "H W 3"]]) -> list[Int[np.ndarray, "h w"]]:
        patch, found = self.config.patch, []
        for pixels in pictures:
            height, width = fitted(*pixels.shape[:2], patch, self.budget, min(LARGEST_SIDE, self.config.table))
            patches, positions = cut(resize(pixels, height, width), patch)
            arrays = {"patches": patches, "positions": positions.astype(np.int64)}
            codes = self._model.session("picture_encoder").run(["codes"], arrays)[0]
            found.append(codes.astype(np.int32).reshape(height // patch, width // patch))
        return found

    def decode(self, codes: Int[np.ndarray, "h w"]) -> UInt8[np.ndarray, "H W 3"]:
        rows, columns = codes.shape
        if not (1 <= rows <= self.config.table and 1 <= columns <= self.config.table):
            raise BadInput(f"a picture of {columns} x {rows} codes is outside 1..{self.config.table} a side")
        y, x = np.divmod(np.arange(codes.size, dtype=np.int64), columns)
        arrays = {"codes": codes.reshape(-1).astype(np.int64), "positions": np.stack([x, y], 1)}
        return whitened(join(self._model.session("picture_decoder").run(["patches"], arrays)[0], rows, columns))


def _check_version() -> None:
    """Raises BadInput where the ONNX Runtime installed computes something else."""
    from importlib.metadata import version

    found = version("onnxruntime")
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST:
        least = ".".join(map(str, OLDEST))
        raise BadInput(
            f"ONNX Runtime {found} attends to one token too many; `pip install 'onnxruntime>={least}'` brings one that "
            "does not"
        )


def enough(needed: float, what: str) -> None:
    """Raises BadInput where so many bytes are more than this machine has free; where it does not say, nothing."""
    if (free := memory.free()) is not None and needed > free:
        raise BadInput(
            f"{what} take {needed / 1e9:.1f} GB of memory and {free / 1e9:.1f} GB are free; "
            "close other programs, or take a smaller model, fewer bits or fewer answers at once"
        )


def fitting(each: float, most: int) -> int:
    """How many things of so many bytes, up to `most`, half of the free memory holds; at least one."""
    free = memory.free()
    return most if free is None else max(1, min(most, int(free / 2 / each)))


def _told(path: Path, error: str, version: str) -> str:
    """What ONNX Runtime says of a file that it does not load, in our words."""
    lacks = re.search(r"implementation for (\w+)|: (?:[\w.]+:)?(\w+)\(-?\d+\) is not a registered function", error)
    if lacks:
        name = lacks[1] or lacks[2]
        return f"ONNX Runtime {version} lacks the operator {name} that {path} needs; install a newer one"
    if "Unrecognized attribute" in error:
        return f"ONNX Runtime {version} lacks a part of an operator that {path} needs; install a newer one"
    if "bad_alloc" in error or "allocate memory" in error:
        return f"memory is too short for {path}; close other programs, or take a smaller model or fewer bits"
    return f"{path} cannot be loaded by ONNX Runtime {version} ({' '.join(error.split())[:160]}); export it again"
