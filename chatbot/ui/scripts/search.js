// Starts the search after an input method has finished, not with its intermediate letters.
(() => {
  const BOX = "#search-sessions input";
  document.addEventListener("input", (event) => {
    if (event.isComposing && event.target.matches?.(BOX)) event.stopImmediatePropagation();
  }, true);
  document.addEventListener("compositionend", (event) => {
    if (!event.target.matches?.(BOX)) return;
    event.target.dispatchEvent(new InputEvent("input", { bubbles: true }));
  });
})();
