// What two texts do not have in common, line by line.
export interface Line {
  mark: " " | "+" | "-";
  text: string;
}

/** Unchanged lines around a change. */
const AROUND = 2;
/** Past this many cells of the table all between first and last difference counts as changed. */
const MOST = 4_000_000;

function middle(old: string[], fresh: string[]): Line[] {
  const height = old.length + 1;
  const width = fresh.length + 1;
  const gone = (text: string): Line => ({ mark: "-", text });
  const came = (text: string): Line => ({ mark: "+", text });
  if (height * width > MOST) return [...old.map(gone), ...fresh.map(came)];
  // Length of the longest common subsequence of what follows.
  const table = new Uint32Array(height * width);
  const at = (i: number, j: number) => table[i * width + j] ?? 0;
  for (let i = old.length - 1; i >= 0; i--)
    for (let j = fresh.length - 1; j >= 0; j--)
      table[i * width + j] = old[i] === fresh[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < fresh.length) {
    const [one, other] = [old[i], fresh[j]];
    if (one !== undefined && one === other) {
      lines.push({ mark: " ", text: one });
      i++;
      j++;
    } else if (one !== undefined && (other === undefined || at(i + 1, j) >= at(i, j + 1))) {
      lines.push(gone(one));
      i++;
    } else {
      lines.push(came(other ?? ""));
      j++;
    }
  }
  return lines;
}

/** Changed lines with some around them; `null` stands for what is left out. */
export function diff(before: string, after: string): (Line | null)[] {
  const [old, fresh] = [before.split("\n"), after.split("\n")];
  let head = 0;
  while (head < old.length && head < fresh.length && old[head] === fresh[head]) head++;
  let tail = 0;
  while (tail < Math.min(old.length, fresh.length) - head && old.at(-1 - tail) === fresh.at(-1 - tail)) tail++;
  const same = (text: string): Line => ({ mark: " ", text });
  const all = [
    ...old.slice(0, head).map(same),
    ...middle(old.slice(head, old.length - tail), fresh.slice(head, fresh.length - tail)),
    ...old.slice(old.length - tail).map(same),
  ];
  const shown: (Line | null)[] = [];
  all.forEach((line, at) => {
    const near = all.slice(Math.max(0, at - AROUND), at + AROUND + 1).some((other) => other.mark !== " ");
    if (near) shown.push(line);
    else if (shown.at(-1) !== null) shown.push(null);
  });
  return shown;
}
