// How answers are asked for, lane by lane: the instruction, the kinds of answer, the sampling, the schema.

import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { DEFAULTS, isPixels, NUMBERS, OF_PICTURES, schemaOf } from "../talk/settings.js";
import { tabs } from "./tabs.js";

const ANSWERS = [
  ["any", "Text and pictures"],
  ["text", "Text only"],
  ["image", "Picture first"],
];
const SHAPES = [["", "The model's own"], ...["1:1", "4:3", "3:4", "16:9", "9:16"].map((shape) => [shape, shape])];
const RESOLUTIONS = [
  ["", "The model's own"],
  ["LOW", "Low"],
  ["MEDIUM", "Medium"],
  ["HIGH", "High"],
];

export class SettingsView {
  #lane = 0;
  #shown = null; // the lanes on show, and how many they were

  /** `hooks`: changed(), modelOf(name) → the server's description or null, shut(). */
  constructor(hooks) {
    this.hooks = hooks;
    this.place = h("div", { class: "fields" });
    this.node = h(
      "aside",
      { class: "settings", id: "settings", "aria-label": "Settings" },
      h("header", {}, h("h2", {}, "Settings"), h("button", { type: "button", class: "tool", "aria-label": "Close the settings", onclick: () => hooks.shut() }, icon("close"))),
      this.place,
    );
  }

  /** Shows these lanes; the ones on show stay as they are, with the caret in them, unless `anew`. */
  update(lanes, anew = false) {
    if (!anew && this.#shown?.lanes === lanes && this.#shown.count === lanes.length) return;
    this.#shown = { lanes, count: lanes.length };
    this.#lane = Math.min(this.#lane, lanes.length - 1);
    if (lanes.length === 1) return fill(this.place, this.#fields(lanes[0], lanes));
    const entries = lanes.map((settings, at) => ({ name: String(at), label: `Answer ${"AB"[at]}`, content: () => this.#fields(settings, lanes) }));
    fill(this.place, tabs("Settings of", entries, String(this.#lane), (name) => (this.#lane = Number(name))));
  }

  #fields(settings, lanes) {
    const { hooks } = this;
    const pictures = h("fieldset", { class: "of-pictures" });
    const set = (name, value) => {
      settings[name] = value;
      able();
      hooks.changed();
    };
    const schema = this.#schema(settings, set);
    const shape = picked("Shape of drawn pictures", SHAPES, settings.aspect, (value) => set("aspect", value));
    fill(pictures, shape, size(settings, set), OF_PICTURES.map((field) => this.#number(field, settings, set)));
    // What would have no effect cannot be chosen.
    const able = () => {
      pictures.disabled = settings.schemaOn || settings.answers === "text";
      shape.querySelector("select").disabled = hasPixels(settings.size);
    };
    able();
    return [
      labelled("System instruction", h("textarea", { rows: 4, value: settings.system, dir: "auto", placeholder: "How should the model behave?", oninput: (e) => set("system", e.target.value) })),
      choice("Answer with", "answers", ANSWERS, settings.answers, (value) => set("answers", value)),
      h("h3", {}, "Sampling"),
      NUMBERS.map((field) => this.#number(field, settings, set)),
      labelled("Stop at", h("textarea", { rows: 2, value: settings.stop, placeholder: "One string a line", oninput: (e) => set("stop", e.target.value) })),
      h("h3", {}, "Structure"),
      schema,
      h("h3", {}, "Media"),
      picked("Resolution of pictures and films", RESOLUTIONS, settings.mediaResolution, (value) => set("mediaResolution", value)),
      h("h3", {}, "Drawn pictures"),
      pictures,
      h(
        "button",
        {
          type: "button",
          class: "reset",
          onclick: () => {
            Object.assign(settings, { ...DEFAULTS, model: settings.model });
            this.update(lanes, true);
            hooks.changed();
          },
        },
        icon("again"),
        "All to the defaults",
      ),
    ];
  }

  #number({ name, label, least, most, step, whole, hint }, settings, set) {
    const usual = this.hooks.modelOf(settings.model)?.[name === "maxOutputTokens" ? "outputTokenLimit" : name];
    const said = h("p", { class: "field-error", id: `error-${name}`, hidden: true });
    const input = h("input", {
      type: "number",
      min: least,
      max: most,
      step: whole ? 1 : "any",
      inputmode: whole ? "numeric" : "decimal",
      value: settings[name] ?? "",
      placeholder: name === "maxOutputTokens" ? "the model's limit" : usual === undefined ? "default" : `default ${usual}`,
      "aria-describedby": `hint-${name} ${said.id}`,
      oninput: () => {
        const value = input.value === "" && !input.validity.badInput ? null : input.valueAsNumber;
        const fine = value === null || (Number.isFinite(value) && value >= least && value <= most && (!whole || Number.isInteger(value)));
        said.hidden = fine;
        said.textContent = fine ? "" : `Give a ${whole ? "whole " : ""}number from ${least} to ${most.toLocaleString("en")}.`;
        input.setAttribute("aria-invalid", String(!fine));
        if (slider && fine) slider.value = value ?? usual ?? least;
        set(name, fine ? value : settings[name]);
      },
    });
    const slider =
      !whole &&
      h("input", {
        type: "range",
        min: least,
        max: most,
        step,
        value: settings[name] ?? usual ?? (name === "topP" ? 1 : least),
        "aria-label": label,
        tabindex: "-1",
        oninput: () => {
          input.value = slider.value;
          input.dispatchEvent(new Event("input"));
        },
      });
    const id = `field-${name}`;
    input.id = id;
    return h(
      "div",
      { class: "number" },
      h("label", { for: id }, label),
      slider || h("span"),
      input,
      h("p", { class: "hint", id: `hint-${name}` }, hint),
      said,
    );
  }

  #schema(settings, set) {
    const said = h("p", { class: "field-error", id: "error-schema", role: "status" });
    const box = h("textarea", {
      rows: 6,
      class: "mono",
      spellcheck: "false",
      value: settings.schema,
      "aria-label": "JSON schema",
      "aria-describedby": "error-schema",
      placeholder: '{"type": "object",\n "properties": {"name": {"type": "string"}},\n "required": ["name"]}',
      oninput: () => {
        check();
        set("schema", box.value);
      },
    });
    const check = () => {
      said.textContent = "";
      if (!box.value.trim()) return;
      try {
        schemaOf(box.value);
      } catch (error) {
        said.textContent = error.message;
      }
      box.setAttribute("aria-invalid", String(Boolean(said.textContent)));
    };
    const place = h("div", { hidden: !settings.schemaOn }, box, h("p", { class: "hint" }, "The answer is JSON that fits this schema; any JSON where it is empty."), said);
    const tick = h("input", {
      type: "checkbox",
      role: "switch",
      checked: settings.schemaOn,
      onchange: () => {
        place.hidden = !tick.checked;
        set("schemaOn", tick.checked);
      },
    });
    check();
    return [h("label", { class: "tick" }, tick, "Answer in JSON"), place];
  }
}

/** The field of the size of pictures. */
function size(settings, set) {
  const said = h("p", { class: "field-error", id: "error-size", hidden: true });
  const check = () => {
    said.textContent = "";
    try {
      isPixels(input.value.trim());
    } catch (error) {
      said.textContent = error.message;
    }
    said.hidden = !said.textContent;
    input.setAttribute("aria-invalid", String(!said.hidden));
  };
  const oninput = () => {
    check();
    set("size", input.value);
  };
  const input = h("input", { type: "text", value: settings.size, placeholder: "as drawn, or 1K, 2K, 96x64", autocomplete: "off", "aria-describedby": said.id, oninput });
  check();
  return [labelled("Size of drawn pictures", input), said];
}

function hasPixels(text) {
  try {
    return isPixels(text.trim());
  } catch {
    return false;
  }
}

const labelled = (label, field) => h("label", { class: "field" }, h("span", {}, label), field);

function picked(label, options, chosen, onchange) {
  const entries = options.map(([value, word]) => h("option", { value, selected: value === chosen }, word));
  return labelled(label, h("select", { onchange: (event) => onchange(event.target.value) }, entries));
}

function choice(legend, name, options, chosen, onchange) {
  return h(
    "fieldset",
    { class: "choice-of" },
    h("legend", {}, legend),
    h(
      "div",
      { class: "segments" },
      options.map(([value, word]) => h("label", {}, h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => onchange(value) }), h("span", {}, word))),
    ),
  );
}
