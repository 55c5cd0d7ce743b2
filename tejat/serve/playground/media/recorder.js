// The microphone: a recording in progress, its loudness as it goes, and in the end a WAV file.

import { decoded, wav } from "./sound.js";

/** Why this browser cannot record, as one sentence; "" where it can. */
export function whyNot() {
  if (!isSecureContext) return "Recording needs https, or the server on this very machine; drop a sound file instead.";
  if (!navigator.mediaDevices || !window.MediaRecorder) return "This browser cannot record; drop a sound file instead.";
  return "";
}

/** Begins to record. Throws an Error with one sentence where the person or the machine does not allow it. */
export async function record() {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false, noiseSuppression: true } });
  } catch (error) {
    const none = error.name === "NotFoundError";
    throw new Error(none ? "No microphone was found; connect one, or drop a sound file." : "The microphone is not allowed here; allow it in the browser's settings for this page.");
  }
  return new Recording(stream);
}

class Recording {
  #stream;
  #recorder;
  #pieces = [];
  #context = new AudioContext();
  #meter;

  constructor(stream) {
    this.#stream = stream;
    this.#meter = this.#context.createAnalyser();
    this.#meter.fftSize = 1024;
    this.#context.createMediaStreamSource(stream).connect(this.#meter);
    this.#recorder = new MediaRecorder(stream);
    this.#recorder.addEventListener("dataavailable", ({ data }) => this.#pieces.push(data));
    this.#recorder.start(250);
    this.begun = performance.now();
  }

  /** How loud it is now, 0 to 1. */
  level() {
    const samples = new Float32Array(this.#meter.fftSize);
    this.#meter.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    return Math.min(1, Math.sqrt(power) * 4);
  }

  seconds() {
    return (performance.now() - this.begun) / 1000;
  }

  /** Ends the recording: a File of WAV. */
  async finish() {
    const stopped = new Promise((resolve) => this.#recorder.addEventListener("stop", resolve, { once: true }));
    this.#recorder.stop();
    await stopped;
    this.#release();
    const sound = await decoded(new Blob(this.#pieces, { type: this.#recorder.mimeType }));
    const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
    return new File([wav(sound)], `recording ${time}.wav`, { type: "audio/wav" });
  }

  /** Ends it and keeps nothing. */
  cancel() {
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
    this.#release();
  }

  #release() {
    for (const track of this.#stream.getTracks()) track.stop();
    this.#context.close();
  }
}
