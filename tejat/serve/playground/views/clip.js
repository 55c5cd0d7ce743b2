// Which part of a film the model sees, and how many frames a second.

import { h } from "../dom.js";
import { seconds } from "../words.js";

/** Controls for `clip` {start, end, fps} of a film; `changed(clip or null)` after each change, `seek(second)` while dragging. */
export function clipEditor(medium, clip, changed, seek) {
  const length = medium.seconds;
  const step = length > 60 ? 1 : 0.1;
  const from = slider("From", clip?.start ?? 0);
  const to = slider("To", clip?.end ?? length);
  const fps = h("input", { type: "number", min: 0.1, max: 24, step: 0.1, value: clip?.fps ?? "", placeholder: "auto", oninput: tell });
  const said = h("output", { class: "range-said" });
  const span = h("div", { class: "span" });
  const node = h(
    "fieldset",
    { class: "clip" },
    h("legend", { class: "unseen" }, `Clip of ${medium.name}`),
    h("div", { class: "two-thumbs" }, span, from, to),
    said,
    h("label", {}, "Frames a second ", fps),
  );

  function slider(label, value) {
    const input = h("input", { type: "range", min: 0, max: length, step, "aria-label": label, oninput: moved });
    input.value = value;
    return input;
  }

  function moved(event) {
    // The two never cross, and never meet: an empty clip has no frames.
    const [a, b] = [from.valueAsNumber, to.valueAsNumber];
    if (b - a < step) event.target === from ? (from.value = b - step) : (to.value = a + step);
    seek(event.target.valueAsNumber);
    tell();
  }

  function tell() {
    show();
    const rate = fps.valueAsNumber;
    const end = to.valueAsNumber >= length - step ? null : round(to.valueAsNumber);
    const wish = { start: round(from.valueAsNumber), end, fps: rate > 0 && rate <= 24 ? rate : null };
    changed(wish.start || wish.end || wish.fps ? wish : null);
  }

  function show() {
    const [a, b] = [from.valueAsNumber, to.valueAsNumber];
    span.style.setProperty("--from", a / length);
    span.style.setProperty("--to", b / length);
    for (const input of [from, to]) input.setAttribute("aria-valuetext", seconds(input.valueAsNumber));
    said.textContent = `${seconds(a)} – ${seconds(b)} of ${seconds(length)}`;
  }

  show();
  return node;
}

const round = (value) => Math.round(value * 10) / 10;
