// What a person sees: the conversation, the prompt, and how the worker is asked.

const at = (id) => document.getElementById(id);
const element = (tag, fields = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), fields);
  made.append(...children);
  return made;
};

const EXAMPLES = ["Draw: red apple.", "Draw: a yellow star.", "What is 17 + 25?", "Who are you?"];
const LARGEST = 4096; // pixels along a side of an image that is shown; larger ones are made smaller first
const LONGEST = 1024; // tokens of an answer

let turns = []; // of the conversation, as the worker takes them
let shown = []; // images to be sent with the next message
let number = 0; // of the answer that is being written, or was
let writing = null; // {turn, parts, node, text, canvas}
let ready = false;

// ---- The worker ----------------------------------------------------------------------------------------------------

const source = new Blob([at("worker").textContent], { type: "text/javascript" });
const worker = new Worker(URL.createObjectURL(source), { type: "module" });
const here = new URL(".", location.href).href;
// Half of the cores: the weights come from memory no faster to more of them, and the page needs one too.
const threads = self.crossOriginIsolated ? Math.max(1, Math.min(4, navigator.hardwareConcurrency >> 1)) : 1;
worker.postMessage({ kind: "load", runtime: `${here}runtime/`, folder: `${here}model/`, threads });
worker.onerror = (event) => fail(event.message || "the worker could not begin");

const HEARD = {
  progress({ done, whole }) {
    const share = Math.round((100 * done) / whole);
    at("progress").setAttribute("aria-valuenow", share);
    at("progress").firstElementChild.style.width = `${share}%`;
    at("state").textContent =
      share < 100 ? `Loading the model: ${megabytes(done)} of ${megabytes(whole)} MB` : "Waking it up …";
  },
  ready({ name, weights, sees, draws }) {
    ready = true;
    at("model").textContent = `${name} · ${weights}`;
    at("model").title = `on ${threads} ${threads === 1 ? "thread" : "threads"}`;
    at("progress").hidden = true;
    at("state").textContent = "Ready.";
    at("attach").hidden = !sees;
    at("pictures").parentElement.hidden = !draws;
    if (!sees) at("prompt").placeholder = "Write";
    const examples = EXAMPLES.filter((text) => draws || !text.startsWith("Draw"));
    at("examples").replaceChildren(...examples.map((text) => element("li", {}, example(text))));
    at("examples").hidden = false;
    refresh();
  },
  text({ text }) {
    if (!writing.text) writing.node.append((writing.text = element("p")));
    writing.text.append(text);
  },
  begun({ rows, columns }) {
    writing.text = null;
    writing.canvas = element("canvas", { width: columns, height: rows, role: "img" });
    writing.canvas.setAttribute("aria-label", `A picture being drawn in answer to: ${writing.asked}`);
    const figure = element("figure", {}, writing.canvas);
    figure.style.width = `${Math.max(64, Math.min(320, (420 * columns) / rows))}px`;
    writing.node.append(figure);
  },
  async picture({ image, done }) {
    const { canvas } = writing, pixels = new ImageData(image.data, image.width, image.height);
    if (done || canvas.width !== image.width) Object.assign(canvas, { width: image.width });
    // What is not drawn yet stays empty, so that nothing moves while it comes.
    const whole = done ? image.height : Math.max(canvas.height, Math.round((image.width * writing.aspect) || image.height));
    if (canvas.height !== whole) canvas.height = whole;
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    if (!done) return;
    canvas.setAttribute("aria-label", `A picture drawn in answer to: ${writing.asked}`);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    const save = element("a", { href: URL.createObjectURL(blob), download: "tejat.png", textContent: "Save" });
    canvas.parentElement.append(element("figcaption", {}, `${image.width} × ${image.height}`, save));
  },
  done({ ids, seconds, read }) {
    turns.push({ role: "model", parts: [{ ids }] });
    const rate = ids.length > 1 ? (ids.length / seconds).toFixed(0) : "–";
    at("speed").textContent = `${rate} tokens/s`;
    at("speed").title = `${ids.length} tokens in ${seconds.toFixed(1)} s, after reading for ${read.toFixed(1)} s`;
    Object.assign(document.body.dataset, { ids: JSON.stringify(ids), seconds }); // for whoever compares or measures
    finish();
  },
  error({ message }) {
    fail(message);
  },
};
worker.onmessage = ({ data }) => {
  if (data.number !== undefined && data.number !== number) return; // of a conversation that is over
  const follows = bottom();
  if (data.kind === "begun") writing.aspect = data.rows / data.columns;
  HEARD[data.kind](data);
  if (follows) main.scrollTop = main.scrollHeight;
};

// ---- The conversation ----------------------------------------------------------------------------------------------

const main = document.querySelector("main");
const bottom = () => main.scrollHeight - main.scrollTop - main.clientHeight < 60;

function send(said) {
  const asked = said.trim();
  if (!ready || writing || (!asked && !shown.length)) return;
  const parts = shown.map(({ image }) => ({ image }));
  if (asked) parts.push({ text: asked });
  const node = element("article", { className: "turn user" }, ...shown.map(({ url }) => element("img", { src: url, alt: "What you showed" })));
  node.setAttribute("aria-label", "You");
  if (asked) node.append(element("p", {}, asked));
  turns.push({ role: "user", parts });
  const answer = element("article", { className: "turn model waits" });
  answer.setAttribute("aria-label", "Tejat");
  answer.setAttribute("aria-busy", "true");
  at("log").append(node, answer);
  at("hello").hidden = true;
  shown = [];
  at("prompt").value = "";
  writing = { node: answer, text: null, canvas: null, asked: asked || "an image", aspect: 1 };
  const [text, codes] = at("variety").value.split(" ").map(Number); // temperatures
  const drawn = { temperature: codes, guidance: Number(at("pictures").value) };
  const options = { limit: LONGEST, text: { temperature: text, topP: 0.95 }, codes: drawn };
  number++;
  worker.postMessage({ kind: "answer", number, turns, options });
  refresh();
  main.scrollTop = main.scrollHeight;
}

function finish() {
  writing?.node.classList.remove("waits");
  writing?.node.removeAttribute("aria-busy");
  writing = null;
  refresh();
  at("prompt").focus();
}

function fail(message) {
  if (!writing) {
    at("hello").hidden ? at("log").append(element("p", { className: "turn fails" }, message)) : (at("state").textContent = message);
    at("progress").hidden = true;
    return;
  }
  turns.pop(); // what could not be answered is not part of the conversation
  writing.node.className = "turn fails";
  writing.node.setAttribute("role", "alert");
  writing.node.replaceChildren(element("p", {}, message));
  finish();
}

function refresh() {
  const send = at("send");
  send.textContent = writing ? "Stop" : "Send";
  send.classList.toggle("stops", !!writing);
  send.disabled = !ready || (!writing && !at("prompt").value.trim() && !shown.length);
  at("fresh").disabled = !turns.length;
  at("shown").hidden = !shown.length;
  at("shown").replaceChildren(...shown.map(card));
}

const example = (text) => element("button", { type: "button", textContent: text, onclick: () => send(text) });

at("composer").onsubmit = (event) => {
  event.preventDefault();
  if (writing) stop();
  else send(at("prompt").value);
};
at("prompt").oninput = refresh;
const stop = () => worker.postMessage({ kind: "stop" });
document.addEventListener("keydown", (event) => event.key === "Escape" && writing && stop());
at("prompt").onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!writing) send(at("prompt").value);
};
at("fresh").onclick = () => {
  stop();
  number++;
  turns = [];
  shown = [];
  writing = null;
  at("log").replaceChildren();
  at("hello").hidden = false;
  at("speed").textContent = "";
  refresh();
  at("prompt").focus();
};
at("theme").onclick = () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "light" : "dark";
};

// ---- Images --------------------------------------------------------------------------------------------------------

/** Shows image files: on white, where they are transparent, as Tejat reads them. */
async function show(files) {
  for (const file of files) {
    if (!file.type.startsWith("image/")) continue;
    try {
      const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
      const scale = Math.min(1, LARGEST / Math.max(bitmap.width, bitmap.height));
      const width = Math.max(1, Math.round(bitmap.width * scale)), height = Math.max(1, Math.round(bitmap.height * scale));
      const brush = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
      brush.fillStyle = "#ffffff";
      brush.fillRect(0, 0, width, height);
      brush.drawImage(bitmap, 0, 0, width, height);
      const { data } = brush.getImageData(0, 0, width, height), pixels = new Uint8Array(width * height * 3);
      for (let n = 0; n < width * height; n++) for (let c = 0; c < 3; c++) pixels[n * 3 + c] = data[n * 4 + c];
      shown.push({ url: URL.createObjectURL(file), name: file.name, image: { key: crypto.getRandomValues(new Uint32Array(2)).join(), height, width, data: pixels } });
    } catch {
      at("speed").textContent = `${file.name || "the image"} cannot be read; try PNG or JPEG`;
    }
  }
  refresh();
}

function card(one) {
  const drop = element("button", { type: "button", textContent: "×", onclick: () => ((shown = shown.filter((other) => other !== one)), refresh()) });
  drop.setAttribute("aria-label", `Do not show ${one.name || "the image"}`);
  return element("li", {}, element("img", { src: one.url, alt: one.name || "An image" }), drop);
}

at("attach").onclick = () => at("file").click();
at("file").onchange = async () => {
  await show([...at("file").files]);
  at("file").value = "";
};
document.onpaste = (event) => {
  const files = [...event.clipboardData.files];
  if (files.length) event.preventDefault();
  show(files);
};
document.ondragover = (event) => {
  event.preventDefault();
  at("drop").classList.add("over");
};
document.ondragleave = (event) => event.relatedTarget ?? at("drop").classList.remove("over");
document.ondrop = (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  show([...event.dataTransfer.files]);
};

const megabytes = (bytes) => (bytes / 1e6).toFixed(0);
