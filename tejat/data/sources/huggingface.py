"""Data sets of Hugging Face, where its library `datasets` is installed: by name, or as saved in a folder."""

from collections.abc import Iterable, Iterator
from typing import Any

from tejat.data.corpus.source import Dropped
from tejat.data.sources import interleaved
from tejat.errors import BadInput
from tejat.parts import Document


def read(path: str, dropped: Dropped) -> Iterator[Document]:
    """Documents of "hf:NAME", "hf:NAME@SPLIT" or a folder made by `save_to_disk`; rows as `interleaved` maps them.

    Raises BadInput where the library is not there, and for a data set that it cannot open.
    """
    try:
        import datasets
    except ImportError as error:
        raise BadInput(f"{path} wants Hugging Face's datasets; install it by `pip install datasets`") from error
    try:
        rows = _rows(datasets, path)
    except BadInput:
        raise
    except Exception as error:  # whatever the hub, the network and the builders raise
        why = " ".join(str(error).split())[:200]
        raise BadInput(
            f"the data set {path} cannot be opened ({type(error).__name__}: {why}); mend the name"
        ) from error
    for number, record in enumerate(rows):
        try:
            yield interleaved.document(record, path, path)
        except BadInput as error:
            dropped.drop("records that are no documents", f"{path}, row {number}: {error}")


def _rows(datasets: Any, path: str) -> Iterable[dict[str, Any]]:
    name, _, split = path.removeprefix("hf:").partition("@")
    if path.startswith("hf:"):
        return datasets.load_dataset(name, split=split or "train", streaming=True)
    found = datasets.load_from_disk(path)
    if hasattr(found, "keys"):  # several splits
        return found["train" if "train" in found else next(iter(found))]
    return found
