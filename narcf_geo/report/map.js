(async () => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const get = (name) => document.getElementById("map-" + name);
  const unpack = async (text, Kind) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Kind(await new Response(stream).arrayBuffer());
  };
  const pixels = await unpack(data.pixels, Uint16Array);
  const fields = await Promise.all(data.fields.map((f) => unpack(f.values, Int16Array)));
  const count = data.lon.length, months = data.months, {width, height, limit} = data;
  const context = get("canvas").getContext("2d");
  const slider = get("month"), choice = get("field"), box = get("box"), point = get("point");
  const rgb = data.colors.map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));
  const signed = (v) => (v > 0 ? "+" : v < 0 ? "−" : "") + Math.abs(v).toFixed(2);
  const month = () => Number(slider.value);
  const field = () => (choice ? Number(choice.value) : 0);
  const name = (m) => new Date(months[m] + "-01T00:00:00Z").toLocaleDateString("en",
    {month: "long", year: "numeric", timeZone: "UTC"});
  const value = (cell, m) => {
    const v = fields[field()][m * count + cell];
    return v === data.missing ? NaN : v * data.step;
  };
  const color = (v) => {
    const place = Math.min(1, Math.max(0, (v + limit) / (2 * limit)));
    return rgb[Math.round(place * (rgb.length - 1))];
  };
  let cell = -1, timer = 0, x = width / 2, y = height / 2;

  const draw = () => {
    const image = context.createImageData(width, height);
    for (let i = 0; i < pixels.length; i++) {
      const v = pixels[i] < count ? value(pixels[i], month()) : NaN;
      if (Number.isNaN(v)) continue;
      image.data.set(color(v), 4 * i);
      image.data[4 * i + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    get("label").textContent = name(month());
    slider.setAttribute("aria-valuetext", name(month()));
    read();
  };
  const read = () => {
    const series = get("series");
    series.hidden = cell < 0;
    if (cell < 0) return;
    const v = value(cell, month()), lat = data.lat[cell], lon = data.lon[cell];
    const where = `${Math.abs(lat)}° ${lat < 0 ? "S" : "N"}, ${Math.abs(lon)}° ${lon < 0 ? "W" : "E"}`;
    const biome = data.biomes[data.biome[cell]] ?? "no class";
    const flux = Number.isNaN(v) ? "no value" : `${signed(v)} µmol m⁻² s⁻¹`;
    get("readout").textContent = `${where}, ${biome}, ${name(month())}: ${flux}`;
    const values = months.map((_, m) => value(cell, m));
    const known = values.filter((w) => !Number.isNaN(w));
    const top = Math.max(0.1, ...known), low = Math.min(-0.1, ...known);
    const px = (m) => (44 + 668 * (months.length > 1 ? m / (months.length - 1) : 0.5)).toFixed(1);
    const py = (w) => (12 + 96 * (top - w) / (top - low)).toFixed(1);
    let path = "", pen = "M";
    values.forEach((w, m) => {
      if (Number.isNaN(w)) pen = "M";
      else { path += `${pen}${px(m)} ${py(w)}`; pen = "L"; }
    });
    const mark = Number.isNaN(v) ? "" : `<circle r="5" cx="${px(month())}" cy="${py(v)}"/>`;
    series.innerHTML = `<path class="zero" d="M44 ${py(0)}H712"/><path class="line" d="${path}"/>${mark}` +
      `<text x="40" y="${py(top)}">${signed(top)}</text><text x="40" y="${py(low)}">${signed(low)}</text>` +
      `<text class="start" x="44" y="126">${months[0]}</text><text x="712" y="126">${months.at(-1)}</text>`;
  };
  const choose = (px, py) => {
    x = Math.min(width - 1, Math.max(0, px));
    y = Math.min(height - 1, Math.max(0, py));
    const found = pixels[Math.floor(y) * width + Math.floor(x)];
    point.setAttribute("cx", x);
    point.setAttribute("cy", y);
    cell = found < count ? found : -1;
    if (cell < 0) get("readout").textContent = "No land cell here.";
    read();
  };
  const pointed = (event) => {
    const frame = get("canvas").getBoundingClientRect();
    choose((event.clientX - frame.left) / frame.width * width,
           (event.clientY - frame.top) / frame.height * height);
  };
  const moves = {ArrowLeft: [-6, 0], ArrowRight: [6, 0], ArrowUp: [0, -6], ArrowDown: [0, 6]};
  box.addEventListener("pointermove", pointed);
  box.addEventListener("pointerdown", pointed);
  box.addEventListener("keydown", (event) => {
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    choose(x + move[0], y + move[1]);
  });
  slider.addEventListener("input", draw);
  choice?.addEventListener("change", draw);
  get("play").addEventListener("click", () => {
    timer = timer ? clearInterval(timer) ?? 0 : setInterval(() => {
      slider.value = (month() + 1) % months.length;
      draw();
    }, 400);
    get("play").textContent = timer ? "Pause" : "Play";
    get("play").setAttribute("aria-pressed", String(Boolean(timer)));
  });
  const summer = months.findLastIndex((m) => m.endsWith("-07"));
  slider.value = summer < 0 ? months.length - 1 : summer;
  get("low").textContent = signed(-limit);
  get("high").textContent = signed(limit);
  get("ramp").style.background = `linear-gradient(to right, ${data.colors.join(",")})`;
  draw();
  document.documentElement.dataset.map = "ready";
})();
