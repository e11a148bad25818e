// Comforts for browsers with scripts: buttons that copy, and states that keep themselves up to date.
"use strict";

for (const box of document.querySelectorAll(".copy")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small copier";
  button.textContent = "Copy";
  const text = box.querySelector("code").textContent;
  button.setAttribute("aria-label", `Copy ${text.split("\n")[0]}`);
  button.addEventListener("click", () => {
    void copied(text, box).then((done) => {
      button.textContent = done ? "Copied" : "Press Ctrl+C";
      setTimeout(() => {
        button.textContent = "Copy";
      }, 2000);
    });
  });
  box.append(button);
}

/** Without TLS, browsers have no clipboard for pages: then the text is selected and the old command tried. */
async function copied(text, box) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection().selectAllChildren(box.querySelector("code"));
    return document.execCommand("copy");
  }
}

const live = [...document.querySelectorAll("[data-state]")];
if (live.length > 0) {
  setInterval(() => void refresh(), 5000);

  const refresh = async () => {
    if (document.visibilityState !== "visible") return;
    try {
      const answer = await fetch(location.pathname, { headers: { Accept: "application/json" } });
      if (!answer.ok) return;
      const { endpoints } = await answer.json();
      for (const { id, kind, state, status } of endpoints) {
        const place = live.find(({ dataset }) => dataset.state === `${kind} ${id}`);
        if (place === undefined || status === undefined || place.textContent === status) continue;
        place.textContent = status;
        place.className = `state ${state}`;
      }
    } catch {
      // The proxy is being started again, or the network is away; the next try comes soon.
    }
  };
}
