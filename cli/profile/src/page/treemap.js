// The output by crate or archive, object and section: areas are bytes. Each area is a button, so keys reach it.

const tree = { at: [] };

// The areas of a place: the output, a group, an object.
function areas(at) {
  const [group, input] = at;
  if (group === undefined) {
    const list = groups.map((group) => ({ name: group.name, bytes: inFile(group.written), kind: largest(group.written), go: [group.n] }));
    list.push({ name: "(linker: headers, tables, padding)", bytes: inFile(written[inputCount]), kind: "other", go: [-1] });
    return list;
  }
  const of = group === -1 ? inputCount : input;
  if (of === undefined) return groups[group].inputs.map((input) => ({ name: shortName(input), bytes: inFile(written[input]), kind: largest(written[input]), go: [group, input] }));
  return portions[of].filter(([, kind]) => kind !== "bss").map(([name, kind, bytes]) => ({ name, bytes, kind, go: null }));
}
const largest = (bytes) => KINDS[bytes.reduce((best, n, kind) => (kind !== 3 && n > bytes[best] ? kind : best), 0)];
function shortName(input) {
  const member = profile.inputs.member[input];
  return member ? profile.names[member - 1] : inputName(input).split("/").pop();
}

// Squarified: rows of areas, each row as square as it gets.
function squarify(items, x, y, width, height, put) {
  let rest = items.filter((item) => item.bytes > 0).sort((a, b) => b.bytes - a.bytes);
  let left = rest.reduce((sum, item) => sum + item.bytes, 0);
  while (rest.length && left > 0) {
    const short = Math.min(width, height), scale = width * height / left;
    let row = [], sum = 0, best = Infinity;
    for (const item of rest) {
      const next = sum + item.bytes, length = next * scale / short;
      const worst = Math.max(length / ((row.length ? row[row.length - 1].bytes : item.bytes) * scale / length), row.length ? row[0].bytes * scale / length / length : 0, item.bytes * scale / length / length, length * length / (item.bytes * scale));
      if (worst > best) break;
      best = worst; row.push(item); sum = next;
    }
    const length = sum * scale / short;
    let along = 0;
    for (const item of row) {
      const part = item.bytes / sum * short;
      if (width >= height) put(item, x, y + along, length, part); else put(item, x + along, y, part, length);
      along += part;
    }
    if (width >= height) { x += length; width -= length; } else { y += length; height -= length; }
    left -= sum; rest = rest.slice(row.length);
  }
}

function drawTree(focus = false) {
  const target = $("treemap"), box = target.getBoundingClientRect();
  const list = areas(tree.at), whole = list.reduce((sum, area) => sum + area.bytes, 0);
  // Areas too small to see are one.
  const shown = list.filter((area) => area.bytes > whole / 1500), small = list.filter((area) => area.bytes && area.bytes <= whole / 1500);
  if (small.length) shown.push({ name: `(${number(small.length)} smaller)`, bytes: small.reduce((sum, area) => sum + area.bytes, 0), kind: "other", go: null });
  const made = [];
  squarify(shown, 0, 0, box.width, box.height, (area, x, y, width, height) => {
    const button = element("button", { type: "button", title: `${area.name}\n${size(area.bytes)}, ${percent(area.bytes, outputSize)} % of the output` });
    button.style.cssText = `left:${x}px;top:${y}px;width:${width}px;height:${height}px;background:${kindColour[area.kind]}`;
    if (width > 40 && height > 15) button.append(area.name, height > 32 ? element("br") : " ", height > 32 ? size(area.bytes) : "");
    button.dataset.name = area.name;
    button.dataset.bytes = area.bytes;
    if (view.words && area.name.toLowerCase().includes(view.words)) button.className = "match";
    button.onclick = () => { if (area.go) goTo(area.go, true); };
    made.push(button);
  });
  target.replaceChildren(...made);
  target.dataset.level = tree.at.length;
  const names = ["output", ...tree.at.map((n, level) => (level === 0 ? (n === -1 ? "(linker)" : groups[n].name) : shortName(n)))];
  $("crumbs").replaceChildren(...names.flatMap((name, level) => {
    const crumb = element("button", { type: "button", textContent: name, onclick: () => goTo(tree.at.slice(0, level), true) });
    return level ? [" › ", crumb] : [crumb];
  }), element("span", { className: "soft", textContent: `  ${size(whole)}` }));
  if (focus && made.length) made[0].focus({ preventScroll: true });
}
function goTo(at, focus = false) { tree.at = at; drawTree(focus); }

$("treemap").onkeydown = (event) => {
  const buttons = [...$("treemap").children], now = document.activeElement;
  if (event.key === "Backspace" || event.key === "Escape") { if (tree.at.length) { event.preventDefault(); goTo(tree.at.slice(0, -1), true); } return; }
  const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!direction || !buttons.includes(now)) return;
  event.preventDefault();
  // The nearest area that lies in the direction.
  const middle = (button) => { const box = button.getBoundingClientRect(); return [box.left + box.width / 2, box.top + box.height / 2]; };
  const [x, y] = middle(now);
  let best = null, least = Infinity;
  for (const button of buttons) {
    const [left, top] = middle(button), along = (left - x) * direction[0] + (top - y) * direction[1];
    const across = Math.abs((left - x) * direction[1]) + Math.abs((top - y) * direction[0]);
    if (along > 1 && along + 2 * across < least) { least = along + 2 * across; best = button; }
  }
  if (best) best.focus();
};

function kindBar() {
  const sums = new Float64Array(KINDS.length);
  written.forEach((of) => of.forEach((bytes, kind) => { sums[kind] += bytes; }));
  const parts = KINDS.map((kind, n) => ({ text: `${kind} ${size(sums[n])}`, share: n === 3 ? 0 : sums[n], back: kindColour[kind], title: `${kind}: ${size(sums[n])}, ${percent(sums[n], outputSize)} %` }));
  bar("kinds", parts.filter((part) => part.share), outputSize || 1);
}
