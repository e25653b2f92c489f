// What pages do beyond plain HTML; each works without it too.
"use strict";

// A form that must not be sent twice by a second click (the server would know it anyhow). Once it is on
// its way, since what a disabled button says is not sent.
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", () => setTimeout(() => {
    for (const button of form.querySelectorAll("button:not([type=button])")) button.disabled = true;
  }));
}

// A choice on which other fields depend shows them at once, by the button that does so without script.
for (const choice of document.querySelectorAll("select[data-shows]")) {
  const button = document.getElementById(choice.dataset.shows);
  button.hidden = true;
  choice.addEventListener("change", () => button.click());
}

// One more row of a list: the last row again, emptied, with the next number in its names.
for (const list of document.querySelectorAll("[data-rows]")) {
  const button = list.querySelector("[data-add-row]");
  button.hidden = false;
  button.addEventListener("click", () => {
    const rows = list.querySelectorAll(":scope > [data-row]");
    const fresh = rows[rows.length - 1].cloneNode(true);
    const place = list.dataset.rows + ".";
    for (const element of fresh.querySelectorAll("[name], [for], [id], [aria-describedby]")) {
      for (const name of ["name", "for", "id", "aria-describedby"]) {
        const value = element.getAttribute(name);
        if (value) element.setAttribute(name, value.replace(place + (rows.length - 1) + ".", place + rows.length + "."));
      }
      if ("value" in element && element.tagName !== "BUTTON") element.value = "";
    }
    button.before(fresh);
    fresh.querySelector("input, select, textarea")?.focus();
  });
}

// What scrolls sideways is reached by the keyboard too, and says what it is.
const reach = () => {
  for (const box of document.querySelectorAll(".table-responsive:not([role])")) {
    if (box.scrollWidth <= box.clientWidth) continue;
    const title = box.querySelector("caption")?.textContent || box.previousElementSibling?.textContent;
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", (title || document.title).trim().slice(0, 100));
  }
};
reach();
addEventListener("resize", reach);

// A job's progress, asked for until it is done; the page that is loaded then tells the outcome.
const job = document.querySelector("[data-job]");
if (job) {
  const bar = job.querySelector("progress");
  const told = job.querySelector("[data-told]");
  const ask = async () => {
    try {
      const answer = await fetch(job.dataset.job, { headers: { Accept: "application/json" } });
      const now = await answer.json();
      if (now.state === "done" || now.state === "failed") { location.reload(); return; }
      if (now.total_count > 0) { bar.max = now.total_count; bar.value = now.done_count; }
      told.textContent = now.total_count > 0 ? `${now.done_count} / ${now.total_count}` : "";
    } catch { /* the site may be restarting: ask again */ }
    setTimeout(ask, 1000);
  };
  setTimeout(ask, 500);
}

// A form that was refused begins again at the first field that is wrong, else at what was said of it.
const refused = document.querySelector("main form[method=post]")
  && (document.querySelector("main [aria-invalid=true]") || document.querySelector("main .alert-danger[role=alert]"));
if (refused) {
  if (!refused.matches("input, select, textarea")) refused.tabIndex = -1;
  refused.focus();
}
