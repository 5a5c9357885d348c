// What the page says: counts, what was saved, and what could not be.

import { byId, hint, plural, sentence, text } from "./dom.js";

export class Status {
  #items;
  #decisions;
  #planned = false;
  #passing = false;

  constructor(items, decisions) {
    this.#items = items;
    this.#decisions = decisions;
    items.addEventListener("changed", () => this.#plan());
    items.addEventListener("loaded", () => this.#loaded());
    decisions.addEventListener("state", (event) => this.#state(event.detail.text));
    decisions.addEventListener("saved", (event) => this.#saved(event.detail.changes));
    this.#loaded();
    this.#state();
  }

  // Says something once: it is read out, and stays until the next, or until another picture is
  // shown if it was about this one.
  tell(said) {
    this.#passing = true;
    byId("said").textContent = said;
  }

  moved() {
    if (this.#passing) byId("said").textContent = "";
    this.#passing = false;
  }

  #saved(changes) {
    const [{ name, verdict }] = changes;
    const what = changes.length === 1
      ? `${verdict ?? "taken back"} ${name ?? ""}`
      : plural(changes.length, "caption");
    // After the rows are in, so that the number is right.
    queueMicrotask(() => {
      this.tell(`Saved: ${what}. ${this.#left()}`);
      this.#passing = false;
    });
  }

  #left() {
    const { left } = this.#items.counts();
    return left === 0 ? "None left." : `${left.toLocaleString("en")} left.`;
  }

  #loaded() {
    byId("title").replaceChildren("Review ", text(this.#items.name));
    this.#count();
  }

  #plan() {
    if (this.#planned) return;
    this.#planned = true;
    requestAnimationFrame(() => {
      this.#planned = false;
      this.#count();
    });
  }

  #count() {
    const counts = this.#items.counts();
    const number = (name) => counts[name].toLocaleString("en");
    byId("counts").textContent =
      `${number("accepted")} accepted, ${number("edited")} edited, ` +
      `${number("rejected")} rejected, ${number("left")} left`;
    byId("progress").max = Math.max(1, counts.all);
    byId("progress").value = counts.all - counts.left;
    document.title = `${number("left")} left: ${this.#items.name}`;
  }

  #state(said) {
    if (said) this.tell(said);
    const { fault, unsaved, conflicts } = this.#decisions;
    document.body.dataset.unsaved = unsaved;
    show(byId("fault"), fault !== null);
    if (fault !== null) {
      const kept = unsaved === 0 ? "" : `${plural(unsaved, "decision")} not saved. `;
      const where = unsaved === 0 ? "" : " They are kept in this browser and sent again.";
      setText(byId("fault-text"), `${kept}${sentence(fault.message)}${where}${hint(fault)}`);
    }
    show(byId("conflict-banner"), conflicts.size > 0);
    if (conflicts.size > 0) {
      setText(
        byId("conflict-text"),
        `${plural(conflicts.size, "decision")} not saved: the caption has changed meanwhile.`,
      );
    }
  }
}

// An unchanged text is not set again: it would be read out again.
function setText(place, said) {
  if (place.textContent !== said) place.textContent = said;
}

function show(banner, shown) {
  if (banner.hidden === !shown) return;
  const focused = banner.contains(document.activeElement);
  banner.hidden = !shown;
  if (focused) byId("list").focus({ preventScroll: true });
}
