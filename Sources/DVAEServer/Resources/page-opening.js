// Opening photos and links, and mixing two pictures.

function begin(tokens, height, width, input, picture) {
  Object.assign(state, {
    tokens, original: tokens, height, width, input, picture, past: [], future: [], at: null, code: null,
    pinned: null, second: null, before: null, share: 0,
  });
  document.body.classList.add("working");
  byId("start").hidden = true;
  byId("work").hidden = false;
  byId("facts").hidden = false;
  drawMix();
  byId("time").textContent = "";
  for (const id of ["input", "error"]) {
    byId(id).parentElement.hidden = input === null;
    byId(`no-${id}`).hidden = input !== null;
  }
  byId("title").textContent = `A picture in ${number.format(tokens.length)} words`;
  if (input) {
    put("input", input);
    byId("input-note").textContent = `${input.width} × ${input.height} pixels`;
  }
  if (picture) drawPicture();
  drawFacts();
  drawToken();
  byId("title").focus({ preventScroll: true });
  return busy(async () => {
    await fetchPatches(tokens);
    drawTokens();
    palette.select(false);
    if (!picture) await decode();
  });
}

function flat(rows) { return Uint16Array.from(rows.flat()); }

function open(file) {
  say("");
  return busy(async () => {
    const result = await reconstruct(file);
    const [height, width] = result.shape;
    history.replaceState(null, "", location.pathname);
    await begin(flat(result.tokens), height, width, await pixels(png(result.input)), await pixels(png(result.output)));
  });
}

function openSecond(file) {
  say("");
  return busy(async () => {
    const result = await (await ask("/v1/tokenize?upscale=true", file, "application/json")).json();
    if (result.shape[0] !== state.height || result.shape[1] !== state.width) {
      throw new Error("The two pictures have grids of different sizes.");
    }
    const second = flat(result.tokens);
    await fetchPatches(second);
    mixedFrom = moment();
    Object.assign(state, { second, before: state.tokens });
    mix(0.5);
    endMix();
  });
}

// A fixed order in which the tokens of the second picture come in.
function ranks(count, width) {
  const order = Array.from({ length: count }, (_, index) => index);
  if (state.order === "swept") return order.map((index) => (index % width) / width);
  let seed = 1;
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 4294967296;
  };
  for (let i = count - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  const rank = new Float64Array(count);
  order.forEach((index, place) => { rank[index] = place / count; });
  return [...rank];
}

let mixedFrom = null;
function mix(share = state.share, order = state.order) {
  mixedFrom ??= moment();
  Object.assign(state, { share, order });
  const rank = ranks(state.tokens.length, state.width);
  drawMix();
  replace(state.before.map((code, index) => rank[index] < share ? state.second[index] : code));
}

function drawMix() {
  const percent = Math.round(100 * state.share);
  byId("mix").hidden = state.second === null;
  byId("share").value = percent;
  byId("share-note").textContent = `${percent} % of the tokens are the second picture's`;
  for (const order of ["scattered", "swept"]) byId(order).setAttribute("aria-pressed", state.order === order);
}

function endMix() {
  if (mixedFrom === null) return;
  remember(mixedFrom);
  mixedFrom = null;
  drawFacts();
}

