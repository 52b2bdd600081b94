"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const table = $("list"), form = document.forms[0], note = $("note");
  const facets = [...form.querySelectorAll("select")];
  const many = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
  document.documentElement.classList.add("js");

  // What an image's packages are called, once for each set of packages: searched and shown.
  const sets = data.sets.map((set) => set.map((index) => data.packages[index]));
  const names = sets.map((set) => set.map(([name, version]) => `${name}==${version}`.toLowerCase()).join(" "));
  const images = data.images.map((image, index) => ({
    ...image,
    body: table.tBodies[index],
    text: `${image.details.map(([, value]) => value).join(" ")} ${image.framework} ${image.version}`.toLowerCase(),
  }));

  // ---- what is chosen, and the address that keeps it
  const state = { q: "", type: "", sort: "" };
  const keys = ["q", "type", "sort", ...facets.map((each) => each.name)];
  const read = () => {
    const kept = new URLSearchParams(location.hash.slice(1));
    for (const key of keys) state[key] = kept.get(key) ?? "";
    for (const each of [$("q"), $("type"), ...facets]) {
      const known = each.tagName !== "SELECT" || [...each.options].some((option) => option.value === state[each.name]);
      each.value = state[each.name] = known ? state[each.name] : "";
    }
  };
  const write = () => {
    const kept = new URLSearchParams(keys.filter((key) => state[key]).map((key) => [key, state[key]]));
    history.replaceState(null, "", `${location.pathname}${location.search}${kept.size ? `#${kept}` : ""}`);
  };

  // ---- instance types: [family, architecture, accelerator, sizes of EC2, sizes of SageMaker's endpoints]
  const families = new Map(data.hardware.map((row) => [row[0], row]));
  const machine = (text) => {
    const asked = text.trim().toLowerCase(), isSageMaker = asked.startsWith("ml.");
    if (!asked) return null;
    const [family, size] = asked.replace(/^ml\./, "").split(".");
    const row = families.get(family);
    if (!row) return { wrong: `“${text.trim()}” is of no family of instance types that this page knows` };
    const sizes = (isSageMaker ? row[4] : row[3]).split(" ");
    const listed = !size || sizes.includes(size);
    const doubt = listed ? "" : isSageMaker ? "; SageMaker has no endpoints on that size" : "; that size is not listed";
    const has = row[2] === "cpu" ? "no accelerator" : `an accelerator for ${row[2] || "none of these"} images`;
    return { architecture: row[1], accelerator: row[2], isSageMaker, said: `${asked} is ${row[1] || "no Linux machine"} with ${has}${doubt}` };
  };
  const fits = (image, on) =>
    !on || (!on.wrong && image.architecture === on.architecture && image.accelerator === on.accelerator && (!on.isSageMaker || image.consumer === "sagemaker"));
  $("type").addEventListener("focus", () => {
    const all = data.hardware.flatMap(([family, , , ec2, ml]) => [
      ...(ec2 ? ec2.split(" ").map((size) => `${family}.${size}`) : []),
      ...(ml ? ml.split(" ").map((size) => `ml.${family}.${size}`) : []),
    ]);
    $("types").replaceChildren(...all.map((name) => new Option("", name)));
  }, { once: true });

  // ---- showing what is chosen
  const order = {
    name: (a, b) => a.index - b.index,
    architecture: (a, b) => a.architecture.localeCompare(b.architecture) || a.index - b.index,
    size: (a, b) => a.size - b.size || a.index - b.index,
    age: (a, b) => b.created.localeCompare(a.created) || a.index - b.index,
    end: (a, b) => (a.end || "9999").localeCompare(b.end || "9999") || a.index - b.index,
  };
  images.forEach((image, index) => { image.index = index; });
  let sorted = "";
  const show = () => {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean), on = machine(state.type);
    const isFound = (image, but) =>
      fits(image, on) &&
      facets.every((each) => each === but || !state[each.name] || image[each.name] === state[each.name]) &&
      words.every((word) => image.text.includes(word) || names[image.set].includes(word));
    let count = 0;
    for (const image of images) {
      const found = isFound(image, null);
      count += found;
      image.body.hidden = !found;
    }
    for (const each of facets) {
      const counts = {};
      for (const image of images) if (isFound(image, each)) counts[image[each.name]] = (counts[image[each.name]] ?? 0) + 1;
      for (const option of each.options) if (option.value) option.textContent = `${label(each.name, option.value)} (${counts[option.value] ?? 0})`;
      each.classList.toggle("on", Boolean(state[each.name]));
    }
    for (const each of [$("q"), $("type")]) each.classList.toggle("on", Boolean(state[each.name]));
    if (sorted !== state.sort) {
      const [key, down] = [state.sort.replace(/^-/, ""), state.sort.startsWith("-")];
      const compare = order[key] ?? order.name;
      table.append(...[...images].sort((a, b) => (down ? compare(b, a) : compare(a, b))).map((image) => image.body));
      sorted = state.sort;
    }
    for (const head of table.querySelectorAll("[data-sort]")) {
      const key = state.sort.replace(/^-/, "") || "name";
      if (head.dataset.sort === key) head.setAttribute("aria-sort", state.sort.startsWith("-") ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    $("count").textContent = count === images.length ? many(count, "image") : `${count.toLocaleString("en")} of ${many(images.length, "image")}`;
    note.textContent = on ? on.wrong ?? on.said : "";
    note.className = on?.wrong ? "wrong" : "note";
    $("reset").hidden = keys.every((key) => key === "sort" || !state[key]);
    $("none").hidden = count > 0 || images.length === 0;
    table.hidden = count === 0 && images.length > 0;
  };
  const label = (name, value) => (name === "region" && value === "-" ? "no region" : value);
  const changed = () => { for (const each of [$("q"), $("type"), ...facets]) state[each.name] = each.value; write(); show(); };
  const reset = () => { for (const each of [$("q"), $("type"), ...facets]) each.value = ""; changed(); $("q").focus(); };

  // ---- copying
  const copied = async (button, text, what) => {
    try { await navigator.clipboard.writeText(text); } catch { byHand(text); }
    const before = button.textContent;
    button.textContent = "Copied";
    $("note").className = "note";
    $("said").textContent = `Copied ${what}`;
    setTimeout(() => { button.textContent = before === "Copied" ? "Copy" : before; $("said").textContent = ""; }, 1600);
  };
  const byHand = (text) => {
    const area = document.createElement("textarea");
    area.value = text; area.className = "unseen";
    document.body.append(area); area.select(); document.execCommand("copy"); area.remove();
  };
  const said = document.createElement("p");
  said.id = "said"; said.className = "unseen"; said.setAttribute("role", "status"); document.body.append(said);

  // ---- details, made when they are first asked for
  const element = (name, text, kind) => { const made = document.createElement(name); if (text) made.textContent = text; if (kind) made.className = kind; return made; };
  const copyButton = (value, what) => {
    const button = element("button", "Copy", "copy");
    button.type = "button"; button.setAttribute("aria-label", `Copy ${what}`);
    button.addEventListener("click", () => copied(button, value, what));
    return button;
  };
  const described = (image) => {
    const list = element("dl");
    for (const [name, value, kind] of image.details) {
      const said = element("dd");
      if (kind === "link") { const link = element("a", value); link.href = value; link.rel = "noreferrer"; said.append(link); }
      else said.append(element(kind === "text" ? "span" : "code", value));
      list.append(element("dt", name), said);
      if (kind === "copy") { const act = element("dd", "", "act"); act.append(copyButton(value, `${name.toLowerCase()} of ${image.identifier}`)); list.append(act); }
    }
    const packages = element("ul", "", "packages");
    for (const [name, version, kind] of sets[image.set]) {
      const item = element("li", "", kind);
      item.append(element("code", name), " ", element("span", version));
      packages.append(item);
    }
    const held = element("dd"), of = element("details");
    const kinds = ["python", "deb"].map((kind) => [sets[image.set].filter((each) => each[2] === kind).length, kind]).filter(([count]) => count);
    of.append(element("summary", kinds.map(([count, kind]) => `${count} ${kind === "deb" ? "Debian" : "Python"}`).join(", ") || "none"), packages);
    held.append(of);
    list.append(element("dt", "Packages"), held);
    const row = element("tr", "", "detail"), cell = element("td");
    row.setAttribute("role", "row"); cell.setAttribute("role", "cell"); cell.colSpan = 8; cell.append(list); row.append(cell);
    return row;
  };
  const toggle = (image, button) => {
    if (!image.row) { image.row = described(image); image.row.hidden = true; image.body.append(image.row); }
    image.row.hidden = !image.row.hidden;
    button.setAttribute("aria-expanded", String(!image.row.hidden));
  };
  table.addEventListener("click", (event) => {
    const button = event.target.closest("button"), body = event.target.closest("tbody");
    if (!button || !body || button.closest(".detail")) return;
    const image = images[Number(body.dataset.index)];
    if (button.classList.contains("more")) toggle(image, button);
    else copied(button, image.uri, `the URI of ${image.identifier}`);
  });

  // ---- sorting by a column: up, down, as it was
  for (const head of table.querySelectorAll("[data-sort]")) {
    const button = element("button", head.textContent);
    button.type = "button";
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const key = head.dataset.sort;
      const next = { [key]: `-${key}`, [`-${key}`]: key === "name" ? "name" : "" };
      state.sort = next[state.sort || (key === "name" ? "name" : "")] ?? key;
      if (state.sort === "name") state.sort = "";
      write(); show();
    });
  }

  // ---- how old an image is today, and whether what was supported still is
  const now = Date.now(), today = new Date(now).toISOString().slice(0, 10);
  const age = (created) => {
    const days = Math.max(0, Math.floor((now - Date.parse(created)) / 864e5));
    return days < 1 ? "today" : days < 60 ? many(days, "day") : days < 730 ? many(Math.floor(days / 30.44), "month") : many(Math.floor(days / 365.25), "year");
  };
  for (const image of images) {
    const time = image.body.querySelector("time");
    time.title = image.created; time.textContent = age(image.created);
    if (image.state === "current" && image.end && image.end < today) {
      const badge = image.body.querySelector(".support .badge");
      badge.className = "badge fair"; badge.textContent = `until ${image.end}, past`;
    }
  }

  // ---- listening
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  $("reset").addEventListener("click", reset);
  $("again").addEventListener("click", reset);
  document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); table.focus(); });
  addEventListener("hashchange", () => { read(); show(); });
  addEventListener("keydown", (event) => {
    const typing = /^(input|select|textarea)$/i.test(event.target.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) { event.preventDefault(); $("q").focus(); $("q").select(); }
    if (event.key === "Escape" && !$("reset").hidden) { event.preventDefault(); reset(); }
  });
  const small = matchMedia("(max-width: 64rem)");
  const fold = () => $("fold").setAttribute("aria-expanded", String(!small.matches));
  $("fold").addEventListener("click", () => $("fold").setAttribute("aria-expanded", String($("fold").getAttribute("aria-expanded") === "false")));
  small.addEventListener("change", fold);
  fold(); read(); show();
})();
