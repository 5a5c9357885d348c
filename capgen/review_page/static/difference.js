// What two captions have in common, word by word.

const MOST = 1_000_000; // cells of the table; longer texts are compared at their ends only

// Returns [kind, words] in order, where kind is same, del or ins.
export function difference(before, after) {
  const old = words(before);
  const fresh = words(after);
  let start = 0;
  while (start < Math.min(old.length, fresh.length) && old[start] === fresh[start]) start += 1;
  let end = 0;
  const shorter = Math.min(old.length, fresh.length) - start;
  while (end < shorter && old.at(-1 - end) === fresh.at(-1 - end)) end += 1;
  const middle = between(
    old.slice(start, old.length - end), fresh.slice(start, fresh.length - end),
  );
  const all = [["same", old.slice(0, start)], ...middle, ["same", old.slice(old.length - end)]];
  return all.map(([kind, some]) => [kind, some.join("")]).filter(([, some]) => some !== "");
}

const words = (caption) => caption.match(/\s+|[^\s]+/gu) ?? [];

// Longest common subsequence by dynamic programming.
function between(old, fresh) {
  if (old.length * fresh.length > MOST) return [["del", old], ["ins", fresh]];
  const width = fresh.length + 1;
  const lengths = new Uint32Array((old.length + 1) * width);
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = fresh.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = old[i] === fresh[j]
        ? lengths[(i + 1) * width + j + 1] + 1
        : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  return walk(old, fresh, (i, j) => lengths[i * width + j]);
}

function walk(old, fresh, length) {
  const parts = [];
  let [i, j] = [0, 0];
  const add = (kind, word) => {
    if (parts.at(-1)?.[0] === kind) parts.at(-1)[1].push(word);
    else parts.push([kind, [word]]);
  };
  while (i < old.length || j < fresh.length) {
    if (i < old.length && j < fresh.length && old[i] === fresh[j]) {
      add("same", old[i]);
      i += 1;
      j += 1;
    } else if (j >= fresh.length || (i < old.length && length(i + 1, j) >= length(i, j + 1))) {
      add("del", old[i]);
      i += 1;
    } else {
      add("ins", fresh[j]);
      j += 1;
    }
  }
  return parts;
}
