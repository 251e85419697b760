// Keeps the page up to date while it is open, and adds keys. Without it everything still works.
"use strict";
(() => {
  const main = document.getElementById("main");
  const said = document.getElementById("said");
  const dot = document.getElementById("live-dot");
  const live = (document.body.dataset.live || "").split(" ").filter(Boolean);
  let timer = 0;

  const isBusy = () => {
    const at = document.activeElement;
    const fields = [...main.querySelectorAll("input:not([type=search]):not([type=hidden]), textarea")];
    // What somebody has typed is not taken away.
    return fields.some((field) => field === at || field.value !== field.defaultValue);
  };

  // Replaces what has changed, card by card where there are cards, and keeps focus and scroll.
  const show = (fresh) => {
    const focused = document.activeElement && document.activeElement.id;
    const open = [...main.querySelectorAll("details[open]")].map((one) => one.id);
    const scrolled = document.getElementById("board");
    const left = scrolled ? scrolled.scrollLeft : 0;
    const before = new Map([...main.querySelectorAll(".card[id]")].map((one) => [one.id, one.innerHTML]));
    const sought = document.getElementById("filter");
    const text = sought ? sought.value : "";
    if (main.innerHTML === fresh.innerHTML) return false;
    main.replaceChildren(...document.importNode(fresh, true).childNodes);
    open.forEach((id) => { const one = document.getElementById(id); if (one) one.open = true; });
    const board = document.getElementById("board");
    if (board) board.scrollLeft = left;
    let changed = 0;
    main.querySelectorAll(".card[id]").forEach((one) => {
      if (before.size && before.get(one.id) !== one.innerHTML) { one.classList.add("changed"); changed += 1; }
    });
    const filter = document.getElementById("filter");
    if (filter && text) { filter.value = text; narrow(); }
    const again = focused && document.getElementById(focused);
    if (again) again.focus({ preventScroll: true });
    if (changed) said.textContent = changed === 1 ? "1 card changed" : `${changed} cards changed`;
    return true;
  };

  const refresh = async () => {
    timer = 0;
    if (isBusy()) { later(2000); return; }
    try {
      const answer = await fetch(location.pathname + location.search, { credentials: "same-origin" });
      if (answer.redirected && new URL(answer.url).pathname === "/login") { location.assign("/login"); return; }
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("main");
      if (fresh) show(fresh);
      const [now, then] = [document.querySelector(".side nav"), page.querySelector(".side nav")];
      if (now && then && now.innerHTML !== then.innerHTML && !now.contains(document.activeElement)) {
        now.replaceChildren(...document.importNode(then, true).childNodes);
      }
    } catch (_) { /* The server is gone for the moment; the stream says when it is back. */ }
  };

  const later = (ms) => { if (!timer) timer = setTimeout(refresh, ms); };

  const listen = () => {
    const stream = new EventSource("/api/v1/events");
    stream.addEventListener("open", () => { dot.classList.add("on"); dot.title = "Live"; });
    stream.addEventListener("error", () => { dot.classList.remove("on"); dot.title = "Not live"; });
    let was = false;
    stream.addEventListener("open", () => { if (was) later(100); was = true; });
    ["run", "pending", "board", "reload", "agent"].forEach((kind) => {
      stream.addEventListener(kind, () => { if (live.includes(kind) || kind === "pending") later(200); });
    });
  };

  const narrow = () => {
    const filter = document.getElementById("filter");
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    main.querySelectorAll(".card[data-text]").forEach((card) => {
      const text = card.dataset.text.toLowerCase();
      card.hidden = !words.every((word) => text.includes(word));
    });
  };

  // Moves from card to card: along a column, or to the nearest in the column beside.
  const move = (from, key) => {
    const column = from.closest(".column");
    const shown = (one) => [...one.querySelectorAll(".card")].filter((card) => card.offsetParent !== null);
    const cards = shown(column);
    const at = cards.indexOf(from);
    if (key === "ArrowDown" || key === "j") return cards[at + 1];
    if (key === "ArrowUp" || key === "k") return cards[at - 1];
    const columns = [...document.querySelectorAll(".column")];
    const step = key === "ArrowRight" || key === "l" ? 1 : -1;
    for (let n = columns.indexOf(column) + step; n >= 0 && n < columns.length; n += step) {
      const beside = shown(columns[n]);
      if (beside.length) return beside[Math.min(at, beside.length - 1)];
    }
    return null;
  };

  const pages = { b: "/", p: "/pending", r: "/runs", s: "/skills", c: "/schedules", i: "/inbox", a: "/agents", u: "/audit" };
  let going = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target;
    if (at.matches("input, textarea, select")) {
      if (event.key === "Escape") at.blur();
      return;
    }
    if (going) {
      going = false;
      if (pages[event.key]) { event.preventDefault(); location.assign(pages[event.key]); }
      return;
    }
    if (event.key === "g") { going = true; setTimeout(() => { going = false; }, 1000); return; }
    const filter = document.getElementById("filter");
    if (event.key === "/" && filter) { event.preventDefault(); filter.focus(); return; }
    if (["ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight", "h", "j", "k", "l"].includes(event.key)) {
      const card = at.closest(".card") || null;
      const next = card ? move(card, event.key) : (event.key.length === 1 ? document.querySelector(".card") : null);
      if (next) { event.preventDefault(); next.focus(); }
    }
    if (event.key === "Enter" && at.classList.contains("card")) {
      const link = at.querySelector(".proposal, .open");
      if (link && at.tagName !== "A") link.click();
    }
  });
  document.addEventListener("input", (event) => { if (event.target.id === "filter") narrow(); });
  // Nothing is sent twice by a double click.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => { delete form.dataset.sent; }, 5000);
  });
  if (dot && live.length) {
    listen();
    const board = document.querySelector("[data-every]");
    if (board) setInterval(() => { if (!document.hidden) later(0); }, Number(board.dataset.every) * 1000);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) later(0); });
  }
})();
