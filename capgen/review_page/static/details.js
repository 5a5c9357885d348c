// What is known about the record that is shown, and other captions for it.

import { ask } from "./api.js";
import { byId, element, hint, percent, sentence, text } from "./dom.js";

const HELD = 50;
const MODEL_PATIENCE = 600_000; // the first request loads the model
const UNSURE_WORDS = 3;
const KINDS = { beams: "next best", diverse: "different" };

export class Details {
  #id = null;
  #row = null;
  #found = new Map();
  #made = new Map();
  #captions = [];
  #asking = null;

  // `choose(caption)` decides for one of the other captions; `tell(text)` says something.
  constructor({ choose, tell }) {
    this.choose = choose;
    this.tell = tell;
  }

  async show(row) {
    this.#row = row;
    if (row.id !== this.#id) this.#clear(row.id);
    const cached = this.#found.get(row.id);
    if (cached?.version === row.version) return this.#draw(cached);
    this.#asking?.abort();
    this.#asking = new AbortController();
    try {
      const found = await ask(`/api/item/${row.id}`, undefined, { signal: this.#asking.signal });
      hold(this.#found, row.id, found);
      if (row.id === this.#id) this.#draw(found);
    } catch (error) {
      // What is missing here is shown when the server is back; the banner says that it is gone.
      if (error.name !== "AbortError" && error.status > 0) this.#fault(error);
    }
  }

  // Returns the caption that a digit stands for.
  caption(digit) {
    return this.#captions[digit - 1]?.caption;
  }

  // Asks for other captions of the record.
  async make(kind) {
    const id = this.#id;
    this.tell(`Making ${KINDS[kind]} captions…`);
    try {
      const { captions } = await ask(
        `/api/alternatives/${id}`, { kind }, { patience: MODEL_PATIENCE },
      );
      hold(this.#made, id, captions);
      if (id !== this.#id) return;
      this.#drawCaptions();
      this.tell(`${captions.length} captions: choose one with its digit.`);
    } catch (error) {
      this.tell(`No captions: ${sentence(error.message)}${hint(error)}`);
    }
  }

  #clear(id) {
    this.#id = id;
    this.#captions = [];
    for (const place of ["facts", "others", "history"]) byId(place).replaceChildren();
    byId("others-part").hidden = true;
    byId("history-part").hidden = true;
  }

  #fault(error) {
    byId("facts").replaceChildren(element("dt", {}, "Details"), element("dd", {}, error.message));
  }

  #draw(found) {
    byId("facts").replaceChildren(...facts(found).flatMap(([name, value]) => [
      element("dt", {}, name), element("dd", {}, text(value)),
    ]));
    const history = found.history ?? [];
    byId("history-part").hidden = history.length === 0;
    byId("history").replaceChildren(...history.map(historyLine));
    this.#drawCaptions();
  }

  #drawCaptions() {
    const own = this.#found.get(this.#id)?.alternatives ?? [];
    const proposed = { caption: this.#row.proposed, score: null };
    const candidates = [proposed, ...(this.#made.get(this.#id) ?? own)];
    const seen = new Set([this.#row.caption, null, undefined, ""]);
    this.#captions = candidates.filter(
      ({ caption }) => !seen.has(caption) && seen.add(caption),
    ).slice(0, 9);
    byId("others-part").hidden = this.#captions.length === 0;
    byId("others").replaceChildren(...this.#captions.map((one, place) => this.#option(one, place)));
  }

  #option({ caption, score }, place) {
    const label = score === null || score === undefined ? "" : score.toFixed(2);
    return element(
      "li", {},
      element(
        "button",
        { type: "button", class: "other", onclick: () => this.choose(caption) },
        element("kbd", {}, String(place + 1)), text(caption, "span"),
        element("span", { class: "soft" }, label),
      ),
    );
  }
}

function hold(map, id, value) {
  map.delete(id);
  map.set(id, value);
  if (map.size > HELD) map.delete(map.keys().next().value);
}

function facts(found) {
  const unsure = [...(found.words ?? [])]
    .sort((a, b) => a.probability - b.probability)
    .slice(0, UNSURE_WORDS)
    .map((word) => `${word.text.trim()} ${percent(word.probability)}`);
  const concepts = (found.concepts ?? [])
    .slice(0, 5)
    .map((concept) => `${concept.name} ${percent(concept.probability)}`);
  const all = [
    ["Error", found.error],
    ["Proposed", found.proposed === found.caption ? null : found.proposed],
    ["Confidence", found.confidence === null ? null : percent(found.confidence)],
    ["Least sure words", unsure.join(", ")],
    ["Likely in the picture", concepts.join(", ")],
    ["Prompt", found.prompt],
    ["Size", found.width ? `${found.width} × ${found.height}` : null],
    ["Model", found.model],
    ["Decided by", found.verdict ? [found.by, shortTime(found.at)].filter(Boolean).join(", ") : null],
  ];
  return all.filter(([, value]) => value);
}

function historyLine({ verdict, caption, by, at }) {
  const who = [by, shortTime(at)].filter(Boolean).join(", ");
  return element(
    "li", {},
    element("span", { class: "soft" }, `${verdict ?? "taken back"}${who ? ` by ${who}` : ""}`),
    caption ? text(caption, "span") : null,
  );
}

const shortTime = (at) => (at ? new Date(at).toLocaleString() : "");
