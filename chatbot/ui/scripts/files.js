// Pictures and PDF files of the next question: chosen, pasted or dropped, shown above the prompt, and
// removed again. They belong to a session like a draft, and last as long as the page. The server
// decides what a file is; each is uploaded at once, one after the other.
window.chatbot.files = (() => {
  const { api, ask, say } = window.chatbot.page;
  // What the server takes: how many files, how many megabytes each.
  const LIMITS = /*LIMITS*/ {};
  const TYPES = {
    image: "image/png,image/jpeg,image/gif,image/webp,image/bmp,image/tiff",
    pdf: "application/pdf",
  };
  // A photo above this is made smaller here: less to upload, and the server would do the same.
  const LARGE = 1024 * 1024;
  const SIDE = 1600;
  const DROP_MS = 500;

  const chips = new Map();
  const restored = new Set();
  let inputs = [];
  let asked = null;
  let uploads = Promise.resolve();

  const told = (sentence) => window.chatbot.told(sentence);
  const here = () => chips.get(window.chatbot.opened()) ?? [];
  const list = () => document.querySelector("#file-chips ul");
  const draw = () => {
    const shown = list(), wanted = here().map((chip) => chip.element);
    if (!shown) return;
    const same = wanted.length === shown.children.length
      && wanted.every((element, place) => element === shown.children[place]);
    if (same) return;
    shown.setAttribute("aria-label", say("file_list"));
    shown.replaceChildren(...wanted);
  };
  window.chatbot.watch(draw);

  const sizeOf = (bytes) => (bytes < LARGE ? `${Math.max(1, Math.round(bytes / 1024))} KB`
    : `${(bytes / LARGE).toFixed(1)} MB`);

  const made = (tag, text, name) => {
    const element = document.createElement(tag);
    element.className = name;
    element.textContent = text;
    return element;
  };

  const forget = (chip) => {
    chip.gone = true;
    chip.stop.abort();
    chips.set(chip.session, (chips.get(chip.session) ?? []).filter((one) => one !== chip));
    URL.revokeObjectURL(chip.url);
    draw();
  };
  const detach = (id) => ask(`files/${id}`, undefined, "DELETE");
  const remove = (chip) => {
    forget(chip);
    if (chip.id) detach(chip.id);
    window.chatbot.focus.prompt();
  };

  const chipOf = (session, file) => {
    const kind = file.type === TYPES.pdf ? "pdf" : "image";
    const element = document.createElement("li");
    const picture = document.createElement(kind === "pdf" ? "span" : "img");
    const url = kind === "image" && file instanceof Blob ? URL.createObjectURL(file) : "";
    picture.className = "look";
    if (url) Object.assign(picture, { src: url, alt: "" });
    const name = file.name || say("file_unnamed");
    const about = made("span", say("file_loading").replace("{name}", name), "about");
    const off = made("button", "×", "off");
    off.type = "button";
    off.setAttribute("aria-label", say("file_remove").replace("{name}", name));
    element.title = name;
    element.setAttribute("aria-busy", "true");
    element.append(picture, made("span", name, "name"), about, off);
    const chip = { session, file, kind, name, url, element, id: "", stop: new AbortController() };
    off.addEventListener("click", () => remove(chip));
    return chip;
  };

  const failed = (chip, why) => {
    forget(chip);
    told(`${chip.name}: ${why}`);
  };
  const ready = (chip, stored) => {
    Object.assign(chip, { id: stored.id, kind: stored.kind, file: null });
    chip.element.removeAttribute("aria-busy");
    const pages = say("pdf_pages").replace("{pages}", stored.pages);
    chip.element.querySelector(".about").textContent = stored.pages ? pages : sizeOf(stored.size);
    const picture = chip.element.querySelector("img");
    if (!picture) return;
    // Browsers do not show every format that the server reads.
    picture.addEventListener("load", () => URL.revokeObjectURL(chip.url), { once: true });
    picture.src = api(`files/${stored.id}`);
  };

  const smaller = async (file) => {
    if (file.type !== "image/jpeg" || file.size < LARGE) return file;
    try {
      const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
      const scale = SIDE / Math.max(picture.width, picture.height);
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(picture.width * scale);
      canvas.height = Math.round(picture.height * scale);
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      picture.close();
      const made = await new Promise((done) => { canvas.toBlob(done, "image/jpeg", 0.85); });
      return scale < 1 && made && made.size < file.size ? made : file;
    } catch {
      return file;
    }
  };

  const upload = async (chip) => {
    if (chip.gone) return;
    try {
      // A folder has no content.
      await chip.file.slice(0, 1).arrayBuffer();
    } catch {
      failed(chip, say("file_not_read"));
      return;
    }
    const body = await smaller(chip.file);
    if (body.size > LIMITS.megabytes * 1024 * 1024) {
      forget(chip);
      told(say("file_too_big").replace("{name}", chip.name));
      return;
    }
    const headers = {
      "content-type": "application/octet-stream",
      "x-session": chip.session,
      "x-name": encodeURIComponent(chip.name.toWellFormed?.() ?? chip.name),
    };
    const how = { method: "POST", credentials: "include", headers, body, signal: chip.stop.signal };
    try {
      const answer = await fetch(api("files"), how);
      const data = await answer.json().catch(() => ({}));
      if (chip.gone) {
        if (data.id) detach(data.id);
      } else if (answer.ok) ready(chip, data);
      else failed(chip, data.error?.message || String(answer.status));
    } catch {
      if (!chip.gone) failed(chip, say("no_connection"));
    }
  };

  const unread = (all) => all.some((chip) => !inputs.includes(chip.kind));
  const add = (files) => {
    const session = window.chatbot.opened();
    if (!session || !LIMITS.files || !files.length) return;
    for (const file of files) {
      if (here().length >= LIMITS.files) {
        told(say("too_many_files"));
        break;
      }
      const chip = chipOf(session, file);
      chips.set(session, [...here(), chip]);
      uploads = uploads.then(() => upload(chip));
    }
    if (unread(here())) told(say("no_pictures"));
    draw();
    window.chatbot.focus.prompt();
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#file-add")) document.getElementById("file-input")?.click();
  });
  document.addEventListener("change", (event) => {
    if (event.target.id !== "file-input") return;
    add([...event.target.files]);
    // The same file may be chosen again.
    event.target.value = "";
  });

  // Office programs copy a picture of the text beside the text; file managers copy the name.
  const isText = (clipboard, files) => {
    const lines = clipboard.getData("text/plain").trim().split(/\r?\n/).filter(Boolean);
    return !lines.every((line) => files.some((file) => line.endsWith(file.name)));
  };
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length || !event.target.closest?.("#prompt")) return;
    if (isText(event.clipboardData, files)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    add(files);
  }, true);

  // While files are dragged over the page the conversation says that it takes them.
  let timer = 0;
  const zone = (shown) => {
    const place = document.getElementById("conversation");
    clearTimeout(timer);
    if (shown) {
      place?.setAttribute("data-drop", say("drop_here"));
      timer = setTimeout(zone, DROP_MS);
    } else place?.removeAttribute("data-drop");
  };
  const drags = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!drags(event)) return;
    // Else the browser would leave the page and show the file.
    event.preventDefault();
    const fits = Boolean(LIMITS.files && event.target.closest?.("#conversation"));
    event.dataTransfer.dropEffect = fits ? "copy" : "none";
    if (LIMITS.files) zone(true);
  }, true);
  document.addEventListener("drop", (event) => {
    if (!drags(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    zone(false);
    if (event.target.closest?.("#conversation")) add([...event.dataTransfer.files]);
  }, true);

  // Below a path without a slash at its end the addresses in messages lead elsewhere.
  const ID = /files\/[0-9a-f-]{36}$/;
  const addressOf = (told) => api(ID.exec(told ?? "")?.[0] ?? "");
  document.addEventListener("error", (event) => {
    const image = event.target;
    if (!image.matches?.("#chatbot .files img") || image.dataset.again) return;
    image.dataset.again = "true";
    image.src = addressOf(image.getAttribute("src"));
  }, true);
  for (const kind of ["click", "auxclick"]) {
    document.addEventListener(kind, (event) => {
      const link = event.target.closest?.("#chatbot a.file");
      if (link) link.href = addressOf(link.getAttribute("href"));
    }, true);
  }

  return {
    // What the chosen model reads besides text.
    allow: (kinds) => {
      inputs = kinds;
      const button = document.getElementById("file-add"), input = document.getElementById("file-input");
      if (button) button.hidden = !inputs.length || !LIMITS.files;
      if (input) input.accept = inputs.map((kind) => TYPES[kind]).join(",");
    },
    // The ids of the files to send, separated by blanks; null, and it is said why, if the question
    // cannot be sent now.
    taken: () => {
      const all = here();
      asked = null;
      if (all.some((chip) => !chip.id)) told(say("files_waiting"));
      else if (unread(all)) told(say("no_pictures"));
      else asked = all;
      return asked && asked.map((chip) => chip.id).join(" ");
    },
    // The question is stored, with its files.
    sent: () => {
      for (const chip of asked ?? []) forget(chip);
      asked = null;
    },
    // The question comes back into the prompt, and its files with it. Told more than once.
    restore: (session, files) => {
      for (const stored of files.filter(({ id }) => !restored.has(id))) {
        restored.add(stored.id);
        const type = stored.kind === "pdf" ? TYPES.pdf : "image/*";
        const chip = chipOf(session, { name: stored.name, type });
        chips.set(session, [...(chips.get(session) ?? []), chip]);
        ready(chip, stored);
      }
      draw();
    },
    // It was refused: the files stay.
    refused: () => { asked = null; },
  };
})();
