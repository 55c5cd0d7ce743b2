"""The bundled sample: complete, decodable, small, split, and licensed."""

import io
import subprocess
import sys

import av
import numpy as np
import pytest

from tejat import sample

LANGUAGES = {"en", "de", "fr", "es", "it", "pt", "ru", "ja", "zh", "ko"}
IDS = [concept.id for concept in sample.concepts()]


def test_import_is_light():
    heavy = "{'numpy', 'PIL', 'av', 'jax'}"
    code = f"import sys, tejat.sample; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_concepts_are_named_apart():
    assert len(IDS) == len(set(IDS)) >= 150
    for concept in sample.concepts():
        assert set(concept.names) == LANGUAGES and all(concept.names.values()) and concept.group
    for language in LANGUAGES:
        assert len({concept.names[language] for concept in sample.concepts()}) == len(IDS)


def test_every_concept_is_drawn_in_every_style():
    assert sample.styles() == ("fluent", "noto", "twemoji")
    for style in sample.styles():
        assert {path.stem for path in (sample.root() / "pictures" / style).iterdir()} == set(IDS)
        for id in IDS:
            image = sample.picture(style, id)
            alpha = np.asarray(image)[..., 3]
            assert image.mode == "RGBA" and image.size == (96, 96), (style, id)
            assert (alpha < 8).mean() > 0.05 and (alpha > 247).mean() > 0.03, (style, id)


def test_clips_move():
    assert len(sample.clips()) >= 60 and set(sample.clips()) <= set(IDS)
    for id in sample.clips():
        frames = sample.clip(id)
        assert len(frames) == 8 and all(image.size == (64, 64) and image.mode == "RGBA" for image, _ in frames), id
        assert all(20 <= milliseconds <= 2_000 for _, milliseconds in frames), id
        pixels = [image.tobytes() for image, _ in frames]
        assert all(a != b for a, b in zip(pixels, pixels[1:], strict=False)), id


def decode(data: bytes) -> np.ndarray:
    """Ogg as floats at 16 kHz."""
    with av.open(io.BytesIO(data)) as container:
        resampler = av.AudioResampler("flt", "mono", 16_000)
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in (*frames, *resampler.resample(None))])


def test_every_voice_says_every_word():
    assert len(sample.spoken()) == 64 and set(sample.spoken()) <= set(IDS) and len(sample.voices()) >= 14
    for voice in sample.voices():
        assert {path.stem for path in (sample.root() / "speech" / voice).iterdir()} == set(sample.spoken())
        for id in sample.spoken():
            sound = decode(sample.speech(voice, id))
            assert 0.15 <= len(sound) / 16_000 <= 2, (voice, id)
            assert 0.3 < np.abs(sound).max() <= 1.1 and np.sqrt((sound**2).mean()) > 0.03, (voice, id)


def test_prose_is_split_and_real():
    assert set(sample.languages()) == LANGUAGES
    for language in LANGUAGES:
        train, apart = (sample.prose(language, heldout).splitlines() for heldout in (False, True))
        assert train and apart and not set(train) & set(apart), language
        assert 0.03 < len(apart) / (len(train) + len(apart)) < 0.08, language
        assert not any("\ufffd" in line or "<p" in line or line != line.strip() for line in train + apart), language
    assert 300_000 < sum(len(sample.prose(language).encode()) for language in LANGUAGES) < 600_000


def test_facts():
    by_country = {fact["country"]: fact for fact in sample.facts()}
    assert len(by_country) == len(sample.facts()) > 190
    assert all(set(fact["names"]) == LANGUAGES and all(fact.values()) for fact in sample.facts())
    japan = by_country["Japan"]
    assert (japan["capital"], japan["currency"], japan["continent"]) == ("Tokyo", "Japanese Yen", "Asia")
    assert japan["names"]["fr"] == "Japon" and by_country["Bulgaria"]["currency"] == "Euro"


def test_held_out_parts_exist():
    apart = sample.heldout()
    assert apart["styles"] == ["twemoji"] and apart["motions_seed"] == 0
    assert len(apart["voices"]) == 2 and set(apart["voices"]) < set(sample.voices())


def test_small_and_licensed():
    files = [path for path in sample.root().rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert sum(path.stat().st_size for path in files) <= 5_000_000
    table = (sample.root() / "LICENSES.md").read_text(encoding="utf-8")
    for path in sample.root().iterdir():
        if path.suffix in (".json", ".jsonl"):
            assert path.name in table
        elif path.is_dir() and path.name != "__pycache__":
            assert path.name in table, path.name
    for style in sample.styles():
        assert f"pictures/{style}" in table
    for voice in sample.voices():
        assert voice in table or f"{voice.partition('-')[0]}-*" in table


@pytest.mark.parametrize(
    "call",
    [
        lambda: sample.picture("noto", "nothing"),
        lambda: sample.picture("../..", "1f408"),
        lambda: sample.clip("x"),
        lambda: sample.speech("nobody", "1f408"),
        lambda: sample.prose("tlh"),
    ],
)
def test_unknown_names_say_what_there_is(call):
    with pytest.raises(KeyError, match="the sample has no .* it has"):
        call()
