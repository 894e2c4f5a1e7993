// Changes of tokens: painting, undo, redo, and the tools.

// The tokens, and of which mixture they are.
function moment() {
  const { tokens, before, second, share, order } = state;
  return { tokens, before, second, share, order };
}

// Keeps a moment for undo.
function remember(earlier) {
  state.past.push(earlier);
  if (state.past.length > 300) state.past.shift();
  state.future = [];
}

function replace(tokens) {
  state.tokens = tokens;
  if (state.at !== null) state.code = tokens[state.at];
  fetchPatches(tokens).then(() => { drawTokens(); palette.refresh(); drawToken(); }, (error) => say(error.message, true));
  drawFacts();
  drawToken();
  return decode();
}

function step(from, to) {
  if (from.length === 0) return;
  to.push(moment());
  Object.assign(state, from.pop());
  drawMix();
  replace(state.tokens);
}

function undo() { step(state.past, state.future); }
function redo() { step(state.future, state.past); }

function startOver() {
  remember(moment());
  Object.assign(state, { before: state.original, share: 0 });
  drawMix();
  replace(state.original);
}

// Paints at a token; a stroke is one step for undo.
let stroke = null;
function paintAt(index) {
  if (state.brush === null) return say("Choose a code first: pick one from the picture or the palette.", true);
  if (stroke === null) {
    stroke = moment();
    // Paint covers both pictures of a mixture.
    for (const name of ["tokens", "before", "second"]) state[name] &&= Uint16Array.from(state[name]);
  }
  const row = Math.floor(index / state.width), column = index % state.width;
  let changed = false;
  for (let y = row; y < Math.min(row + state.size, state.height); y += 1) {
    for (let x = column; x < Math.min(column + state.size, state.width); x += 1) {
      const place = y * state.width + x;
      changed ||= state.tokens[place] !== state.brush;
      for (const name of ["tokens", "before", "second"]) if (state[name]) state[name][place] = state.brush;
    }
  }
  if (!changed) return;
  state.code = state.tokens[index];
  drawTokens();
  drawFacts();
  drawToken();
  decode();
}

function endStroke() {
  if (stroke === null) return;
  const earlier = stroke;
  stroke = null;
  if (state.tokens.every((code, index) => code === earlier.tokens[index])) return;
  remember(earlier);
  drawFacts();
  palette.refresh();
}

function take(code) {
  state.brush = code;
  const context = byId("brush").getContext("2d");
  if (patches.has(code)) context.putImageData(patches.get(code), 0, 0);
  byId("brush-name").textContent = `code ${code}`;
  use("paint");
  say("");
}

function use(tool) {
  state.tool = tool;
  document.body.classList.toggle("painting", tool === "paint");
  byId("look").setAttribute("aria-pressed", tool === "look");
  byId("paint").setAttribute("aria-pressed", tool === "paint");
  drawMarks();
}

