// Loads the bundle of the command line with the bytecode of what earlier runs needed of it: compiling that takes longer than
// a small guest runs. (Node's own compile cache holds what is compiled when a file is loaded, which is next to nothing.)
// The bytecode lies beside the bundle, is as trusted as it, and names the bundle and the Node.js it was made from; V8
// checks its version and flags. Where it is missing and can be written, this run writes it.
const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
const vm = require('node:vm');

const folder = path.join(__dirname, '../dist/cli');
const file = `${folder}/main.cjs`;
const codeFile = `${folder}/main-${process.version}-${process.arch}.code`;
/** Length of what names the bundle, at the start of both files: `/*`, 16 hexadecimal digits, `*` and `/`. */
const NAME = 20;
/** What stands before V8's part of the code file; a multiple of its alignment. */
const HEADER = 32;

const source = fs.readFileSync(file, 'latin1');
let code;
try {
  const whole = fs.readFileSync(codeFile);
  if (whole.latin1Slice(0, NAME) === source.slice(0, NAME)) code = whole.subarray(HEADER);
} catch {
  // Not there yet.
}
const script = new vm.Script(`(function(exports,require,module,__filename,__dirname){${source}\n})`, {
  filename: file,
  cachedData: code,
});
// UKTX_PRIME: the build adds what further programs need.
if (code === undefined || script.cachedDataRejected || process.env.UKTX_PRIME) {
  const { cachedDataVersionTag } = require('node:v8');
  const tag = cachedDataVersionTag();
  let saved = false;
  // Called at the end, and before V8's flags are changed: they are part of what V8 checks.
  globalThis.uktxSaveCode = () => {
    if (saved || cachedDataVersionTag() !== tag) return;
    saved = true;
    const temporary = `${codeFile}.${process.pid}`;
    try {
      const header = Buffer.alloc(HEADER, 0);
      header.latin1Write(source.slice(0, NAME));
      fs.writeFileSync(temporary, Buffer.concat([header, script.createCachedData()]));
      fs.renameSync(temporary, codeFile);
    } catch {
      // A package that this user cannot write to: it works without, some 20 ms slower.
      fs.rmSync(temporary, { force: true });
    }
  };
  process.on('exit', globalThis.uktxSaveCode);
}
const bundle = { exports: {} };
script.runInThisContext()(bundle.exports, createRequire(file), bundle, file, folder);
