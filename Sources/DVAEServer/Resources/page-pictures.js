// The pictures, and the grid over them.

function put(id, image) {
  const canvas = byId(id);
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function drawTokens() {
  const canvas = byId("tokens");
  canvas.width = 8 * state.width;
  canvas.height = 8 * state.height;
  const context = canvas.getContext("2d");
  state.tokens.forEach((code, index) => {
    const patch = patches.get(code);
    const x = 8 * (index % state.width), y = 8 * Math.floor(index / state.width);
    if (patch) context.putImageData(patch, x, y);
  });
}

function drawPicture() {
  put("picture", state.picture);
  if (state.input && state.input.width === state.picture.width) {
    const error = new ImageData(state.picture.width, state.picture.height);
    let squares = 0;
    for (let i = 0; i < error.data.length; i += 4) {
      for (let colour = i; colour < i + 3; colour += 1) {
        const difference = state.picture.data[colour] - state.input.data[colour];
        squares += difference * difference;
        error.data[colour] = 4 * Math.abs(difference);
      }
      error.data[i + 3] = 255;
    }
    put("error", error);
    const mean = squares / (0.75 * error.data.length);
    byId("fact-psnr").textContent = mean > 0 ? `${(10 * Math.log10(65025 / mean)).toFixed(2)} dB` : "∞";
  } else {
    byId("fact-psnr").textContent = "–";
  }
  drawToken();
}

function counts() {
  const found = new Map();
  for (const code of state.tokens) found.set(code, (found.get(code) || 0) + 1);
  return found;
}

function drawFacts() {
  const count = state.tokens.length;
  const bits = Math.ceil(Math.log2(state.model.architecture.vocab_size));
  const bytes = Math.ceil(count * bits / 8);
  byId("fact-tokens").textContent = number.format(count);
  byId("fact-codes").textContent = number.format(counts().size);
  byId("fact-bytes").textContent = number.format(bytes);
  byId("fact-ratio").textContent = `bytes, 1/${Math.round(192 * count / bytes)} of the pixels`;
  byId("undo").disabled = state.past.length === 0;
  byId("redo").disabled = state.future.length === 0;
  byId("reset").disabled = state.tokens.every((code, index) => code === state.original[index]);
}

// Marks the token under the pointer, and where its code occurs, in every view.
function drawMarks() {
  const style = getComputedStyle(document.documentElement);
  for (const view of document.querySelectorAll("[data-view]")) {
    const canvas = view.lastElementChild;
    const scale = devicePixelRatio || 1;
    const width = Math.round(view.clientWidth * scale), height = Math.round(view.clientHeight * scale);
    if (width === 0) continue;
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    if (state.code === null) continue;
    const w = width / state.width, h = height / state.height;
    const box = (index, span, line, colour) => {
      context.strokeStyle = colour;
      context.lineWidth = line * scale;
      context.strokeRect((index % state.width) * w, Math.floor(index / state.width) * h, w * span, h * span);
    };
    state.tokens.forEach((code, index) => {
      if (code !== state.code || index === state.at) return;
      box(index, 1, 2.5, "rgb(0 0 0 / .45)");
      box(index, 1, 1, "rgb(255 255 255 / .95)");
    });
    if (state.at === null) continue;
    const span = state.tool === "paint" ? state.size : 1;
    box(state.at, span, 4, "rgb(255 255 255 / .95)");
    box(state.at, span, 2, style.getPropertyValue("--accent"));
  }
}

// Shows the token under the pointer.
function drawToken() {
  const { at, code } = state;
  byId("pick").disabled = code === null;
  const alone = byId("alone").getContext("2d"), here = byId("here").getContext("2d");
  alone.clearRect(0, 0, 8, 8);
  here.clearRect(0, 0, 24, 24);
  if (code === null) {
    byId("code").textContent = "–";
    byId("place").textContent = "Point at a token";
    byId("times").textContent = "";
    return drawMarks();
  }
  if (patches.has(code)) alone.putImageData(patches.get(code), 0, 0);
  byId("code").textContent = code;
  if (at === null) {
    byId("place").textContent = "in the palette";
  } else {
    const row = Math.floor(at / state.width), column = at % state.width;
    byId("place").textContent = `row ${row}, column ${column}`;
    if (state.picture) here.putImageData(state.picture, 8 - 8 * column, 8 - 8 * row);
    here.strokeStyle = "#fff";
    here.strokeRect(7.5, 7.5, 9, 9);
  }
  const times = state.tokens.reduce((sum, other) => sum + (other === code), 0);
  byId("times").textContent = times === 1 ? "once in this picture" : `${times} times in this picture`;
  drawMarks();
}

function show(at, code = at === null ? null : state.tokens[at]) {
  if (state.at === at && state.code === code) return;
  state.at = at;
  state.code = code;
  drawToken();
}

