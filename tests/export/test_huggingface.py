"""Checkpoint directories: what is exported comes back to the bit; what does not fit is refused and leaves nothing."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tejat import bundle
from tejat.codecs import vocabulary
from tejat.errors import BadInput
from tejat.export import huggingface, names, quantize
from tejat.export.tensors import INDEX, WHOLE
from tejat.model import multimodal, weights
from tejat.model.audio import AudioConfig
from tejat.model.experts import ExpertsConfig
from tejat.model.params import walk


def tensors(folder):
    """Every tensor of a checkpoint or bundle, whichever file it is in."""
    return {
        name: array
        for path in sorted(folder.glob("*.safetensors"))
        if path.name != huggingface.PICTURE
        for name, array in load_file(path).items()
    }


def bits(arrays):
    return {name: (array.dtype.name, array.shape, array.tobytes()) for name, array in arrays.items()}


@pytest.mark.parametrize(
    ("dtype", "shard"),
    [("float32", 2_000_000), ("bfloat16", huggingface.SHARD), ("bfloat16", 1_000_000), ("float16", 1)],
)
def test_there_and_back_to_the_bit(small, saved, tmp_path, dtype, shard):
    done = huggingface.export(saved[dtype], tmp_path / "out", shard=shard)
    theirs = tensors(tmp_path / "out")
    assert {array.dtype.name for array in theirs.values()} == {dtype}
    assert done.tensors == len(theirs) and done.bytes == sum(array.nbytes for array in theirs.values())
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["dtype"] == dtype
    files = len([*(tmp_path / "out").glob("model*.safetensors")])
    assert files == {huggingface.SHARD: 1, 1: len(theirs)}.get(shard, files) and (files > 1) == (shard <= 2e6)

    assert huggingface.import_(tmp_path / "out", tmp_path / "back") == done
    assert bits(tensors(tmp_path / "back")) == bits(tensors(saved[dtype]))
    assert sorted(p.name for p in (tmp_path / "back").iterdir()) == sorted(p.name for p in saved[dtype].iterdir())
    for name in ("tokenizer.model", huggingface.PICTURE):
        assert (tmp_path / "back" / name).read_bytes() == (saved[dtype] / name).read_bytes()
    again = bundle.load(tmp_path / "back")
    assert again.framing.config.decoder.kinds == small.config.decoder.kinds
    for part in ("name", "vision", "audio", "picture", "text_vocabulary", "context"):
        assert getattr(again.config, part) == getattr(small.config, part)


def test_four_bits_are_written_as_what_they_stand_for(small, tmp_path):
    """What comes with Tejat is in four bits, and no engine reads our blocks."""
    bundle.save(tmp_path / "q4", quantize.quantize(small, quantize.Plan(method="nearest")))
    bundle.save(tmp_path / "floats", bundle.load(tmp_path / "q4"))
    for name in ("q4", "floats"):
        huggingface.export(tmp_path / name, tmp_path / f"{name}-out")
    assert bits(tensors(tmp_path / "q4-out")) == bits(tensors(tmp_path / "floats-out"))
    for path in (tmp_path / "floats-out").iterdir():
        assert (tmp_path / "q4-out" / path.name).read_bytes() == path.read_bytes(), path.name


def changed(config, **parts):
    """The configuration with fields of its parts changed: decoder={"width": 8}, or a part replaced: vision=None."""
    made = {p: dataclasses.replace(getattr(config, p), **v) if isinstance(v, dict) else v for p, v in parts.items()}
    return dataclasses.replace(config, **made)


SHARING = {"layers": 8, "shared_key_layers": 3, "shared_mlp_factor": 2, "pattern": ("sliding", "full") * 4}
VARIANTS = {
    "text alone": {"vision": None, "audio": None, "picture": None},
    "layers that share": {"decoder": SHARING},
    "per-layer inputs": {"decoder": {"per_layer_width": 8, "per_layer_vocabulary": 2_560}},
    "keys for values": {"decoder": {"keys_are_values": True, "full_head_width": 16, "full_key_heads": 2}},
    "experts": {"decoder": {"experts": ExpertsConfig(count=4, used=2, mlp=16)}},
    "no towers": {
        "vision": {"width": 24, "front_end": "raw", **dict.fromkeys(("layers", "heads", "head_width", "mlp"), 0)},
        "audio": AudioConfig(width=0, layers=0, heads=0, front_end="raw", frames=50),
    },
    "clipped": {"vision": {"clipped": True, "standardize": True}, "audio": {"clipped": True}},
}


def save_variant(small, folder, parts, drawn, dtype="bfloat16"):
    config = changed(small.config, **parts)
    model = dataclasses.replace(small, config=config, params=drawn(multimodal.params(config), 5))
    if config.picture is None:
        plain = vocabulary.Vocabulary(small.vocabulary.model, 0)
        model = dataclasses.replace(model, pictures=None, vocabulary=plain)
    bundle.save(folder, model, dtype)
    return config


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_there_and_back(small, drawn, tmp_path, variant):
    config = save_variant(small, tmp_path / "model", VARIANTS[variant], drawn)
    huggingface.export(tmp_path / "model", tmp_path / "out")
    assert tensors(tmp_path / "out").keys() == {pair.theirs for pair in names.pairs(config)}
    huggingface.import_(tmp_path / "out", tmp_path / "back")
    assert bits(tensors(tmp_path / "back")) == bits(tensors(tmp_path / "model"))
    huggingface.export(tmp_path / "back", tmp_path / "again")
    for path in (tmp_path / "out").iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_decoder_alone_is_imported(small, drawn, tmp_path):
    """A checkpoint whose config.json is what others have under "text_config", and whose names are shorter."""
    save_variant(small, tmp_path / "model", VARIANTS["text alone"], drawn)
    huggingface.export(tmp_path / "model", tmp_path / "out")
    arrays = {name.replace("language_model.", ""): array for name, array in tensors(tmp_path / "out").items()}
    save_file(arrays, tmp_path / "out" / WHOLE, metadata={"format": "pt"})
    path = tmp_path / "out" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text())["text_config"]))
    huggingface.import_(tmp_path / "out", tmp_path / "back")
    assert bits(tensors(tmp_path / "back")) == bits(tensors(tmp_path / "model"))


@pytest.fixture(scope="module")
def exported(saved, tmp_path_factory):
    """The small model as a checkpoint in one file; not to be written to."""
    folder = tmp_path_factory.mktemp("exported") / "checkpoint"
    huggingface.export(saved["bfloat16"], folder)
    return folder


@pytest.fixture
def checkpoint(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "checkpoint")


def edit_json(path, edit):
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(value))


def edit_tensors(path, edit):
    arrays = load_file(path)
    edit(arrays)
    save_file(arrays, path, metadata={"format": "pt"})


def test_one_number_changed_changes_one_number(checkpoint, saved, tmp_path):
    """The control of the round trip: no tensor is left out of the comparison."""
    random = np.random.default_rng(0)
    before = tensors(saved["bfloat16"])
    every = sorted(tensors(checkpoint))
    for number, name in enumerate(random.choice(every, 6, replace=False)):
        folder = shutil.copytree(checkpoint, tmp_path / f"changed{number}")

        def change(arrays, name=name):
            arrays[name] = arrays[name].copy()
            arrays[name].reshape(-1)[-1] += ml_dtypes.bfloat16(1.0)

        edit_tensors(folder / WHOLE, change)
        huggingface.import_(folder, tmp_path / f"back{number}")
        after = tensors(tmp_path / f"back{number}")
        assert sum(int((after[n].view(np.uint16) != before[n].view(np.uint16)).sum()) for n in before) == 1, name


def test_picture_codes_are_rows_of_the_vocabulary(small, saved, checkpoint):
    text, codes = small.config.text_vocabulary, small.config.picture.codes
    rows = tensors(checkpoint)["model.language_model.embed_tokens.weight"]
    ours = tensors(saved["bfloat16"])["decoder.embedding"]
    assert rows[text : text + codes].tobytes() == ours[text : text + codes].tobytes()
    config = json.loads((checkpoint / "config.json").read_text())
    assert config["text_config"]["vocab_size"] == text + codes
    assert config["image_token_id"] == small.vocabulary["<|image|>"]
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text())
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    assert [ids[f"<|code{code}|>"] for code in range(codes)] == [*range(text, text + codes)]


def test_a_processor_where_the_format_has_one(small, drawn, checkpoint, tmp_path):
    assert not (checkpoint / "processor_config.json").exists()  # micro's images are of 9 soft tokens
    budgets = {"budgets": (70, 140, 280), "frame_budget": 70}
    save_variant(small, tmp_path / "model", {"vision": budgets}, drawn)
    huggingface.export(tmp_path / "model", tmp_path / "out")
    made = json.loads((tmp_path / "out" / "processor_config.json").read_text())
    assert made["image_processor"]["max_soft_tokens"] == made["image_seq_length"] == 140


def test_keys_that_nobody_reads_are_left_out(small, drawn, tmp_path):
    """Open checkpoints carry them for layers that share the keys of others."""
    config = save_variant(small, tmp_path / "model", {"decoder": SHARING}, drawn)
    huggingface.export(tmp_path / "model", tmp_path / "out")
    unread = sorted(names.unread(config))
    assert unread
    edit_tensors(tmp_path / "out" / WHOLE, lambda a: a.update({n: np.zeros(3, ml_dtypes.bfloat16) for n in unread}))
    assert huggingface.import_(tmp_path / "out", tmp_path / "back").unread == unread
    assert bits(tensors(tmp_path / "back")) == bits(tensors(tmp_path / "model"))


def refused(call, source, target, words):
    """One sentence with these words, and no trace of the target."""
    beside = sorted(p.name for p in target.parent.iterdir())
    with pytest.raises(BadInput, match=words) as caught:
        call(source, target)
    assert "\n" not in str(caught.value) and sorted(p.name for p in target.parent.iterdir()) == beside


NORM, EMBEDDING = "model.language_model.norm.weight", "model.language_model.embed_tokens.weight"


def without_audio(arrays):
    for name in [name for name in arrays if "audio_tower" in name]:
        del arrays[name]


def two_types(arrays):
    name = "model.language_model.layers.1.input_layernorm.weight"
    arrays[name] = arrays[name].astype(np.float32)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda a: a.pop(NORM), f"lacks {NORM}; it does not fit its config.json"),
        (lambda a: a.update({"lm_head.weight": a[EMBEDDING].copy()}), "has unknown lm_head.weight"),
        (lambda a: a.update({NORM: a[NORM][:5]}), rf"has {NORM} of shape \(5,\) where \(128,\) belongs"),
        (lambda a: a.update({EMBEDDING: a[EMBEDDING].T.copy()}), rf"has {EMBEDDING} of shape \(128, 2560\) where"),
        (without_audio, r"lacks model.audio_tower\S+, .* and \d+ more"),
        (lambda a: (a.pop(NORM), a.update(b=a[EMBEDDING])), f"lacks {NORM} and has unknown b"),
        (lambda a: a.update({NORM: np.ones(128, np.int8)}), rf"stores {NORM} \(I8\) as no float"),
        (two_types, r"layers.0.input_layernorm.weight, .* in several types \(bfloat16, float32\)"),
    ],
)
def test_wrong_tensors_are_named(checkpoint, tmp_path, edit, words):
    edit_tensors(checkpoint / WHOLE, edit)
    refused(huggingface.import_, checkpoint, tmp_path / "back", words)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda c: c.update(colour=1), "colour"),
        (lambda c: c["text_config"].update(depth=1), "text_config.depth"),
        (lambda c: c["vision_config"].update(depth=1), "vision_config.depth"),
        (lambda c: c["text_config"].update(num_hidden_layers=3), "layer_types"),
        (lambda c: c.update(model_type="gemma3"), "gemma3"),
        (lambda c: c.update(image_token_id=99), "image_token_id 99 where the tokenizer has 6"),
        (lambda c: c["tejat"].update(text_vocabulary=2_000), "2048 pieces and 512 picture codes"),
        (lambda c: c["text_config"].update(vocab_size=2_100), "2048 pieces and 512 picture codes"),
    ],
)
def test_wrong_settings_are_named(checkpoint, tmp_path, edit, words):
    edit_json(checkpoint / "config.json", edit)
    refused(huggingface.import_, checkpoint, tmp_path / "back", words)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff"])
def test_what_is_no_config(checkpoint, tmp_path, text):
    (checkpoint / "config.json").write_bytes(text)
    refused(huggingface.import_, checkpoint, tmp_path / "back", "config.json")


@pytest.mark.parametrize("name", ["config.json", WHOLE, huggingface.PICTURE])
def test_a_missing_file_is_named(checkpoint, tmp_path, name):
    (checkpoint / name).unlink()
    refused(huggingface.import_, checkpoint, tmp_path / "back", name)


@pytest.mark.parametrize("name", [WHOLE, huggingface.PICTURE])
@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_named(checkpoint, tmp_path, name, share):
    whole = (checkpoint / name).read_bytes()
    (checkpoint / name).write_bytes(whole[: int(share * len(whole))])
    refused(huggingface.import_, checkpoint, tmp_path / "back", f"{name} is not a whole safetensors file")


def test_a_shard_that_is_not_there(saved, tmp_path):
    huggingface.export(saved["bfloat16"], tmp_path / "out", shard=1_000_000)
    (tmp_path / "out" / "model-00002-of-00004.safetensors").unlink()
    refused(huggingface.import_, tmp_path / "out", tmp_path / "back", "lacks the file model-00002-of-00004.safetensors")
    (tmp_path / "out" / INDEX).unlink()
    refused(huggingface.import_, tmp_path / "out", tmp_path / "back", INDEX)


def test_the_tokenizer_alone_as_json(checkpoint, saved, tmp_path, small):
    (checkpoint / "tokenizer.model").unlink()
    huggingface.import_(checkpoint, tmp_path / "back")
    again = bundle.load(tmp_path / "back")
    assert again.vocabulary.encode("a cat, 3 dogs") == small.vocabulary.encode("a cat, 3 dogs")
    (checkpoint / "tokenizer.json").unlink()
    refused(huggingface.import_, checkpoint, tmp_path / "back2", "has neither tokenizer.model nor tokenizer.json")


def test_a_directory_that_holds_something_is_left_alone(checkpoint, saved, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for target in (tmp_path / "full", tmp_path / "file", tmp_path / "file" / "in"):
        for call, source in ((huggingface.import_, checkpoint), (huggingface.export, saved["float32"])):
            with pytest.raises(BadInput, match="is there already|cannot be made"):
                call(source, target)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "full" / "mine").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    huggingface.import_(checkpoint, tmp_path / "empty")
    bundle.load(tmp_path / "empty")


@pytest.mark.parametrize("call", ["import_", "export"])
def test_a_full_disk_leaves_nothing(checkpoint, saved, tmp_path, monkeypatch, call):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)  # of the picture tokenizer, when the weights are written
    with pytest.raises(BadInput, match=r"new cannot be written \(No space left on device\); give another directory"):
        getattr(huggingface, call)(checkpoint if call == "import_" else saved["float32"], tmp_path / "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint"]


def test_a_part_that_the_format_lacks_is_refused(micro, tmp_path):
    """Its first convolution has 16 channels for 64 mel bins; the format takes the one number for the other."""
    bundle.save(tmp_path / "micro", micro)
    refused(huggingface.export, tmp_path / "micro", tmp_path / "out", "no place for audio.mels")


@pytest.mark.parametrize("front_end", ["resampled", "raw"])
def test_front_ends_that_the_class_lacks_are_refused(small, drawn, tmp_path, front_end):
    save_variant(small, tmp_path / "model", {"vision": {"front_end": front_end}, "audio": None}, drawn)
    refused(huggingface.export, tmp_path / "model", tmp_path / "out", "a Gemma 4 checkpoint has no place for vision")


def test_types_may_differ_between_arrays(saved, tmp_path):
    folder = shutil.copytree(saved["bfloat16"], tmp_path / "model")

    def edit(arrays):
        arrays["decoder.final_norm"] = arrays["decoder.final_norm"].astype(np.float32)

    edit_tensors(folder / WHOLE, edit)
    huggingface.export(folder, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "float32"
    huggingface.import_(tmp_path / "out", tmp_path / "back")
    assert bits(tensors(tmp_path / "back")) == bits(tensors(folder))


def test_into_the_directory_one_stands_in(saved, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    huggingface.export(saved["bfloat16"], Path("."))
    assert (tmp_path / "here" / "config.json").is_file()
    refused(huggingface.export, saved["bfloat16"], Path("."), "is there already")


def test_damaged_models_are_not_exported(saved, tmp_path):
    folder = shutil.copytree(saved["float32"], tmp_path / "model")
    weights.write(folder / WHOLE, {n: a for n, a in walk(load_file(folder / WHOLE)) if n != "decoder.final_norm"})
    refused(huggingface.export, folder, tmp_path / "out", "lacks decoder.final_norm")
    (folder / WHOLE).unlink()
    refused(huggingface.export, folder, tmp_path / "out", f"lacks {WHOLE}")


LIMITED = """
import resource, sys
from pathlib import Path
from tejat.export import huggingface
from tejat.codecs.vocabulary import Vocabulary
import safetensors, sentencepiece.sentencepiece_model_pb2

call, source, target, room = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
Vocabulary((source / "tokenizer.model").read_bytes(), 0)
data = next(int(l.split()[1]) * 1024 for l in open("/proc/self/status") if l.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (data + room, data + room))
if call == "whole":
    (source / "model.safetensors").read_bytes()
else:
    getattr(huggingface, call)(source, target)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit on a process's own memory is Linux's")
def test_a_checkpoint_larger_than_memory(small, tmp_path):
    """400 MB go through 48 MB of memory, there and back; reading them at once in as much fails."""
    decoder = {"width": 512, "layers": 30, "mlp": 4_096, "pattern": ("sliding",) * 29 + ("full",)}
    config = changed(small.config, decoder=decoder, vision=None, audio=None, picture=None)
    random = np.random.default_rng(0)
    folder = tmp_path / "model"
    folder.mkdir()
    arrays = {
        name: random.integers(0, 0x7F7F, param.shape, np.uint16).view(ml_dtypes.bfloat16)
        for name, param in walk(multimodal.params(config))
    }
    size = sum(array.nbytes for array in arrays.values())
    save_file(arrays, folder / WHOLE)
    del arrays
    (folder / "tokenizer.model").write_bytes(small.vocabulary.model)
    (folder / "config.json").write_text(json.dumps(dataclasses.asdict(config)))

    room = 48_000_000
    assert size > 8 * room

    def limited(call, source, target):
        words = [sys.executable, "-c", LIMITED, call, str(source), str(target), str(room)]
        return subprocess.run(words, capture_output=True, text=True, timeout=300)

    for call, source, target in (("export", "model", "out"), ("import_", "out", "back")):
        done = limited(call, tmp_path / source, tmp_path / target)
        assert done.returncode == 0, done.stderr
    assert "MemoryError" in limited("whole", tmp_path / "out", tmp_path / "none").stderr
    before, after = load_file(folder / WHOLE), load_file(tmp_path / "back" / WHOLE)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[n].view(np.uint16), after[n].view(np.uint16)) for n in before)
