// Requests to the service.

async function ask(path, body, accept) {
  for (let attempt = 0; ; attempt += 1) {
    let response;
    try {
      response = await fetch(path, { method: body ? "POST" : "GET", body, headers: { Accept: accept } });
    } catch {
      throw new Error("The service does not answer. Is it still running?");
    }
    if (response.ok) return response;
    if (response.status === 503 && attempt < 4) {
      const seconds = Number(response.headers.get("Retry-After")) || 1;
      await new Promise((done) => setTimeout(done, 1000 * Math.min(seconds, 10)));
      continue;
    }
    const text = await response.json().then((json) => json.error, () => null);
    const error = new Error(text ? text.message : `The service answers with status ${response.status}.`);
    error.code = text ? text.code : "";
    throw error;
  }
}

// The pixels of an image file.
async function pixels(blob) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

function png(base64) {
  return new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], { type: "image/png" });
}

// A format that the service does not read, but this browser does, becomes a PNG.
async function asPNG(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, 2048 / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/png" });
}

async function reconstruct(file) {
  const send = async (body) =>
    (await ask("/v1/reconstruct?upscale=true", body, "application/json")).json();
  try {
    return await send(file);
  } catch (error) {
    if (error.code !== "not-an-image" && error.code !== "unsupported") throw error;
    const converted = await asPNG(file).catch(() => { throw error; });
    return send(converted);
  }
}

// Fetches what codes paint by themselves, as far as it is not known.
async function fetchPatches(codes) {
  const missing = [...new Set(codes)].filter((code) => !patches.has(code));
  const most = state.model.limits.codes;
  for (let start = 0; start < missing.length; start += most) {
    const part = missing.slice(start, start + most);
    const response = await ask("/v1/patches", JSON.stringify({ codes: part }), "image/png");
    const sheet = await pixels(await response.blob());
    const columns = sheet.width / 8;
    part.forEach((code, index) => {
      const patch = new ImageData(8, 8);
      const left = 8 * (index % columns), top = 8 * Math.floor(index / columns);
      for (let y = 0; y < 8; y += 1) {
        const from = 4 * ((top + y) * sheet.width + left);
        patch.data.set(sheet.data.subarray(from, from + 32), 32 * y);
      }
      patches.set(code, patch);
    });
  }
}

// The bytes of a .npy file of the tokens.
function npy(tokens, height, width) {
  let header = `{'descr': '<u2', 'fortran_order': False, 'shape': (1, ${height}, ${width}), }`;
  header += " ".repeat(63 - ((10 + header.length) % 64)) + "\n";
  const bytes = new Uint8Array(10 + header.length + 2 * tokens.length);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8]);
  bytes.set(new TextEncoder().encode(header), 10);
  const view = new DataView(bytes.buffer, 10 + header.length);
  tokens.forEach((token, index) => view.setUint16(2 * index, token, true));
  return bytes;
}

// Decodes the tokens as they are now. While one request is under way only the newest state waits.
let isDecoding = false, isStale = false;
async function decode() {
  isStale = true;
  if (isDecoding) return;
  isDecoding = true;
  await busy(async () => {
    try {
      while (isStale) {
        isStale = false;
        const start = performance.now();
        const body = npy(state.tokens, state.height, state.width);
        state.picture = await pixels(await (await ask("/v1/decode", body, "image/png")).blob());
        drawPicture();
        byId("time").textContent = `in ${Math.round(performance.now() - start)} ms`;
      }
    } finally {
      isDecoding = false;
    }
  });
}

