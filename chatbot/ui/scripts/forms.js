// Password managers need a form with named fields and a submit button. Gradio has no forms, and it
// clears the attributes of password fields. So a form is added beside Gradio's elements, which refer
// to it. Submitting it clicks its button; the page is never left.
window.chatbot.forms = (() => {
  const FORMS = {
    "login-form": {
      fields: { "login-name": "username", "login-password": "current-password" },
      button: "login-submit",
    },
    "register-form": {
      fields: { "register-name": "username", "register-password": "new-password", "register-invite": "off" },
      button: "register-submit",
    },
    // Whose password it is stands in no field.
    "password-form": {
      fields: { "current-password": "current-password", "next-password": "new-password" },
      button: "change-password",
      ofAccount: true,
    },
  };
  // To delete the account takes a click, not an Enter.
  const ALONE = { "delete-password": "current-password" };

  const give = (element, facts) => {
    for (const [name, value] of Object.entries(facts)) {
      if (element.getAttribute(name) !== value) element.setAttribute(name, value);
    }
  };

  const made = (id, button, ofAccount) => {
    const form = document.createElement("form");
    form.id = id;
    form.noValidate = true;
    form.hidden = true;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      // A click submits, too, and has been heard already.
      if (!event.submitter) document.getElementById(button)?.click();
    });
    if (ofAccount) {
      const name = document.createElement("input");
      give(name, { type: "text", name: "username", autocomplete: "username", readonly: "" });
      form.append(name);
    }
    // In front of all: a form's fields are in the order of the page, and whose comes before what.
    document.body.prepend(form);
    return form;
  };

  // The tab of the registration, as soon as it is there.
  const REGISTER = "#auth-view button[role=tab]:nth-of-type(2)";
  let wantsRegister = false;
  window.chatbot.watch(() => {
    const tab = wantsRegister && document.querySelector(REGISTER);
    if (!tab) return;
    wantsRegister = false;
    tab.click();
  });

  const field = (id) => document.querySelector(`#${id} input`);
  window.chatbot.watch(() => {
    for (const [id, { fields, button, ofAccount }] of Object.entries(FORMS)) {
      const submit = document.getElementById(button);
      if (!submit) continue;
      const form = document.getElementById(id) ?? made(id, button, ofAccount);
      give(submit, { form: id, type: "submit" });
      for (const [name, autocomplete] of Object.entries(fields)) {
        const input = field(name);
        if (input) give(input, { form: id, name, autocomplete });
      }
      const account = ofAccount && document.getElementById("account-name")?.textContent.trim();
      if (account && form.elements.username.value !== account) form.elements.username.value = account;
    }
    for (const [name, autocomplete] of Object.entries(ALONE)) {
      const input = field(name);
      if (input) give(input, { autocomplete });
    }
  });

  // Gradio would keep Enter from submitting.
  document.addEventListener("keypress", (event) => {
    if (event.key === "Enter" && event.target.form?.id in FORMS) event.stopImmediatePropagation();
  }, true);

  return { register: () => { wantsRegister = true; } };
})();
