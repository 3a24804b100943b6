"use strict";
(() => {
  const rows = JSON.parse(document.getElementById("rows").textContent);
  const decisions = new Map();
  const keyOf = (row) => [row.series_id, row.template, row.target].join("\u0000");
  const text = (value) => (value === null || value === undefined ? "" : String(value));
  const three = (values, between) => (values[0] === null ? "" : values.map((n) => n.toFixed(0)).join(between));

  // Name, what a row is sorted by, what its cell shows, class of the cell.
  const columns = [
    ["score", (r) => (r.score === null ? -1 : r.score), (r) => text(r.score), "number"],
    ["thumbnail", null, null, ""],
    ["target", (r) => r.target, (r) => r.target, ""],
    ["status", (r) => r.status, (r) => r.status, ""],
    ["series", (r) => r.path, null, "path"],
    ["size mm", (r) => (r.size[0] === null ? -1 : r.size[0] * r.size[1] * r.size[2]), (r) => three(r.size, " × "), "number"],
    ["centre mm", (r) => (r.center[2] === null ? -1e9 : r.center[2]), (r) => three(r.center, ", "), "number"],
    ["spread mm", (r) => (r.spread === null ? -1 : r.spread), (r) => text(r.spread), "number"],
    ["cycle mm", (r) => (r.cycle === null ? -1 : r.cycle), (r) => text(r.cycle), "number"],
    ["why", (r) => r.reason, (r) => r.reason, "reason"],
    ["decision", (r) => text(decisions.get(keyOf(r))), (r) => text(decisions.get(keyOf(r))), ""],
  ];
  const sorting = { column: 0, down: true };
  let shown = [];
  let selected = 0;

  const byId = (id) => document.getElementById(id);
  const body = document.querySelector("#answers tbody");

  function cell(row, column) {
    const [name, , show, kind] = column;
    const td = document.createElement("td");
    td.className = kind;
    if (name === "thumbnail") {
      if (row.picture) {
        const image = document.createElement("img");
        image.src = row.picture;
        image.alt = `${row.target} in three slices`;
        td.append(image);
      }
    } else if (name === "series") {
      const link = document.createElement("a");
      link.textContent = row.path;
      if (row.link) link.href = row.link;
      link.title = row.series_id;
      td.append(link);
    } else {
      td.textContent = show(row);
    }
    return td;
  }

  function matches(row) {
    const decision = decisions.get(keyOf(row)) || "open";
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const where = [row.path, row.series_id, row.target, row.template, row.reason].join(" ").toLowerCase();
    return (
      (!byId("target").value || row.target === byId("target").value) &&
      (!byId("status").value || row.status === byId("status").value) &&
      (!byId("decision").value || decision === byId("decision").value) &&
      words.every((word) => where.includes(word))
    );
  }

  function compare(a, b) {
    const value = columns[sorting.column][1];
    const [x, y] = [value(a), value(b)];
    const order = typeof x === "number" ? x - y : String(x).localeCompare(String(y));
    return sorting.down ? -order : order;
  }

  function draw() {
    const kept = shown[selected];
    shown = rows.filter(matches).sort(compare);
    selected = Math.max(0, shown.indexOf(kept));
    body.replaceChildren(
      ...shown.map((row, n) => {
        const tr = document.createElement("tr");
        tr.append(...columns.map((column) => cell(row, column)));
        tr.addEventListener("click", () => select(n));
        return tr;
      }),
    );
    mark();
  }

  function mark() {
    [...body.rows].forEach((tr, n) => {
      const decision = decisions.get(keyOf(shown[n]));
      tr.className = [n === selected ? "selected" : "", decision || ""].join(" ").trim();
      tr.setAttribute("aria-selected", String(n === selected));
      tr.lastElementChild.textContent = text(decision);
    });
    byId("count").textContent = `${shown.length} of ${rows.length} shown, ${decisions.size} decided`;
  }

  function select(n) {
    if (!shown.length) return;
    selected = Math.min(Math.max(n, 0), shown.length - 1);
    mark();
    body.rows[selected].scrollIntoView({ block: "nearest" });
  }

  function decide(decision) {
    const row = shown[selected];
    if (!row) return;
    if (decision) decisions.set(keyOf(row), decision);
    else decisions.delete(keyOf(row));
    if (decision && !byId("decision").value) select(selected + 1);
    else if (byId("decision").value) draw();
    mark();
  }

  function quoted(value) {
    // A cell that begins like a formula would be run by spreadsheets.
    const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
    return `"${safe.replaceAll('"', '""')}"`;
  }

  function download() {
    const lines = [["series_id", "path", "template", "target", "status", "decision"]];
    for (const row of rows) {
      const decision = decisions.get(keyOf(row));
      if (decision) lines.push([row.series_id, row.path, row.template, row.target, row.status, decision]);
    }
    const csv = lines.map((line) => line.map(quoted).join(",")).join("\n") + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv], { type: "text/csv" }));
    link.download = "decisions.csv";
    link.click();
    URL.revokeObjectURL(link.href);
  }

  function head() {
    const cells = columns.map(([name, value], n) => {
      const th = document.createElement("th");
      th.scope = "col";
      if (!value) {
        th.textContent = name;
        return th;
      }
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.addEventListener("click", () => {
        sorting.down = sorting.column === n ? !sorting.down : typeof value(rows[0] || {}) === "number";
        sorting.column = n;
        [...th.parentElement.cells].forEach((one) => one.removeAttribute("aria-sort"));
        th.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
        draw();
      });
      th.append(button);
      return th;
    });
    document.querySelector("#answers thead tr").append(...cells);
  }

  function options(id, values) {
    for (const value of [...new Set(values)].sort()) byId(id).append(new Option(value, value));
  }

  const keys = {
    j: () => select(selected + 1),
    ArrowDown: () => select(selected + 1),
    k: () => select(selected - 1),
    ArrowUp: () => select(selected - 1),
    a: () => decide("accept"),
    r: () => decide("reject"),
    u: () => decide(""),
    d: download,
  };
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    const action = keys[event.key];
    if (typing || !action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });
  window.addEventListener("beforeunload", (event) => {
    if (decisions.size) event.preventDefault();
  });

  options("target", rows.map((row) => row.target));
  options("status", rows.map((row) => row.status));
  for (const id of ["search", "target", "status", "decision"]) byId(id).addEventListener("input", draw);
  byId("download").addEventListener("click", download);
  if (rows.length) head();
  draw();
  // Figures were drawn before there was a second column beside the first.
  window.addEventListener("load", () => window.dispatchEvent(new Event("resize")));
})();
