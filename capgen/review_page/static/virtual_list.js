// A list of any length that has as many elements as are seen: a listbox whose focus stays on
// itself while its options come and go.

const BEYOND = 4; // rows made above and below what is seen

export class VirtualList {
  #box;
  #inner;
  #options = new Map();
  #ids = [];
  #places = new Map();
  #active = null;
  #planned = false;

  // `fill(option, id)` makes the content of an option; `choose(id)` is told of a click.
  constructor(box, { rowHeight, fill, choose }) {
    this.#box = box;
    this.rowHeight = rowHeight;
    this.fill = fill;
    this.#inner = document.createElement("div");
    this.#inner.setAttribute("role", "presentation");
    box.append(this.#inner);
    box.addEventListener("scroll", () => this.plan(), { passive: true });
    box.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) choose(Number(option.dataset.id));
    });
    new ResizeObserver(() => this.plan()).observe(box);
  }

  get ids() {
    return this.#ids;
  }

  placeOf(id) {
    return this.#places.get(id) ?? -1;
  }

  setIds(ids) {
    this.#ids = ids;
    this.#places = new Map(ids.map((id, place) => [id, place]));
    this.#inner.style.height = `${ids.length * this.rowHeight}px`;
    for (const option of this.#options.values()) option.remove();
    this.#options.clear();
    this.#draw();
  }

  // Makes an option the active one, and brings it into view.
  activate(id) {
    this.#active = id;
    const top = this.placeOf(id) * this.rowHeight;
    const { scrollTop, clientHeight } = this.#box;
    if (top >= 0 && (top < scrollTop || top + this.rowHeight > scrollTop + clientHeight)) {
      this.#box.scrollTop = top - (clientHeight - this.rowHeight) / 2;
    }
    this.#draw();
  }

  // Fills options again whose records have changed.
  refresh(ids) {
    for (const id of ids) {
      const option = this.#options.get(id);
      if (option) this.fill(option, id);
    }
  }

  plan() {
    if (this.#planned) return;
    this.#planned = true;
    requestAnimationFrame(() => {
      this.#planned = false;
      this.#draw();
    });
  }

  #draw() {
    const wanted = this.#wanted();
    for (const [id, option] of this.#options) {
      if (wanted.has(id)) continue;
      option.remove();
      this.#options.delete(id);
    }
    for (const [id, place] of wanted) {
      if (!this.#options.has(id)) this.#add(id, place);
      this.#options.get(id).setAttribute("aria-selected", String(id === this.#active));
    }
    const active = this.#options.get(this.#active);
    if (active) this.#box.setAttribute("aria-activedescendant", active.id);
    else this.#box.removeAttribute("aria-activedescendant");
  }

  // The rows that are seen, and the active one wherever it is: screen readers follow it.
  #wanted() {
    const { scrollTop, clientHeight } = this.#box;
    const first = Math.max(0, Math.floor(scrollTop / this.rowHeight) - BEYOND);
    const end = Math.ceil((scrollTop + clientHeight) / this.rowHeight) + BEYOND;
    const wanted = new Map();
    for (let place = first; place < Math.min(end, this.#ids.length); place += 1) {
      wanted.set(this.#ids[place], place);
    }
    const place = this.placeOf(this.#active);
    if (place >= 0) wanted.set(this.#active, place);
    return wanted;
  }

  #add(id, place) {
    const option = document.createElement("div");
    option.id = `option-${id}`;
    option.dataset.id = id;
    option.setAttribute("role", "option");
    option.setAttribute("aria-posinset", place + 1);
    option.setAttribute("aria-setsize", this.#ids.length);
    option.style.transform = `translateY(${place * this.rowHeight}px)`;
    this.fill(option, id);
    this.#options.set(id, option);
    const next = [...this.#inner.children].find(
      (other) => this.placeOf(Number(other.dataset.id)) > place,
    );
    this.#inner.insertBefore(option, next ?? null);
  }
}
