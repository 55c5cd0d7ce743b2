// A sound: its shape, and a button that plays it.

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { seconds } from "../words.js";

const SVG = "http://www.w3.org/2000/svg";

/** A player of `url` for a medium. */
export function player(medium, url) {
  const audio = new Audio();
  audio.preload = "none";
  const button = h("button", { type: "button", class: "round", onclick: toggle });
  const time = h("span", { class: "time" }, seconds(medium.seconds ?? NaN));
  const shape = waveform(medium.peaks ?? Array(64).fill(0.35));
  const bars = [...shape.children];
  const place = h("input", { type: "range", min: 0, max: 1000, value: 0, "aria-label": `Place in ${medium.name}`, oninput: seek });
  const node = h("div", { class: "player" }, button, h("div", { class: "track" }, shape, place), time);
  const length = () => (Number.isFinite(audio.duration) ? audio.duration : (medium.seconds ?? 0));

  function toggle() {
    if (!audio.src) audio.src = url;
    if (audio.paused) audio.play().catch(() => node.classList.add("broken"));
    else audio.pause();
  }

  function seek() {
    if (!audio.src) audio.src = url;
    audio.currentTime = (place.value / 1000) * length();
    show();
  }

  function show() {
    const done = length() ? audio.currentTime / length() : 0;
    bars.forEach((bar, at) => bar.classList.toggle("played", (at + 0.5) / bars.length < done));
    place.value = done * 1000;
    place.setAttribute("aria-valuetext", seconds(audio.currentTime));
    time.textContent = seconds(audio.currentTime || length());
  }

  function named() {
    const playing = !audio.paused && !audio.ended;
    button.replaceChildren(icon(playing ? "pause" : "play"));
    button.setAttribute("aria-label", `${playing ? "Pause" : "Play"} ${medium.name}`);
  }

  for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, named);
  for (const event of ["timeupdate", "ended"]) audio.addEventListener(event, show);
  named();
  return node;
}

function waveform(peaks) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${peaks.length * 4} 32`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  peaks.forEach((peak, at) => {
    const high = Math.max(2, peak * 30);
    const bar = document.createElementNS(SVG, "rect");
    for (const [name, value] of Object.entries({ x: at * 4 + 0.75, y: 16 - high / 2, width: 2.5, height: high, rx: 1.25 })) bar.setAttribute(name, value);
    svg.append(bar);
  });
  return svg;
}
