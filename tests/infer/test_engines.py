"""Which engine runs a model, and `tejat generate` on either."""

import json
import sys

import jax
import numpy as np
import pytest

import tejat
from tejat import bundle, cli
from tejat.errors import BadInput
from tejat.infer import engines, onnx_files
from tejat.infer.engines import export_for

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tejat.export import onnx as exporting  # noqa: E402


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tejat" / "onnx"


@pytest.fixture(scope="module")
def models(tiny, tiny_q4, tmp_path_factory):
    """Directories: `whole` in 32 bits, `blocks` in four, `export` that is nothing else."""
    folder = tmp_path_factory.mktemp("models")
    bundle.save(folder / "whole", tiny)
    bundle.save(folder / "blocks", tiny_q4, "float16")
    exporting.export(folder / "blocks", folder / "export")
    return folder


def test_a_model_in_blocks_gets_its_export_once(models, cache) -> None:
    told: list[str] = []
    folder = export_for(models / "blocks", told=told.append)
    assert folder is not None and folder.parent == cache and len(told) == 1
    assert export_for(models / "blocks", told=told.append) == folder and len(told) == 1
    assert onnx_files.check(folder)["weights"] == "4 bits"


def test_a_kept_export_that_was_damaged_is_made_anew(models, cache) -> None:
    folder = export_for(models / "blocks")
    file, told = folder / "decoder.onnx", []
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert export_for(models / "blocks", told=told.append) == folder and file.read_bytes() == whole
    assert "its hash differs" in told[0] and len(told) == 2
    file.write_bytes(whole[:-1])
    assert export_for(models / "blocks", told=told.append) == folder and file.read_bytes() == whole


def test_where_no_export_can_be_kept_jax_runs_the_model(models, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("no directory")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    told: list[str] = []
    assert export_for(models / "blocks", told=told.append) is None
    assert "JAX does" in told[-1]
    with pytest.raises(BadInput, match="cannot be made"):
        export_for(models / "blocks", "onnx")


def test_jax_runs_what_is_whole_and_what_it_is_told_to(models, cache, monkeypatch) -> None:
    assert export_for(models / "whole") is None
    assert export_for(models / "blocks", "jax") is None
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert export_for(models / "blocks") is None
    assert export_for(models / "export") == models / "export"  # nothing else can run it
    assert not cache.exists()


def test_without_onnx_runtime_jax_runs_it_and_says_what_would_be_faster(models, cache, monkeypatch) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    told: list[str] = []
    assert export_for(models / "blocks", told=told.append) is None and export_for(models / "whole") is None
    assert told == ["JAX runs it, several times as slowly as ONNX Runtime would on a CPU: `pip install onnxruntime`"]
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert export_for(models / "blocks", told=told.append) is None and len(told) == 1


def test_without_onnx_jax_runs_it_and_says_why(models, cache, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    told: list[str] = []
    assert export_for(models / "blocks", told=told.append) is None and not cache.exists()
    assert "pip install onnx`" in told[-1] and "JAX does" in told[-1]


def test_what_an_engine_cannot_run_is_told(models, cache) -> None:
    with pytest.raises(BadInput, match="has no ONNX export; make one by"):
        export_for(models / "whole", "onnx")
    with pytest.raises(BadInput, match="which JAX does not run"):
        export_for(models / "export", "jax")


def test_an_export_of_other_weights_is_refused(models, tiny, tmp_path) -> None:
    bundle.save(tmp_path / "model", tiny)
    exporting.export(tmp_path / "model", tmp_path / "model" / onnx_files.BESIDE)
    assert export_for(tmp_path / "model") == tmp_path / "model" / onnx_files.BESIDE
    norm = tiny.params["decoder"]["final_norm"]
    changed = {**tiny.params, "decoder": {**tiny.params["decoder"], "final_norm": np.asarray(norm) * 1.5}}
    bundle.save(tmp_path / "model", bundle.Bundle(tiny.config, tiny.vocabulary, changed, tiny.pictures))
    with pytest.raises(BadInput, match="was made of other weights"):
        export_for(tmp_path / "model")


def test_an_export_of_another_version_is_not_used(models, tiny_q4, cache, tmp_path) -> None:
    """Where the weights are there too; alone it is refused."""
    folder, told = tmp_path / "model" / onnx_files.BESIDE, []
    bundle.save(tmp_path / "model", tiny_q4, "float16")
    exporting.export(tmp_path / "model", folder)
    manifest = folder / onnx_files.MANIFEST
    manifest.write_text(manifest.read_text().replace(f'"format": {onnx_files.FORMAT}', '"format": 1'))
    assert export_for(tmp_path / "model", told=told.append).parent == cache
    assert "is of another version of Tejat, and not used; remove it" in told[0] and len(told) == 2
    with pytest.raises(BadInput, match="of format 1, and this Tejat reads 2; remove it, and export the model again"):
        onnx_files.read(folder)


def test_the_python_interface_takes_an_export(models) -> None:
    model = tejat.load(models / "export", engine=None)
    answer = model.answer("Hello", max_tokens=6)
    assert len(answer.tokens) == 6 and answer.usage["answer"]["total"] == 6
    assert model.score_answers(["Hello"], [["yes", "no"]])[0][0].total < 0


def test_generate_on_it_and_damage_from_outside(models, tmp_path, capsys) -> None:
    words = ["generate", "Hello", "--model", str(models / "export"), "--max-tokens", "8", "--out", str(tmp_path)]
    assert cli.main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["tokens"]) == len(found["logprobs"]) == 8
    path = models / "export" / "decoder.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert cli.main(words) == 2
    told = capsys.readouterr().err
    assert told.startswith("tejat: error: ") and "decoder.onnx has" in told and told.count("\n") == 1
    path.write_bytes(whole)
