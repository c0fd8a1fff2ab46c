// Wide code and tables scroll; with a keyboard, by the arrow keys after Tab has focused them. Narrow
// ones do not take the focus.
(() => {
  const WIDE = "#chatbot .md pre, #chatbot .md .table";
  // To measure costs: it is done when the page has stood still, not while a reply grows.
  const STILL = 300;
  let due;
  const measure = () => {
    for (const box of document.querySelectorAll(WIDE)) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  const later = () => {
    clearTimeout(due);
    due = setTimeout(measure, STILL);
  };
  window.chatbot.watch(later);
  window.addEventListener("resize", later);
})();
