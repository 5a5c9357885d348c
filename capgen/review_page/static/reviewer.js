// The record that is shown, and what a person does with it.

import { byId, text } from "./dom.js";
import { Details } from "./details.js";
import { Editor } from "./editor.js";
import { Picture } from "./picture.js";
import { fillRow, stateOf } from "./rows.js";
import { Tools } from "./tools.js";
import { isNextUnsure } from "./view.js";
import { VirtualList } from "./virtual_list.js";

const ROW_HEIGHT = 76;
const CURRENT = "capgen-review-current";

export class Reviewer {
  current = undefined;
  #items;
  #decisions;
  #drafts;
  #status;
  #changed = new Set();

  constructor({ items, decisions, drafts, status }) {
    this.#items = items;
    this.#decisions = decisions;
    this.#drafts = drafts;
    this.#status = status;
    const tell = (said) => status.tell(said);
    this.list = new VirtualList(byId("list"), {
      rowHeight: ROW_HEIGHT,
      fill: (option, id) => fillRow(option, items.at(id), this.#hasDraft(id)),
      choose: (id) => this.#chosen(id),
    });
    this.picture = new Picture(byId("stage"));
    this.details = new Details({ choose: (caption) => this.#choose(caption), tell });
    this.editor = new Editor(items, drafts, {
      save: (id, caption, version) => this.#write(id, caption, version),
      closed: () => this.#closed(),
      tell,
    });
    this.tools = new Tools(items, {
      hasDraft: (id) => this.#hasDraft(id),
      shown: (ids, fromStart) => this.#listed(ids, fromStart),
      current: () => this.current,
      back: () => this.focus(),
      tell,
    });
    items.addEventListener("changed", (event) => this.#refresh(event.detail));
    items.addEventListener("loaded", (event) => this.#loaded(event.detail.same));
    for (const name of ["saved", "undone"]) {
      decisions.addEventListener(name, (event) => this.#follow(event.detail.rows));
    }
  }

  get ids() {
    return this.list.ids;
  }

  commands() {
    return {
      accept: () => this.#accept(),
      reject: () => this.#reject(),
      edit: () => this.current !== undefined && this.editor.open(this.current),
      next: () => this.#move(1),
      previous: () => this.#move(-1),
      first: () => this.#goTo(0),
      last: () => this.#goTo(this.ids.length - 1),
      pageDown: () => this.#move(10),
      pageUp: () => this.#move(-10),
      unsure: () => this.#nextUnsure(),
      undo: () => this.#undo(),
      search: () => this.tools.search(),
      refresh: () => this.tools.apply(),
      beams: () => this.details.make("beams"),
      diverse: () => this.details.make("diverse"),
      choose: (key) => this.#choose(this.details.caption(Number(key))),
      like: () => this.tools.orderLike(),
    };
  }

  async start() {
    const kept = this.#items.idOf(sessionStorage.getItem(CURRENT));
    await this.tools.start();
    this.show(this.list.placeOf(kept) >= 0 ? kept : this.#firstLeft());
    this.focus();
  }

  #firstLeft() {
    return this.ids.find((id) => this.#items.at(id).verdict === null) ?? this.ids[0];
  }

  focus() {
    if (this.editor.id === null && !document.querySelector("dialog[open]")) {
      byId("list").focus({ preventScroll: true });
    }
  }

  show(id) {
    if (this.editor.id !== null && this.editor.id !== id) this.editor.close();
    if (id !== this.current) {
      this.#status.moved();
      byId("main").scrollTop = 0;
    }
    this.current = id;
    byId("record").hidden = id === undefined;
    byId("nothing").hidden = id !== undefined;
    this.list.activate(id);
    if (id === undefined) return;
    sessionStorage.setItem(CURRENT, this.#items.keyOf(id));
    this.picture.show(this.#items.at(id));
    this.#describe();
    const place = this.list.placeOf(id);
    this.picture.prefetch([place + 1, place + 2, place - 1].map((near) => this.ids[near])
      .filter((near) => near !== undefined && !this.#items.at(near).missing));
  }

  // On a phone the list is below the picture.
  #chosen(id) {
    this.show(id);
    if (byId("stage").getBoundingClientRect().bottom < 0) byId("stage").scrollIntoView();
  }

  // Decides about many at once; what equals the proposal is accepted.
  replaceAll(changes) {
    const same = changes.filter(({ id, before }) => this.#items.at(id).caption === before);
    if (same.length < changes.length) {
      this.#status.tell("Some captions have changed since the preview; they were left out.");
    }
    if (same.length === 0) return;
    this.#decisions.decide(same.map(({ id, caption }) => (
      { id, caption, verdict: this.#verdictOf(id, caption) })));
  }

  #describe() {
    const row = this.#items.at(this.current);
    byId("name").replaceChildren(text(row.path ?? `Record ${row.id + 1}`));
    byId("caption").replaceChildren(row.caption === null
      ? "No caption. Press e to write one."
      : text(row.caption, "span"));
    byId("caption").classList.toggle("soft", row.caption === null);
    const { scrollHeight, clientHeight } = byId("caption");
    // What scrolls has to be reachable without a mouse.
    if (scrollHeight > clientHeight) byId("caption").tabIndex = 0;
    else byId("caption").removeAttribute("tabindex");
    byId("state").textContent = stateOf(row, this.#hasDraft(row.id));
    byId("state").className = `state ${row.verdict ?? "unreviewed"} ${row.state ?? ""}`;
    byId("place").textContent = `${(this.list.placeOf(row.id) + 1).toLocaleString("en")} of ` +
      this.ids.length.toLocaleString("en");
    this.picture.describe(row);
    this.editor.noteChange();
    this.details.show(this.#items.rows.get(row.id));
  }

  #accept() {
    const row = this.#items.at(this.current);
    if (row === undefined) return;
    const caption = row.verdict === "rejected" ? row.proposed : row.caption;
    if (caption === null) this.#status.tell("There is no caption to accept: write one with e.");
    else if (row.verdict === "accepted" || row.verdict === "edited") this.#forward(row);
    else this.#decide(row, this.#verdictOf(row.id, caption), caption);
  }

  #reject() {
    const row = this.#items.at(this.current);
    if (row === undefined) return;
    if (row.verdict === "rejected") this.#forward(row);
    else this.#decide(row, "rejected", row.proposed ?? "");
  }

  #choose(caption) {
    const row = this.#items.at(this.current);
    if (row === undefined || caption === undefined) return;
    this.#decide(row, this.#verdictOf(row.id, caption), caption);
    this.focus();
  }

  #write(id, caption, version) {
    const row = this.#items.at(id);
    return this.#decide(row, this.#verdictOf(id, caption), caption, version);
  }

  #verdictOf(id, caption) {
    return caption === this.#items.rows.get(id).proposed ? "accepted" : "edited";
  }

  #decide(row, verdict, caption, version) {
    const stored = this.#decisions.decide([{ id: row.id, verdict, caption, version }]);
    this.#forward(row);
    return stored;
  }

  // On to what is left, or, from something that was reviewed before, to the next row.
  #forward(row) {
    const place = this.list.placeOf(row.id);
    const after = [...this.ids.slice(place + 1), ...this.ids.slice(0, Math.max(place, 0))];
    const next = row.verdict === null
      ? after.find((id) => this.#items.at(id).verdict === null)
      : this.ids[place + 1];
    if (next === undefined) this.#describe();
    else this.show(next);
  }

  #nextUnsure() {
    const place = this.list.placeOf(this.current);
    const after = [...this.ids.slice(place + 1), ...this.ids.slice(0, place + 1)];
    const options = { unsureBelow: this.tools.unsureBelow };
    const next = after.find((id) => isNextUnsure(this.#items.at(id), options));
    if (next === undefined) this.#status.tell("No unsure caption is left in the list.");
    else this.show(next);
  }

  async #undo() {
    try {
      const [id] = await this.#decisions.undo();
      if (id === undefined) return;
      if (this.list.placeOf(id) >= 0) this.show(id);
      this.#status.tell(`Taken back: ${this.#items.at(id).path ?? "a record"}`);
    } catch (error) {
      const reasons = {
        404: "There is nothing to take back.",
        409: "Not taken back: another window has changed it since.",
      };
      this.#status.tell(reasons[error.status] ?? `Not taken back: ${error.message}`);
    }
  }

  #move(step) {
    if (this.ids.length === 0) return;
    this.#goTo(this.list.placeOf(this.current) + step);
  }

  #goTo(place) {
    const id = this.ids[Math.min(Math.max(place, 0), this.ids.length - 1)];
    if (id !== undefined && id !== this.current) this.show(id);
  }

  #listed(ids, fromStart) {
    this.list.setIds(ids);
    // Nobody is thrown out of what they are writing.
    const writing = this.current !== undefined && this.editor.id === this.current;
    const stays = writing || (!fromStart && this.list.placeOf(this.current) >= 0);
    this.show(stays ? this.current : this.#firstLeft());
  }

  // The list keeps its rows while they change, so that nothing jumps under the hand.
  #refresh(ids) {
    if (this.#changed.size === 0) {
      requestAnimationFrame(() => {
        this.list.refresh(this.#changed);
        if (this.#changed.has(this.current)) this.#describe();
        this.#changed.clear();
      });
    }
    for (const id of ids) this.#changed.add(id);
  }

  #closed() {
    this.#refresh([this.current]);
    this.focus();
  }

  #loaded(same) {
    if (same) return this.#refresh(this.#items.rows.keys());
    // Ids mean other records now.
    const kept = this.#items.idOf(sessionStorage.getItem(CURRENT));
    if (this.editor.id !== null && this.editor.id !== kept) this.editor.close();
    this.current = kept;
    return this.tools.start();
  }

  #follow(rows) {
    for (const { id, version } of rows) {
      const before = this.#items.rows.get(id).version;
      this.#drafts.follow(id, before, version);
      this.editor.follow(id, before, version);
    }
  }

  #hasDraft(id) {
    return this.#drafts.of(id) !== undefined;
  }
}
