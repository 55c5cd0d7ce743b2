// The icons: lines on a grid of 24, drawn for this page. the star is Tejat.

const LINES = {
  menu: "M4 7h16M4 12h16M4 17h10",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  send: "M12 19V5.5M6 11l6-6 6 6",
  microphone: "M12 3.5a3 3 0 0 1 3 3V11a3 3 0 0 1-6 0V6.5a3 3 0 0 1 3-3zM5.5 11a6.5 6.5 0 0 0 13 0M12 17.5V21",
  text: "M5 7V5h14v2M12 5v14M9 19h6",
  image: "M4 6.5A1.5 1.5 0 0 1 5.5 5h13A1.5 1.5 0 0 1 20 6.5v11a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 17.5zM4 16l4.5-4.5 4 4 2.5-2.5L20 18M15 9.5h.01",
  audio: "M4 10v4M8 7v10M12 4v16M16 8v8M20 10.5v3",
  video: "M4 7.5A1.5 1.5 0 0 1 5.5 6h9A1.5 1.5 0 0 1 16 7.5v9a1.5 1.5 0 0 1-1.5 1.5h-9A1.5 1.5 0 0 1 4 16.5zM16 11l4-2.5v7L16 13",
  sliders: "M4 8h8M16 8h4M14 6v4M4 16h3M11 16h9M9 14v4",
  columns: "M5.5 5h4v14h-4zM14.5 5h4v14h-4z",
  choices: "M4 7.5l2 2 3.5-4M13.5 7.5H20M4 16l2 2 3.5-4M13.5 16H20",
  code: "M9 7l-5 5 5 5M15 7l5 5-5 5",
  copy: "M9 9h10v10H9zM15 9V5H5v10h4",
  check: "M5 12.5l4.5 4.5L19 7",
  pencil: "M5 19l.8-3.7L16 5.1l2.9 2.9L8.7 18.2zM14 7.1l2.9 2.9",
  again: "M19 12a7 7 0 1 1-2.2-5.1M19 4v4h-4",
  left: "M14.5 6l-6 6 6 6",
  right: "M9.5 6l6 6-6 6",
  trash: "M5 7h14M10 7V5h4v2M7 7l.8 12h8.4L17 7M10.5 10.5v5M13.5 10.5v5",
  download: "M12 4v11M7 10.5l5 5 5-5M5 20h14",
  upload: "M12 16V5M7 9.5l5-5 5 5M5 20h14",
  reuse: "M5 12h12M12 7l5 5-5 5M20 5v14",
  scissors: "M8.3 8.3L19 17M8.3 15.7L19 7M8.5 7a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0zM8.5 17a2.5 2.5 0 1 1-5 0 2.5 2.5 0 0 1 5 0z",
  key: "M14 14a4.5 4.5 0 1 0-3.4-1.6L4 19v1.5h3V18h2.5v-2.5L11 14M15.5 8.5h.01",
  light: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  warning: "M12 4.5L21 19H3zM12 10v4M12 16.5h.01",
  keyboard: "M3.5 7h17v10h-17zM7 10.2h.01M10.3 10.2h.01M13.7 10.2h.01M17 10.2h.01M8 14h8",
};

const SOLIDS = {
  // Four rays, as a bright star shows them in a telescope.
  star: "M12 1.5c.7 6.3 3.5 9.6 10.5 10.5-7 .9-9.8 4.2-10.5 10.5-.7-6.3-3.5-9.6-10.5-10.5 7-.9 9.8-4.2 10.5-10.5z",
  stop: "M7 7h10v10H7z",
  play: "M8 5.5v13l10.5-6.5z",
  pause: "M7 5.5h3.5v13H7zM13.5 5.5H17v13h-3.5z",
};

const SVG = "http://www.w3.org/2000/svg";

/** An icon by name, decoration alone: the label stands beside it or on its button. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `icon ${name in SOLIDS ? "solid" : "line"}`);
  path.setAttribute("d", SOLIDS[name] ?? LINES[name]);
  svg.append(path);
  return svg;
}
