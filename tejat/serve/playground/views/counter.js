// What the next request takes, by modality, against what the model holds.

import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { count, plural } from "../words.js";

const KINDS = ["text", "image", "audio", "video"];

export class CounterView {
  constructor() {
    this.chips = h("span", { class: "chips" });
    this.total = h("span", { class: "total" });
    this.meter = h("meter", { min: 0, max: 1, value: 0, "aria-label": "Share of the model's context" });
    this.node = h("div", { class: "counter", hidden: true }, this.chips, this.meter, this.total);
  }

  /** `counted` is a CountTokensResponse, or null while nothing is known; `limit` in tokens. */
  update(counted, limit) {
    this.node.hidden = !counted;
    if (!counted) return;
    const total = counted.totalTokens ?? 0;
    const details = Object.fromEntries((counted.promptTokensDetails ?? []).map(({ modality, tokenCount }) => [modality.toLowerCase(), tokenCount ?? 0]));
    const chips = KINDS.filter((kind) => details[kind]).map((kind) => h("span", { class: `chip ${kind}`, title: plural(details[kind], `${kind} token`) }, icon(kind), count(details[kind])));
    const words = KINDS.filter((kind) => details[kind]).map((kind) => `${count(details[kind])} ${kind}`).join(", ");
    fill(this.chips, chips.length > 1 || details.text === undefined ? chips : null);
    fill(this.total, h("span", { class: "unseen" }, `The next request takes ${plural(total, "token")}${words ? ` (${words})` : ""} of ${count(limit)}.`), h("span", { "aria-hidden": "true" }, `${count(total)} / ${count(limit)}`));
    const share = limit ? total / limit : 0;
    this.meter.value = Math.min(1, share);
    this.node.classList.toggle("over", share > 1);
    this.node.classList.toggle("near", share > 0.85 && share <= 1);
  }

  /** The count is on its way. */
  set stale(stale) {
    this.node.classList.toggle("stale", stale);
  }
}
