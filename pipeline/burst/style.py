"""How the report looks; in light and in dark."""

CSS = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #5b6675; --line: #dfe4ea; --card: #ffffff; --page: #f4f6f8;
  --good: #17803d; --bad: #c8322b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --dim: #98a3b3; --line: #333c48; --card: #1b212a;
  --page: #12161c; --good: #4ade80; --bad: #f87171; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI",
  Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 24px 64px; }
header { display: flex; gap: 20px; align-items: center; flex-wrap: wrap; margin-bottom: 18px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0; }
h2 { font-size: 16px; margin: 0 0 2px; }
p.note { color: var(--dim); margin: 0 0 8px; font-size: 13.5px; }
.verdict { font-weight: 700; font-size: 18px; letter-spacing: .04em; border-radius: 8px; padding: 9px 18px; }
.verdict.passed { color: #fff; background: #17803d; } .verdict.failed { color: #fff; background: #c8322b; }
.sub { color: var(--dim); font-size: 13.5px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 12px; margin: 0 0 16px; }
.card, section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.card { padding: 12px 16px; } .card b { display: block; font-size: 23px; line-height: 1.25; font-weight: 650; }
.card span { color: var(--dim); font-size: 13px; }
section { padding: 16px 20px; margin: 0 0 16px; overflow-x: auto; }
section.failures { border-color: var(--bad); }
section.failures ul { margin: 6px 0 0; padding-left: 20px; }
svg { width: 100%; height: auto; display: block; color: var(--ink); }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th { text-align: right; color: var(--dim); font-weight: 600; }
th, td { padding: 5px 10px; border-bottom: 1px solid var(--line); vertical-align: top; }
td { text-align: right; } th.l, td.l { text-align: left; } tr:last-child td { border-bottom: 0; }
.good { color: var(--good); } .bad { color: var(--bad); } .dim { color: var(--dim); } .nowrap { white-space: nowrap; }
td.l > b:first-child { display: inline-block; min-width: 15em; }
.checks div { padding-left: 1.3em; text-indent: -1.3em; }
.checks div::before { display: inline-block; width: 1.3em; font-weight: 700; text-indent: 0; }
.checks .good::before { content: "✓"; } .checks .bad::before { content: "✗"; }
.key { display: inline-block; width: 12px; height: 12px; border-radius: 3px; vertical-align: -1px;
  margin: 0 4px 0 12px; }
.key.burst { background: rgba(245, 158, 11, .35); } .key.fault { background: rgba(220, 38, 38, .45); }
details { border-top: 1px solid var(--line); padding: 8px 0; } details:first-of-type { border-top: 0; }
summary { cursor: pointer; font-weight: 600; }
pre { overflow: auto; max-height: 420px; font: 12.5px/1.45 ui-monospace, "DejaVu Sans Mono", monospace; margin: 8px 0; }
"""
