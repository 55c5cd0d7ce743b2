// The prompt: text and media in the order in which the model will read them.
//
// It is a row of blocks, text areas and cards. A medium goes in where the caret is; there is always text to write at the end.

import { announce, murmur } from "../announce.js";
import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { record, whyNot } from "../media/recorder.js";
import { readFile } from "../media/reading.js";
import { seconds } from "../words.js";
import { clipSaid, facts, show } from "./media.js";

const TOUCH = matchMedia("(pointer: coarse)");
const TALLEST = 320; // pixels of one text area

export class Composer {
  #blocks = []; // {kind: "text", area} | {kind, media, medium, clip, card}
  #recording = null;
  #editing = false;
  #busy = false;
  #last = null; // the text block that had the caret last
  #reading = 0; // files being read

  /** `hooks`: library, changed(), send(parts), stop(), attached(medium, told), enlarge(medium), cancelEdit(), editLast(). */
  constructor(hooks) {
    this.hooks = hooks;
    this.list = h("div", { class: "blocks" });
    this.picker = h("input", { type: "file", multiple: true, accept: "image/*,audio/*,video/*,.mkv,.flac,.opus", hidden: true, onchange: () => this.#picked() });
    this.meter = h("div", { class: "recording", role: "group", "aria-label": "Recording", hidden: true });
    this.banner = h(
      "div",
      { class: "editing", hidden: true },
      icon("pencil"),
      h("span", {}, "Your changes become a new branch; the old one stays."),
      h("button", { type: "button", class: "quiet", onclick: () => hooks.cancelEdit() }, "Cancel"),
    );
    this.attach = this.#button("plus", "Add pictures, sound or film", () => this.picker.click());
    this.microphone = this.#button("microphone", "Record sound", () => this.#toggleRecording());
    this.action = h("button", { type: "button", class: "primary send", onclick: () => this.#act() });
    this.counter = h("div", { class: "counter-place" });
    this.node = h(
      "form",
      { class: "composer", "aria-label": "Prompt", onsubmit: (event) => event.preventDefault() },
      this.banner,
      this.list,
      this.meter,
      h("div", { class: "bar" }, this.attach, this.microphone, this.counter, this.action),
      this.picker,
    );
    this.node.addEventListener("paste", (event) => this.#pasted(event));
    this.node.addEventListener("keydown", (event) => this.#key(event));
    this.clear();
    this.busy = false;
  }

  /** What is written, in order, without empty text. */
  get parts() {
    return this.#blocks
      .map((block) => (block.kind === "text" ? { kind: "text", text: block.area.value } : { kind: block.kind, media: block.media, ...(block.clip && { clip: block.clip }) }))
      .filter((part) => part.kind !== "text" || part.text.trim());
  }

  /** Ids of the media in it. */
  get media() {
    return this.#blocks.filter((block) => block.media).map((block) => block.media);
  }

  get empty() {
    return !this.parts.length;
  }

  /** An answer is being written: the button stops it. */
  set busy(busy) {
    this.#busy = busy;
    this.action.classList.toggle("stops", busy);
    fill(this.action, icon(busy ? "stop" : "send"));
    this.action.setAttribute("aria-label", busy ? "Stop the answer" : "Send");
    this.action.title = busy ? "Stop (Esc)" : "Send (Enter)";
    this.#ready();
  }

  clear() {
    const focused = this.node.contains(document.activeElement);
    this.#blocks = [];
    this.#editing = false;
    this.banner.hidden = true;
    this.#tidy();
    if (focused) this.focus();
  }

  /** Shows the parts of an earlier message, to be changed. */
  async load(parts, { editing = false } = {}) {
    this.clear();
    this.#blocks = [];
    for (const part of parts) {
      if (part.kind === "text") this.#blocks.push(this.#textBlock(part.text));
      else {
        const medium = await this.hooks.library.medium(part.media);
        if (medium) this.#blocks.push(this.#mediaBlock(medium, part.clip));
      }
    }
    this.#editing = editing;
    this.banner.hidden = !editing;
    this.#tidy();
    this.focus();
  }

  focus() {
    const area = this.#blocks.findLast((block) => block.kind === "text").area;
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
  }

  /** Puts files in where the caret is. */
  async addFiles(files) {
    for (const file of files) {
      this.#reading += 1;
      this.#ready();
      try {
        this.addMedium(await this.hooks.library.addMedium(await readFile(file)));
      } catch (error) {
        announce(error.message, { lasting: true });
      } finally {
        this.#reading -= 1;
        this.#ready();
      }
    }
  }

  addMedium(medium) {
    const block = this.#mediaBlock(medium);
    const at = this.#blocks.indexOf(this.#last);
    const place = at < 0 ? this.#blocks.length - 1 : at;
    const { area } = this.#blocks[place];
    const after = area.value.slice(area.selectionEnd);
    const rest = this.#textBlock(after.trimStart());
    area.value = area.value.slice(0, area.selectionEnd).trimEnd();
    this.#blocks.splice(place + 1, 0, block, rest);
    this.#last = rest;
    this.#tidy();
    rest.area.focus();
    rest.area.setSelectionRange(0, 0);
    murmur(`${medium.name} added.`);
  }

  /** Puts text in the last text block. */
  write(text) {
    const { area } = this.#blocks.at(-1);
    area.value = area.value ? `${area.value}\n${text}` : text;
    this.#tidy();
    this.focus();
  }

  #textBlock(text) {
    const block = { kind: "text" };
    block.area = h("textarea", {
      rows: 1,
      value: text,
      dir: "auto",
      autocomplete: "off",
      enterkeyhint: TOUCH.matches ? "enter" : "send",
      oninput: () => {
        this.#grow(block.area);
        this.#ready();
        this.hooks.changed();
      },
      onfocus: () => (this.#last = block),
    });
    return block;
  }

  #mediaBlock(medium, clip = null) {
    const block = { kind: medium.kind, media: medium.id, medium, clip };
    const said = h("span", { class: "facts" });
    const preview = h("div", { class: "preview" });
    const bar = h("progress", { max: 1, value: 0, hidden: true, "aria-label": `Sending ${medium.name} to the server` });
    const draw = () => {
      fill(said, [facts(medium), block.clip && clipSaid(block.clip, medium)].filter(Boolean).join(" · "));
    };
    const editing = (wish) => {
      block.clip = wish;
      draw();
      this.hooks.changed();
    };
    fill(preview, show({ clip }, medium, this.hooks.library, { editing, enlarge: this.hooks.enlarge }));
    draw();
    const button = (name, label, act) => h("button", { type: "button", class: "quiet", "aria-label": `${label} ${medium.name}`, title: label, onclick: act }, icon(name));
    block.earlier = button("left", "Move earlier:", () => this.#move(block, -1));
    block.later = button("right", "Move later:", () => this.#move(block, 1));
    block.card = h(
      "div",
      { class: `card ${medium.kind}`, role: "group", "aria-label": `${{ image: "Picture", audio: "Sound", video: "Film" }[medium.kind]} ${medium.name}` },
      preview,
      bar,
      h("div", { class: "about" }, h("span", { class: "name", title: medium.name }, medium.name), said),
      h("div", { class: "moves" }, block.earlier, block.later, button("close", "Remove", () => this.#remove(block))),
    );
    this.hooks.attached(medium, (done) => {
      bar.value = done;
      bar.hidden = done >= 1;
    });
    return block;
  }

  #move(block, by) {
    const from = this.#blocks.indexOf(block);
    let to = from + by;
    // An empty text area is no place of its own.
    while (this.#blocks[to]?.kind === "text" && !this.#blocks[to].area.value.trim()) to += by;
    if (!this.#blocks[to]) return;
    this.#blocks.splice(from, 1);
    this.#blocks.splice(to, 0, block);
    this.#tidy();
    (by < 0 ? block.earlier : block.later).focus();
    murmur(`Now part ${this.parts.findIndex((part) => part.media === block.media) + 1} of ${this.parts.length}.`);
  }

  #remove(block) {
    this.#blocks.splice(this.#blocks.indexOf(block), 1);
    this.#tidy();
    this.focus();
    murmur(`${block.medium.name} removed.`);
  }

  /** Empty text areas go, neighbouring ones become one, and there is one at the end. */
  #tidy() {
    const kept = [];
    for (const block of this.#blocks) {
      const before = kept.at(-1);
      if (block.kind === "text" && before?.kind === "text") {
        if (block.area.value) before.area.value = [before.area.value, block.area.value].filter(Boolean).join("\n");
        if (this.#last === block) this.#last = before;
      } else kept.push(block);
    }
    this.#blocks = kept.filter((block, at) => block.kind !== "text" || block.area.value.trim() || at === kept.length - 1);
    if (this.#blocks.at(-1)?.kind !== "text") this.#blocks.push(this.#textBlock(""));
    if (!this.#blocks.includes(this.#last)) this.#last = this.#blocks.at(-1);
    fill(this.list, this.#blocks.map((block) => block.area ?? block.card));
    const solid = this.#blocks.filter((block, at) => block.kind !== "text" || at < this.#blocks.length - 1 || block.area.value.trim());
    let number = 0;
    this.#blocks.forEach((block, at) => {
      if (block.kind === "text") {
        const only = this.#blocks.length === 1;
        block.area.placeholder = only ? "Ask in words, pictures, sound or film" : at === this.#blocks.length - 1 ? "Go on …" : "";
        block.area.setAttribute("aria-label", only ? "Your message" : `Your message, text ${(number += 1)}`);
        block.area.id = at === this.#blocks.length - 1 ? "prompt" : "";
        this.#grow(block.area);
      } else {
        block.earlier.disabled = solid[0] === block;
        block.later.disabled = solid.at(-1) === block;
      }
    });
    this.#ready();
    this.hooks.changed();
  }

  #grow(area) {
    area.style.height = "0";
    area.style.height = `${Math.min(TALLEST, area.scrollHeight)}px`;
  }

  #ready() {
    this.action.disabled = !this.#busy && (this.empty || this.#reading > 0);
  }

  /** Enter and the button: the same thing. */
  #act() {
    if (this.#busy) this.hooks.stop();
    else if (!this.empty && !this.#reading) this.hooks.send(this.parts);
  }

  #key(event) {
    const area = event.target.tagName === "TEXTAREA" ? event.target : null;
    // Without a real keyboard there is no Shift+Enter: there Enter is a new line, and the button sends.
    const sends = !event.shiftKey && !event.altKey && (!TOUCH.matches || event.ctrlKey || event.metaKey);
    if (event.key === "Enter" && area && sends && !event.isComposing) {
      event.preventDefault();
      if (!this.#busy) this.#act();
    } else if (event.key === "ArrowUp" && area && this.empty && this.#blocks.length === 1) {
      event.preventDefault();
      this.hooks.editLast();
    } else if (event.key === "Backspace" && area && area.selectionEnd === 0) {
      const at = this.#blocks.findIndex((block) => block.area === area);
      if (at > 0 && this.#blocks[at - 1].kind !== "text") {
        event.preventDefault();
        this.#blocks[at - 1].card.querySelector(".moves button:last-child").focus();
      }
    } else if (event.key === "Escape" && this.#editing) {
      event.stopPropagation();
      this.hooks.cancelEdit();
    }
  }

  #pasted(event) {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    this.addFiles(files);
  }

  #picked() {
    const files = [...this.picker.files];
    this.picker.value = "";
    this.addFiles(files);
  }

  #button(name, label, act) {
    return h("button", { type: "button", class: "tool", "aria-label": label, title: label, onclick: act }, icon(name));
  }

  async #toggleRecording() {
    if (this.#recording) return this.#finish(true);
    const why = whyNot();
    if (why) return announce(why, { lasting: true });
    try {
      this.#recording = await record();
    } catch (error) {
      return announce(error.message, { lasting: true });
    }
    this.#showRecording();
  }

  #showRecording() {
    const recording = this.#recording;
    const time = h("span", { class: "time", role: "timer" });
    const bars = Array.from({ length: 40 }, () => h("i"));
    fill(
      this.meter,
      h("span", { class: "light" }),
      time,
      h("div", { class: "levels", "aria-hidden": "true" }, bars),
      h("button", { type: "button", class: "quiet", onclick: () => this.#finish(false) }, "Discard"),
      h("button", { type: "button", class: "primary", onclick: () => this.#finish(true) }, icon("check"), "Keep"),
    );
    this.meter.hidden = false;
    this.microphone.setAttribute("aria-label", "Finish the recording");
    this.microphone.classList.add("on");
    murmur("Recording.");
    const levels = Array(bars.length).fill(0);
    const timer = setInterval(() => {
      if (this.#recording !== recording) return clearInterval(timer);
      time.textContent = seconds(recording.seconds());
      levels.shift();
      levels.push(recording.level());
      bars.forEach((bar, at) => bar.style.setProperty("--level", levels[at]));
    }, 80);
  }

  async #finish(keep) {
    const recording = this.#recording;
    this.#recording = null;
    this.meter.hidden = true;
    this.microphone.setAttribute("aria-label", "Record sound");
    this.microphone.classList.remove("on");
    this.focus();
    if (!keep) return recording.cancel();
    try {
      await this.addFiles([await recording.finish()]);
    } catch {
      announce("The recording holds no sound; check the microphone.", { lasting: true });
    }
  }
}
