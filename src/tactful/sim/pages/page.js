// Repeats what a mark says below its plot, also for fingers, which see no tooltips.
for (const holder of document.querySelectorAll("figure, article")) {
  const readout = holder.querySelector(".readout");
  holder.addEventListener("pointerover", (event) => {
    const title = event.target.closest(".hit, .mark")?.querySelector("title");
    if (title) {
      readout.textContent = title.textContent;
      readout.hidden = false;
    }
  });
}
