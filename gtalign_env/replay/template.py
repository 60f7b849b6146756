"""The frames of exported pages: an SVG picture and an HTML page that needs nothing from elsewhere."""

from __future__ import annotations

__all__ = ["PAGE", "PAGE_STYLE", "SVG"]

SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" \
aria-labelledby="title description">
<title id="title">{title}</title>
<desc id="description">{description}</desc>
<style>
text{{font-family:"DejaVu Sans Mono",Menlo,"Cascadia Mono","Liberation Mono",Consolas,monospace;font-size:14px;\
white-space:pre}}
{style}
.strong,.made{{font-weight:700}}
.title{{font-family:system-ui,"Segoe UI","DejaVu Sans",sans-serif;font-size:15px;font-weight:600}}
</style>
<rect class="paper" width="100%" height="100%"/>
<text class="t title" x="18" y="29">{title}</text>
{body}
</svg>
"""
"""``str.format`` template; the sheet of colours comes with the palette."""

PAGE_STYLE = """\
/*colors*/
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font-family:system-ui,"Segoe UI","DejaVu Sans",sans-serif}
header{position:sticky;top:0;display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center;padding:.7rem 1.2rem;
background:var(--paper);border-bottom:1px solid color-mix(in srgb,var(--muted) 40%,transparent)}
h1{font-size:1.05rem;margin:0;flex:1 1 auto}
h2{font-size:1rem;margin:2rem 0 .5rem}
main{max-width:max-content;margin:0 auto;padding:1rem 1.2rem 4rem}
section{margin:0 0 1rem;padding:1.1rem 1.4rem;border-radius:10px;background:var(--card);overflow-x:auto;scroll-margin-top:4rem}
pre{margin:0;font:14px/1.32 "DejaVu Sans Mono",Menlo,"Cascadia Mono","Liberation Mono",Consolas,monospace;
font-variant-ligatures:none}
button{font:inherit;font-size:.9rem;color:var(--ink);background:var(--card);border:1px solid var(--muted);border-radius:6px;
padding:.2rem .7rem;cursor:pointer}
button:focus-visible{outline:2px solid var(--user)}
#where{font-variant-numeric:tabular-nums;color:var(--muted);min-width:6rem;text-align:right}
.strong,.made{font-weight:700}
.made{background:var(--ink);color:var(--card)}
.stepping section,.stepping h2{display:none}
.stepping section.now{display:block}
.narrow{display:none}
@media (max-width:760px){
.wide{display:none}
.narrow{display:block;font-size:clamp(9px,3.2vw,14px)}
header{padding:.5rem .7rem}
h1{flex-basis:100%;font-size:.95rem}
#where{min-width:3.5rem}
main{max-width:none;padding:.6rem .5rem 3rem}
section{padding:.7rem .6rem;scroll-margin-top:6rem}
}
@media print{header{display:none}section{break-inside:avoid}}
"""

PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="{scheme}">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<span id="where"></span>
<button id="back" title="left arrow">&#8592; back</button>
<button id="next" title="right arrow">next &#8594;</button>
<button id="all" title="a">all frames</button>
</header>
<main>
{body}
</main>
<script>
const frames = [...document.querySelectorAll("section")];
let now = 0;
function show(to, stepping) {{
  now = Math.min(Math.max(to, 0), frames.length - 1);
  document.body.classList.toggle("stepping", stepping);
  frames.forEach((frame, i) => frame.classList.toggle("now", i === now));
  document.getElementById("where").textContent = stepping ? `${{now + 1}} / ${{frames.length}}` : "";
}}
const stepping = () => document.body.classList.contains("stepping");
const next = () => show(stepping() ? now + 1 : now, true);
const back = () => show(stepping() ? now - 1 : now, true);
document.getElementById("next").onclick = next;
document.getElementById("back").onclick = back;
document.getElementById("all").onclick = () => show(now, false);
addEventListener("keydown", (event) => {{
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const act = {{ArrowRight: next, ArrowLeft: back, n: next, b: back, a: () => show(now, false),
    Home: () => stepping() && show(0, true), End: () => stepping() && show(frames.length - 1, true)}}[event.key];
  if (act) {{ event.preventDefault(); act(); }}
}});
</script>
</body>
</html>
"""
"""``str.format`` template. The policy in its head keeps a recorded text from loading or sending anything."""
