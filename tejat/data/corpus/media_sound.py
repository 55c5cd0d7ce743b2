"""Recordings to Opus: mono, 16 kHz, silence cut from both ends, all about equally loud."""

import io
from pathlib import Path

import av
import numpy as np

from tejat import media
from tejat.errors import BadInput
from tejat.parts import RATE, Audio

BITS = 20_000  # per second: speech of one voice stays clear
QUIET = 0.01  # of the loudest moment: what is softer at the ends is silence
LOUD = 0.08  # root mean square of a recording
SHORTEST, LONGEST = 0.25, 20.0  # seconds of a recording worth keeping


def recording(source: Path | bytes) -> Audio:
    """A recording trimmed and levelled. Raises BadInput for a file that is none, for silence, and for odd lengths."""
    samples = media.read_audio(source).samples
    loudest = float(np.abs(samples).max())
    if loudest < 1e-3:
        raise BadInput("the recording is silent; leave it out")
    heard = np.flatnonzero(np.abs(samples) > QUIET * loudest)
    margin = RATE // 20
    samples = samples[max(0, heard[0] - margin) : heard[-1] + margin]
    seconds = len(samples) / RATE
    if not SHORTEST <= seconds <= LONGEST:
        raise BadInput(f"the recording lasts {seconds:.2f} s; {SHORTEST} to {LONGEST} s are taken")
    gain = LOUD / float(np.sqrt(np.mean(np.square(samples))))
    return Audio(np.clip(samples * gain, -1, 1).astype(np.float32))


def opus(audio: Audio) -> bytes:
    """The sound as Opus in Ogg."""
    out = io.BytesIO()
    with av.open(out, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE, layout="mono", options={"application": "voip"})
        stream.bit_rate = BITS
        whole = np.round(audio.samples * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(whole[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return out.getvalue()
