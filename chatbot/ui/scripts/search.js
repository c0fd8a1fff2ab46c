// The search looks for words, not for the letters by which an input method finds them.
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
