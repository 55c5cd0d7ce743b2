"""Pictures of evaluation sets, for `contamination`, which reads their questions itself."""

from collections import defaultdict
from pathlib import Path

from tejat.data.cleaning.pictures import read
from tejat.errors import BadInput

_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")


def pictures(path: Path) -> dict[str, list[bytes]]:
    """The picture files in a folder and below it, by the name of the set: the folder that each lies in.

    Raises BadInput for one that cannot be read: what cannot be seen cannot be kept out of training.
    """
    path = Path(path)
    sets: dict[str, list[bytes]] = defaultdict(list)
    for file in sorted(path.rglob("*")):
        if file.suffix.lower() in _ENDINGS and file.is_file():
            data = file.read_bytes()
            if read(data) is None:
                raise BadInput(f"the evaluation picture {file} cannot be read; mend or remove it")
            sets[file.parent.relative_to(path).as_posix().removeprefix(".") or path.name].append(data)
    return dict(sets)
