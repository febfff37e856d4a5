// What every page needs: numbers for people, elements, tables whose columns sort, bars.

const $ = (id) => document.getElementById(id);
function ms(nanoseconds) {
  const value = nanoseconds / 1e6;
  return value >= 1000 ? (value / 1000).toFixed(2) + " s" : value >= 10 ? value.toFixed(1) + " ms" : value >= 0.01 ? value.toFixed(2) + " ms" : (value * 1000).toFixed(1) + " µs";
}
function size(bytes) {
  return bytes >= 1e10 ? (bytes / 1e9).toFixed(1) + " GB" : bytes >= 1e6 ? (bytes / 1e6).toFixed(2) + " MB" : bytes >= 1e3 ? (bytes / 1e3).toFixed(1) + " kB" : bytes + " B";
}
const number = (n) => n.toLocaleString("en-US").replaceAll(",", " ");
const percent = (part, whole) => (whole ? (100 * part / whole).toFixed(1) : "0.0");

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in made && name !== "style") made[name] = value; else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// A column is [title, key or function for sorting, function for the cell, is text].
function table(id, columns, rows, { sort = null, limit = 1000, chip = null, onRow = null } = {}) {
  const target = $(id);
  let by = sort, up = false;
  const keyOf = (column) => columns[column][1];
  const show = () => {
    const head = element("tr");
    columns.forEach(([title, , , isText], n) => {
      const button = element("button", { type: "button", textContent: title });
      const cell = element("th", { className: isText ? "text" : "" }, button);
      if (n === by) cell.setAttribute("aria-sort", up ? "ascending" : "descending");
      button.onclick = () => { up = n === by ? !up : !!isText; by = n; show(); target.querySelectorAll("th button")[n].focus(); };
      head.append(cell);
    });
    const list = by === null ? rows : [...rows].sort((a, b) => {
      const [left, right] = [keyOf(by)(a), keyOf(by)(b)];
      const order = typeof left === "string" ? left.localeCompare(right) : left - right;
      return up ? order : -order;
    });
    const body = element("tbody");
    for (const row of list.slice(0, limit)) {
      const line = element("tr");
      columns.forEach(([, key, cell, isText], n) => {
        const td = element("td", { className: isText ? "text" : "" });
        if (n === 0 && chip) td.append(element("i", { className: "chip", style: `background:${chip(row)}` }));
        td.append(String(cell ? cell(row) : key(row)));
        if (n === 0) td.title = td.textContent;
        line.append(td);
      });
      if (onRow) onRow(row, line);
      body.append(line);
    }
    target.replaceChildren(element("thead", {}, head), body);
    target.dataset.rows = list.length;
  };
  show();
}

function bar(id, parts, whole) {
  $(id).replaceChildren(...parts.map(({ text, share, back, title }) => {
    const part = element("span", { title, textContent: share / whole > 0.03 ? text : "" });
    part.style.cssText = `flex: ${share} 0 0; background: ${back}`;
    return part;
  }));
}
