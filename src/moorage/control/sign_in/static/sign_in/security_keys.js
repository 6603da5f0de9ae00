// Moorage: security keys. A form with data-key-options asks a key for its answer before it is sent.
"use strict";

function bytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

function text(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function ready(options) {
  const ids = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));
  return {
    ...options,
    challenge: bytes(options.challenge),
    ...(options.user ? { user: { ...options.user, id: bytes(options.user.id) } } : {}),
    ...(options.excludeCredentials ? { excludeCredentials: ids(options.excludeCredentials) } : {}),
    ...(options.allowCredentials ? { allowCredentials: ids(options.allowCredentials) } : {}),
  };
}

function answered(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  return { id: credential.id, rawId: text(credential.rawId), type: credential.type, response };
}

async function ask(form) {
  const secret = new FormData(form).get("csrfmiddlewaretoken");
  const given = await fetch(form.dataset.keyOptions, { method: "POST", headers: { "X-CSRFToken": secret } });
  if (given.redirected) return location.assign(given.url);
  if (!given.ok) return location.reload();
  const { publicKey } = await given.json();
  const credential = publicKey.user
    ? await navigator.credentials.create({ publicKey: ready(publicKey) })
    : await navigator.credentials.get({ publicKey: ready(publicKey) });
  form.elements.answer.value = JSON.stringify(answered(credential));
  form.submit();
}

for (const form of document.querySelectorAll("form[data-key-options]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask(form).catch(() => { form.querySelector("[data-key-failed]").hidden = false; });
  });
}
