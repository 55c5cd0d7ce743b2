// Gemini as it stands in the sky: right ascension in hours, declination in degrees, visual magnitude (epoch J2000).
// Tejat, μ Geminorum, is the red giant at the northern twin's foot.

const STARS = {
  castor: [7.577, 31.89, 1.6, "Castor"],
  pollux: [7.755, 28.03, 1.1, "Pollux"],
  alhena: [6.629, 16.4, 1.9],
  tejat: [6.383, 22.51, 2.9, "Tejat"],
  mebsuta: [6.732, 25.13, 3.0],
  propus: [6.248, 22.51, 3.3],
  alzirr: [6.755, 12.9, 3.4],
  wasat: [7.335, 21.98, 3.5],
  kappa: [7.741, 24.4, 3.6],
  lambda: [7.302, 16.54, 3.6],
  theta: [6.88, 33.96, 3.6],
  iota: [7.429, 27.8, 3.8],
  mekbuda: [7.068, 20.57, 3.9],
  upsilon: [7.599, 26.9, 4.1],
  nu: [6.483, 20.21, 4.1],
  one: [6.069, 23.26, 4.2],
  rho: [7.485, 31.78, 4.2],
  tau: [7.186, 30.25, 4.4],
};

const FIGURE = `castor-rho rho-tau tau-theta tau-mebsuta mebsuta-tejat tejat-propus propus-one mebsuta-nu tau-iota iota-upsilon
  upsilon-pollux upsilon-kappa upsilon-wasat wasat-lambda wasat-mekbuda mekbuda-alhena lambda-alzirr`.split(/\s+/);

const WIDE = 480;
const HIGH = 300;
const SVG = "http://www.w3.org/2000/svg";

/** The chart as an SVG element; decoration, hidden from screen readers. */
export function sky() {
  const chart = shape("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "sky", "aria-hidden": "true" });
  for (const line of FIGURE) {
    const [[x1, y1], [x2, y2]] = line.split("-").map((name) => place(STARS[name]));
    // The lines stop short of the stars, as in engraved atlases.
    const away = 9 / Math.hypot(x2 - x1, y2 - y1);
    const [dx, dy] = [(x2 - x1) * away, (y2 - y1) * away];
    if (away < 0.45) chart.append(shape("line", { x1: x1 + dx, y1: y1 + dy, x2: x2 - dx, y2: y2 - dy }));
  }
  for (const [name, [hours, degrees, magnitude, label]] of Object.entries(STARS)) {
    const [x, y] = place([hours, degrees]);
    const radius = 5.2 - magnitude * 0.85;
    if (name === "tejat") {
      const ray = "M0-15C1-5 5-1 15 0 5 1 1 5 0 15-1 5-5 1-15 0-5-1-1-5 0-15Z";
      chart.append(shape("path", { d: ray, transform: `translate(${x} ${y})`, class: "tejat" }));
    } else chart.append(shape("circle", { cx: x, cy: y, r: radius }));
    if (label) {
      const word = shape("text", name === "tejat" ? { x: x + 10, y: y + 34, "text-anchor": "middle", class: "tejat" } : { x: x - 12, y: y + 5, "text-anchor": "end" });
      word.textContent = label;
      chart.append(word);
    }
  }
  return chart;
}

/** East is to the left: we look up. */
function place([hours, degrees]) {
  const x = 46 + ((7.8 - hours) / 1.75) * (WIDE - 84);
  const y = 22 + ((34 - degrees) / 21.2) * (HIGH - 44);
  return [Math.round(x * 10) / 10, Math.round(y * 10) / 10];
}

function shape(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}
