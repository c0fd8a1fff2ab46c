// Behind a proxy that changes the Host header, the page sends its requests to the wrong host and stays
// blank. Then this shows which setting helps. It needs no style sheets, which may be missing, too.
(() => {
  let host = location.host;
  try { host = new URL(window.gradio_config.root, location.href).host; } catch { /* no root */ }
  if (host === location.host) return;
  const hint = document.createElement("p");
  hint.id = "proxy-hint";
  hint.setAttribute("role", "alert");
  hint.textContent = window.chatbot.page.say("proxy_hint");
  hint.style.cssText = "position: fixed; z-index: 2000; top: 15vh; left: 50%; width: min(34em, 100vw - 40px);"
    + "margin: 0; padding: 20px; border-radius: 14px; background: #fff; color: #1f2329;"
    + "box-shadow: 0 4px 24px #0003; font: 16px/1.6 system-ui, sans-serif; transform: translateX(-50%);";
  document.body.append(hint);
})();
