// Keeping: links, files and copies.

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// The tokens in the fragment of a link: rows, columns and bits of a token, then the bits, 6 to a letter.
function fragment() {
  const bits = Math.ceil(Math.log2(state.model.architecture.vocab_size));
  let text = "", value = 0, held = 0;
  for (const code of state.tokens) {
    value = value * 2 ** bits + code;
    held += bits;
    while (held >= 6) {
      const rest = 2 ** (held - 6);
      text += alphabet[Math.floor(value / rest)];
      value %= rest;
      held -= 6;
    }
  }
  if (held > 0) text += alphabet[value * 2 ** (6 - held)];
  return `#tokens=${state.height}.${state.width}.${bits}.${state.model.weights.sha256.slice(0, 8)}.${text}`;
}

function readFragment() {
  const match = /^#tokens=(\d{1,4})\.(\d{1,4})\.(\d{1,2})\.([0-9a-f]{8})\.([\w-]+)$/.exec(location.hash);
  if (!match) return false;
  const [height, width, bits] = match.slice(1, 4).map(Number);
  const count = height * width;
  if (count === 0 || count > state.model.limits.tokens || bits === 0 || bits > 16
    || match[5].length !== Math.ceil(count * bits / 6)) {
    say("The link is damaged: its tokens are not complete.", true);
    return false;
  }
  const tokens = new Uint16Array(count);
  let value = 0, held = 0, index = 0;
  for (const letter of match[5]) {
    value = value * 64 + alphabet.indexOf(letter);
    held += 6;
    if (held >= bits && index < count) {
      const rest = 2 ** (held - bits);
      tokens[index] = Math.floor(value / rest);
      index += 1;
      value %= rest;
      held -= bits;
    }
  }
  if (tokens.some((code) => code >= state.model.architecture.vocab_size)) {
    say("The link is of another model: it has more codes than this one.", true);
    return false;
  }
  if (!state.model.weights.sha256.startsWith(match[4])) {
    say("The link was made with other weights; the picture may be meaningless.", true);
  }
  begin(tokens, height, width, null, null);
  return true;
}

function json() {
  const rows = [];
  for (let row = 0; row < state.height; row += 1) {
    rows.push(Array.from(state.tokens.subarray(row * state.width, (row + 1) * state.width)));
  }
  return JSON.stringify({ tokens: rows, shape: [state.height, state.width], weights: state.model.weights });
}

async function copy(text, message) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without HTTPS on other hosts there is no clipboard interface.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) return say("The browser does not allow copying.", true);
  }
  say(message);
}

function save(content, name, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

