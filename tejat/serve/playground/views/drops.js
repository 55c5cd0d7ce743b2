// Files dragged over the page.

import { h } from "../dom.js";
import { icon } from "../icons.js";

/** Shows where files may be dropped while they hover, and hands them on. */
export function watchDrops(node, take) {
  const sheet = h("div", { class: "drop", hidden: true }, h("div", {}, ["image", "audio", "video"].map(icon), h("p", {}, "Drop pictures, sound or film")));
  document.body.append(sheet);
  let depth = 0;
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  const show = (change) => (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    depth = Math.max(0, depth + change);
    sheet.hidden = depth === 0;
  };
  addEventListener("dragenter", show(1));
  addEventListener("dragleave", show(-1));
  addEventListener("dragover", (event) => holdsFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    depth = 0;
    sheet.hidden = true;
    if (!node.closest("[inert]") && !document.querySelector("dialog[open]")) take([...event.dataTransfer.files]);
  });
}
