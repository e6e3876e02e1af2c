/** The report's style sheet. */
export const style = `
:root {
  --page: #fbfbfa; --card: #ffffff; --text: #1d2125; --quiet: #626a73; --rule: #e2e4e7; --grid: #e8eaec;
  --qemu: #9aa1a9; --interpreter: #d9902f; --jit-cold: #7fb2e5; --jit-warm: #1f66c1; --node: #6f9f6b;
  --good: #1a7f4b; --bad: #c23b32;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1b1f23; --text: #e4e7ea; --quiet: #98a1aa; --rule: #30363c; --grid: #2a3036;
    --qemu: #7d858e; --interpreter: #d89a48; --jit-cold: #86b7ea; --jit-warm: #3f86e0; --node: #7fb07b;
    --good: #4fc38a; --bad: #ef7a70;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 28px; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 48px 0 4px; }
p { margin: 4px 0 12px; max-width: 75ch; color: var(--quiet); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 12px; margin: 24px 0; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; padding: 14px 16px; }
.tile b { display: block; font-size: 26px; font-weight: 600; line-height: 1.25; }
.tile span { color: var(--quiet); font-size: 13px; }
figure { margin: 12px 0; padding: 16px; background: var(--card); border: 1px solid var(--rule); border-radius: 8px; overflow-x: auto; }
figure > svg { display: block; width: 100%; min-width: 640px; height: auto; }
.key { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13px; margin-bottom: 8px; color: var(--quiet); }
.key i { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 6px; }
svg text { font-size: 11px; fill: var(--quiet); font-variant-numeric: tabular-nums; }
svg text.name { font-size: 13px; fill: var(--text); }
svg text.value { font-size: 10px; stroke: var(--card); stroke-width: 3px; paint-order: stroke; }
svg line.grid { stroke: var(--grid); }
svg line.base { stroke: var(--text); }
svg text.base { fill: var(--text); }
svg line.mark { stroke: var(--bad); stroke-dasharray: 3 3; opacity: 0.7; }
svg text.mark { fill: var(--bad); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; margin: 8px 0; }
th, td { padding: 4px 12px; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { font-weight: 500; color: var(--quiet); vertical-align: bottom; }
th:first-child, td:first-child, td.left, th.left { text-align: left; }
td small { color: var(--quiet); font-size: 12px; }
td.wrap { white-space: normal; }
tr.mean td { border-top: 2px solid var(--rule); font-weight: 600; }
.pass { color: var(--good); font-weight: 600; }
.fail { color: var(--bad); font-weight: 600; }
.none { color: var(--quiet); }
.alarm { border: 2px solid var(--bad); border-radius: 8px; padding: 12px 16px; margin: 20px 0; }
.alarm h2 { margin: 0; color: var(--bad); }
.spark { vertical-align: middle; }
.spark polyline { fill: none; stroke-width: 1.6; }
${['qemu', 'interpreter', 'jit-cold', 'jit-warm', 'node']
  .map((s) => `.s-${s} { fill: var(--${s}); background: var(--${s}); } .l-${s} { stroke: var(--${s}); }`)
  .join('\n')}
`;
