// The buttons in the rows of the admin tables; see `admin_tables.py`. An action that cannot be undone
// needs two clicks: the first changes the button's label, the second acts.
window.chatbot.admin = (() => {
  const { say } = window.chatbot.page;
  const BUTTON = "#admin-view [data-act]";
  let wanted = { act: "", row: 0, tokens: null };
  let pressed = null;

  const calm = (button) => {
    if (button.dataset.words) button.textContent = button.dataset.words;
    delete button.dataset.words;
  };
  const press = (button) => {
    if ("asks" in button.dataset && !button.dataset.words) {
      button.dataset.words = button.textContent;
      button.textContent = say("sure");
      return;
    }
    calm(button);
    const { act, row } = button.dataset;
    const limit = button.parentElement.querySelector("input")?.value;
    wanted = { act, row: Number(row), tokens: limit ? Number(limit) : null };
    pressed = button;
    document.getElementById("admin-act")?.click();
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(BUTTON);
    if (button) press(button);
  });
  document.addEventListener("focusout", (event) => {
    if (event.target.matches?.(BUTTON)) calm(event.target);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || !event.target.matches?.("#admin-view .limit input")) return;
    event.preventDefault();
    press(event.target.parentElement.querySelector("button"));
  });

  // The table is written anew: the first button of the same row takes the focus.
  window.chatbot.watch(() => {
    if (!pressed || pressed.isConnected) return;
    document.querySelector(`${BUTTON}[data-row="${pressed.dataset.row}"]`)?.focus();
    pressed = null;
  });

  return { taken: () => [wanted.act, wanted.row, wanted.tokens] };
})();
