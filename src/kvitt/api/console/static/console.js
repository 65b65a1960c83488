// Keys and copying; every page works without it. No key performs an act.
"use strict";

(() => {
  const say = (text) => {
    document.getElementById("said").textContent = text;
  };
  const isWriting = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;
  let awaitsLetter = false;

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      say("copied");
    } catch {
      say("this browser does not let pages copy");
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event.target)) return;
    const pages = [...document.querySelectorAll("a[data-key]")];
    if (awaitsLetter) {
      awaitsLetter = false;
      pages.find((page) => page.dataset.key === event.key)?.click();
    } else if (event.key === "g") {
      awaitsLetter = true;
    } else if (event.key === "/") {
      const box = document.getElementById("find");
      if (!box) return;
      event.preventDefault();
      box.focus();
    } else if (event.key === "?") {
      say(pages.map((page) => `g ${page.dataset.key}: ${page.textContent}`).join(" · "));
    }
  });
})();
