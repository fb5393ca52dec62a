"use strict";
(() => {
  const one = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const rows = all("[data-status]").map((element) => ({ element, statuses: element.dataset.status.split(" "), text: null }));
  const groups = all("details.group, #failures, #requirements, #pci, #checks");
  const buttons = all("button[data-filter]");
  const query = one("query");
  const closed = new Map();
  let wanted = "";

  const matches = (row, words) => {
    if (wanted && !row.statuses.includes(wanted)) return false;
    if (words.length === 0) return true;
    row.text ??= row.element.textContent.toLowerCase();
    return words.every((word) => row.text.includes(word));
  };

  const filter = () => {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const active = wanted !== "" || words.length > 0;
    let checks = 0;
    for (const row of rows) {
      row.element.hidden = !matches(row, words);
      if (!row.element.hidden && row.element.classList.contains("check")) checks++;
    }
    for (const group of groups) {
      group.hidden = active && !group.querySelector("[data-status]:not([hidden])");
      if (group.tagName !== "DETAILS") continue;
      if (active && !closed.has(group)) closed.set(group, !group.open);
      if (active) group.open = true;
      else if (closed.has(group)) group.open = !closed.get(group);
    }
    if (!active) closed.clear();
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.filter === wanted));
    if (one("map")) one("map").hidden = active;
    one("none").hidden = !active || rows.some((row) => !row.element.hidden);
    one("found").textContent = active ? `${checks} ${checks === 1 ? "check" : "checks"} shown` : "";
  };

  const show = (status, text) => {
    wanted = status;
    query.value = text;
    filter();
  };

  // A link to a check leads there even where the check is folded or filtered away.
  const follow = () => {
    const target = location.hash && one(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.closest("[hidden]")) show("", "");
    for (let it = target.parentElement; it; it = it.parentElement) if (it.tagName === "DETAILS") it.open = true;
    target.scrollIntoView({ behavior: "instant" });
    if (target.classList.contains("check")) target.focus({ preventScroll: true });
  };

  const theme = one("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const paint = () => theme.setAttribute("aria-pressed", String(dark()));
  const stored = (act) => {
    try { return act(localStorage); } catch { return null; }
  };
  const kept = stored((storage) => storage.getItem("tapstack-theme"));
  if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
  theme.addEventListener("click", () => {
    const next = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    stored((storage) => storage.setItem("tapstack-theme", next));
    paint();
  });
  system.addEventListener("change", paint);

  for (const button of buttons) button.addEventListener("click", () => show(button.dataset.filter, query.value));
  query.addEventListener("input", filter);
  query.addEventListener("keydown", (event) => {
    if (event.key === "Escape") show(wanted, "");
  });
  one("clear").addEventListener("click", () => show("", ""));
  addEventListener("hashchange", follow);

  // Paper has nothing to click: everything is open while it is printed.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    for (const it of folded) it.open = true;
  });
  addEventListener("afterprint", () => {
    for (const it of folded) it.open = false;
  });

  one("controls").hidden = false;
  paint();
  follow();
})();
