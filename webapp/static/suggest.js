// Titles suggested while somebody types in the search of the catalogue; it works without this too.
"use strict";

for (const box of document.querySelectorAll("[data-suggest]")) {
  const input = box.querySelector("input");
  const list = document.createElement("ul");
  list.id = "suggestions";
  list.className = "dropdown-menu sz-suggestions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", box.dataset.label);
  input.after(list);
  for (const [name, value] of [["role", "combobox"], ["aria-autocomplete", "list"], ["aria-expanded", "false"], ["aria-controls", list.id]]) {
    input.setAttribute(name, value);
  }
  let chosen = -1, asked = 0, timer = 0;

  const show = (open) => {
    list.classList.toggle("show", open);
    input.setAttribute("aria-expanded", String(open));
    if (!open) { chosen = -1; input.removeAttribute("aria-activedescendant"); }
  };
  const mark = (place) => {
    chosen = place;
    [...list.children].forEach((one, n) => {
      one.classList.toggle("active", n === place);
      one.setAttribute("aria-selected", String(n === place));
    });
    if (place >= 0) input.setAttribute("aria-activedescendant", list.children[place].id);
    else input.removeAttribute("aria-activedescendant");
  };
  const take = (title) => { input.value = title; show(false); input.form.requestSubmit(); };
  const ask = async () => {
    const number = ++asked;
    const words = input.value.trim();
    if (!words) { show(false); return; }
    try {
      const answer = await fetch(`${box.dataset.suggest}?words=${encodeURIComponent(words)}`);
      const found = answer.ok ? (await answer.json()).items : [];
      if (number !== asked || document.activeElement !== input) return;
      list.replaceChildren(...found.map((one, n) => {
        const item = document.createElement("li");
        item.id = `suggestion-${n}`;
        item.className = "dropdown-item";
        item.setAttribute("role", "option");
        item.setAttribute("aria-selected", "false");
        item.textContent = one.title;
        item.addEventListener("mousedown", (event) => { event.preventDefault(); take(one.title); });
        return item;
      }));
      mark(-1);
      show(found.length > 0);
    } catch { show(false); }
  };

  input.addEventListener("input", (event) => {
    clearTimeout(timer);
    if (!event.isComposing) timer = setTimeout(ask, 150);
  });
  input.addEventListener("compositionend", () => { clearTimeout(timer); timer = setTimeout(ask, 150); });
  input.addEventListener("blur", () => { asked++; show(false); });
  input.addEventListener("keydown", (event) => {
    const count = list.children.length;
    if (!list.classList.contains("show") || event.isComposing) return;
    if (event.key === "ArrowDown") mark(chosen + 1 < count ? chosen + 1 : -1);
    else if (event.key === "ArrowUp") mark(chosen < 0 ? count - 1 : chosen - 1);
    else if (event.key === "Enter" && chosen >= 0) take(list.children[chosen].textContent);
    else if (event.key === "Escape") show(false);
    else return;
    event.preventDefault();
  });
}

// On a phone the filters begin closed.
if (window.matchMedia("(max-width: 61.99rem)").matches) {
  for (const one of document.querySelectorAll("[data-narrow-closed]")) one.open = false;
}
