// Pages that follow what happens ask for themselves again every few seconds. Nobody needs that in a
// tab that is not seen, and whoever reads can have it pause (WCAG 2.2, success criterion 2.2.2).
"use strict";
const KEY = "tactful.pause";
const pause = document.getElementById("pause");

if (pause && document.querySelector("#live[hx-get]")) {
  pause.checked = sessionStorage.getItem(KEY) === "yes";
  pause.closest("label").hidden = false;
  pause.addEventListener("change", () => sessionStorage.setItem(KEY, pause.checked ? "yes" : "no"));
}

document.addEventListener("htmx:before:request", event => {
  if (document.hidden || pause?.checked) event.preventDefault();
});
