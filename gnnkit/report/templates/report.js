(() => {
  const root = document.documentElement;
  const theme = document.getElementById("theme");
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches;
    root.dataset.theme = dark ? "light" : "dark";
  });

  // Of several tables one is shown; without this script all are.
  for (const group of document.querySelectorAll(".choices")) {
    const segments = group.querySelector(":scope > .segments");
    if (!segments) continue;
    const blocks = [...group.querySelectorAll(":scope > .choice")];
    const show = (name) => {
      for (const block of blocks) block.hidden = name !== "all" && block.dataset.choice !== name;
      for (const button of segments.children) button.setAttribute("aria-pressed", String(button.dataset.show === name));
    };
    segments.hidden = false;
    segments.addEventListener("click", (event) => { if (event.target.dataset.show) show(event.target.dataset.show); });
    show(segments.dataset.first);
  }

  // First click: ascending, second: descending, third: the order of the file.
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const headers = [...table.tHead.querySelectorAll("th[data-column]")];
    const key = (row, column) => {
      const cell = row.cells[column];
      return cell.dataset.value === undefined ? cell.textContent.trim() : cell.dataset.value;
    };
    const number = (text) => (/^[-+]?(\d|\.\d)[\d.]*(e[-+]?\d+)?$/i.test(text) ? Number(text) : null);
    const compare = (a, b) => {
      const [x, y] = [number(a), number(b)];
      return x !== null && y !== null ? x - y : a.localeCompare(b, "en", { numeric: true });
    };
    for (const header of headers) {
      const column = Number(header.dataset.column);
      header.querySelector("button").addEventListener("click", () => {
        const next = { ascending: "descending", descending: "none" }[header.getAttribute("aria-sort")] || "ascending";
        for (const other of headers) other.removeAttribute("aria-sort");
        const sorted = [...original];
        if (next !== "none") {
          header.setAttribute("aria-sort", next);
          sorted.sort((a, b) => {
            const [x, y] = [key(a, column), key(b, column)];
            if (x === "" || y === "") return (x === "") - (y === "");  // no value: always last
            return (next === "descending" ? -1 : 1) * compare(x, y);
          });
        }
        table.classList.toggle("sorted", next !== "none");
        body.append(...sorted);
      });
    }
  }

  // The values of the figures, at the pointer or under a finger.
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const grids = new Map();
  const words = (target, event) => {
    if (target.dataset.tip) return target.dataset.tip;
    if (!grids.has(target)) grids.set(target, JSON.parse(target.dataset.grid));
    const { rows, columns, values } = grids.get(target);
    const box = target.getBoundingClientRect();
    const at = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
    const row = at((event.clientY - box.top) / box.height, rows.length);
    const column = at((event.clientX - box.left) / box.width, columns.length);
    const value = values[row][column];
    return `${rows[row]}, ${columns[column]}: ${value === null ? "nothing observed" : String(value).replace("-", "−")}`;
  };
  const follow = (event) => {
    const target = event.target.closest ? event.target.closest(".hit") : null;
    tip.hidden = !target;
    if (!target) return;
    tip.textContent = words(target, event);
    const [width, height] = [tip.offsetWidth, tip.offsetHeight];
    const left = Math.min(event.clientX + 12, root.clientWidth - width - 6);
    const top = event.clientY - height - 12;
    tip.style.left = `${Math.max(6, left)}px`;
    tip.style.top = `${top < 6 ? event.clientY + 18 : top}px`;
  };
  document.addEventListener("pointermove", follow);
  document.addEventListener("pointerdown", follow);
  document.addEventListener("scroll", () => { tip.hidden = true; }, { capture: true, passive: true });
})();
