/* --- The endpoint: asking it, and the token. -------------------------------------------------- */

const about = JSON.parse($("about").textContent);
const TOKEN = "trio-instances-token";

class Refused extends Error {
  constructor(status, body) {
    super(body.detail || body.error || `the endpoint answered ${status}`);
    this.status = status;
  }
}

const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (value) => sessionStorage.setItem(TOKEN, value),
  forget: () => sessionStorage.removeItem(TOKEN),
};

// A header can be sent only by fetch, not by EventSource; so everything here is fetched.
async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (token.get() !== null) headers.authorization = `Bearer ${token.get()}`;
  const response = await fetch(path, { ...options, headers, cache: "no-store" });
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => ({})));
  return response;
}

async function read(path) {
  return (await ask(path)).json();
}

// The browser takes "." and ".." in a path for something else, whatever their spelling.
function addressable(id) {
  return id !== "." && id !== "..";
}

function pathOf(id, rest = "") {
  return `/instances/${encodeURIComponent(id)}${rest}`;
}

let asking = null;

// Resolves to whether there is a token now. Two that need one at once share one question.
function askToken(reason) {
  asking ??= (async () => {
    $("token").value = "";
    say($("ask-token-why"), reason);
    const given = (await asked($("ask-token"))) && $("token").value.trim();
    // Characters that no header can carry are in no token.
    if (given) token.set(given.replace(/[^\x21-\x7e]/g, "?"));
    $("token").value = "";
    return Boolean(given);
  })().finally(() => { asking = null; });
  return asking;
}

/* Verbs. Each gives one line for people. */

async function act(id, verb) {
  const reason = "Whoever acts here needs the token that the endpoint was started with.";
  if (token.get() === null && !(await askToken(reason))) return "Nothing was done: no token was given.";

  try {
    const { changed, detail } = await (await ask(pathOf(id, `/${verb}`), { method: "POST" })).json();
    const label = VERB_WORDS[verb]?.[0] ?? verb;
    return changed ? `${label}: the endpoint has accepted it. The events tell what comes of it.` : `${label}: nothing to do, ${detail}.`;
  } catch (error) {
    if (error.status === 401) {
      token.forget();
      return `${verb}: refused. That was not the endpoint's token: press it again to give another one.`;
    }
    return error instanceof Refused
      ? `${verb}: refused (${error.status}): ${error.message}`
      : `${verb}: the endpoint cannot be reached, so it may not have been done.`;
  }
}
