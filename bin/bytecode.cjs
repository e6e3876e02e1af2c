// Loads a bundle with the bytecode of what earlier runs needed of it: compiling that takes longer than a small guest runs. (Node's
// own compile cache holds what is compiled when a file is loaded, which is next to nothing.)
// The bytecode lies beside the bundle, is as trusted as it, and names the bundle and the Node.js it was made from; V8
// checks its version and flags.
const fs = require('node:fs');
const v8 = require('node:v8');
const vm = require('node:vm');

/** Length of what names the bundle, at the start of both files: `/*`, 16 hexadecimal digits, `*` and `/`. */
const NAME = 20;
/** What stands before V8's part of the code file; a multiple of its alignment. */
const HEADER = 32;

/**
 * `path`: of the bundle, without `.cjs`; `writer`: tells apart who may write at the same time. Gives the bundle as a `script`, and
 * `save`, null where there is bytecode that serves: it writes that of all functions which have been called by then.
 */
exports.load = (path, writer, options) => {
  const file = `${path}.cjs`;
  const codeFile = `${path}-${process.version}-${process.arch}.code`;
  const source = fs.readFileSync(file, 'latin1');
  let code;
  try {
    const whole = fs.readFileSync(codeFile);
    if (whole.latin1Slice(0, NAME) === source.slice(0, NAME)) code = whole.subarray(HEADER);
  } catch {
    // Not there yet.
  }
  const tag = v8.cachedDataVersionTag();
  const script = new vm.Script(source, { filename: file, cachedData: code, ...options });
  // UKTX_PRIME: the build adds what further programs need.
  if (code !== undefined && !script.cachedDataRejected && !process.env.UKTX_PRIME) return { script, save: null };
  const save = () => {
    // Flags are the process's: a worker may have changed some for the moment.
    if (v8.cachedDataVersionTag() !== tag) return;
    const temporary = `${codeFile}.${writer}`;
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
  return { script, save };
};
