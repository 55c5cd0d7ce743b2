// Sound as samples: decoded by the browser, heard by the model at 16 kHz in one channel, written as WAV.

const RATE = 16_000; // samples per second that the model hears
const BARS = 64;
const LONGEST = 64 * 1024 * 1024; // bytes of a file that is decoded to draw it

/** The whole sound at 16 kHz. Throws for what the browser cannot decode and for files too long to draw. */
export async function decoded(blob) {
  if (blob.size > LONGEST) throw new Error("too long to draw");
  return new OfflineAudioContext(1, 1, RATE).decodeAudioData(await blob.arrayBuffer());
}

/** How loud it is along its length: 64 numbers from 0 to 1, the loudest 1. */
export function peaksOf(sound) {
  const samples = sound.getChannelData(0);
  const peaks = Array.from({ length: BARS }, (_, bar) => {
    let most = 0;
    const end = Math.ceil(((bar + 1) * samples.length) / BARS);
    for (let i = Math.floor((bar * samples.length) / BARS); i < end; i += 1) most = Math.max(most, Math.abs(samples[i]));
    return most;
  });
  const loudest = Math.max(...peaks, 1e-6);
  return peaks.map((peak) => Math.round((peak / loudest) * 100) / 100);
}

/** A WAV file: one channel, 16 kHz, 16 bits. */
export function wav(sound) {
  const channels = Array.from({ length: sound.numberOfChannels }, (_, channel) => sound.getChannelData(channel));
  const view = new DataView(new ArrayBuffer(44 + sound.length * 2));
  const word = (at, text) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  word(0, "RIFF");
  view.setUint32(4, 36 + sound.length * 2, true);
  word(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // one channel
  view.setUint32(24, RATE, true);
  view.setUint32(28, RATE * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  word(36, "data");
  view.setUint32(40, sound.length * 2, true);
  for (let i = 0; i < sound.length; i += 1) {
    const mean = channels.reduce((sum, samples) => sum + samples[i], 0) / channels.length;
    view.setInt16(44 + i * 2, Math.round(Math.max(-1, Math.min(1, mean)) * 32767), true);
  }
  return new Blob([view], { type: "audio/wav" });
}
