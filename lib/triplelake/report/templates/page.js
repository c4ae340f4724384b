"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const documents = all(".document");
  const buttons = all("#relations [data-r]");
  const filter = document.getElementById("filter");
  const hidden = document.getElementById("hidden");
  const off = new Set();

  const texts = new Map(documents.map((each) => [each, each.textContent.normalize("NFKC").toLowerCase()]));

  function show() {
    const wanted = filter.value.normalize("NFKC").toLowerCase().trim();
    let gone = 0;
    for (const each of documents) {
      const away = !texts.get(each).includes(wanted);
      each.classList.toggle("off", away);
      gone += away;
      const items = all(".triples li", each);
      for (const item of items) item.classList.toggle("off", off.has(item.dataset.r));
      for (const mark of all("mark", each)) {
        // The colour of the first triple here that is shown.
        const first = mark.dataset.t.split(" ").map((t) => items[t].dataset.r).find((r) => !off.has(r));
        mark.className = first === undefined ? "off" : "c" + first;
      }
    }
    for (const line of all(".line")) line.classList.toggle("off", off.has(line.dataset.r));
    for (const button of buttons) button.setAttribute("aria-pressed", String(!off.has(button.dataset.r)));
    hidden.textContent = gone ? hidden.dataset.words.replace("{hidden}", gone) : "";
  }

  function point(article, numbers, on) {
    for (const mark of all("mark", article))
      if (mark.dataset.t.split(" ").some((t) => numbers.includes(t))) mark.classList.toggle("on", on);
    for (const item of all(".triples li", article))
      if (numbers.includes(item.dataset.t)) item.classList.toggle("on", on);
  }

  for (const article of documents)
    for (const each of all("[data-t]", article)) {
      const numbers = each.dataset.t.split(" ");
      for (const event of ["mouseenter", "focus"]) each.addEventListener(event, () => point(article, numbers, true));
      for (const event of ["mouseleave", "blur"]) each.addEventListener(event, () => point(article, numbers, false));
    }

  for (const button of all("#relations button"))
    button.addEventListener("click", () => {
      const chosen = button.dataset.r;
      if (chosen === undefined) {
        off.clear();
        if (button.dataset.all === "0") for (const each of buttons) off.add(each.dataset.r);
      } else if (!off.delete(chosen)) off.add(chosen);
      show();
    });
  filter.addEventListener("input", show);

  function go(step) {
    const shown = documents.filter((each) => !each.classList.contains("off"));
    const now = shown.findIndex((each) => each.contains(document.activeElement));
    const next = shown[now < 0 ? (step > 0 ? 0 : shown.length - 1) : now + step];
    if (next) { next.focus({ preventScroll: true }); next.scrollIntoView({ block: "start" }); }
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") { filter.value = ""; filter.blur(); show(); return; }
    if (event.target === filter) return;
    if (event.key === "j") go(1);
    else if (event.key === "k") go(-1);
    else if (event.key === "/") { event.preventDefault(); filter.focus(); }
  });
})();
