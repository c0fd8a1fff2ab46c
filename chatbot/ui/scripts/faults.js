// Links an error to its field: the field is marked as invalid, refers to the message and gets the
// focus, until the user types in it.
window.chatbot.faults = (() => {
  const FIELDS = {
    login_refused: ["login-password", "login-name"],
    bad_name: ["register-name"],
    mixed_scripts: ["register-name"],
    name_taken: ["register-name"],
    bad_password: ["register-password"],
    invitation_refused: ["register-invite"],
  };
  const WHY = "auth-error";
  const field = (id) => document.querySelector(`#${id} input`);
  const clear = (input) => {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  };

  document.addEventListener("input", ({ target }) => {
    if (target.closest?.("#auth-view") && target.hasAttribute("aria-invalid")) clear(target);
  });

  return {
    // `code` is empty when all went well.
    show: (code) => {
      for (const input of document.querySelectorAll("#auth-view [aria-invalid]")) clear(input);
      const wrong = (FIELDS[code] ?? []).map(field).filter(Boolean);
      for (const input of wrong) {
        input.setAttribute("aria-invalid", "true");
        input.setAttribute("aria-describedby", WHY);
      }
      wrong[0]?.focus();
    },
  };
})();
