// Which records the list shows, and in which order.

const isUnsure = (row, { unsureBelow }) => row.confidence === null || row.confidence < unsureBelow;
const normal = (caption) => (caption ?? "").trim().toLowerCase();

// By name: label, and whether a row is shown.
export const FILTERS = {
  all: ["all", () => true],
  unreviewed: ["unreviewed", (row) => row.verdict === null],
  unsure: ["unsure", (row, options) => isUnsure(row, options)],
  repeated: ["repeated caption", (row, { times }) => times.get(normal(row.caption)) > 1],
  nobody: ["names no person", (row) => !row.person],
  accepted: ["accepted", (row) => row.verdict === "accepted"],
  edited: ["edited", (row) => row.verdict === "edited"],
  rejected: ["rejected", (row) => row.verdict === "rejected"],
  drafts: ["with a draft", (row, { hasDraft }) => hasDraft(row.id)],
  failed: ["without a caption", (row) => row.caption === null],
};

const names = new Intl.Collator("en", { numeric: true });
const byConfidence = (a, b) => (a.confidence ?? -1) - (b.confidence ?? -1);

// By name: label. Those in RANKED come as lists of ids.
export const ORDERS = {
  file: "as in the file",
  confidence: "least confidence first",
  gain: "most gained first",
  name: "by name",
  like: "like this picture",
  random: "random sample",
};
export const RANKED = ["gain", "like", "random"];

export const isNextUnsure = (row, options) => row.verdict === null && isUnsure(row, options);

// Returns the ids to show. Options: filter, order, contains, unsureBelow, ranked (ids, for an
// order in RANKED), hasDraft.
export function select(rows, options) {
  const all = [...rows];
  const contains = options.contains.toLowerCase();
  const [, fits] = FILTERS[options.filter];
  const known = options.filter === "repeated" ? { ...options, times: timesOf(all) } : options;
  const shown = all.filter(
    (row) => fits(row, known) && (contains === "" || searched(row).includes(contains)),
  );
  return ordered(shown, options).map((row) => row.id);
}

const searched = (row) => `${row.path ?? ""}\n${row.caption ?? ""}`.toLowerCase();

function timesOf(rows) {
  const times = new Map();
  for (const { caption } of rows) {
    if (caption) times.set(normal(caption), (times.get(normal(caption)) ?? 0) + 1);
  }
  return times;
}

function ordered(rows, { order, ranked }) {
  if (order === "confidence") return rows.sort(byConfidence);
  if (order === "name") return rows.sort((a, b) => names.compare(a.path ?? "", b.path ?? ""));
  if (!RANKED.includes(order)) return rows;
  const ranks = new Map(ranked.map((id, rank) => [id, rank]));
  // What was not ranked comes last, so that nothing disappears.
  return rows.sort((a, b) => (ranks.get(a.id) ?? Infinity) - (ranks.get(b.id) ?? Infinity) || 0);
}
