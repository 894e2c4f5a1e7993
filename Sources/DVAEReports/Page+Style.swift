extension Page {
  /// The style sheet of all pages.
  static let style = """
    :root { color-scheme: light dark; --ink: #1d2329; --faint: #59646e; --line: #d5dbe0;
      --ground: #fff; --box: #f3f5f7; --first: #2a6f97; --second: #c23b4b; }
    @media (prefers-color-scheme: dark) { :root { --ink: #e4e7ea; --faint: #9ba6b0;
      --line: #3a434b; --ground: #14181c; --box: #1e2429; --first: #69b1da; --second: #f0808c; } }
    * { box-sizing: border-box; }
    body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: auto; padding: 1rem;
      color: var(--ink); background: var(--ground); }
    h1, h2 { line-height: 1.25; overflow-wrap: anywhere; }
    h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin: 2rem 0 .4rem; }
    p, li, figcaption { overflow-wrap: anywhere; }
    ul { padding-left: 1.2rem; }
    small { color: var(--faint); }
    pre { background: var(--box); padding: 1rem; overflow-x: auto; font-size: .85rem; }
    .wide { overflow-x: auto; background:
      linear-gradient(to left, var(--ground) 1.5rem, transparent 4rem) right / 4rem 100% no-repeat local,
      linear-gradient(to left, var(--line), transparent) right / 1.5rem 100% no-repeat scroll; }
    table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
    th, td { padding: .2rem 1rem .2rem 0; text-align: left; vertical-align: top; }
    thead th { border-bottom: 1px solid var(--line); font-weight: 600; }
    .number { text-align: right; white-space: nowrap; }
    details { contain: inline-size; } details p { margin: .2rem 0; }
    summary { color: var(--faint); cursor: pointer; }
    .bars { width: 100%; max-width: 40rem; }
    .bars th { font-weight: normal; white-space: nowrap; }
    .bars td:nth-child(2) { width: 100%; }
    .bars i { display: block; height: 1rem; margin-top: .25rem; background: var(--first); }
    .stage { position: relative; height: 1.2rem; background: var(--box); margin: .4rem 0; }
    .stage div { position: absolute; height: 100%; background: var(--first); }
    .stage .entered { opacity: .35; }
    .charts { display: grid; gap: 1rem;
      grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
    .charts svg { width: 100%; height: auto; }
    svg text { font: 11px system-ui, sans-serif; fill: var(--faint); }
    svg .title { font-size: 13px; fill: var(--ink); }
    svg .grid { stroke: var(--line); stroke-width: 1; }
    svg polyline { fill: none; stroke-width: 1.5; }
    svg polyline.first { stroke: var(--first); } svg polyline.second { stroke: var(--second); }
    svg circle.first, svg text.first { fill: var(--first); }
    svg circle.second, svg text.second { fill: var(--second); }
    .columns { width: 100%; height: 120px; fill: var(--first); }
    .pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
    figure { margin: 1.5rem 0; } .pictures figure { margin: 0; }
    img { max-width: 100%; height: auto; display: block; }
    .row { display: grid; gap: .5rem; margin-top: .3rem;
      grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); }
    .row > div { position: relative; aspect-ratio: var(--s); }
    .o, .r { background-size: 100% 100%; }
    .e, .c { overflow: hidden; }
    .e { isolation: isolate; background: #000; filter: brightness(4); }
    .e > div, .c > div { position: absolute; inset: 0; }
    .e .r { mix-blend-mode: difference; }
    .c .r { clip-path: inset(0 0 0 var(--p)); }
    .c input { position: absolute; left: 0; right: 0; bottom: .5rem; width: 100%; margin: 0;
      height: 2rem; touch-action: pan-y; }
    @media (max-width: 34rem) { .row { grid-template-columns: 1fr 1fr; } }
    """
}
