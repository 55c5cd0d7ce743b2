// How a medium looks: a picture, a sound, a film; in the prompt and in the conversation.

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { bytes, seconds } from "../words.js";
import { clipEditor } from "./clip.js";
import { player } from "./player.js";

const LARGE = 256; // pixels up to which a small picture is enlarged
const TINY = 64; // pixels up to which its own are to be seen

/** What a medium is, in a few words: "640 × 480", "3.2 s". */
export function facts(medium) {
  const size = medium.width ? `${medium.width} × ${medium.height}` : null;
  const length = medium.seconds ? seconds(medium.seconds) : null;
  return [medium.kind === "audio" ? null : size, length].filter(Boolean).join(" · ") || bytes(medium.blob.size);
}

/** The medium itself, and of what it is, `about`, for who does not see it. `editing(clip)` hears of changes where the clip of a film may be chosen; else it is told. */
export function show(part, medium, library, { editing = null, enlarge = null, about = "" } = {}) {
  if (medium === null) return h("div", { class: "plain-file" }, icon("warning"), h("span", {}, "This file is no longer in the browser."));
  if (medium.kind === "image") return image(medium, library, enlarge, about);
  if (medium.kind === "audio" && medium.peaks) return player(medium, library.url(medium));
  if (medium.kind === "video" && medium.poster) return film(part, medium, library, editing);
  return h("div", { class: "plain-file" }, icon(medium.kind), h("span", {}, "No preview in this browser; the model may still read it."));
}

function image(medium, library, enlarge, about) {
  if (!medium.width) return h("div", { class: "plain-file" }, icon("image"), h("span", {}, "No preview in this browser; the model may still read it."));
  const picture = h("img", { src: library.url(medium), alt: about || medium.name, width: medium.width, height: medium.height, draggable: "false" });
  enlargeSmall(picture, medium, LARGE);
  if (!enlarge) return picture;
  return h("button", { type: "button", class: "picture", "aria-label": `Enlarge ${medium.name}${about && `: ${about}`}`, onclick: () => enlarge(medium) }, picture);
}

/** Small pictures are drawn larger, by a whole number; tiny ones pixel by pixel. */
export function enlargeSmall(picture, { width, height }, large) {
  const times = Math.floor(large / Math.max(width, height));
  if (times < 2) return;
  picture.classList.toggle("tiny", Math.max(width, height) <= TINY);
  picture.style.width = `${width * times}px`;
}

function film(part, medium, library, editing) {
  const clip = part.clip;
  const range = clip ? `#t=${clip.start},${clip.end ?? ""}`.replace(/,$/, "") : "";
  const video = h("video", {
    src: library.url(medium) + range,
    poster: library.url(medium, "poster"),
    controls: true,
    preload: "none",
    playsinline: true,
    width: medium.width,
    height: medium.height,
    "aria-label": medium.name,
  });
  if (!editing) return h("div", { class: "film" }, video, clip && h("p", { class: "clip-said" }, icon("scissors"), clipSaid(clip, medium)));
  const seek = (to) => {
    if (video.readyState) video.currentTime = to;
    else {
      video.preload = "auto";
      video.addEventListener("loadedmetadata", () => (video.currentTime = to), { once: true });
    }
  };
  const editor = clipEditor(medium, clip, editing, seek);
  return h("div", { class: "film" }, video, h("details", { open: Boolean(clip) }, h("summary", {}, "Clip and frame rate"), editor));
}

/** "1.0 s – 3.0 s, 2 frames a second". */
export function clipSaid({ start, end, fps }, medium) {
  const range = start || end ? `${seconds(start ?? 0)} – ${seconds(end ?? medium.seconds)}` : "";
  return [range, fps ? `${fps} frames a second` : ""].filter(Boolean).join(", ");
}
