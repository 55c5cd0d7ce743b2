// Files become media: what kind they are, how large, how long, and a picture of them. Anything that this browser cannot
// show still goes to the model, which may be able to read it.
//
//   medium  {id, kind: "image" | "audio" | "video", mime, name, blob, width?, height?, seconds?, poster?: blob, peaks?: [0 to 1]}

import { freshId } from "../dom.js";
import { decoded, peaksOf } from "./sound.js";

const PATIENCE = 8000; // milliseconds for a film's first frame
const POSTER = 640; // pixels, the longer side
const TYPES = {
  image: "png jpg jpeg gif webp bmp tif tiff avif heic heif",
  audio: "wav mp3 flac ogg oga opus m4a aac aif aiff weba",
  video: "mp4 m4v webm mov mkv avi mpg mpeg ogv 3gp wmv flv",
};
const MIMES = { jpg: "jpeg", tif: "tiff", oga: "ogg", m4a: "mp4", aif: "aiff", weba: "webm", m4v: "mp4", mov: "quicktime", mkv: "x-matroska", ogv: "ogg", mpg: "mpeg", "3gp": "3gpp" };

/** What a file holds, by its type or else by its name: {kind, mime}; null for anything else. */
export function kindOf(file) {
  const ending = /\.([a-z0-9]{2,4})$/i.exec(file.name ?? "")?.[1].toLowerCase();
  const byName = Object.keys(TYPES).find((kind) => TYPES[kind].split(" ").includes(ending));
  const byType = /^(image|audio|video)\//.exec(file.type)?.[1];
  if (file.type === "image/svg+xml") return null; // a program, not pixels
  if (byType) return { kind: byType, mime: file.type.split(";")[0] };
  return byName ? { kind: byName, mime: `${byName}/${MIMES[ending] ?? ending}` } : null;
}

/** A medium of a file. Throws an Error with one sentence for a file that is none. */
export async function readFile(file) {
  const found = kindOf(file);
  const name = file.name || `${found?.kind ?? "file"}.${(file.type.split("/")[1] ?? "bin").split("+")[0]}`;
  if (!found) throw new Error(`“${name}” is no picture, sound or film; give a file such as PNG, WAV or MP4.`);
  if (!file.size) throw new Error(`“${name}” is empty; choose another file.`);
  const medium = { id: freshId(), ...found, name: name.slice(0, 200), blob: file };
  try {
    Object.assign(medium, await { image: lookAtImage, audio: listen, video: watch }[found.kind](file));
  } catch {
    // Shown as a plain card.
  }
  return medium;
}

async function lookAtImage(file) {
  const bitmap = await createImageBitmap(file);
  const { width, height } = bitmap;
  bitmap.close();
  return { width, height };
}

async function listen(file) {
  const sound = await decoded(file);
  return { seconds: sound.duration, peaks: peaksOf(sound) };
}

async function watch(file) {
  const url = URL.createObjectURL(file);
  const film = document.createElement("video");
  film.muted = true;
  film.preload = "auto";
  try {
    film.src = url;
    await once(film, "loadeddata");
    const seconds = await lengthOf(film);
    film.currentTime = Math.min(0.1, seconds / 2);
    await once(film, "seeked");
    const { videoWidth: width, videoHeight: height } = film;
    const scale = Math.min(1, POSTER / Math.max(width, height));
    const canvas = new OffscreenCanvas(Math.max(1, width * scale), Math.max(1, height * scale));
    canvas.getContext("2d").drawImage(film, 0, 0, canvas.width, canvas.height);
    return { width, height, seconds, poster: await canvas.convertToBlob({ type: "image/jpeg", quality: 0.8 }) };
  } finally {
    film.removeAttribute("src");
    film.load();
    URL.revokeObjectURL(url);
  }
}

/** Films straight from a recorder do not know their length until they have been sought to the end. */
async function lengthOf(film) {
  if (Number.isFinite(film.duration)) return film.duration;
  film.currentTime = 1e7;
  await once(film, "seeked");
  return Number.isFinite(film.duration) ? film.duration : film.currentTime;
}

function once(target, event) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no frame came")), PATIENCE);
    const end = (settle) => () => {
      clearTimeout(timer);
      settle();
    };
    target.addEventListener(event, end(resolve), { once: true });
    target.addEventListener("error", end(() => reject(new Error("the browser cannot decode it"))), { once: true });
  });
}
